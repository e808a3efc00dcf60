"""What a flow of another language can say and ours has no verb for. Each is done by `actions/steps.py`. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from longline.calls.recording import RecordingHeirs
from longline.calls.stream import StreamRequest
from longline.flows.verbs import Dial, Record


@dataclass(frozen=True, slots=True)
class Answer:
    """Answer an inbound call, though nothing is heard yet."""

    action: ClassVar[str] = "answer"


@dataclass(frozen=True, slots=True)
class SendDigits:
    """Press keys toward the first party; a `w` among them is half a second of silence."""

    action: ClassVar[str] = "send_digits"
    digits: str


@dataclass(frozen=True, slots=True)
class OpenStream:
    """Join the call to a WebSocket. It waits for the end of the stream and then asks `flow_url`, if there is one, or
    goes on at once. A stream that fails ends; the flow goes on behind it either way."""

    action: ClassVar[str] = "stream"
    request: StreamRequest
    waits: bool = True
    flow_url: str | None = None


@dataclass(frozen=True, slots=True)
class CloseStream:
    """Close the streams of this name; there may be none. No name: all that only listen."""

    action: ClassVar[str] = "stream.close"
    name: str | None = None


@dataclass(frozen=True, slots=True)
class RecordFor:
    """Record what the caller says, and tell those who are named beside the flow."""

    action: ClassVar[str] = "record"
    verb: Record
    heirs: RecordingHeirs


@dataclass(frozen=True, slots=True)
class DialInTurn:
    """Call several parties one after the other until one has answered."""

    action: ClassVar[str] = "dial"
    dials: tuple[Dial, ...]


@dataclass(frozen=True, slots=True)
class Stay:
    """Do nothing until the call is over, or is told otherwise."""

    action: ClassVar[str] = "stay"


Step = Answer | SendDigits | OpenStream | CloseStream | DialInTurn | Stay | RecordFor
