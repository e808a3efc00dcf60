"""The media of one call: a leg toward the network, streams toward applications, playbacks and recordings.

A session exists on the media server from its first `open_leg` until `close`, or until it is lost: the server, the
worker thread it is pinned to, or the session itself has failed. All ids are ours, and strings.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from longline.base.errors import MediaUnavailable
from longline.base.log import get_logger
from longline.media.errors import MediaCommandRefused
from longline.media.protocol.commands import (
    Command,
    Direction,
    Encryption,
    LegClose,
    LegConnect,
    LegDetect,
    LegMute,
    LegOpen,
    LegSendDtmf,
    Opus,
    PayloadType,
    PlaybackStart,
    PlaybackStop,
    RecordingFormat,
    RecordingLayout,
    RecordingStart,
    RecordingStop,
    SessionClose,
    SessionStats,
    Srtp,
    StreamAnswer,
    StreamClose,
    StreamOpen,
    StreamTarget,
    StreamUrl,
    StreamUrls,
    TelephoneEvent,
    Vad,
)
from longline.media.protocol.events import MediaEvent, Stats
from longline.media.protocol.framing import ProtocolError, format_address, parse_address

log = get_logger(__name__)

CLOSE_TIMEOUT_S = 1.0
"""How long the end of a call waits for a media server that does not answer."""


class Send(Protocol):
    """How a session reaches the server."""

    def __call__(self, command: Command, timeout_s: float = ...) -> Awaitable[dict[str, Any]]: ...


@dataclass(frozen=True, slots=True)
class LegAddress:
    """Where the media server listens for a leg's RTP and RTCP."""

    rtp: tuple[str, int]
    rtcp: tuple[str, int]


@dataclass(frozen=True, slots=True)
class LegLabel:
    """What applications are told of a leg: its id, as they know it, and what it is to the call."""

    leg_id: str = ""
    role: str = ""


@dataclass(frozen=True, slots=True)
class LegRemote:
    """Where a leg's far end is and what it speaks, as offer and answer have settled it. `direction` is ours."""

    rtp: tuple[str, int]
    rtcp: tuple[str, int] | None
    payload_types: tuple[PayloadType, ...]
    telephone_event: TelephoneEvent | None
    direction: Direction
    rtcp_mux: bool
    ptime_ms: int = 20
    opus: Opus = field(default_factory=Opus)
    also_from: str | None = None
    """Media may also come from this IP address, whence the far end's signalling came (docs/decisions/0004)."""
    srtp: Srtp | None = None


@dataclass(frozen=True, slots=True)
class Watch:
    """What is told of every connected leg: its quality every so often (0 is never), tones, voices."""

    quality_interval_ms: int = 0
    inband_dtmf: bool = False
    vad: Vad = "off"

    @property
    def listens(self) -> bool:
        return self.inband_dtmf or self.vad != "off"


