"""The tables, as SQLAlchemy Core describes them: one column per field of a record, under the same name.

The schema in a database is made by `migrations/`; a test checks that the two agree.
"""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    DateTime,
    Dialect,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    Uuid,
    false,
    true,
)

from longline.base.ids import DEFAULT_ACCOUNT_ID


class UtcDateTime(TypeDecorator[datetime]):
    """A time in UTC; SQLite, which knows no zone, keeps it naive."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return value if value is None or value.tzinfo is not None else value.replace(tzinfo=UTC)


def _id(name: str = "id", **options: Any) -> Column[Any]:
    return Column(name, Uuid(), **options)


def _account() -> Column[Any]:
    """Whose it is. In every table but those of the node itself; a query that an account makes names it."""
    return _id("account_id", nullable=False, server_default=DEFAULT_ACCOUNT_ID.hex)


def _time(name: str, **options: Any) -> Column[Any]:
    return Column(name, UtcDateTime(), **options)


metadata = MetaData()

calls = Table(
    "calls",
    metadata,
    _id(primary_key=True),
    _account(),
    _id("voice_app_id"),
    Column("direction", String(16), nullable=False),
    Column("state", String(16), nullable=False),
    Column("from_number", String(255)),
    Column("to_number", String(255)),
    Column("flow_url", Text()),
    Column("status_callback_url", Text()),
    Column("properties", JSON(), nullable=False),
    _time("created_at", nullable=False),
    _time("answered_at"),
    _time("ended_at"),
    Column("reason", String(128)),
    _id("sip_trunk_id"),
    Column("webhook_version", String(16)),
    _id("secret_id"),
)
# A listing is a walk along an index from where the page begins: what is filtered for stands before the time.
Index("calls_by_time", calls.c.account_id, calls.c.created_at, calls.c.id)
Index("calls_by_state", calls.c.state, calls.c.account_id, calls.c.created_at, calls.c.id)
Index("calls_by_from", calls.c.account_id, calls.c.from_number, calls.c.created_at, calls.c.id)
Index("calls_by_to", calls.c.account_id, calls.c.to_number, calls.c.created_at, calls.c.id)
Index("calls_by_trunk", calls.c.sip_trunk_id, calls.c.account_id, calls.c.created_at, calls.c.id)

legs = Table(
    "legs",
    metadata,
    _id(primary_key=True),
    _account(),
    _id("call_session_id", nullable=False),
    Column("direction", String(16), nullable=False),
    Column("role", String(16), nullable=False),
    Column("state", String(16), nullable=False),
    Column("from_number", String(255)),
    Column("to_number", String(255)),
    _id("parent_leg_id"),
    Column("recordings", JSON(), nullable=False),
    _time("created_at", nullable=False),
    _time("answered_at"),
    _time("ended_at"),
    Column("reason", String(128)),
    Column("ended_by", String(32)),
)
Index("legs_by_call", legs.c.call_session_id, legs.c.created_at, legs.c.id)

streams = Table(
    "streams",
    metadata,
    _id(primary_key=True),
    _account(),
    _id("call_id", nullable=False),
    Column("ws_url", Text(), nullable=False),
    Column("dialect", String(32), nullable=False),
    Column("chunk_size", Integer(), nullable=False),
    Column("sample_rate", String(8), nullable=False),
    Column("state", String(16), nullable=False),
    _time("created_at", nullable=False),
    _time("connected_at"),
    _time("ended_at"),
    Column("reason", String(128)),
    Column("stats", JSON(), nullable=False),
)
Index("streams_by_call", streams.c.call_id, streams.c.created_at, streams.c.id)

events = Table(
    "events",
    metadata,
    _id(primary_key=True),
    _account(),
    Column("type", String(64), nullable=False),
    _id("call_id"),
    _id("sip_trunk_id"),
    _id("leg_id"),
    _id("stream_id"),
    _time("at", nullable=False),
    Column("data", JSON(), nullable=False),
    Column("api_version", String(16)),
    _id("secret_id"),
    Column("payload", JSON(none_as_null=True)),
    Column("target_url", Text()),
    Column("delivery_status", String(24), nullable=False),
    Column("attempt_count", Integer(), nullable=False),
    _time("last_attempt_at"),
    Column("last_status_code", Integer()),
    Column("last_error", String(512)),
    _time("delivered_at"),
)
Index("events_by_time", events.c.account_id, events.c.at, events.c.id)
Index("events_by_type", events.c.account_id, events.c.type, events.c.at, events.c.id)
Index("events_by_call", events.c.call_id, events.c.account_id, events.c.at, events.c.id)
Index("events_by_trunk", events.c.sip_trunk_id, events.c.account_id, events.c.at, events.c.id)
Index("events_by_outcome", events.c.account_id, events.c.delivery_status, events.c.at, events.c.id)
Index("events_by_delivery", events.c.delivery_status, events.c.at, events.c.id)

recordings = Table(
    "recordings",
    metadata,
    _id(primary_key=True),
    _account(),
    _id("call_id", nullable=False),
    _id("leg_id"),
    Column("path", Text(), nullable=False),
    Column("duration_ms", Integer(), nullable=False),
    _time("created_at", nullable=False),
    Column("format", String(8), nullable=False, server_default="wav"),
    Column("channels", Integer(), nullable=False, server_default="2"),
    Column("encrypted", Boolean(), nullable=False, server_default=false()),
    Column("track", String(64), nullable=False, server_default="stereo"),
    Column("state", String(16), nullable=False, server_default="completed"),
)
Index("recordings_by_state", recordings.c.state, recordings.c.created_at, recordings.c.id)
Index("recordings_by_call", recordings.c.call_id, recordings.c.created_at, recordings.c.id)

sip_trunks = Table(
    "sip_trunks",
    metadata,
    _id(primary_key=True),
    _account(),
    Column("source", String(8), nullable=False),
    Column("name", String(255), nullable=False),
    Column("domain_name", String(255), nullable=False),
    Column("is_active", Boolean(), nullable=False),
    Column("channel_limit", Integer(), nullable=False),
    Column("cps_limit", Integer(), nullable=False),
    Column("recording", Boolean(), nullable=False),
    Column("transport", String(8), nullable=False),
    Column("authentication_type", String(16), nullable=False),
    Column("auth_username", String(255)),
    Column("auth_password", Text()),
    Column("auth_addresses", JSON(), nullable=False),
    _id("ip_acl_id"),
    Column("inbound_route", JSON(none_as_null=True)),
    Column("webhook_url", Text()),
    Column("webhook_version", String(16), nullable=False),
    _id("secret_id"),
    _time("created_at", nullable=False),
    _time("updated_at", nullable=False),
)
Index("sip_trunks_by_time", sip_trunks.c.account_id, sip_trunks.c.created_at, sip_trunks.c.id)

ip_acls = Table(
    "ip_acls",
    metadata,
    _id(primary_key=True),
    _account(),
    Column("name", String(64), nullable=False),
    Column("addresses", JSON(), nullable=False),
    _time("created_at", nullable=False),
    _time("updated_at", nullable=False),
)
Index("ip_acls_by_time", ip_acls.c.account_id, ip_acls.c.created_at, ip_acls.c.id)

voice_apps = Table(
    "voice_apps",
    metadata,
    _id(primary_key=True),
    _account(),
    Column("source", String(8), nullable=False),
    Column("name", String(255), nullable=False),
    Column("flow_url", Text()),
    Column("webhook_url", Text()),
    Column("fallback_url", Text()),
    Column("is_active", Boolean(), nullable=False),
    Column("channel_limit", Integer()),
    _id("secret_id"),
    Column("webhook_version", String(16), nullable=False),
    _time("created_at", nullable=False),
    _time("updated_at", nullable=False),
)
Index("voice_apps_by_time", voice_apps.c.account_id, voice_apps.c.created_at, voice_apps.c.id)

virtual_numbers = Table(
    "virtual_numbers",
    metadata,
    _id(primary_key=True),
    _account(),
    Column("source", String(8), nullable=False),
    Column("is_fixed", Boolean(), nullable=False),
    Column("number", String(16), nullable=False),
    Column("name", String(255), nullable=False),
    _id("voice_app_id"),
    _id("sip_trunk_id"),
    _id("location_id"),
    Column("location", JSON(none_as_null=True)),
    _time("created_at", nullable=False),
    _time("updated_at", nullable=False),
)
Index("virtual_numbers_by_number", virtual_numbers.c.number, unique=True)
Index("virtual_numbers_by_time", virtual_numbers.c.account_id, virtual_numbers.c.created_at, virtual_numbers.c.id)
Index("virtual_numbers_by_app", virtual_numbers.c.voice_app_id, virtual_numbers.c.created_at, virtual_numbers.c.id)

# Not `secrets`, which are the server's own.
signing_secrets = Table(
    "signing_secrets",
    metadata,
    _id(primary_key=True),
    _account(),
    Column("name", String(255), nullable=False),
    Column("value", Text(), nullable=False),
    Column("previous_value", Text()),
    _time("rotated_at"),
    _time("created_at", nullable=False),
)
Index("signing_secrets_by_time", signing_secrets.c.account_id, signing_secrets.c.created_at, signing_secrets.c.id)

sip_registrations = Table(
    "sip_registrations",
    metadata,
    Column("account", String(255), primary_key=True),
    Column("bindings", JSON(), nullable=False),
    _time("written_at", nullable=False),
)

dialogs = Table(
    "dialogs",
    metadata,
    Column("handle", String(64), primary_key=True),
    Column("snapshot", JSON(), nullable=False),
    _time("written_at", nullable=False),
)

accounts = Table(
    "accounts",
    metadata,
    _id(primary_key=True),
    Column("name", String(64), nullable=False),
    _time("created_at", nullable=False),
    Column("is_active", Boolean(), nullable=False, server_default=true()),
    Column("requests_per_s", Float()),
)
Index("accounts_by_name", accounts.c.name, unique=True)

api_keys = Table(
    "api_keys",
    metadata,
    _id(primary_key=True),
    _account(),
    Column("name", String(64), nullable=False),
    Column("prefix", String(16), nullable=False),
    Column("hash", String(128), nullable=False),
    Column("scopes", JSON(), nullable=False),
    _time("created_at", nullable=False),
    _time("expires_at"),
    _time("revoked_at"),
    Column("requests_per_s", Float()),
)
Index("api_keys_by_hash", api_keys.c.hash, unique=True)
Index("api_keys_by_account", api_keys.c.account_id, api_keys.c.created_at, api_keys.c.id)

# Of its own: the node writes it while somebody else may change the key.
api_key_uses = Table(
    "api_key_uses",
    metadata,
    Column("key_id", Uuid(), primary_key=True),
    _time("last_used_at", nullable=False),
)

secrets = Table(
    "secrets",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("value", LargeBinary(), nullable=False),
)
