"""Phones that interrupt, an agent that speaks without end, and what is heard of it, packet by packet."""

import asyncio
import random
import struct
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.support import identified_audio as identified  # noqa: E402
from tests.support.raw_phone import RawPhone, RtpPacket  # noqa: E402
from tests.support.sounds import FRAME, RATE_HZ, Samples, noise, talk  # noqa: E402
from tests.support.tone import from_ulaw, to_ulaw  # noqa: E402

from longline.agentkit import mulaw  # noqa: E402
from longline.agentkit.agent import VoiceAgent  # noqa: E402
from longline.agentkit.conversation import Conversation  # noqa: E402
from longline.agentkit.ports import Sound, Tool, ToolCall, Transcript  # noqa: E402
from longline.agentkit.session import CallSession  # noqa: E402
from longline.agentkit.turns.rules import TurnRules  # noqa: E402
from longline.streamkit.format import FormatWish  # noqa: E402

FRAME_S = 0.02
LINE_NOISE_DB = -62.0
"""What every telephone sends when nobody talks."""
FRAMES = 400
"""Of one utterance."""
ECHO_FRAMES = 6
"""An echo comes back after 120 ms."""
QUIET = 300
"""Amplitude below which nothing of the agent is heard: the middle of the ramp of 4 ms is far above it."""
PARTIAL_AFTER_S, FINAL_AFTER_S = 0.35, 0.1
"""A transcriber's first word after its sound began, and its final after it is asked for one."""


# --- the agent --------------------------------------------------------------------------------------------------------


class Cues:
    """A transcriber that is told what it hears: `say` when the sound begins."""

    def __init__(self) -> None:
        self._told: asyncio.Queue[Transcript | None] = asyncio.Queue()
        self._text = ""

    def say(self, text: str) -> None:
        if text:
            asyncio.get_running_loop().call_later(PARTIAL_AFTER_S, self._understand, text)

    def _understand(self, text: str) -> None:
        self._text = text
        self._told.put_nowait(Transcript(text, is_final=False))

    async def listen(self, audio: AsyncIterator[bytes], rate_hz: int) -> AsyncIterator[Transcript]:
        async def hear() -> None:
            async for frame in audio:
                if not frame:
                    await asyncio.sleep(FINAL_AFTER_S)
                    text, self._text = self._text, ""
                    self._told.put_nowait(Transcript(text, is_final=True))

        hearing = asyncio.create_task(hear())
        try:
            while (told := await self._told.get()) is not None:
                yield told
        finally:
            hearing.cancel()


class Endless:
    """A voice without a pause, each 20 ms of which says its number, or one that talks as people do (of which it is not
    known what was heard, but whose echo is that of a voice); a model that has no more to say than that."""

    def __init__(self, call: int, talks: bool = False, seconds: float = FRAMES / 50) -> None:
        self._call, self._seconds, self._next = call, seconds, 0
        self._talk = talk(seconds, 99, -16.0).tobytes() if talks else b""

    async def say(self, text: str) -> AsyncIterator[Sound]:
        if self._talk:
            yield Sound(self._talk, RATE_HZ)
            return
        self._next += -self._next % FRAMES  # what was cut while it was made is no part of this
        for _ in range(round(self._seconds)):
            frames = []
            for _ in range(50):
                frames.append(identified.write(identified.Identity(self._call, identified.TOWARD_CALLER, self._next)))
                self._next += 1
            yield Sound(mulaw.to_linear(b"".join(frames)), RATE_HZ)
            await asyncio.sleep(0)

    async def reply(self, conversation: Conversation, tools: Sequence[Tool]) -> AsyncIterator[str | ToolCall]:
        yield "And so on."


@dataclass
class Side:
    """The agent's side of one call."""

    cues: Cues = field(default_factory=Cues)
    pauses: int = 0
    resumes: int = 0
    clears: int = 0


class Speakers:
    """One agent for each call, which is known by the number that was called (`call7`)."""

    def __init__(self, rules: Callable[[], TurnRules], *, talks: bool = False) -> None:
        self.rules, self._talks = rules, talks
        self.sides: dict[str, Side] = {}

    @property
    def hello(self) -> Any:
        """As an agent asks, at the rate of its voice: nothing is resampled, frames are read where they are cut."""
        at_rate = FormatWish(encoding="pcm_s16le", rate_hz=8_000)
        return self._agent(0, Side()).hello.model_copy(update={"audio": at_rate})

    def side(self, name: str) -> Side:
        return self.sides.setdefault(name, Side())

    def _agent(self, number: int, side: Side) -> VoiceAgent:
        voice = Endless(number, self._talks)
        return VoiceAgent(
            side.cues, voice, voice, greeting="Well,", silence=["and"] * 1_000, silence_s=0.3, turn=self.rules()
        )

    async def __call__(self, call: CallSession) -> None:
        name = call.info.to_number.partition("@")[0].removeprefix("sip:")
        side = self.side(name)
        pause, resume, interrupt = call.pause, call.resume, call.interrupt

        def count(what: str, command: Callable[[], None]) -> Callable[[], None]:
            def counted() -> None:
                setattr(side, what, getattr(side, what) + 1)
                command()

            return counted

        call.pause, call.resume = count("pauses", pause), count("resumes", resume)  # type: ignore[method-assign]
        call.interrupt = count("clears", interrupt)  # type: ignore[method-assign]
        await self._agent(int(name.removeprefix("call")), side)(call)


# --- the phone --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Weather:
    """Of the caller's packets: how many are lost, and how much later than the others one may come (uniform); they
    do not overtake each other."""

    name: str
    loss: float = 0.0
    jitter_ms: float = 0.0


