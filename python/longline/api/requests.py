"""The requests, as the wire has them: what may be asked, and within which bounds.

Call initiation ignores keys that it does not know, as the Teler API does; the others refuse them.
"""

import re
from dataclasses import replace
from typing import Annotated, Any, Final
from uuid import UUID

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
)
from pydantic_core import PydanticCustomError

from longline.api.fields import (
    E164,
    CallIdField,
    HttpUrlField,
    InstantField,
    LegIdField,
    Metadata,
    Number,
    RecordingIdField,
    StreamUrlField,
    Target,
    TrunkIdField,
)
from longline.base.config import ChunkSize
from longline.calls.originate import OriginateRequest
from longline.flows.parse import FlowInvalid, parse_flow
from longline.flows.stream_fields import StreamFields
from longline.store.pages import PAGE_LIMIT_DEFAULT, PAGE_LIMIT_MAX, PageRequest
from longline.store.records import CallFilter, CallState, DeliveryStatus, EventFilter

_FLOW_SCHEMA: Final = {"anyOf": [{"type": "object"}, {"type": "array", "items": {"type": "object"}}, {"type": "null"}]}

_CALL_RULES: Final[list[Any]] = [
    {
        "anyOf": [
            {"properties": {"to_number": {"pattern": "^sips?:"}}},
            {"properties": {"from_number": {"pattern": f"^{E164}$"}}},
        ]
    },
    {
        "oneOf": [
            {
                "required": ["flow_url", "status_callback_url"],
                "properties": {
                    "flow": {"type": "null"},
                    "flow_url": {"type": "string"},
                    "status_callback_url": {"type": "string"},
                },
            },
            {"required": ["flow"], "properties": {"flow": {"type": ["object", "array"]}, "flow_url": {"type": "null"}}},
        ]
    },
]
"""What holds between the fields of a call's request, in the words of its schema."""