class MediaSession:
    """Commands of one session. Each raises MediaCommandRefused, or MediaUnavailable when the server is gone."""

    def __init__(
        self,
        session_id: str,
        send: Send,
        on_event: Callable[[MediaEvent], None],
        on_lost: Callable[[str], None],
        forget: Callable[[str], None],
        watch: Watch | None = None,
    ) -> None:
        self.id = session_id
        self.is_lost = False
        self._send = send
        self._on_event = on_event
        self._on_lost = on_lost
        self._forget = forget
        self._watch = watch or Watch()
        self._listening: set[str] = set()

    async def open_leg(self, leg: str, family: int | None = None, label: LegLabel | None = None) -> LegAddress:
        """Reserve ports for a leg, at an address of this family: 4, 6, or None if it is all the same."""
        label = label or LegLabel()
        name: Literal["ipv4", "ipv6"] | None = None if family is None else "ipv6" if family == 6 else "ipv4"
        ok = await self._request(LegOpen(self.id, leg, name, label.leg_id, label.role))
        try:
            return LegAddress(parse_address(str(ok.get("rtp"))), parse_address(str(ok.get("rtcp"))))
        except ProtocolError as error:
            raise MediaUnavailable(f"leg.open: {error}") from error

    async def connect_leg(self, leg: str, remote: LegRemote) -> None:
        """Send to, and accept from, this far end; replaces the one before."""
        rtcp = None if remote.rtcp is None else format_address(remote.rtcp)
        command = LegConnect(
            session=self.id,
            leg=leg,
            rtp=format_address(remote.rtp),
            rtcp=rtcp,
            payload_types=remote.payload_types,
            telephone_event=remote.telephone_event,
            ptime_ms=remote.ptime_ms,
            opus=remote.opus,
            direction=remote.direction,
            rtcp_mux=remote.rtcp_mux,
            also_from=remote.also_from,
            srtp=remote.srtp,
            quality_interval_ms=self._watch.quality_interval_ms,
        )
        await self._request(command)
        if self._watch.listens and leg not in self._listening:
            self._listening.add(leg)
            await self._listen(leg)

    async def _listen(self, leg: str) -> None:
        try:
            await self.detect(leg, inband_dtmf=self._watch.inband_dtmf, vad=self._watch.vad)
        except MediaCommandRefused as error:
            # A call is worth more than what observes it.
            log.warning("leg is not listened to", session=self.id, error=str(error))

    async def send_digits(self, leg: str, digits: str, tone_ms: int | None = None, gap_ms: int | None = None) -> None:
        """Queue `0-9*#A-D`, and `w` for half a second, to be sent; LegDtmfSent tells of each digit. Refused:
        "bad_request" when the leg does not send, "limit_reached" when too many wait."""
        await self._request(LegSendDtmf(self.id, leg, digits, tone_ms, gap_ms))

    async def detect(self, leg: str, *, inband_dtmf: bool, vad: Vad) -> None:
        """Listen for tones and voices from now on. Refused: "no_weights" when Silero has none."""
        await self._request(LegDetect(self.id, leg, inband_dtmf, vad))

    async def hear_voice(self, leg: str, on: bool) -> None:
        """Listen for the voice of a leg, by its level, whatever the settings say; with false, as they say. Refused as
        `detect`."""
        vad = self._watch.vad
        if vad == "off":
            await self.detect(leg, inband_dtmf=self._watch.inband_dtmf, vad="energy" if on else "off")

    async def open_stream(self, stream: str, target: StreamTarget) -> None:
        """Begin to dial; StreamConnected or StreamClosed tells the outcome."""
        fields = {each.name: getattr(target, each.name) for each in dataclasses.fields(target)}
        await self._request(StreamOpen(session=self.id, stream=stream, **fields))

    async def set_stream_urls(self, stream: str, urls: tuple[StreamUrl, ...]) -> None:
        """Dial it here, should it have no connection, from the next try on."""
        await self._request(StreamUrls(self.id, stream, urls))

    async def answer_stream(
        self,
        stream: str,
        request_id: str | None,
        error: tuple[str, str] | None = None,
        fields: Mapping[str, Any] | None = None,
    ) -> None:
        """Tell the application what came of its request; `error` is a code and words."""
        code, message = error or ("", "")
        await self._request(StreamAnswer(self.id, stream, request_id, error is None, code, message, dict(fields or {})))

    async def close_stream(self, stream: str) -> Stats:
        return _stats(await self._request(StreamClose(self.id, stream)))

    async def start_playback(self, playback: str, path: Path, repeat: int = 1, leg: str | None = None) -> int:
        """Play a WAV file to all legs, or to `leg` alone, also when that hears nothing of the others. Returns its
        length in milliseconds; PlaybackFinished tells the end."""
        ok = await self._request(PlaybackStart(self.id, playback, str(path), repeat, leg))
        return int(ok.get("duration_ms", 0))

    async def stop_playback(self, playback: str) -> None:
        await self._request(PlaybackStop(self.id, playback))

    async def start_recording(
        self,
        recording: str,
        path: Path,
        *,
        format: RecordingFormat = "wav",
        layout: RecordingLayout = "stereo",
        rate_hz: int | None = None,
        encryption: Encryption | None = None,
    ) -> None:
        """Record to a file, or one for each party; RecordingFinished tells the end. No `rate_hz`: the session's."""
        await self._request(RecordingStart(self.id, recording, str(path), format, layout, rate_hz, encryption))

    async def mute_leg(self, leg: str, *, input: bool, output: bool) -> None:
        """Silence what a leg says, to all, and what it is sent; or let it be heard and hear again."""
        await self._request(LegMute(self.id, leg, input, output))

    async def close_leg(self, leg: str) -> Stats:
        """Close one leg; the session stays. Returns what the leg has seen."""
        return _stats(await self._request(LegClose(self.id, leg)))

    async def stop_recording(self, recording: str) -> None:
        await self._request(RecordingStop(self.id, recording))

    async def stats(self) -> Stats:
        return _stats(await self._request(SessionStats(self.id)))

    async def close(self) -> Stats:
        """Close all that belongs to the session. Returns its statistics: {} when there is nothing left to close."""
        if self.is_lost:
            return {}
        with contextlib.suppress(MediaCommandRefused, MediaUnavailable):
            return _stats(await self._send(SessionClose(self.id), CLOSE_TIMEOUT_S))
        return {}

    def forget(self) -> None:
        """No event is wanted any more."""
        self._forget(self.id)

    def deliver(self, event: MediaEvent) -> None:
        """An event of this session has come (called by the engine)."""
        self._on_event(event)

    def lose(self, reason: str) -> None:
        """The session is gone from the server (called by the engine); tells its owner once."""
        if not self.is_lost:
            self.is_lost = True
            self._on_lost(reason)

    async def _request(self, command: Command) -> dict[str, Any]:
        if self.is_lost:
            raise MediaUnavailable("The call's media session is gone.")
        return await self._send(command)


def _stats(ok: dict[str, Any]) -> Stats:
    stats = ok.get("stats")
    return stats if isinstance(stats, dict) else {}
