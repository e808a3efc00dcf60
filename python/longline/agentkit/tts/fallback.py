"""A second voice for when the first fails, refuses or takes too long, also in the midst of a sentence."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from longline.agentkit.heard import WordEnd
from longline.agentkit.ports import ProviderError, Sound, TextToSpeech
from longline.agentkit.ranking import REST_S, Ranking, within
from longline.agentkit.voice import closing
from longline.agentkit.warm import warm


class FallbackTts:
    """`FallbackTts(first, second, …)`. A voice that gives nothing for `wait_s` seconds has failed.

    The other goes on behind the last word that was said whole, where the first has told where its words end; else it
    says the sentence again. Better than half a sentence."""

    def __init__(self, *voices: TextToSpeech, wait_s: float = 2.0, rest_s: float = REST_S) -> None:
        self.ranking = Ranking(voices, rest_s)
        self._wait_s = wait_s

    async def warm(self) -> None:
        """Have a connection to whom is asked first."""
        await warm(self.ranking.order(asyncio.get_running_loop().time())[0])

    async def say(self, text: str) -> AsyncIterator[Sound]:
        """`TextToSpeech.say`. Raises the fault of the last when all have failed."""
        now = asyncio.get_running_loop().time
        fault: ProviderError | None = None
        said = _Said()
        for voice in self.ranking.order(now()):
            said.begins(text)
            if 0 < said.begin == len(text):
                return
            try:
                async with closing(voice.say(text[said.begin :])) as stream:
                    while (sound := await within(self._wait_s, stream, voice)) is not None:
                        yield said.add(sound)
                self.ranking.worked(voice)
                return
            except ProviderError as error:
                self.ranking.failed(voice, error, now())
                fault = error
        if fault is not None:
            raise fault


class _Said:
    """How much of a text was said, by one voice or several."""

    def __init__(self) -> None:
        self.begin = 0
        """Where in the text the voice has begun that speaks."""
        self._begin_ms = 0.0
        self._ms = 0.0
        self._ends: list[WordEnd] = []

    def begins(self, text: str) -> None:
        """Another voice, behind the last whole word."""
        whole = max((end.end for end in self._ends if end.at_ms <= self._ms), default=0)
        self.begin = len(text) - len(text[whole:].lstrip())
        self._begin_ms = self._ms

    def add(self, sound: Sound) -> Sound:
        """As it is in the whole."""
        ends = tuple(WordEnd(end.end + self.begin, end.at_ms + self._begin_ms) for end in sound.ends)
        self._ends += ends
        self._ms += len(sound.pcm) * 500 / sound.rate_hz
        return Sound(sound.pcm, sound.rate_hz, ends)
