"""What is said when something is wrong, made into sound before it is needed: it can be said whatever fails.

Until a voice has made them, and where it cannot, recordings that come with this package say them: English, by flite's
slt. An agent in another language needs a voice that works at least once.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy

from longline.agentkit import mulaw
from longline.agentkit.ports import ProviderError, TextToSpeech
from longline.agentkit.resample import Resampler
from longline.agentkit.session import CallSession
from longline.agentkit.utterance import Utterance
from longline.agentkit.voice import spoken

RECORDED_HZ = 8_000


@dataclass(slots=True)
class Phrases:
    """`wait` when an answer takes long, `sorry` when it has failed, `goodbye` when nothing more can be done."""

    wait: str = "One moment, please."
    sorry: str = "Sorry, something went wrong on my side. Could you say that again?"
    goodbye: str = "I am sorry, I have a technical problem. Please call again later. Goodbye."
    sounds: dict[tuple[str, int], bytes] = field(default_factory=dict)
    """What was made, by text and rate: once for all calls."""

    async def prepare(self, tts: TextToSpeech | None, rate_hz: int) -> None:
        """In the agent's own voice, as far as that can. Without a voice the recordings stay."""
        if tts is not None:
            texts = (self.wait, self.sorry, self.goodbye)
            missing = [text for text in texts if (text, rate_hz) not in self.sounds]
            await asyncio.gather(*(self._make(tts, text, rate_hz) for text in missing))

    async def _make(self, tts: TextToSpeech, text: str, rate_hz: int) -> None:
        with contextlib.suppress(ProviderError):
            pcm = b"".join([sound.pcm async for sound in spoken(tts, text, rate_hz)])
            if pcm:
                self.sounds[text, rate_hz] = pcm

    def sound(self, text: str, rate_hz: int) -> bytes:
        """At any moment there is one for each."""
        made = self.sounds.get((text, rate_hz))
        name = {self.wait: "wait", self.goodbye: "goodbye"}.get(text, "sorry")
        return recorded(name, rate_hz) if made is None else made

    def play(self, call: CallSession, text: str) -> Utterance:
        """Say one of them."""
        return call.play(self.sound(text, call.rate_hz), text)


@lru_cache(maxsize=16)
def recorded(name: str, rate_hz: int) -> bytes:
    """The recording of `wait`, `sorry` or `goodbye`."""
    path = Path(__file__).parent / "sounds" / f"{name}.ulaw"
    pcm = mulaw.to_linear(path.read_bytes())
    try:
        resampler = Resampler(rate_hz)
        return resampler.convert(pcm, RECORDED_HZ) + resampler.rest()
    except ImportError:  # the extra `agent` is not there: worse is better than nothing
        samples = numpy.frombuffer(pcm, "<i2")
        positions = numpy.arange(0, len(samples), RECORDED_HZ / rate_hz).astype(int)
        return bytes(samples[positions].tobytes())
