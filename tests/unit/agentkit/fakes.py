"""A line whose caller makes sounds at given times; and the fakes of the testing kit."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

from longline.agentkit.line import CallInfo, Frame, HeldBack, LineEvent, Over
from longline.agentkit.lines.paced import PacedSpeech
from longline.agentkit.testing import FakeLlm, FakeStt, FakeTts

__all__ = ["FakeLine", "FakeLlm", "FakeStt", "FakeTts"]

RATE = 8_000
FRAME_MS = 20
VOICE = (b"\x00\x20" + b"\x00\xe0") * (RATE * FRAME_MS // 2_000)
SILENCE = bytes(2 * RATE * FRAME_MS // 1_000)


class FakeLine:
    """A caller who does what `script` has, seconds of silence and seconds of voice in turn, and then hangs up. Of its
    frames `together` come at a time: fewer are cheaper where virtual time waits for sockets."""

    rate_hz = RATE

    def __init__(self, *script: tuple[float, float], stays_s: float = 1.0, together: int = 1) -> None:
        self._together = together
        self.info = CallInfo("cs_1", "ms_1")
        self._script = script
        self._stays_s = stays_s
        self._speech = PacedSpeech(RATE, chunk_ms=20, ahead_ms=20 + 20 * together, progress_ms=50)
        self._told: list[LineEvent] = []
        self.done: list[str] = []
        self.heard_at: list[float] = []

    async def events(self) -> AsyncIterator[LineEvent]:
        frames = []
        for silence_s, voice_s in (*self._script, (self._stays_s, 0.0)):
            frames += [SILENCE] * round(silence_s * 50) + [VOICE] * round(voice_s * 50)
        begun = asyncio.get_running_loop().time()
        for number, frame in enumerate(frames):
            if (number + 1) % self._together == 0:
                await asyncio.sleep(max(0.0, begun + (number + 1) * 0.02 - asyncio.get_running_loop().time()))
            now = asyncio.get_running_loop().time()
            while self._speech.poll(now) is not None:
                self.heard_at.append(now)
            for event in (*self._told, *self._speech.handle_timeout(now)):
                yield event
            self._told = []
            yield Frame(frame, number * 20.0)
            if "hang_up" in self.done:
                break
        for event in self._speech.clear(asyncio.get_running_loop().time()):
            yield event
        yield Over("hung up")

    def say(self, utterance_id: str, pcm: bytes) -> None:
        self._speech.say(utterance_id, pcm)

    def say_end(self, utterance_id: str) -> None:
        self._speech.say_end(utterance_id)

    def clear(self) -> None:
        self.done.append("clear")
        self._told += self._speech.clear(asyncio.get_running_loop().time())

    def pause(self) -> None:
        self.done.append("pause")
        self._told += [*self._speech.pause(asyncio.get_running_loop().time()), HeldBack(True)]

    def resume(self) -> None:
        self.done.append("resume")
        self._speech.resume()

    def send_digits(self, digits: str) -> None:
        self.done.append(digits)

    def request(self, request_id: str, action: str, fields: Mapping[str, Any]) -> None:
        self.done.append(action)

    def hang_up(self) -> None:
        self.done.append("hang_up")
