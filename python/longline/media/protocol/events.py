"""What the media server tells unasked."""

from __future__ import annotations

import dataclasses
import types
import typing
from dataclasses import dataclass
from typing import Any, ClassVar

from longline.media.protocol.framing import ProtocolError

Stats = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaEvent:
    """What the media server tells unasked. `at` is Unix seconds; `session` is None for what is the server's own."""

    name: ClassVar[str] = ""
    at: float
    session: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LegMediaStarted(MediaEvent):
    """The first accepted RTP packet came; `remote` is the address it latched ("from" on the wire)."""

    name: ClassVar[str] = "leg.media_started"
    leg: str
    remote: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LegIntruder(MediaEvent):
    """Somebody else than the far end sends to the leg, from `remote` ("from" on the wire); told once, and dropped."""

    name: ClassVar[str] = "leg.intruder"
    leg: str
    remote: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LegDigit(MediaEvent):
    name: ClassVar[str] = "leg.digit"
    leg: str
    digit: str
    duration_ms: int
    method: str = "rfc4733"


@dataclass(frozen=True, slots=True, kw_only=True)
class LegDtmfSent(MediaEvent):
    """A digit of ours has been sent; `left` wait behind it."""

    name: ClassVar[str] = "leg.dtmf_sent"
    leg: str
    digit: str
    duration_ms: int
    method: str
    left: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LegSpeechStarted(MediaEvent):
    """`level_db` is the energy detector's, `probability` Silero's; `at_ms` counts from the session's beginning."""

    name: ClassVar[str] = "leg.speech_started"
    leg: str
    at_ms: int
    level_db: float | None = None
    probability: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LegSpeechStopped(MediaEvent):
    name: ClassVar[str] = "leg.speech_stopped"
    leg: str
    at_ms: int
    duration_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LegQuality(MediaEvent):
    """How the leg has sounded since this was last told. What was not measured is None."""

    name: ClassVar[str] = "leg.quality"
    leg: str
    quality: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamConnected(MediaEvent):
    name: ClassVar[str] = "stream.connected"
    stream: str
    connect_ms: float
    subprotocol: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamDisconnected(MediaEvent):
    """The connection is lost, and is tried to be made again for so long. Fields as those of StreamClosed."""

    name: ClassVar[str] = "stream.disconnected"
    stream: str
    reason: str
    window_ms: int
    code: int | None = None
    detail: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamResumed(MediaEvent):
    """There is a connection again. `resumed`: the application goes on with what it had; else it begins anew.
    `dialled_in`: by itself."""

    name: ClassVar[str] = "stream.resumed"
    stream: str
    epoch: int
    resumed: bool
    outage_ms: int
    tries: int
    dialled_in: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamRequested(MediaEvent):
    """The application asks for something that the media server cannot do: `action` is "hangup", "transfer",
    "record.start", "record.stop", "send_dtmf" or "turn", `fields` its message. Without a `request_id` it wants to be
    told of a failure alone. `leg`: whom it is about, if it says."""

    name: ClassVar[str] = "stream.request"
    stream: str
    action: str
    fields: dict[str, Any]
    request_id: str | None = None
    leg: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamFirstAudioSent(MediaEvent):
    name: ClassVar[str] = "stream.first_audio_sent"
    stream: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamFirstAudioReceived(MediaEvent):
    name: ClassVar[str] = "stream.first_audio_received"
    stream: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PlayoutStarted(MediaEvent):
    """The first sample of a talkspurt left as RTP."""

    name: ClassVar[str] = "playout.started"
    stream: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PlayoutDrained(MediaEvent):
    name: ClassVar[str] = "playout.drained"
    stream: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PlayoutCleared(MediaEvent):
    name: ClassVar[str] = "playout.cleared"
    stream: str
    played_ms: int
    dropped_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PlayoutInterrupted(MediaEvent):
    """`chunk_id` is whatever scalar the application named its chunk."""

    name: ClassVar[str] = "playout.interrupted"
    stream: str
    chunk_id: Any
    dropped_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PlayoutOverflow(MediaEvent):
    name: ClassVar[str] = "playout.overflow"
    stream: str
    dropped_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamRefusedMessage(MediaEvent):
    name: ClassVar[str] = "stream.refused_message"
    stream: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamClosed(MediaEvent):
    """Exactly once for each stream.open that was answered ok. `code`: the WebSocket close code, if any."""

    name: ClassVar[str] = "stream.closed"
    stream: str
    reason: str
    code: int | None = None
    detail: str | None = None
    stats: Stats = dataclasses.field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaybackFinished(MediaEvent):
    name: ClassVar[str] = "playback.finished"
    playback: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingFinished(MediaEvent):
    """`path` is the first file; `tracks` has each: `track` ("stereo", "mono", "streams" or a leg), `path`,
    `duration_ms`, `bytes`."""

    name: ClassVar[str] = "recording.finished"
    recording: str
    path: str
    duration_ms: int
    bytes: int
    format: str = "wav"
    layout: str = "stereo"
    channels: int = 2
    rate_hz: int = 8000
    encrypted: bool = False
    tracks: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeakerChanged(MediaEvent):
    """Of several legs another speaks now; `leg` is None when nobody does."""

    name: ClassVar[str] = "speaker.changed"
    leg: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionFailed(MediaEvent):
    """An internal fault of that session alone: it is gone."""

    name: ClassVar[str] = "session.failed"
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerDied(MediaEvent):
    """A worker thread was replaced; `sessions` were on it and are gone."""

    name: ClassVar[str] = "worker.died"
    worker: int
    sessions: list[str]
    reason: str


