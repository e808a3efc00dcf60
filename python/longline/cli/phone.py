"""The test phone: places one call over real SIP and RTP, plays a file into it, and measures what comes back.

Its ear and mouth are a media server of its own, so that it hears what a person would hear: after a jitter buffer. The
round trip is therefore mouth to ear, and found by correlation; RTCP's, where the far end reports, is the network's.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import tempfile
import time
import wave
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from longline.base.errors import LonglineError
from longline.calls.leg_media import leg_remote
from longline.cli.correlation import find_echo
from longline.media.engine import MediaEngine
from longline.media.process import MediaServerSettings
from longline.media.protocol.commands import StreamTarget
from longline.media.protocol.events import LegMediaStarted, MediaEvent, PlaybackFinished, RecordingFinished
from longline.media.session import MediaSession
from longline.sip.events import Answered, Ended, Failed, Progress, SipEvent
from longline.sip.sdp.description import SdpError, SessionDescription
from longline.sip.sdp.offer_answer import LocalMedia, Negotiated, OfferRefused, make_offer, read_answer
from longline.sip.syntax.uri import parse_uri
from longline.sip.user_agent import ListenAddress, UserAgent, UserAgentSettings

LISTEN_ON_S = 1.5
"""How long the phone stays on the line after its file has been played: the echo of the end has to come back."""

ANSWER_TIMEOUT_S = 120.0
_SESSION, _LEG, _PLAYBACK, _RECORDING, _VOICE = "phone", "line", "play", "record", "voice"


@dataclass
class CallReport:
    """What the phone saw, in milliseconds and packets. None is "not measured", never a default."""

    target: str
    answered: bool = False
    status: int | None = None
    reason: str | None = None
    ended_by: str | None = None
    ringing_ms: float | None = None
    answer_ms: float | None = None
    first_audio_ms: float | None = None
    talk_ms: float | None = None
    packets_sent: int | None = None
    packets_received: int | None = None
    packets_lost: int | None = None
    packets_late: int | None = None
    jitter_ms: float | None = None
    concealed_ms: float | None = None
    network_round_trip_ms: float | None = None
    round_trip_ms: float | None = None
    echo_correlation: float | None = None
    recording: str | None = None
    started_at: float = field(default_factory=time.time)
    """Unix seconds at which the INVITE left; the other times count from here."""


MEASURING_CODECS = ("PCMU", "PCMA")
"""These keep the shape of the waves, so that the likeness of the echo is the line's and not the codec's."""


class CallRefused(LonglineError):
    """The call cannot even be tried: the target, a file or the media server is at fault."""


class Phone:
    """One phone, good for one call. `on_step(name, detail)` is told what happens, as it happens."""

    def __init__(
        self,
        target: str,
        on_step: Callable[[str, str], None] = lambda name, detail: None,
        codecs: tuple[str, ...] = MEASURING_CODECS,
    ) -> None:
        try:
            self._uri = parse_uri(target)
        except LonglineError as error:
            raise CallRefused(f"{target!r} is not a SIP URI such as sip:echo@127.0.0.1:5060 ({error})") from error
        self._on_step = on_step
        self._codecs = codecs
        self._address = local_address_toward(self._uri.host, self._uri.port or 5060)
        self._events: asyncio.Queue[SipEvent | MediaEvent] = asyncio.Queue()
        self._engine = MediaEngine(
            MediaServerSettings(
                rtp_addresses=(self._address,), rtp_ports="30000-39999", workers=1, extra_arguments=("--log", "error")
            )
        )
        self._user_agent = UserAgent(
            UserAgentSettings(listen=(ListenAddress(self._address, 0),)), self._events.put_nowait
        )
        self._report = CallReport(target)

    async def __aenter__(self) -> Self:
        await self._engine.start()
        await self._user_agent.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._user_agent.stop()
        await self._engine.stop()

    async def call(
        self,
        *,
        play: Path | None = None,
        record: Path | None = None,
        limit_s: float | None = None,
        voice: StreamTarget | None = None,
    ) -> CallReport:
        """Call, play, listen until the file has been heard, the far end hangs up or `limit_s` is over, and report.
        `voice` is who speaks and listens in the phone's place."""
        session = self._engine.session(_SESSION, self._events.put_nowait, lambda reason: None)
        leg = await session.open_leg(_LEG)
        local = LocalMedia(address=leg.rtp[0], rtp_port=leg.rtp[1], rtcp_port=leg.rtcp[1], codecs=self._codecs)
        offer = make_offer(local)
        self._report.started_at = time.time()
        handle = self._user_agent.invite(
            str(self._uri), from_uri=f"sip:dial@{self._address}", to_uri=None, sdp=offer.serialize(), route=None
        )
        self._on_step("calling", self._report.target)
        try:
            answer = await self._until_answered()
            if answer is not None:
                await self._talk(session, read_answer(offer, answer), play, record, limit_s, voice)
        except (SdpError, OfferRefused) as error:
            self._report.reason = f"the answer's SDP is not usable: {error}"
        finally:
            if self._report.ended_by is None and self._report.answered:
                self._report.ended_by = "dial"
                self._user_agent.bye(handle)
                self._on_step("hung up", "by dial")
            elif not self._report.answered and self._report.status is None:
                self._user_agent.cancel(handle)
        return self._report

    def _elapsed_ms(self) -> float:
        return round((time.time() - self._report.started_at) * 1000, 1)

    async def _until_answered(self) -> SessionDescription | None:
        """The far end's answer, or None when it did not take the call."""
        report = self._report
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                while True:
                    event = await self._events.get()
                    if isinstance(event, Progress) and event.status >= 180 and report.ringing_ms is None:
                        report.ringing_ms = self._elapsed_ms()
                        self._on_step("ringing", f"{event.status} after {report.ringing_ms:.0f} ms")
                    elif isinstance(event, Answered):
                        report.answered, report.status = True, 200
                        report.answer_ms = self._elapsed_ms()
                        self._on_step("answered", f"after {report.answer_ms:.0f} ms")
                        return SessionDescription.parse(event.sdp or b"")
                    elif isinstance(event, Failed):
                        report.status, report.reason = event.status, event.reason or event.cause
                        self._on_step("not answered", f"{event.status} {event.reason or event.cause}")
                        return None
        except TimeoutError:
            report.reason = f"no answer within {ANSWER_TIMEOUT_S:g} s"
            return None

    async def _talk(
        self,
        session: MediaSession,
        negotiated: Negotiated,
        play: Path | None,
        record: Path | None,
        limit_s: float | None,
        voice: StreamTarget | None,
    ) -> None:
        with tempfile.TemporaryDirectory(prefix="longline-dial-") as folder:
            recording = (record or Path(folder) / "call.wav").absolute()
            recording.parent.mkdir(parents=True, exist_ok=True)
            await session.connect_leg(_LEG, leg_remote(negotiated))
            await session.start_recording(_RECORDING, recording, rate_hz=8000)
            talk_started = time.time()
            if voice is not None:
                await session.open_stream(_VOICE, voice)
            if play is not None:
                duration_ms = await session.start_playback(_PLAYBACK, play.absolute())
                self._on_step("playing", f"{play} ({duration_ms / 1000:.1f} s)")
            await self._until_over(limit_s if limit_s is not None or play is not None else 10.0)
            self._report.talk_ms = round((time.time() - talk_started) * 1000, 1)
            self._count(await session.stats())
            await self._stop_recording(session)
            self._listen_to(recording)
            self._report.recording = str(record) if record is not None else None

    async def _until_over(self, limit_s: float | None) -> None:
        """Return when the far end has hung up, the file and its echo are over, or the limit has come."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(limit_s) as deadline:
                while True:
                    event = await self._events.get()
                    if isinstance(event, Ended):
                        self._report.ended_by, self._report.reason = event.by, event.cause
                        self._on_step("hung up", f"by the {event.by} side")
                        return
                    if isinstance(event, LegMediaStarted):
                        self._report.first_audio_ms = self._elapsed_ms()
                        self._on_step("first packet", f"after {self._report.first_audio_ms:.0f} ms")
                    if isinstance(event, PlaybackFinished) and limit_s is None:
                        deadline.reschedule(asyncio.get_running_loop().time() + LISTEN_ON_S)

    async def _stop_recording(self, session: MediaSession) -> None:
        await session.stop_recording(_RECORDING)
        async with asyncio.timeout(5):
            while True:
                event = await self._events.get()
                if isinstance(event, RecordingFinished):
                    if event.error:
                        raise CallRefused(f"{event.path} could not be written: {event.error}")
                    return
                if isinstance(event, Ended):
                    self._report.ended_by, self._report.reason = event.by, event.cause

    def _count(self, stats: dict[str, Any]) -> None:
        leg, report = stats["legs"][_LEG], self._report
        report.packets_sent, report.packets_received = leg["packets_sent"], leg["packets_received"]
        report.packets_lost, report.packets_late = leg["lost"], leg["late"]
        report.jitter_ms, report.concealed_ms = leg["jitter_ms"], leg["concealed_ms"]
        report.network_round_trip_ms = leg["round_trip_ms"]

    def _listen_to(self, recording: Path) -> None:
        heard, played = read_stereo(recording)
        echo = find_echo(played, heard)
        if echo is not None:
            self._report.round_trip_ms = round(echo.delay_ms, 1)
            self._report.echo_correlation = round(echo.correlation, 3)


def read_stereo(recording: Path) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
    """The two channels of a recording: what was heard, and what was said at the same time."""
    with wave.open(str(recording)) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), dtype="<i2").reshape(-1, 2)
    return samples[:, 0].astype(np.int16), samples[:, 1].astype(np.int16)


def local_address_toward(host: str, port: int) -> str:
    """The address of ours that packets to `host` leave from (nothing is sent)."""
    try:
        found = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_DGRAM)
        family, kind, _, _, address = found[0]
        with socket.socket(family, kind) as probe:
            probe.connect(address)
            return str(probe.getsockname()[0])
    except OSError as error:
        raise CallRefused(f"no way to {host}: {error.strerror or error}") from error
