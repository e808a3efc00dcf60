"""What a voice has said is kept: greetings and phrases cost nothing the second time, and begin at once.

    tts = KeptTts(ElevenLabsTts(voice=…))

Sentences are kept that were made to their end, by their text; of more than `max_bytes` of sound the one goes first that
was wanted longest ago. All calls of an agent share them.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import AsyncGenerator
from typing import Final

from longline.agentkit.ports import Sound, TextToSpeech
from longline.agentkit.voice import closing
from longline.agentkit.warm import warm

MAX_BYTES: Final = 16_000_000
"""Eight minutes of 16 kHz."""


class KeptTts:
    """`forget` when the voice behind it is another from now on."""

    def __init__(self, voice: TextToSpeech, *, max_bytes: int = MAX_BYTES) -> None:
        self._voice = voice
        self._max_bytes = max_bytes
        self._kept: OrderedDict[str, tuple[Sound, ...]] = OrderedDict()
        self.kept_bytes = 0

    async def say(self, text: str) -> AsyncGenerator[Sound, None]:
        """`TextToSpeech.say`: as it is made, or at once. Raises what the voice raises."""
        if (kept := self._kept.get(text)) is not None:
            self._kept.move_to_end(text)
            for sound in kept:
                yield sound
            return
        made = []
        async with closing(self._voice.say(text)) as stream:
            async for sound in stream:
                made.append(sound)
                yield sound
        self._keep(text, tuple(made))

    def forget(self) -> None:
        self._kept.clear()
        self.kept_bytes = 0

    async def warm(self) -> None:
        """Have a connection before the first word that is new."""
        await warm(self._voice)

    async def aclose(self) -> None:
        """Close what the voice keeps open."""
        if (close := getattr(self._voice, "aclose", None)) is not None:
            await close()

    def _keep(self, text: str, made: tuple[Sound, ...]) -> None:
        size = _size(made)
        if not size or size > self._max_bytes or text in self._kept:
            return
        self._kept[text] = made
        self.kept_bytes += size
        while self.kept_bytes > self._max_bytes:
            self.kept_bytes -= _size(self._kept.popitem(last=False)[1])


def _size(sounds: tuple[Sound, ...]) -> int:
    return sum(len(sound.pcm) for sound in sounds)