EVENTS: dict[str, type[MediaEvent]] = {
    event.name: event
    for event in (
        LegMediaStarted,
        LegIntruder,
        LegDigit,
        LegDtmfSent,
        LegSpeechStarted,
        LegSpeechStopped,
        LegQuality,
        StreamConnected,
        StreamDisconnected,
        StreamResumed,
        StreamRequested,
        StreamFirstAudioSent,
        StreamFirstAudioReceived,
        PlayoutStarted,
        PlayoutDrained,
        PlayoutCleared,
        PlayoutInterrupted,
        PlayoutOverflow,
        StreamRefusedMessage,
        StreamClosed,
        PlaybackFinished,
        RecordingFinished,
        SpeakerChanged,
        SessionFailed,
        WorkerDied,
    )
}
_RENAMED = {"from": "remote"}


def parse_event(message: dict[str, Any]) -> MediaEvent | None:
    """The event in a frame; None for one this version does not know, which a newer server may send.

    Fields we do not know are left out, for the same reason. Raise ProtocolError when a field is missing or of
    another type.
    """
    kind = EVENTS.get(str(message.get("event")))
    if kind is None:
        return None
    given = {_RENAMED.get(key, key): value for key, value in message.items()}
    hints = _field_types(kind)
    values = {name: given[name] for name in hints if name in given}
    for name, value in values.items():
        if not _fits(value, hints[name]):
            raise ProtocolError(f"{kind.name}: {name} is {value!r}")
    try:
        return kind(**values)
    except TypeError as error:
        raise ProtocolError(f"{kind.name}: {error}") from error


def event_data(event: MediaEvent) -> dict[str, Any]:
    """What an event tells beyond whose it is and when: for the event log."""
    left_out = {"at", "session", "stream", "leg", "playback", "recording"}
    return {name: value for name, value in dataclasses.asdict(event).items() if name not in left_out}


_TYPES: dict[type[MediaEvent], dict[str, Any]] = {}


def _field_types(kind: type[MediaEvent]) -> dict[str, Any]:
    if kind not in _TYPES:
        hints = typing.get_type_hints(kind)
        _TYPES[kind] = {field.name: hints[field.name] for field in dataclasses.fields(kind)}
    return _TYPES[kind]


def _fits(value: object, hint: Any) -> bool:
    if hint is Any:
        return True
    if isinstance(hint, types.UnionType):
        return any(_fits(value, option) for option in typing.get_args(hint))
    if hint is float:
        return isinstance(value, int | float)
    return isinstance(value, typing.get_origin(hint) or hint)
