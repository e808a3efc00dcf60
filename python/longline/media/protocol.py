"""The control protocol of the media server: its commands, answers, events and frames as plain data.

One frame is a 4-byte big-endian length and that many bytes of UTF-8 JSON, one object each. The specification is
`docs/reference/control-protocol.md`; the other side is `rust/server/src/protocol/`. This module only encodes and
decodes: it opens nothing, waits for nothing and reads no clock.
"""

from __future__ import annotations

import dataclasses
import json
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from longline.base.stream_formats import DialectName, Encoding
from longline.base.stream_tracks import ALL, StreamDirection, Together

PROTOCOL_VERSION = 1
MAX_FRAME_BYTES = 1 << 20
_LENGTH_BYTES = 4

Direction = Literal["sendrecv", "sendonly", "recvonly", "inactive"]
Vad = Literal["off", "energy", "silero"]
RecordingFormat = Literal["wav", "ogg"]
RecordingLayout = Literal["stereo", "mono", "parties"]
Comfort = Literal["silence", "noise", "tone"]
Stats = dict[str, Any]


class ProtocolError(Exception):
    """The media server sent something that is not the control protocol; the connection is of no more use."""


class FrameReader:
    """Cuts a byte stream into frames. `feed` takes what arrived and returns the whole objects it completed."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[dict[str, Any]]:
        """Raise ProtocolError for a frame over MAX_FRAME_BYTES, or one that is not a JSON object."""
        self._buffer += data
        frames = []
        while len(self._buffer) >= _LENGTH_BYTES:
            length = int.from_bytes(self._buffer[:_LENGTH_BYTES], "big")
            if length > MAX_FRAME_BYTES:
                raise ProtocolError(f"a frame of {length} bytes is over the limit of {MAX_FRAME_BYTES}")
            end = _LENGTH_BYTES + length
            if len(self._buffer) < end:
                break
            frames.append(_decode_body(bytes(self._buffer[_LENGTH_BYTES:end])))
            del self._buffer[:end]
        return frames


def _decode_body(body: bytes) -> dict[str, Any]:
    try:
        decoded = json.loads(body)
    except ValueError as error:
        raise ProtocolError(f"a frame is not JSON: {error}") from error
    if not isinstance(decoded, dict):
        raise ProtocolError(f"a frame is a JSON {type(decoded).__name__}, not an object")
    return decoded


def encode_frame(message: dict[str, Any]) -> bytes:
    """One object as a frame. Raise ValueError when it would be over MAX_FRAME_BYTES."""
    body = json.dumps(message, separators=(",", ":")).encode()
    if len(body) > MAX_FRAME_BYTES:
        raise ValueError(f"a frame of {len(body)} bytes is over the limit of {MAX_FRAME_BYTES}")
    return len(body).to_bytes(_LENGTH_BYTES, "big") + body


def format_address(address: tuple[str, int]) -> str:
    """`("127.0.0.1", 20004)` as "127.0.0.1:20004"; an IPv6 host gets its brackets."""
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def parse_address(text: str) -> tuple[str, int]:
    """The inverse of `format_address`. Raise ProtocolError when it is not an address."""
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdecimal():
        raise ProtocolError(f"{text!r} is not an address host:port")
    return host.removeprefix("[").removesuffix("]"), int(port)


_FIELDS: dict[type, tuple[str, ...] | None] = {}
"""The names of the fields of each dataclass on the wire; None of what is none."""


def _plain(value: Any) -> Any:
    """What `dataclasses.asdict` gives, but for copies of what is plain already: there are several commands a call."""
    kind = type(value)
    if kind not in _FIELDS:
        is_one = dataclasses.is_dataclass(kind)
        _FIELDS[kind] = tuple(field.name for field in dataclasses.fields(kind)) if is_one else None
    names = _FIELDS[kind]
    if names is not None:
        return {name: _plain(getattr(value, name)) for name in names}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value


# --- commands -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Command:
    """A command; its dataclass fields are the fields on the wire."""

    name: ClassVar[str]

    def to_message(self, command_id: int) -> dict[str, Any]:
        return {"id": command_id, "cmd": self.name, **_plain(self)}


@dataclass(frozen=True, slots=True)
class Hello(Command):
    """The first command of a connection; a server of another version refuses it."""

    name: ClassVar[str] = "hello"
    version: int = PROTOCOL_VERSION


@dataclass(frozen=True, slots=True)
class LegOpen(Command):
    """Reserve ports for a leg; makes the session when it is new. Without a family it has the first of the server's
    addresses. `leg_id` and `role` are what applications are told of it."""

    name: ClassVar[str] = "leg.open"
    session: str
    leg: str
    family: Literal["ipv4", "ipv6"] | None = None
    leg_id: str = ""
    role: str = ""


@dataclass(frozen=True, slots=True)
class PayloadType:
    """What one RTP payload type means; `rate_hz` is for L16 only."""

    payload_type: int
    codec: str
    rate_hz: int | None = None


@dataclass(frozen=True, slots=True)
class TelephoneEvent:
    """Telephone-events (RFC 4733) as they were negotiated."""

    payload_type: int
    clock_hz: int = 8000


@dataclass(frozen=True, slots=True)
class Opus:
    """How Opus is encoded for the far end."""

    bitrate_bps: int = 32_000
    fec: bool = True
    dtx: bool = False


@dataclass(frozen=True, slots=True)
class Srtp:
    """The keys of SRTP: master key and salt in base64. They do not show in a `repr`."""

    suite: str
    send_key: str = dataclasses.field(repr=False)
    receive_key: str = dataclasses.field(repr=False)


@dataclass(frozen=True, slots=True)
class LegConnect(Command):
    """Where the far end's RTP is and what it speaks; repeated after a re-INVITE. `direction` is ours.

    Of `payload_types` the first is what we send with, all are received.
    """

    name: ClassVar[str] = "leg.connect"
    session: str
    leg: str
    rtp: str
    rtcp: str | None
    payload_types: tuple[PayloadType, ...]
    telephone_event: TelephoneEvent | None
    ptime_ms: int
    opus: Opus
    direction: Direction
    rtcp_mux: bool
    also_from: str | None
    srtp: Srtp | None = None
    quality_interval_ms: int = 0


@dataclass(frozen=True, slots=True)
class LegSendDtmf(Command):
    """Send digits: as telephone-events where they were negotiated, else as tones. They do not show in a `repr`."""

    name: ClassVar[str] = "leg.send_dtmf"
    session: str
    leg: str
    digits: str = dataclasses.field(repr=False)
    tone_ms: int | None = None
    gap_ms: int | None = None


@dataclass(frozen=True, slots=True)
class LegDetect(Command):
    """What to listen for on a leg; replaces what was asked before."""

    name: ClassVar[str] = "leg.detect"
    session: str
    leg: str
    inband_dtmf: bool
    vad: Vad


@dataclass(frozen=True, slots=True)
class LegMute(Command):
    """Silence a leg: what it says, to all; what it is sent."""

    name: ClassVar[str] = "leg.mute"
    session: str
    leg: str
    mutes_input: bool
    mutes_output: bool

    def to_message(self, command_id: int) -> dict[str, Any]:
        names = {"session": self.session, "leg": self.leg}
        return {"id": command_id, "cmd": self.name, **names, "in": self.mutes_input, "out": self.mutes_output}


@dataclass(frozen=True, slots=True)
class LegClose(Command):
    """Close one leg; the session stays."""

    name: ClassVar[str] = "leg.close"
    session: str
    leg: str


@dataclass(frozen=True, slots=True)
class SessionClose(Command):
    """Close the legs, the streams (1000), the playbacks and the recordings of a session."""

    name: ClassVar[str] = "session.close"
    session: str


@dataclass(frozen=True, slots=True)
class SessionStats(Command):
    name: ClassVar[str] = "session.stats"
    session: str


@dataclass(frozen=True, slots=True)
class StreamUrl:
    """Where else an application may be, and the addresses that its host was seen to have."""

    url: str
    addresses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StreamResume:
    """For how long a lost connection is tried to be made again, how much of what is heard is kept meanwhile, and where
    the application may dial in; what the parties hear meanwhile when nothing is queued."""

    window_ms: int
    ring_ms: int | None = None
    url: str | None = None
    comfort: Comfort = "silence"


@dataclass(frozen=True, slots=True)
class StreamOpen(Command):
    """Dial the application's WebSocket; the outcome comes as an event. Headers may carry credentials: they do
    not show."""

    name: ClassVar[str] = "stream.open"
    session: str
    stream: str
    url: str
    addresses: tuple[str, ...]
    dialect: DialectName
    chunk_ms: int
    rate_hz: int
    account_id: str
    call_app_id: str
    call_id: str
    stream_id: str
    metadata: dict[str, Any] | None = None
    encoding: Encoding | None = None
    input_encoding: Encoding | None = None
    input_rate_hz: int | None = None
    direction: StreamDirection = "both"
    tracks: tuple[int, ...] = (ALL,)
    together: Together = "apart"
    speak_to: int = ALL
    headers: tuple[tuple[str, str], ...] = dataclasses.field(default=(), repr=False)
    subprotocols: tuple[str, ...] = ()
    secrets: tuple[str, ...] = dataclasses.field(default=(), repr=False)
    from_number: str = ""
    to_number: str = ""
    call_direction: str | None = None
    parameters: Mapping[str, str] = dataclasses.field(default_factory=dict)
    ids: Mapping[str, str] = dataclasses.field(default_factory=dict)
    alternatives: tuple[StreamUrl, ...] = ()
    resume: StreamResume | None = None


@dataclass(frozen=True, slots=True)
class StreamUrls(Command):
    """Dial the stream here from its next try on; none: it waits for the application to come itself."""

    name: ClassVar[str] = "stream.urls"
    session: str
    stream: str
    urls: tuple[StreamUrl, ...]


@dataclass(frozen=True, slots=True)
class StreamAnswer(Command):
    """What came of a request of the application (`StreamRequested`). `code` and `message` say why not, `fields` what
    else there is to say."""

    name: ClassVar[str] = "stream.answer"
    session: str
    stream: str
    request_id: str | None
    ok: bool
    code: str = ""
    message: str = ""
    fields: Mapping[str, Any] = dataclasses.field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StreamClose(Command):
    name: ClassVar[str] = "stream.close"
    session: str
    stream: str


@dataclass(frozen=True, slots=True)
class PlaybackStart(Command):
    """Play a WAV file to all legs, or to one alone, `repeat` times."""

    name: ClassVar[str] = "playback.start"
    session: str
    playback: str
    path: str
    repeat: int
    leg: str | None = None


@dataclass(frozen=True, slots=True)
class PlaybackStop(Command):
    name: ClassVar[str] = "playback.stop"
    session: str
    playback: str


@dataclass(frozen=True, slots=True)
class Encryption:
    """The data key of a sealed recording, and what the master key has made of it, in base64."""

    data_key: str = dataclasses.field(repr=False)
    wrapped_key: str


@dataclass(frozen=True, slots=True)
class RecordingStart(Command):
    """Write a file, or one for each party. "stereo" has left what the first leg said, right what it was sent. `rate_hz`
    None is the session's."""

    name: ClassVar[str] = "recording.start"
    session: str
    recording: str
    path: str
    format: RecordingFormat = "wav"
    layout: RecordingLayout = "stereo"
    rate_hz: int | None = None
    encryption: Encryption | None = None


@dataclass(frozen=True, slots=True)
class RecordingStop(Command):
    name: ClassVar[str] = "recording.stop"
    session: str
    recording: str


@dataclass(frozen=True, slots=True)
class ServerStats(Command):
    name: ClassVar[str] = "stats"


@dataclass(frozen=True, slots=True)
class Shutdown(Command):
    name: ClassVar[str] = "shutdown"


# --- events ---------------------------------------------------------------------------------------------------------


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
    "record.start", "record.stop" or "send_dtmf", `fields` its message. Without a `request_id` it wants to be told of a
    failure alone. `leg`: whom it is about, if it says."""

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
