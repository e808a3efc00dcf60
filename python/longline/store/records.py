"""The records, as plain data. A record has the shape of its row and of nothing else; the wire shapes are in `api`.

States are those of the Teler API. Times are UTC.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from longline.base.events import CallFacts, Event
from longline.base.ids import DEFAULT_ACCOUNT_ID

CallState = Literal["initiated", "ringing", "answered", "completed", "failed"]
LegState = Literal["created", "ringing", "answered", "completed", "failed"]
RecordingFormat = Literal["wav", "ogg"]
RecordingState = Literal["recording", "completed", "failed"]
StreamState = Literal["connecting", "connected", "disconnected", "closed", "failed"]
Direction = Literal["inbound", "outbound"]
LegRole = Literal["primary", "dial_target", "transfer_target", "monitor", "parked"]
AuthenticationType = Literal["credential", "IP"]
Source = Literal["api", "config"]
"""Who made it; what the configuration file makes is changed there."""
TrunkSource = Source
WebhookFormat = Literal["2025-08-01", "2026-06-01", "twilio", "plivo", "telnyx", "vonage", "jambonz"]
TrunkTransport = Literal["tls", "tcp", "udp"]
DeliveryStatus = Literal["pending", "delivered", "failed_permanent", "backfill_skipped"]
"""`backfill_skipped`: the event was never meant for a webhook, or its call has no target."""

CALL_STATES: tuple[CallState, ...] = ("initiated", "ringing", "answered", "completed", "failed")
CALL_ENDED: frozenset[str] = frozenset({"completed", "failed"})


@dataclass(slots=True, kw_only=True)
class LegRecord:
    """One SIP dialog of a call."""

    id: UUID
    call_session_id: UUID
    direction: Direction
    created_at: datetime
    account_id: UUID = DEFAULT_ACCOUNT_ID
    role: LegRole = "primary"
    state: LegState = "created"
    from_number: str | None = None
    to_number: str | None = None
    parent_leg_id: UUID | None = None
    recordings: list[str] = field(default_factory=list)
    answered_at: datetime | None = None
    ended_at: datetime | None = None
    reason: str | None = None
    ended_by: str | None = None


@dataclass(slots=True, kw_only=True)
class CallRecord:
    """One call and its legs, in the order of their creation."""

    id: UUID
    direction: Direction
    created_at: datetime
    account_id: UUID = DEFAULT_ACCOUNT_ID
    voice_app_id: UUID | None = None
    state: CallState = "initiated"
    from_number: str | None = None
    to_number: str | None = None
    flow_url: str | None = None
    status_callback_url: str | None = None
    properties: dict[str, Any] = field(default_factory=dict)
    answered_at: datetime | None = None
    ended_at: datetime | None = None
    reason: str | None = None
    sip_trunk_id: UUID | None = None
    webhook_version: str | None = None
    """The format of its webhooks, where its app or trunk asks for one; None: the node's."""
    secret_id: UUID | None = None
    """What signs its webhooks; None: the node's secret, if it has one."""
    legs: list[LegRecord] = field(default_factory=list)

    def facts(self) -> CallFacts:
        """What its events share."""
        return CallFacts(
            account_id=self.account_id,
            voice_app_id=self.voice_app_id,
            from_number=self.from_number,
            to_number=self.to_number,
            target_url=self.status_callback_url,
            sip_trunk_id=self.sip_trunk_id,
            version=self.webhook_version,
            secret_id=self.secret_id,
        )


@dataclass(slots=True, kw_only=True)
class StreamRecord:
    """One WebSocket between a call and an application. `chunk_size` is in ms; `stats` are those of its end."""

    id: UUID
    call_id: UUID
    ws_url: str
    created_at: datetime
    account_id: UUID = DEFAULT_ACCOUNT_ID
    dialect: str = "teler"
    chunk_size: int = 400
    sample_rate: str = "8k"
    state: StreamState = "connecting"
    connected_at: datetime | None = None
    ended_at: datetime | None = None
    reason: str | None = None
    stats: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRecord(Event):
    """An event and how its webhook fared. `payload` is the exact JSON that is sent, None where nothing is."""

    api_version: str | None = None
    secret_id: UUID | None = None
    payload: dict[str, Any] | None = None
    target_url: str | None = None
    delivery_status: DeliveryStatus = "backfill_skipped"
    attempt_count: int = 0
    last_attempt_at: datetime | None = None
    last_status_code: int | None = None
    last_error: str | None = None
    delivered_at: datetime | None = None


@dataclass(slots=True, kw_only=True)
class RecordingRecord:
    """One file of a recording. `track` says who is in it: "stereo" (left: heard from the leg, right: sent to it),
    "mono" (everyone), "streams", or a leg's id."""

    id: UUID
    call_id: UUID
    path: str
    created_at: datetime
    account_id: UUID = DEFAULT_ACCOUNT_ID
    leg_id: UUID | None = None
    duration_ms: int = 0
    format: RecordingFormat = "wav"
    channels: int = 2
    encrypted: bool = False
    track: str = "stereo"
    state: RecordingState = "completed"


