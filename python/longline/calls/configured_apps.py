"""The voice apps and virtual numbers of the configuration file, as records: the same ids at every start.

The app `default` is what `[inbound]` describes. Leaves out the records of the API (`app_directory.py`).
"""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from uuid import UUID, uuid5

from longline.base.config import DEFAULT_APP_NAME, Config
from longline.base.errors import ConfigError
from longline.base.ids import DEFAULT_ACCOUNT_ID, DEFAULT_VOICE_APP_ID
from longline.calls.app_changes import Location
from longline.calls.dialects import settle
from longline.calls.trunk import config_trunk_id
from longline.store.records import NumberRecord, VoiceAppRecord


def config_app_id(name: str) -> UUID:
    return uuid5(DEFAULT_ACCOUNT_ID, f"voice app {name}")


def config_number_id(number: str) -> UUID:
    return uuid5(DEFAULT_ACCOUNT_ID, f"virtual number {number}")


def check_inbound_stream(config: Config) -> None:
    """Raise ConfigError when `[inbound] stream` has a format that its dialect does not have."""
    stream = config.inbound.stream
    if stream is not None:
        try:
            settle(stream.dialect, stream.encoding, stream.sample_rate, stream.chunk_size)
        except ValueError as error:
            raise ConfigError(f"inbound.stream: {error}", "inbound.stream") from None


def configured_apps(config: Config, at: datetime) -> list[VoiceAppRecord]:
    """The app of `[inbound]`, if it says what to do with a call, and those of `[apps]`."""
    found = []
    inbound = config.inbound
    if inbound.flow_url is not None or inbound.stream is not None:
        found.append(
            VoiceAppRecord(
                id=DEFAULT_VOICE_APP_ID,
                name=DEFAULT_APP_NAME,
                source="config",
                created_at=at,
                updated_at=at,
                flow_url=inbound.flow_url,
                fallback_url=inbound.fallback_url,
                webhook_url=inbound.webhook_url,
                webhook_version=config.webhook_version,
            )
        )
    for name, settings in config.apps.items():
        app_id = config_app_id(name)
        found.append(
            VoiceAppRecord(
                id=app_id,
                name=name,
                source="config",
                created_at=at,
                updated_at=at,
                flow_url=settings.flow_url,
                webhook_url=settings.webhook_url,
                fallback_url=settings.fallback_url,
                channel_limit=settings.channel_limit or None,
                secret_id=None if settings.secret is None else app_id,
                webhook_version=settings.webhook_version or config.webhook_version,
            )
        )
    return found


def configured_secrets(config: Config) -> dict[UUID, str]:
    """What signs the webhooks of the apps of `[apps]`, by the `secret_id` of their records."""
    return {config_app_id(name): app.secret for name, app in config.apps.items() if app.secret is not None}


def configured_numbers(config: Config, at: datetime) -> list[NumberRecord]:
    found = []
    for number, settings in config.numbers.items():
        location = None
        if settings.location is not None:
            location = Location(
                name=settings.location, region_code=settings.region_code, country_code=settings.country_code
            )
        found.append(
            NumberRecord(
                id=config_number_id(number),
                number=number,
                name=settings.name or number,
                source="config",
                created_at=at,
                updated_at=at,
                is_fixed=settings.app is not None or settings.trunk is not None,
                voice_app_id=None if settings.app is None else config_app_id(settings.app),
                sip_trunk_id=None if settings.trunk is None else config_trunk_id(settings.trunk),
                location_id=None if location is None else location.id,
                location=None if location is None else asdict(location),
            )
        )
    return found
