"""A line: the caller as an agent has him, whichever protocol brings him.

Audio is PCM of 16 bits, little-endian, one channel, at `rate_hz`. Commands take effect at once and never wait; what
comes of them is told by events.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol


@dataclass(frozen=True, slots=True)
class CallInfo:
    """Who calls whom, and what the application has attached to the call. What the protocol does not tell is empty.
    `tracks`: the role of each party that can be heard, by its number."""

    call_id: str
    stream_id: str
    from_number: str = ""
    to_number: str = ""
    direction: Literal["inbound", "outbound"] = "inbound"
    metadata: Mapping[str, Any] = field(default_factory=dict)
    tracks: Mapping[int, str] = field(default_factory=lambda: {0: "caller"})


# --- what a line tells ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Frame:
    """What a party said. `at_ms` is its first sample's position in the track; `is_late`: it was said in an outage."""

    pcm: bytes
    at_ms: float
    track: int = 0
    is_late: bool = False


@dataclass(frozen=True, slots=True)
class Digit:
    digit: str


@dataclass(frozen=True, slots=True)
class VoiceStarted:
    """The line itself has heard a voice; `is_held`: it has paused speech for it."""

    at_ms: float
    is_held: bool = False


@dataclass(frozen=True, slots=True)
class VoiceStopped:
    at_ms: float


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    """The first sample of an utterance was heard: at this position of the caller's audio, if the line can tell. What is
    at that position had waited `waited_ms` in a jitter buffer since it came."""

    utterance_id: str
    at_ms: float | None = None
    waited_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class SpeechProgress:
    utterance_id: str
    heard_ms: float


@dataclass(frozen=True, slots=True)
class SpeechEnded:
    """It was heard to its end, or cut off after `heard_ms`."""

    utterance_id: str
    heard_ms: float
    was_cut: bool


@dataclass(frozen=True, slots=True)
class HeldBack:
    """Speech is paused; False: it goes on. `by`: `application` (we have asked for it), `barge_in` (the line itself, for
    a voice), or `timeout` (nobody has decided what becomes of what the line has paused)."""

    is_held: bool
    by: str = "application"


@dataclass(frozen=True, slots=True)
class Lost:
    """The connection is gone and may come back: the call goes on."""


@dataclass(frozen=True, slots=True)
class Answered:
    """What came of a `transfer` or another request. `error` is None when it was done."""

    request_id: str
    error: str | None = None


@dataclass(frozen=True, slots=True)
class TrackAdded:
    """A party has joined the call."""

    track: int
    role: str


@dataclass(frozen=True, slots=True)
class TrackRemoved:
    track: int


@dataclass(frozen=True, slots=True)
class Over:
    """Nothing more comes."""

    reason: str


LineEvent = (
    Frame
    | Digit
    | VoiceStarted
    | VoiceStopped
    | SpeechStarted
    | SpeechProgress
    | SpeechEnded
    | HeldBack
    | Lost
    | Answered
    | TrackAdded
    | TrackRemoved
    | Over
)


class NotOnThisLine(Exception):
    """The protocol has no such command; the text says what to use instead."""


class Line(Protocol):
    """What each protocol offers. The ids of utterances are the caller's of these methods, each used once."""

    @property
    def info(self) -> CallInfo: ...

    @property
    def rate_hz(self) -> int: ...

    def events(self) -> AsyncIterator[LineEvent]:
        """Until `Over`, which is the last."""
        ...

    def say(self, utterance_id: str, pcm: bytes) -> None:
        """Queue a piece of an utterance; pieces of one follow each other."""
        ...

    def say_end(self, utterance_id: str) -> None:
        """It is complete: without this its end is not told."""
        ...

    def clear(self) -> None: ...

    def pause(self) -> None: ...

    def resume(self) -> None: ...

    def send_digits(self, digits: str) -> None: ...

    def request(self, request_id: str, action: str, fields: Mapping[str, Any]) -> None:
        """`transfer`, `record.start`, `record.stop`: answered by `Answered`. `subscribe`, `unsubscribe`: not answered,
        and have no id. Raises NotOnThisLine."""
        ...

    def hang_up(self) -> None:
        """End the call, or what of it this protocol lets an application end."""
        ...
