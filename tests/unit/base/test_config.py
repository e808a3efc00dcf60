"""The configuration: file, then environment, checked as a whole, and explained when it is wrong."""

from pathlib import Path

import pytest

from longline.base.config import Config
from longline.base.errors import ConfigError
from longline.base.transport_config import dns_server, sip_told
from longline.base.trunk_config import Trunk
from longline.base.urls import host_port


def load(tmp_path: Path, text: str = "", **environ: str) -> Config:
    path = tmp_path / "longline.toml"
    path.write_text(text)
    return Config.load(path, environ)


def refusal(tmp_path: Path, text: str = "", **environ: str) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, text, **environ)
    return caught.value


def test_without_file_and_environment_the_defaults_hold() -> None:
    config = Config.load(None, {})
    assert config == Config()
    assert config.http_address == ("127.0.0.1", 8080)
    assert config.media_addresses == ["127.0.0.1"]
    assert config.rtp_port_range == (20000, 29999)


def test_the_environment_is_put_over_the_file_table_by_table(tmp_path: Path) -> None:
    text = """
    max_calls = 5
    ring_timeout_s = 30
    [trunks.carrier]
    uri = "sip:sip.example.com"
    username = "file"
    password = "file-secret"
    """
    config = load(
        tmp_path,
        text,
        LONGLINE_MAX_CALLS="7",
        LONGLINE_TRUNKS__CARRIER__PASSWORD="environment-secret",
        LONGLINE_TRUNKS__SPARE__URI="sip:10.0.0.9:5080;transport=tcp",
        LONGLINE_INBOUND__FLOW_URL="http://127.0.0.1:9/flow",
    )
    assert (config.max_calls, config.ring_timeout_s) == (7, 30)
    assert config.trunks["carrier"].username == "file"
    assert config.trunks["carrier"].password == "environment-secret"
    assert config.trunks["spare"].uri == "sip:10.0.0.9:5080;transport=tcp"
    assert config.inbound.flow_url == "http://127.0.0.1:9/flow"


def test_constructing_a_config_reads_no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LONGLINE_MAX_CALLS", "7")
    assert Config().max_calls == 1000
    assert Config.load(None).max_calls == 7


@pytest.mark.parametrize("text", ["/a.pem,/b.pem", '["/a.pem", "/b.pem"]', " /a.pem , /b.pem "])
def test_a_list_in_the_environment_is_json_or_separated_by_commas(tmp_path: Path, text: str) -> None:
    assert load(tmp_path, LONGLINE_CA_FILES=text).ca_files == [Path("/a.pem"), Path("/b.pem")]


def test_a_whole_table_in_the_environment_is_json(tmp_path: Path) -> None:
    config = load(tmp_path, LONGLINE_INBOUND__STREAM='{"ws_url": "ws://app/media", "chunk_size": 20}')
    assert config.inbound.stream is not None
    assert config.inbound.stream.chunk_size == 20
    assert "must be JSON" in str(refusal(tmp_path, LONGLINE_INBOUND__STREAM="ws://app"))


def test_variables_that_name_no_setting_are_left_alone(tmp_path: Path) -> None:
    assert load(tmp_path, LONGLINE_MEDIA_BINARY="/x", PATH="/bin", LONGLINE_="1") == load(tmp_path)


@pytest.mark.parametrize(
    ("text", "path", "hint"),
    [
        ('sip_listn = "127.0.0.1:5060"', "sip_listn", "did you mean sip_listen?"),
        ("[inbound]\nflow_ulr = 1", "inbound.flow_ulr", "did you mean flow_url?"),
        ('[trunks.a]\nuri = "sip:x"\nusrname = "x"', "trunks.a.usrname", "did you mean username?"),
        ("zzzz = 1", "zzzz", "known: http_listen"),
    ],
)
def test_an_unknown_setting_is_named_with_the_nearest_that_exists(
    tmp_path: Path, text: str, path: str, hint: str
) -> None:
    error = refusal(tmp_path, text)
    assert error.path == path
    assert f"{path}: unknown setting" in str(error)
    assert hint in str(error)


def test_an_unknown_setting_inside_a_table_of_the_environment_is_named_too(tmp_path: Path) -> None:
    assert "did you mean flow_url?" in str(refusal(tmp_path, LONGLINE_INBOUND__FLOW_ULR="http://x"))