@dataclass(slots=True, kw_only=True)
class SipTrunkRecord:
    """A trunk as the API has it. `auth_addresses` are {name, address}; `inbound_route` is {name, sip_url, sip_user}.

    Those of the configuration file stand here too (`source`), without their credentials, so that a list shows them and
    a call can name them."""

    id: UUID
    name: str
    domain_name: str
    authentication_type: AuthenticationType
    created_at: datetime
    updated_at: datetime
    account_id: UUID = DEFAULT_ACCOUNT_ID
    source: TrunkSource = "api"
    is_active: bool = True
    channel_limit: int = 0
    cps_limit: int = 0
    recording: bool = False
    transport: TrunkTransport = "tcp"
    auth_username: str | None = None
    auth_password: str | None = field(default=None, repr=False)
    auth_addresses: list[dict[str, str]] = field(default_factory=list)
    ip_acl_id: UUID | None = None
    inbound_route: dict[str, Any] | None = None
    webhook_url: str | None = None
    webhook_version: str = "2025-08-01"
    secret_id: UUID | None = None


@dataclass(slots=True, kw_only=True)
class IpAclRecord:
    """A named set of sources. `addresses` are {address, description}: an address or a network."""

    id: UUID
    name: str
    addresses: list[dict[str, str | None]]
    created_at: datetime
    updated_at: datetime
    account_id: UUID = DEFAULT_ACCOUNT_ID


@dataclass(slots=True, kw_only=True)
class AccountRecord:
    """A tenant. An inactive one has no valid key. `requests_per_s` None: as the node is set."""

    id: UUID
    name: str
    created_at: datetime
    is_active: bool = True
    requests_per_s: float | None = None


@dataclass(slots=True, kw_only=True)
class ApiKeyRecord:
    """A key, of which only the SHA-256 and the first characters are known. `scopes` are those of `api/scopes.py`."""

    id: UUID
    account_id: UUID
    name: str
    prefix: str
    hash: str = field(repr=False)
    scopes: list[str]
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    requests_per_s: float | None = None

    def is_valid(self, at: datetime) -> bool:
        return self.revoked_at is None and (self.expires_at is None or at < self.expires_at)


@dataclass(frozen=True, slots=True, kw_only=True)
class VoiceAppRecord:
    """What is done with the calls of its numbers, and who is told. `channel_limit` is calls at once; none if None or 0.

    Those of the configuration file stand here too (`source`); what signs their webhooks does not (`secret_id` names it
    all the same). `flow_url` is None where the configuration has a static stream in its place."""

    id: UUID
    name: str
    created_at: datetime
    updated_at: datetime
    account_id: UUID = DEFAULT_ACCOUNT_ID
    source: Source = "api"
    flow_url: str | None = None
    webhook_url: str | None = None
    fallback_url: str | None = None
    is_active: bool = True
    channel_limit: int | None = None
    secret_id: UUID | None = None
    webhook_version: WebhookFormat = "2025-08-01"


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberRecord:
    """A telephone number (E.164) of this server. It is there once. It leads to a voice app or to a trunk, or nowhere.

    `is_fixed`: the configuration file says where it leads. `location` is {name, region_code, country_code,
    country_name}."""

    id: UUID
    number: str
    name: str
    created_at: datetime
    updated_at: datetime
    account_id: UUID = DEFAULT_ACCOUNT_ID
    source: Source = "api"
    is_fixed: bool = False
    voice_app_id: UUID | None = None
    sip_trunk_id: UUID | None = None
    location_id: UUID | None = None
    location: dict[str, str | None] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretRecord:
    """What signs webhooks. The value before the last rotation signs beside it for a while."""

    id: UUID
    name: str
    value: str = field(repr=False)
    created_at: datetime
    account_id: UUID = DEFAULT_ACCOUNT_ID
    previous_value: str | None = field(default=None, repr=False)
    rotated_at: datetime | None = None


@dataclass(slots=True)
class RegistrationRecord:
    """The bindings of one account, as `Binding.to_dict` gives them at the time of writing."""

    account: str
    bindings: list[dict[str, Any]]
    written_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class SipTrunkFilter:
    """Which trunks to list; what is None does not filter. `search` is a part of the name or of the domain."""

    search: str | None = None
    is_active: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberFilter:
    """Which numbers to list; what is empty or None does not filter. `search` is a part of the name or the number. Of
    several filters each must hold, of the ids of one filter one."""

    search: str | None = None
    location_ids: tuple[UUID, ...] = ()
    voice_app_ids: tuple[UUID, ...] = ()
    sip_trunk_ids: tuple[UUID, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CallFilter:
    """Which calls to list; what is None does not filter. Times exclude their own instant."""

    state: CallState | None = None
    from_number: str | None = None
    to_number: str | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None
    sip_trunk_id: UUID | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EventFilter:
    """Which events to list; what is None does not filter."""

    call_id: UUID | None = None
    sip_trunk_id: UUID | None = None
    type: str | None = None
    occurred_after: datetime | None = None
    delivery_status: DeliveryStatus | None = None
