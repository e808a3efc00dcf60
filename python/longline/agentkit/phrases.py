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
from longline.agentkit.voice import spoken

RECORDED_HZ = 8_000


@dataclass(slots=True)
class Phrases:
    """`wait` when an answer takes long, `sorry` when it has failed, `goodbye` when nothing more can be done."""

    wait: str = "One moment, please."
    sorry: str = "Sorry, something went wrong on my side. Could you say that again?"
    goodbye: str = "I am sorry, I have a technical problem. Please call again later. Goodbye."
    sounds: dict[str, bytes] = field(default_factory=dict)

    async def prepare(self, tts: TextToSpeech | None, rate_hz: int) -> None:
        """From its first moment on there is a sound for each. Without a voice the recordings stay."""
        texts = {"wait": self.wait, "sorry": self.sorry, "goodbye": self.goodbye}
        missing = {name: text for name, text in texts.items() if text not in self.sounds}
        for name, text in missing.items():
            self.sounds[text] = recorded(name, rate_hz)
        if tts is not None:
            await asyncio.gather(*(self._make(tts, text, rate_hz) for text in missing.values()))

    async def _make(self, tts: TextToSpeech, text: str, rate_hz: int) -> None:
        with contextlib.suppress(ProviderError):
            pcm = b"".join([sound.pcm async for sound in spoken(tts, text, rate_hz)])
            self.sounds[text] = pcm or self.sounds[text]


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
