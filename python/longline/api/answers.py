"""The answers, as the wire has them. Field names and states are the Teler API's; streams are our own."""

from typing import Any, Generic, Literal, TypeVar

from pydantic import BaseModel, Field

from longline.api.fields import Timestamp
from longline.base.stream_formats import SampleRate
from longline.store.records import CallState, DeliveryStatus, Direction, LegRole, LegState, StreamState

T = TypeVar("T")


class PageOf(BaseModel, Generic[T]):
    """A page of a list. The cursors are opaque; null where there is nothing more in that direction."""

    data: list[T]
    next_cursor: str | None
    previous_cursor: str | None
    has_more: bool = Field(description="Whether there is a page after this one.")


class InitiatedCall(BaseModel):
    """Exactly the five keys that older clients allow."""

    id: str
    from_number: str
    to_number: str
    status_callback_url: str | None
    record: bool


class CallInitiateResponse(BaseModel):
    message: str = "Call initiated successfully"
    data: InitiatedCall


class CallLeg(BaseModel):
    id: str
    call_session_id: str
    direction: Direction
    role: LegRole
    state: LegState
    from_number: str | None
    to_number: str | None
    parent_leg_id: str | None
    recordings: list[str]
    created_at: Timestamp
    answered_at: Timestamp | None
    ended_at: Timestamp | None
    reason: str | None
    ended_by: str | None


class CallSession(BaseModel):
    id: str
    account_id: str
    voice_app_id: str | None
    state: CallState
    direction: Direction
    from_number: str | None
    to_number: str | None
    properties: dict[str, Any]
    metadata: dict[str, Any] = Field(description="Beyond the Teler API: what the application has attached.")
    activity: dict[str, int] = Field(
        description="Beyond the Teler API: how often what has happened; of digits how many, not which."
    )
    quality: dict[str, Any] | None = Field(description="Beyond the Teler API: how the first leg sounded.")
    created_at: Timestamp
    answered_at: Timestamp | None
    ended_at: Timestamp | None
    reason: str | None
    legs: list[CallLeg]


class CallControlResponse(BaseModel):
    """The request is accepted; its outcome is told by the call's events."""

    request_id: str


class PlayResponse(CallControlResponse):
    """The file is fetched and played; `playback.started`, `playback.finished` or `playback.failed` tell of it."""

    playback_id: str


class TransferResponse(BaseModel):
    """The transfer has begun; `call.transfer.completed` or `call.transfer.failed` tells its outcome."""

    id: str
    call_id: str
    status: Literal["initiated"] = "initiated"
    target_leg_id: str | None
    mode: Literal["cold"]
    request_id: str


class StreamResource(BaseModel):
    """A WebSocket between a live call and an application. `stats` are those of its end."""

    id: str
    call_id: str
    ws_url: str
    dialect: str
    chunk_size: int
    sample_rate: SampleRate
    state: StreamState
    created_at: Timestamp
    connected_at: Timestamp | None
    ended_at: Timestamp | None
    reason: str | None
    stats: dict[str, Any]


class EventResource(BaseModel):
    """`payload` is the webhook as it was sent; of an event that is told to nobody, its own facts.

    It must have no key `data`: the Teler client would take a single object with one for an envelope, and unwrap it.
    """

    id: str
    account_id: str
    call_id: str | None
    sip_trunk_id: str | None
    leg_id: str | None
    stream_id: str | None = Field(description="Beyond the Teler API.")
    type: str
    api_version: str | None
    occurred_at: Timestamp
    payload: dict[str, Any]
    delivery_status: DeliveryStatus = Field(description="backfill_skipped: told to nobody.")
    attempt_count: int
    last_attempt_at: Timestamp | None
    last_status_code: int | None
    last_error: str | None
    delivered_at: Timestamp | None
    created_at: Timestamp


class ListedEvent(EventResource):
    """An event of a list also shows its own facts, those too that no webhook carries."""

    details: dict[str, Any] = Field(description="Beyond the Teler API: the event's own facts, webhook or not.")


class RedeliverResponse(BaseModel):
    event_id: str
    redelivered_at: Timestamp


class Health(BaseModel):
    status: Literal["ok"] = "ok"


class Readiness(BaseModel):
    """`checks` tells of each part whether it is there."""

    status: Literal["ready", "not_ready"]
    checks: dict[str, bool]
