"""What an application says to Longline: one class a message, in the order of docs/reference/longline-v1.md.

Audio in binary messages is `audio.Audio`.
"""

from __future__ import annotations

import json
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import ConfigDict, Field, field_validator

from longline.streamkit.format import FormatWish
from longline.streamkit.message import (
    MAX_NAME_BYTES,
    Generation,
    Message,
    Milliseconds,
    Numbered,
    Received,
    Track,
    UtteranceId,
    table,
)
from longline.streamkit.server_messages import Part

RequestId = Annotated[str, Field(min_length=1, max_length=64)]


class AppMessage(Message):
    """What is None is left out."""

    def to_text(self) -> str:
        return json.dumps({"type": self.TYPE} | self.model_dump(by_alias=True, exclude_none=True))


class NumberedAppMessage(Numbered, AppMessage):
    """Sent again until Longline has it."""


class BargeIn(Part):
    """Longline itself pauses speech when a party starts to talk; without a word for `decide_ms` it goes on."""

    mode: Literal["local"] = "local"
    decide_ms: int = Field(default=2000, ge=100, le=10_000)


class ResumeRequest(Part):
    """The token of the last `start` before this one, the last sequence that came of each track, and the last event."""

    token: str = Field(min_length=1)
    received: dict[str, Received] = Field(default_factory=dict)
    event: int | None = Field(default=None, ge=-1)


class Hello(AppMessage):
    """The first message of the application, within 5 s: what it wants."""

    TYPE: ClassVar[str] = "hello"

    audio: FormatWish | None = None
    tracks: list[Track] | None = Field(default=None, description="Left out: those the flow names, else [0].")
    progress_ms: int = Field(default=200, ge=0, le=10_000, description="0: none; otherwise at least 20.")
    speech: bool = False
    barge_in: BargeIn | None = None
    queue_limit_ms: Milliseconds | None = None
    live: bool = False
    live_ms: Milliseconds | None = None
    generations: bool = False
    resume: ResumeRequest | None = None

    @field_validator("progress_ms")
    @classmethod
    def _is_an_interval(cls, value: int) -> int:
        if 0 < value < 20:
            raise ValueError("0, or 20 to 10000")
        return value


class AudioSaid(NumberedAppMessage):
    """Audio in mode `json`."""

    TYPE: ClassVar[str] = "audio"

    track: Track = 0
    flags: int = Field(default=0, ge=0, le=0xFFFF)
    timestamp: int = Field(default=0, ge=0)
    generation: Generation | None = None
    audio: str = Field(json_schema_extra={"contentEncoding": "base64"})


class Speak(NumberedAppMessage):
    """What follows for this track is this utterance."""

    TYPE: ClassVar[str] = "speak"

    utterance_id: UtteranceId
    track: Track = 0


class SpeakEnd(NumberedAppMessage):
    """The utterance is complete."""

    TYPE: ClassVar[str] = "speak.end"

    track: Track = 0


class Mark(NumberedAppMessage):
    """Answered when all before it has been played or dropped."""

    TYPE: ClassVar[str] = "mark"

    name: str
    track: Track = 0

    @field_validator("name")
    @classmethod
    def _is_short(cls, value: str) -> str:
        if len(value.encode()) > MAX_NAME_BYTES:
            raise ValueError(f"at most {MAX_NAME_BYTES} bytes")
        return value


class Clear(NumberedAppMessage):
    """Drop everything (of one track)."""

    TYPE: ClassVar[str] = "clear"

    track: Track | None = None


class Interrupt(NumberedAppMessage):
    """Drop one utterance."""

    TYPE: ClassVar[str] = "interrupt"

    utterance_id: UtteranceId


class Pause(NumberedAppMessage):
    """Be silent, and keep the queue."""

    TYPE: ClassVar[str] = "pause"


class ResumeSpeech(NumberedAppMessage):
    """Go on with the sample that was not heard yet."""

    TYPE: ClassVar[str] = "resume"


class SendDtmf(NumberedAppMessage):
    """Keys to a party."""

    TYPE: ClassVar[str] = "send_dtmf"

    digits: Annotated[str, Field(pattern=r"^[0-9A-Da-d*#wW,]{1,64}$")]
    tone_ms: Milliseconds | None = None
    track: Track | None = None


MAX_TURN_BYTES: Final = 40 << 10
"""Of a `turn`, as JSON."""
MAX_TURN_CHARS: Final = 1_000
"""Of each of its texts: three of them fit the message, whatever their characters."""
TurnText = Annotated[str, Field(max_length=MAX_TURN_CHARS)]
StepName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,31}$")]
StepMs = Annotated[int, Field(ge=0, le=600_000)]


class Turn(NumberedAppMessage):
    """A turn of the agent is over, to be kept in the call's history: what was said, what of it was heard, and where the
    time went between the caller's last sound and the first that he heard."""

    TYPE: ClassVar[str] = "turn"

    number: int = Field(ge=0, le=1_000_000, description="Its place among the turns of this call.")
    caller: TurnText = Field(default="", description="What the caller said; empty: the agent spoke unasked.")
    agent: TurnText = Field(default="", description="What was said, or was to be.")
    heard: TurnText = Field(default="", description="What of that the caller heard.")
    was_interrupted: bool = False
    total_ms: StepMs | None = Field(default=None, description="From the caller's last sound to the first he heard.")
    parts_ms: dict[StepName, StepMs] = Field(
        default_factory=dict, max_length=16, description="The steps of that, each after the one before."
    )
    failure: Annotated[str, Field(max_length=200)] | None = Field(default=None, description="What went wrong, if so.")


class Subscribe(AppMessage):
    """Hear these as well."""

    TYPE: ClassVar[str] = "subscribe"

    tracks: list[Track]


class Unsubscribe(AppMessage):
    """Hear these no longer."""

    TYPE: ClassVar[str] = "unsubscribe"

    tracks: list[Track]


class Hangup(AppMessage):
    """End the call."""

    TYPE: ClassVar[str] = "hangup"

    reason: str | None = None


class Stop(AppMessage):
    """End the stream; the flow goes on."""

    TYPE: ClassVar[str] = "stop"


class Transfer(AppMessage):
    """As the REST API's transfer; the same fields."""

    TYPE: ClassVar[str] = "transfer"
    model_config = ConfigDict(frozen=True, strict=True, extra="allow")

    request_id: RequestId
    target: str | dict[str, Any]


class RecordStart(AppMessage):
    """Record the call."""

    TYPE: ClassVar[str] = "record.start"

    request_id: RequestId
    layout: str | None = None


class RecordStop(AppMessage):
    """Stop recording."""

    TYPE: ClassVar[str] = "record.stop"

    request_id: RequestId


class Ping(AppMessage):
    """Wants a `pong`."""

    TYPE: ClassVar[str] = "ping"

    id: int | str
    at: Milliseconds | None = None


class Pong(AppMessage):
    """Answers a `ping`."""

    TYPE: ClassVar[str] = "pong"

    id: int | str


NUMBERED: Final = (AudioSaid, Speak, SpeakEnd, Mark, Clear, Interrupt, Pause, ResumeSpeech, SendDtmf, Turn)
APP_MESSAGES: Final = (
    Hello,
    *NUMBERED,
    Subscribe,
    Unsubscribe,
    Hangup,
    Stop,
    Transfer,
    RecordStart,
    RecordStop,
    Ping,
    Pong,
)
BY_TYPE: Final = table(APP_MESSAGES)
