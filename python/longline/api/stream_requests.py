"""What the application of a stream may ask for over it, with the fields that the REST API has for the same.

A hang-up or a key is done when it returns, a transfer has begun. Of the recordings that a stream has begun only the
last can be stopped over it. Leaves out how it is answered (`calls/stream_asks.py`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Final
from uuid import UUID
from weakref import WeakKeyDictionary

from pydantic import AfterValidator, AliasChoices, ConfigDict, Field, StringConstraints, ValidationError

from longline.api.control_requests import TransferRequest
from longline.api.requests import StrictRequest
from longline.base.errors import BadRequest, CallNotControllable
from longline.base.events import EventType
from longline.base.ids import Prefix, encode_id
from longline.base.log import get_logger, pii
from longline.calls.live_call import LiveCall
from longline.calls.recording import Recording
from longline.flows.controls import CallControls
from longline.media.protocol.commands import RecordingLayout
from longline.media.protocol.events import StreamRequested

log = get_logger(__name__)

_OF_PROTOCOL: Final = ("type", "request_id", "sequence", "track")
"""Fields of the message that say nothing of what is to be done."""


class HangupAsked(StrictRequest):
    model_config = ConfigDict(extra="ignore")

    reason: Annotated[str, StringConstraints(max_length=256)] | None = None


class DigitsAsked(StrictRequest):
    model_config = ConfigDict(extra="ignore")

    digits: Annotated[str, StringConstraints(min_length=1, max_length=128)] = Field(
        validation_alias=AliasChoices("digits", "digit", "dtmf")  # ours, SignalWire's, Plivo's
    )
    tone_ms: int | None = Field(default=None, ge=40, le=60_000)


class RecordingAsked(StrictRequest):
    model_config = ConfigDict(extra="ignore")

    layout: RecordingLayout = "stereo"


def _storable(text: str) -> str:
    """PostgreSQL keeps no NUL."""
    return text.replace("\0", "")


TurnText = Annotated[str, StringConstraints(max_length=1_000), AfterValidator(_storable)]
StepMs = Annotated[int, Field(ge=0, le=600_000)]


class TurnTold(StrictRequest):
    """What is kept of a turn: the fields of the message, and no others."""

    model_config = ConfigDict(extra="ignore")

    number: int = Field(ge=0, le=1_000_000)
    caller: TurnText = ""
    agent: TurnText = ""
    heard: TurnText = ""
    was_interrupted: bool = False
    total_ms: StepMs | None = None
    parts_ms: dict[Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,31}$")], StepMs] = Field(
        default_factory=dict, max_length=16
    )
    failure: Annotated[str, StringConstraints(max_length=200), AfterValidator(_storable)] | None = None


class AppRequests:
    """Those of all calls of a node."""

    def __init__(self, controls: CallControls) -> None:
        self._controls = controls
        self._recordings: WeakKeyDictionary[LiveCall, dict[str, Recording]] = WeakKeyDictionary()
        self._handlers: dict[str, Callable[[LiveCall, StreamRequested], Awaitable[Mapping[str, Any]]]] = {
            "hangup": self._hang_up,
            "transfer": self._transfer,
            "record.start": self._start_recording,
            "record.stop": self._stop_recording,
            "send_dtmf": self._send_digits,
            "turn": self._keep_turn,
        }

    async def carry_out(self, live: LiveCall, asked: StreamRequested) -> Mapping[str, Any]:
        handler = self._handlers.get(asked.action)
        if handler is None:
            raise BadRequest(f"There is no {asked.action}.")
        try:
            return await handler(live, asked)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(str(part) for part in first["loc"])
            raise BadRequest(f"{place}: {first['msg']}") from error

    async def _hang_up(self, live: LiveCall, asked: StreamRequested) -> Mapping[str, Any]:
        reason = HangupAsked.model_validate(asked.fields).reason
        await live.hang_up(reason)
        return {}

    async def _transfer(self, live: LiveCall, asked: StreamRequested) -> Mapping[str, Any]:
        fields = {name: value for name, value in asked.fields.items() if name not in _OF_PROTOCOL}
        fields["target"] = _target(fields.get("target"))
        begun = await self._controls.transfer(live.call.id, TransferRequest.model_validate(fields).to_order())
        return {"operation_id": encode_id(Prefix.OPERATION, begun.id)}

    async def _start_recording(self, live: LiveCall, asked: StreamRequested) -> Mapping[str, Any]:
        layout = RecordingAsked.model_validate(asked.fields).layout
        recording = await live.start_part(layout)
        if recording.finished.is_set():
            raise CallNotControllable("The recording cannot be made.")
        self._recordings.setdefault(live, {})[asked.stream] = recording
        return {"recording_id": recording.name}

    async def _stop_recording(self, live: LiveCall, asked: StreamRequested) -> Mapping[str, Any]:
        recording = self._recordings.get(live, {}).pop(asked.stream, None)
        if recording is None:
            raise CallNotControllable("This stream has begun no recording.")
        live.let_go_of_part(recording)
        return {"recording_id": recording.name}

    async def _send_digits(self, live: LiveCall, asked: StreamRequested) -> Mapping[str, Any]:
        keys = DigitsAsked.model_validate(asked.fields)
        await live.send_digits(keys.digits, keys.tone_ms, None if asked.leg is None else UUID(asked.leg))
        return {}

    async def _keep_turn(self, live: LiveCall, asked: StreamRequested) -> Mapping[str, Any]:
        turn = TurnTold.model_validate(asked.fields)
        at = datetime.fromtimestamp(asked.at, UTC)
        live.context.publish(EventType.AGENT_TURN, turn.model_dump(), at=at, stream_id=UUID(asked.stream))
        log.debug("a turn of an agent", number=turn.number, caller=pii(turn.caller), heard=pii(turn.heard))
        return {}


def _target(told: object) -> object:
    """The target as the REST API has it, of one that is a number or a URI alone."""
    if not isinstance(told, str):
        return told
    is_uri = told.startswith(("sip:", "sips:"))
    return {"kind": "sip", "uri": told} if is_uri else {"kind": "pstn", "number": told}
