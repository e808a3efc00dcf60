"""What the media server is told. The fields of a command's dataclass are its fields on the wire."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from longline.base.stream_formats import DialectName, Encoding
from longline.base.stream_tracks import ALL, StreamDirection, Together

PROTOCOL_VERSION = 2
Direction = Literal["sendrecv", "sendonly", "recvonly", "inactive"]
Vad = Literal["off", "energy", "silero"]
RecordingFormat = Literal["wav", "ogg"]
RecordingLayout = Literal["stereo", "mono", "parties"]
Comfort = Literal["silence", "noise", "tone"]

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
class StreamTarget:
    """The application's WebSocket, and who the stream says that it is (ids as the dialect shows them). It is dialled at
    `addresses` alone, `ip:port`; the URL says what the far end is called. `headers` go into each request, of
    `subprotocols` the application may choose one, and `secrets` sign (longline.v1 §9), the new one first."""

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


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamOpen(StreamTarget, Command):
    """Dial the application's WebSocket; the outcome comes as an event."""

    name: ClassVar[str] = "stream.open"
    session: str
    stream: str


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
