"""What Longline says to an application: one class a message, in the order of docs/reference/longline-v1.md."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from longline.streamkit.format import Format, Offers
from longline.streamkit.message import (
    Generation,
    Message,
    Milliseconds,
    Position,
    Received,
    Sequence,
    Track,
    UtteranceId,
    table,
)

PROTOCOL: Final = "longline.v1"

Outcome = Literal["played", "cleared"]
Cause = Literal["application", "barge_in", "control"]


class Part(BaseModel):
    """An object within a message."""

    model_config = ConfigDict(frozen=True, strict=True)


class EventTold(Message):
    """A message that outlives a socket: numbered, and told again after a resume (§6)."""

    event: int | None = Field(default=None, ge=0)


class Party(Part):
    """One of `tracks`."""

    track: Track
    leg_id: str
    role: str


class ResumeOffer(Part):
    """How a connection that drops is resumed (§6)."""

    token: str = Field(min_length=1)
    window_ms: Milliseconds
    ring_ms: Milliseconds
    url: str | None = None


class Start(Message):
    """The first message of every connection: who calls, what can be spoken, how to resume."""

    TYPE: ClassVar[str] = "start"

    protocol: Literal["longline.v1"] = PROTOCOL
    account_id: str
    call_app_id: str
    call_id: str
    stream_id: str = Field(min_length=1)
    from_: str = Field(alias="from", default="")
    to: str = ""
    direction: Literal["inbound", "outbound"] = "inbound"
    metadata: dict[str, Any] = Field(default_factory=dict)
    epoch: int = Field(ge=1)
    audio: Format
    offers: Offers
    tracks: list[Party]
    queue_limit_ms: Milliseconds
    resume: ResumeOffer | None = None


class Ready(Message):
    """What was agreed; audio begins."""

    TYPE: ClassVar[str] = "ready"

    audio: Format
    tracks: list[Track]
    received: Received
    generation: Generation
    resumed: bool


class AudioText(Message):
    """Audio in mode `json`."""

    TYPE: ClassVar[str] = "audio"

    track: Track
    flags: int = Field(ge=0, le=0xFFFF)
    sequence: Sequence
    timestamp: Position
    audio: str = Field(json_schema_extra={"contentEncoding": "base64"})


class MarkTold(EventTold):
    """All before a mark has been played, or dropped; once for each mark, never both."""

    TYPE: ClassVar[str] = "mark"

    name: str
    outcome: Outcome


class ClearedUtterance(Part):
    """What was heard of one utterance, and what was not."""

    utterance_id: str | None
    played_ms: Milliseconds
    dropped_ms: Milliseconds


class Cleared(EventTold):
    """Speech was dropped. `marks`: names that were cleared with it."""

    TYPE: ClassVar[str] = "cleared"

    generation: Generation
    played_ms: Milliseconds
    dropped_ms: Milliseconds
    marks: list[str]
    utterances: list[ClearedUtterance]
    by: Cause


class PlaybackStarted(EventTold):
    """The first sample of an utterance left; `at` is the position in track 0 at that moment. What is heard there had
    come so long before (`waited_ms`), to even out its way."""

    TYPE: ClassVar[str] = "playback.started"

    utterance_id: UtteranceId | None
    track: Track
    at: Position
    waited_ms: Milliseconds = 0


class PlaybackProgress(Message):
    """While something plays, every `progress_ms`; `queued_ms` is all that waits."""

    TYPE: ClassVar[str] = "playback.progress"

    utterance_id: UtteranceId | None
    track: Track
    played_ms: Milliseconds
    queued_ms: Milliseconds


class PlaybackFinished(EventTold):
    """An utterance is over."""

    TYPE: ClassVar[str] = "playback.finished"

    utterance_id: UtteranceId | None
    track: Track
    played_ms: Milliseconds
    outcome: Outcome


class Ack(Message):
    """The last sequence of the application that came."""

    TYPE: ClassVar[str] = "ack"

    received: Received


class TrackAdded(EventTold):
    """A party has joined."""

    TYPE: ClassVar[str] = "track.added"

    track: Track
    leg_id: str
    role: str


class TrackRemoved(EventTold):
    """A party has left."""

    TYPE: ClassVar[str] = "track.removed"

    track: Track


class Tracks(Message):
    """What is subscribed now."""

    TYPE: ClassVar[str] = "tracks"

    tracks: list[Track]


class Paused(EventTold):
    """Speech is silent, and waits."""

    TYPE: ClassVar[str] = "paused"

    played_ms: Milliseconds
    queued_ms: Milliseconds
    by: Cause


class Resumed(EventTold):
    """Speech goes on."""

    TYPE: ClassVar[str] = "resumed"

    by: Literal["application", "timeout", "control"]


class SpeechStarted(EventTold):
    """A party talks; `at` is its first voiced sample, `paused` whether speech was paused for that."""

    TYPE: ClassVar[str] = "speech.started"

    track: Track
    at: Position
    level_db: int
    paused: bool


class SpeechStopped(EventTold):
    """A party has stopped talking."""

    TYPE: ClassVar[str] = "speech.stopped"

    track: Track
    at: Position
    duration_ms: Milliseconds


class Gap(Message):
    """What the ring has no longer; sequences, inclusive."""

    TYPE: ClassVar[str] = "gap"

    track: Track
    from_: Sequence = Field(alias="from")
    to: Sequence


class Dtmf(EventTold):
    """A key of a party."""

    TYPE: ClassVar[str] = "dtmf"

    track: Track
    digit: Annotated[str, Field(pattern=r"^[0-9A-D*#]$")]
    duration_ms: Milliseconds
    at: Position


class DtmfSent(EventTold):
    """A key was sent to a party; `left`: how many are still to come."""

    TYPE: ClassVar[str] = "dtmf.sent"

    digit: Annotated[str, Field(pattern=r"^[0-9A-D*#]$")]
    left: int = Field(ge=0)


class Failure(Part):
    """Why a request was not carried out."""

    code: str
    message: str


class Result(EventTold):
    """What came of a request; further fields depend on it."""

    TYPE: ClassVar[str] = "result"
    model_config = ConfigDict(frozen=True, strict=True, extra="allow")

    request_id: str
    ok: bool
    error: Failure | None = None


class StopTold(Message):
    """The stream is over; the socket closes with 1000."""

    TYPE: ClassVar[str] = "stop"

    reason: str


class Queue(Message):
    """How full the queue of speech is, when that changes."""

    TYPE: ClassVar[str] = "queue"

    state: Literal["overflow", "underrun", "drained", "high", "low"]
    queued_ms: Milliseconds
    dropped_ms: Milliseconds | None = None


class Clock(Message):
    """Unix milliseconds, and the position of track 0 at that moment."""

    TYPE: ClassVar[str] = "clock"

    at: Milliseconds
    samples: Position
    rtt_ms: Milliseconds | None = None


class PongTold(Message):
    """Answers a `ping` of the application."""

    TYPE: ClassVar[str] = "pong"

    id: int | str
    at: Milliseconds | None = None
    server_at: Milliseconds


class PingTold(Message):
    """Wants a `pong` of the same `id`."""

    TYPE: ClassVar[str] = "ping"

    id: int | str
    at: Milliseconds


class ErrorTold(Message):
    """What could not be done; nothing else is lost by it."""

    TYPE: ClassVar[str] = "error"

    code: str
    message: str
    request_id: str | None = None


SERVER_MESSAGES: Final = (
    Start,
    Ready,
    AudioText,
    MarkTold,
    Cleared,
    PlaybackStarted,
    PlaybackProgress,
    PlaybackFinished,
    Ack,
    TrackAdded,
    TrackRemoved,
    Tracks,
    Paused,
    Resumed,
    SpeechStarted,
    SpeechStopped,
    Gap,
    Dtmf,
    DtmfSent,
    Result,
    StopTold,
    Queue,
    Clock,
    PongTold,
    PingTold,
    ErrorTold,
)
BY_TYPE: Final = table(SERVER_MESSAGES)