@dataclass
class Interruption:
    """`voiced_at`: Unix seconds at which the first voiced sample was spoken into the phone."""

    what: str
    level_db: float
    voiced_at: float
    ended_at: float = 0.0


class Caller:
    """A phone whose line is never quite still. `speak` sends a sound into the running call."""

    def __init__(
        self, phone: RawPhone, number: int, weather: Weather, seed: int, *, echo_loss_db: float | None = None
    ) -> None:
        self.phone, self.number = phone, number
        self._echo = 0.0 if echo_loss_db is None else 10 ** (-echo_loss_db / 20)
        self._weather, self._random = weather, random.Random(seed)
        self._hiss = noise(2.0, seed, LINE_NOISE_DB, "white").astype(int)
        self._pending = np.zeros(0, dtype=int)
        self._free_at = 0.0
        self._send = phone.rtp.send
        phone.rtp.send = self._through_weather  # type: ignore[method-assign]
        self._ticks = 0
        self._speech_at = 0, 0
        self._sent_at: list[float] = []

    def _through_weather(self, datagram: bytes, to: tuple[str, int]) -> None:
        if self._random.random() < self._weather.loss:
            return
        now = asyncio.get_running_loop().time()
        self._free_at = max(self._free_at, now + self._random.uniform(0, self._weather.jitter_ms) / 1_000)
        if self._free_at <= now:
            self._send(datagram, to)
        else:
            asyncio.get_running_loop().call_at(self._free_at, self._send, datagram, to)

    def speak(self, sound: Samples) -> None:
        """From somewhere in the next frame on."""
        offset = self._random.randrange(FRAME)
        self._speech_at = self._ticks, offset
        self._pending = np.concatenate([np.zeros(offset, dtype=int), sound.astype(int)])

    def spoken_at(self, sample: int) -> float:
        """When this one of the last sound was spoken, Unix seconds: its packet left when its frame was whole."""
        tick, offset = self._speech_at
        frames, within = divmod(offset + sample, FRAME)
        return self._sent_at[tick + frames] + (within - FRAME) / RATE_HZ

    @property
    def speaks(self) -> bool:
        return len(self._pending) > 0

    async def tick(self) -> None:
        """Twenty milliseconds."""
        if self._ticks == 0:
            self._begun = time.time()
        await asyncio.sleep(max(0.0, self._due - time.time()))
        at = self._ticks * FRAME % len(self._hiss)
        frame = self._hiss[at : at + FRAME].copy()
        said, self._pending = self._pending[:FRAME], self._pending[FRAME:]
        frame[: len(said)] += said
        if self._echo:
            recent = self.phone.rtp.received[-ECHO_FRAMES:][:1]
            back = [from_ulaw(packet.payload) for at, data in recent if (packet := _packet(at, data)) is not None]
            if back and len(back[0]) == FRAME:
                frame += (back[0] * self._echo).astype(int)
        self.phone.send_rtp(to_ulaw(np.clip(frame, -32_767, 32_767).astype(np.int16)))
        self._sent_at.append(time.time())
        self._ticks += 1

    @property
    def _due(self) -> float:
        """When the next frame is whole, and leaves."""
        return self._begun + (self._ticks + 1) * FRAME_S

    def since(self, at: float) -> list[RtpPacket]:
        received = self.phone.rtp.received
        first = next((n for n in range(len(received) - 1, -1, -1) if received[n][0] < at), -1) + 1
        return [packet for data_at, data in received[first:] if (packet := _packet(data_at, data)) is not None]


def _packet(at: float, data: bytes) -> RtpPacket | None:
    if len(data) < 12 or data[1] & 0x7F:
        return None
    _, second, sequence, timestamp, _ = struct.unpack("!BBHII", data[:12])
    return RtpPacket(at, sequence, timestamp, bool(second & 0x80), data[12:])


def is_loud(packet: RtpPacket) -> bool:
    return bool((np.abs(from_ulaw(packet.payload).astype(int)) > QUIET).any())


def silent_at(packets: Sequence[RtpPacket], after: float, for_s: float = 0.1) -> float | None:
    """When the last loud sample before the first silence of `for_s` was over, for who plays packets as they come.
    None when there is none, or nothing was said at `after`."""
    last_loud: RtpPacket | None = None
    for packet in packets:
        if is_loud(packet):
            last_loud = packet
        elif last_loud is not None and packet.at > after and packet.at - last_loud.at >= for_s:
            loud = np.flatnonzero(np.abs(from_ulaw(last_loud.payload).astype(int)) > QUIET)
            return last_loud.at + (int(loud[-1]) + 1) / RATE_HZ
    return None


@dataclass
class Hearing:
    """What was heard of the numbered frames of an agent. In the middle of speech frames are lost by nobody's will; at a
    hold, those are counted that nobody heard, and those that were heard twice."""

    holds: int = 0
    lost: int = 0
    repeated: int = 0


def hear_holds(packets: Sequence[RtpPacket], resumed_within_s: float = 3.0) -> Hearing:
    """Frames around each silence after which the same utterance goes on."""
    hearing = Hearing()
    last: int | None = None
    is_silent = False
    for packet in packets:
        if not is_loud(packet):
            is_silent = last is not None
            continue
        numbers = sorted(each.number for each in identified.parts(packet.payload))
        if not numbers:
            continue
        if is_silent and last is not None:
            step = numbers[0] - last
            # What goes on in the same utterance after a silence was held.
            if last // FRAMES == numbers[0] // FRAMES:
                hearing.holds += 1
                hearing.lost += max(0, step - 1)
                hearing.repeated += max(0, 1 - step) if step < 0 else 0
        is_silent = False
        last = numbers[-1]
    return hearing