class CallInitiateRequest(BaseModel):
    """Call a number or SIP URI; when it answers, its flow is asked of `flow_url` or taken from `flow`.

    Beyond the Teler API: `to_number` may be a `sip:` URI, and then `from_number` any SIP user; `flow` may be given in
    the place of `flow_url`, and then `status_callback_url` may be left out.
    """

    model_config = ConfigDict(json_schema_extra={"allOf": _CALL_RULES})

    to_number: Target = Field(description="E.164, such as +14155550100; or a sip: URI.")
    from_number: Number = Field(description="E.164; when to_number is a sip: URI, any SIP user.")
    flow: Annotated[Any, WithJsonSchema(_FLOW_SCHEMA)] = Field(
        default=None, description="The call's flow itself: an action or a list of actions, as /flow-schema.json has it."
    )
    flow_url: HttpUrlField | None = Field(
        default=None, validate_default=True, description="Asked for the flow once the call is answered."
    )
    status_callback_url: HttpUrlField | None = Field(
        default=None, validate_default=True, description="Told the status of the call."
    )
    record: bool | None = Field(default=None, description="Whether to record; if not given, as the server is set.")
    metadata: Metadata | None = Field(
        default=None, description="Beyond the Teler API: kept with the call; flow requests and streams carry it."
    )

    @field_validator("from_number")
    @classmethod
    def _known_caller(cls, value: str, info: ValidationInfo) -> str:
        is_to_number = str(info.data.get("to_number", "")).startswith("+")
        if is_to_number and re.fullmatch(E164, value) is None:
            raise PydanticCustomError("string_pattern_mismatch", "String should match pattern '^\\+[0-9]{7,15}$'")
        return value

    @field_validator("flow")
    @classmethod
    def _valid_flow(cls, value: Any) -> dict[str, Any] | list[Any] | None:
        if value is not None and not isinstance(value, dict | list):
            raise PydanticCustomError("dict_type", "Input should be an action, or a list of actions")
        if value is not None:
            try:
                parse_flow(value, has_url=False)
            except FlowInvalid as error:
                raise ValueError(str(error)) from None
        return value

    @field_validator("flow_url", "status_callback_url")
    @classmethod
    def _required_without_flow(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is None and info.data.get("flow") is None and "flow" in info.data:
            raise PydanticCustomError("missing", "Field required")
        if value is not None and info.field_name == "flow_url" and info.data.get("flow") is not None:
            raise ValueError("flow and flow_url are given; only one can be followed")
        return value

    def to_originate(self, account_id: UUID, record: bool) -> OriginateRequest:
        """`record` is what the server does with a request that does not say."""
        return OriginateRequest(
            from_number=self.from_number,
            to_number=self.to_number,
            flow_url=self.flow_url,
            flow=self.flow,
            status_callback_url=self.status_callback_url,
            record=record if self.record is None else self.record,
            account_id=account_id,
            metadata=self.metadata,
        )


class StrictRequest(BaseModel):
    model_config = ConfigDict(extra="forbid")


class CallUpdateRequest(StrictRequest):
    """Change what is attached to a call. `metadata` is a JSON merge patch (RFC 7396): null removes a key."""

    metadata: Metadata


class HangupRequest(StrictRequest):
    """End a whole call, or one leg of it."""

    leg_id: LegIdField | None = None
    reason: Annotated[str, StringConstraints(max_length=64, pattern=r"^[A-Z0-9_]+$")] | None = None


class DtmfRequest(StrictRequest):
    """Press keys toward the far end of a call, or of one leg of it."""

    leg_id: LegIdField | None = None
    digits: Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[0-9*#A-D]+$")] = Field(repr=False)
    duration_ms: int = Field(default=100, ge=40, le=1000, description="How long each key is held.")


class StreamOpenRequest(StreamFields, StrictRequest):
    """Join a live call to one more WebSocket."""

    ws_url: StreamUrlField = Field(description="For exotel also an https:// URL that answers it.")
    chunk_size: ChunkSize | None = Field(
        default=None,
        description="Milliseconds of audio per message; as the dialect has it: 400 for teler.",
        json_schema_extra={"multipleOf": 20},
    )


class PageQuery(BaseModel):
    """Which page of a list."""

    limit: int = Field(default=PAGE_LIMIT_DEFAULT, ge=1, le=PAGE_LIMIT_MAX)
    cursor_after: str | None = Field(default=None, description="A next_cursor; not together with cursor_before.")
    cursor_before: str | None = Field(default=None, description="A previous_cursor.")

    def page(self) -> PageRequest:
        """Raises BadRequest for two cursors at once."""
        return PageRequest(self.limit, self.cursor_after, self.cursor_before)


class CallsQuery(PageQuery):
    """What every list of calls can be asked for."""

    from_number: Number | None = None
    to_number: Number | None = None
    created_after: InstantField | None = None
    created_before: InstantField | None = None

    def filters(self) -> CallFilter:
        return CallFilter(
            from_number=self.from_number,
            to_number=self.to_number,
            created_after=self.created_after,
            created_before=self.created_before,
        )


class CallQuery(CallsQuery):
    state: CallState | None = None

    def filters(self) -> CallFilter:
        return replace(super().filters(), state=self.state)


class EventQuery(PageQuery):
    call_id: CallIdField | None = None
    sip_trunk_id: TrunkIdField | None = Field(default=None, description="Beyond the Teler API.")
    type: Annotated[str, StringConstraints(max_length=64)] | None = None
    occurred_after: InstantField | None = None
    delivery_status: DeliveryStatus | None = None

    def filters(self) -> EventFilter:
        return EventFilter(
            call_id=self.call_id,
            sip_trunk_id=self.sip_trunk_id,
            type=self.type,
            occurred_after=self.occurred_after,
            delivery_status=self.delivery_status,
        )


class RecordingQuery(BaseModel):
    recording_id: RecordingIdField
    expires_in: int = Field(default=900, ge=60, le=86_400, description="Seconds until the link expires.")


class RecordingLinkQuery(BaseModel):
    expires: int = Field(ge=0, le=2**53)
    signature: Annotated[str, StringConstraints(max_length=128)]
