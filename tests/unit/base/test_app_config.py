"""Voice apps and numbers in the configuration: what they name must be there."""

import pytest

from longline.base.config import Config
from longline.base.errors import ConfigError


def test_a_configuration_names_apps_and_trunks_that_are_there() -> None:
    def read(**settings: str) -> Config:
        return Config.load(environ={f"LONGLINE_{name}": value for name, value in settings.items()})

    with pytest.raises(ConfigError, match="desk"):
        read(NUMBERS='{"+15550100": {"app": "desk"}}')
    with pytest.raises(ConfigError, match="not both"):
        read(NUMBERS='{"+15550100": {"app": "desk", "trunk": "x"}}', APPS='{"desk": {"flow_url": "http://a/"}}')
    with pytest.raises(ConfigError, match="default"):
        read(APPS='{"default": {"flow_url": "http://a/"}}')
    with pytest.raises(ConfigError):
        read(NUMBERS='{"0100": {}}')
    with pytest.raises(ConfigError, match="desk"):
        read(TRUNKS='{"x": {"uri": "sip:a", "app": "desk"}}')
