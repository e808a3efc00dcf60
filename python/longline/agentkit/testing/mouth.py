"""A caller's voice: any voice that an agent may have, its speech made before the call begins."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from longline.agentkit.ports import TextToSpeech
from longline.agentkit.resample import Resampler
from longline.agentkit.testing.script import Interrupts, Says, Script


def texts_of(script: Script) -> list[str]:
    """All that is said in it, each once."""
    return list(dict.fromkeys(step.text for step in script.steps if isinstance(step, Says | Interrupts)))


async def speak(voice: TextToSpeech, texts: Iterable[str], rate_hz: int) -> dict[str, bytes]:
    """PCM of 16 bits of each text. Raises ProviderError. A voice that is a program or a service needs real time: it
    has a loop of its own, in a thread, for which virtual time waits."""
    return await asyncio.to_thread(lambda: asyncio.run(_speak(voice, list(texts), rate_hz)))


async def _speak(voice: TextToSpeech, texts: list[str], rate_hz: int) -> dict[str, bytes]:
    spoken = {}
    for text in texts:
        resampler = Resampler(rate_hz)
        pieces = [resampler.convert(sound.pcm, sound.rate_hz) async for sound in voice.say(text)]
        spoken[text] = b"".join([*pieces, resampler.rest()])
    return spoken