@pytest.mark.parametrize(
    ("text", "path", "allowed"),
    [
        ("max_calls = 0", "max_calls", "greater than or equal to 1"),
        ("ring_timeout_s = 601", "ring_timeout_s", "less than or equal to 600"),
        ('rtp_ports = "1-9"', "rtp_ports", "1024 <= LOW < HIGH <= 65535"),
        ('rtp_ports = "30000-20000"', "rtp_ports", "1024 <= LOW < HIGH <= 65535"),
        ('sip_listen = "nonsense"', "sip_listen", "must be host:port"),
        ('sip_listen = "127.0.0.1:70000"', "sip_listen", "must be host:port"),
        ('rtp_address = "host.example"', "rtp_address", "must be an IP address"),
        ('log_level = "loud"', "log_level", "'debug', 'info', 'warning' or 'error'"),
        ('webhook_version = "2024-01-01"', "webhook_version", "'2025-08-01', '2026-06-01', 'twilio'"),
        ('[inbound]\nflow_url = "ftp://x"', "inbound.flow_url", "http:// or https://"),
        ('[inbound.stream]\nws_url = "ws://x"\nchunk_size = 30', "inbound.stream.chunk_size", "multiple of 20"),
        ('[inbound.stream]\nws_url = "http://x"', "inbound.stream.ws_url", "ws:// or wss://"),
        ('[trunks.a]\nuri = "tel:+1"', "trunks.a.uri", "must be a SIP URI"),
        ('[trunks.a]\nuri = "sip:x"\nusername = "u"', "trunks.a", "together or not at all"),
        ('[trunks.a]\nfrom_host = "x"', "trunks.a", "give uri or targets"),
        ('[trunks."phone:a"]\nuri = "sip:x"', "trunks.phone:a.[key]", "match pattern"),
        ('[trunks.a]\nuri = "sip:x"\ntargets = [{uri = "sip:y"}]', "trunks.a", "not both"),
        ('[trunks.a]\ntargets = [{uri = "y"}]', "trunks.a.targets.0.uri", "must be a SIP URI"),
        ('[trunks.a]\nnetworks = ["0.0.0.0/0"]', "trunks.a.networks.0", "not be the whole internet"),
        ('[trunks.a]\nnetworks = ["a.example"]', "trunks.a.networks.0", "IP address or network"),
        ('[trunks.a]\nuri = "sip:x"\ninbound_username = "u"', "trunks.a", "together or not at all"),
        ('[trunks.a]\nuri = "sip:x"\nregistration = true', "trunks.a", "registration needs username or aor"),
        ('default_trunk = "a"\n[trunks.a]\nnetworks = ["192.0.2.1"]', None, "neither uri nor targets"),
        ('default_trunk = "b"\n[trunks.a]\nuri = "sip:x"', None, "trunks: a"),
        ('[inbound]\nflow_url = "http://x"\n[inbound.stream]\nws_url = "ws://x"', "inbound", "not both"),
        ('sip_listen = "0.0.0.0:5060"', None, "rtp_address must be given"),
        ('sip_listen = "localhost:5060"', None, "rtp_address must be given"),
        ('sip_listen = ["192.0.2.1:5060", "sctp:192.0.2.1:5060"]', "sip_listen", "must be host:port"),
        ("sip_listen = []", "sip_listen", "at least 1 item"),
        ('sip_listen = "tls:192.0.2.1:5061"', None, "sip_tls.certificate must be given"),
        ('sip_advertise = "a:b:c"', "sip_advertise", "must be host:port"),
        ('rtp_address = ["192.0.2.1", "192.0.2.2"]', "rtp_address", "one IPv4 and one IPv6"),
        ('dns_servers = ["ns.example.com"]', "dns_servers", "must be host:port"),
        ('dns_servers = ["ns.example.com:53"]', "dns_servers", "must be an IP address"),
        ('[sip_tls]\nkey = "k.pem"', "sip_tls", "without certificate"),
        ('[sip_tls]\ncertificate = "c.pem"\nclients = "required"', "sip_tls", "client_ca_files must be given"),
    ],
)
def test_a_bad_value_is_told_with_its_path_and_what_is_allowed(
    tmp_path: Path, text: str, path: str | None, allowed: str
) -> None:
    error = refusal(tmp_path, text)
    assert error.path == path
    assert allowed in str(error)


def test_every_mistake_is_told_at_once(tmp_path: Path) -> None:
    lines = str(refusal(tmp_path, 'max_calls = 0\nrtp_ports = "x"\nnonsense = 1')).splitlines()
    assert sorted(line.partition(":")[0] for line in lines) == ["max_calls", "nonsense", "rtp_ports"]


def test_a_refusal_never_shows_the_value_of_a_secret(tmp_path: Path) -> None:
    error = refusal(tmp_path, 'webhook_secret = "hunter2"\napi_key = "hunter2"\n[trunks.a]\npassword = ["hunter2"]')
    assert "webhook_secret" in str(error)
    assert "hunter2" not in str(error)


