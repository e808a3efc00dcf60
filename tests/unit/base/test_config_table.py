"""The reference page lists every setting, as it is."""

from pathlib import Path

from longline.base.config import Config
from longline.base.config_table import reference_page, settings_table
from longline.base.trunk_config import Trunk

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "configuration.md"


def test_every_setting_is_in_the_table_with_its_type_default_and_variable() -> None:
    table = {setting.name: setting for setting in settings_table()}
    tables = {"access", "apps", "egress", "inbound", "numbers", "phones", "sip_tls", "speech", "trunks"}
    assert set(Config.model_fields) - tables <= set(table)
    assert {f"trunks.NAME.{name}" for name in Trunk.model_fields} <= set(table)
    assert all(setting.doc and setting.type for setting in table.values())
    max_calls = table["max_calls"]
    assert (max_calls.type, max_calls.default) == ("integer, 1 to 100000", "`1000`")
    assert table["inbound.stream.ws_url"].default == "required"
    assert table["trunks.NAME.targets"].type == "list of table"


def test_a_variable_of_the_table_sets_its_setting() -> None:
    env = {setting.name: setting.env for setting in settings_table()}
    config = Config.load(
        None,
        {
            env["max_calls"]: "3",
            env["inbound.stream.ws_url"]: "ws://app/media",
            env["trunks.NAME.uri"].replace("NAME", "A"): "sip:carrier",
        },
    )
    assert config.max_calls == 3
    assert config.inbound.stream is not None
    assert config.trunks["a"].uri == "sip:carrier"


def test_the_reference_page_is_up_to_date() -> None:
    assert PAGE.read_text() == reference_page(), "run: python -m longline.base.config_table > docs/reference/…"