def test_secrets_are_not_shown_by_repr() -> None:
    config = Config(
        api_key="hunter22", webhook_secret="hunter23", database_url="postgresql+asyncpg://u:hunter24@db/x",
        trunks={"a": {"uri": "sip:x", "username": "u", "password": "hunter25"}},
    )  # fmt: skip
    assert "hunter" not in repr(config)


def test_a_missing_or_broken_file_is_told_by_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"missing\.toml: No such file"):
        Config.load(tmp_path / "missing.toml", {})
    assert "is not valid TOML" in str(refusal(tmp_path, "max_calls ="))


def test_a_trunk_has_one_address_or_several_or_only_calls_in() -> None:
    assert [target.uri for target in Trunk(uri="sip:a").all_targets] == ["sip:a"]
    several = Trunk(targets=[{"uri": "sip:a", "priority": 1}, {"uri": "sip:b", "weight": 3}])
    assert [(t.uri, t.priority, t.weight) for t in several.all_targets] == [("sip:a", 1, 1), ("sip:b", 10, 3)]
    assert Trunk(networks=["192.0.2.7/28", "2001:db8::1"]).networks == ["192.0.2.0/28", "2001:db8::1/128"]


def test_the_addresses_of_a_trunk_may_come_from_the_environment() -> None:
    targets = '[{"uri": "sip:a"}, {"uri": "sip:b", "priority": 20}]'
    environment = {"LONGLINE_TRUNKS__A__TARGETS": targets, "LONGLINE_TRUNKS__A__NETWORKS": "192.0.2.1, 192.0.2.2"}
    trunk = Config.load(None, environment).trunks["a"]
    assert [target.priority for target in trunk.all_targets] == [10, 20]
    assert trunk.networks == ["192.0.2.1/32", "192.0.2.2/32"]


@pytest.mark.parametrize("text", ["[::1]:5060", "127.0.0.1:0", "sip.example.com:5060"])
def test_addresses_are_split_into_host_and_port(text: str) -> None:
    host, port = host_port(text)
    assert text in (f"{host}:{port}", f"[{host}]:{port}")


def test_sip_may_listen_at_several_addresses_of_both_families(tmp_path: Path) -> None:
    text = """
    sip_listen = ["192.0.2.1:5060", "[2001:db8::1]:5060", "tls:192.0.2.1:5061", "udp:192.0.2.2:5060"]
    sip_advertise = ["198.51.100.1", "tls:sip.example.com:5071"]
    dns_servers = ["192.0.2.53", "[2001:db8::53]:5353"]
    [sip_tls]
    certificate = "c.pem"
    """
    config = load(tmp_path, text)
    assert config.sip_addresses == [
        (None, "192.0.2.1", 5060),
        (None, "2001:db8::1", 5060),
        ("TLS", "192.0.2.1", 5061),
        ("UDP", "192.0.2.2", 5060),
    ]
    assert config.media_addresses == ["192.0.2.1", "2001:db8::1"]
    assert [sip_told(item) for item in config.sip_advertise] == [
        (None, "198.51.100.1", None),
        ("TLS", "sip.example.com", 5071),
    ]
    assert [dns_server(item) for item in config.dns_servers] == [("192.0.2.53", 53), ("2001:db8::53", 5353)]


def test_addresses_in_the_environment_are_separated_by_commas(tmp_path: Path) -> None:
    config = load(tmp_path, "", LONGLINE_SIP_LISTEN="127.0.0.1:5070,[::1]:5070")
    assert config.sip_addresses == [(None, "127.0.0.1", 5070), (None, "::1", 5070)]
    assert load(tmp_path, 'rtp_address = "2001:db8::9"').media_addresses == ["2001:db8::9"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("udp", (None, "udp", None)),
        ("udp:5060", (None, "udp", 5060)),
        ("tls:[2001:db8::1]", ("TLS", "2001:db8::1", None)),
        ("tcp:192.0.2.1:5070", ("TCP", "192.0.2.1", 5070)),
        ("udp:sip.example.com", ("UDP", "sip.example.com", None)),
    ],
)
def test_transport_before_an_address_is_told_from_a_host_of_that_name(
    text: str, told: tuple[str | None, str, int | None]
) -> None:
    assert sip_told(text) == told


@pytest.mark.parametrize(("expires", "least"), [(60, 90), (600, 900), (1800, 60)])
def test_session_interval_is_not_below_its_minimum(expires: int, least: int) -> None:
    with pytest.raises(ValueError):
        Config.model_validate({"session_expires_s": expires, "min_session_expires_s": least})
    assert Config.model_validate({"session_expires_s": 0, "min_session_expires_s": 900}).session_expires_s == 0
