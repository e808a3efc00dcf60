"""What one answer says: each sentence made into sound and given to the line, or kept back while it may not be heard.

What is kept back was begun on a guess. It has no utterance and leaves no trace; `release` gives it to the line at once.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from typing import Final

from longline.agentkit.heard import WordEnd
from longline.agentkit.ports import TextToSpeech
from longline.agentkit.session import CallSession
from longline.agentkit.utterance import Utterance
from longline.agentkit.voice import SOUND_WITHIN_S, spoken
from longline.agentkit.waterfall import Step, Waterfall

MAX_HELD_BYTES: Final = 1_000_000
"""Of sound that is kept back; more is not made before it may be heard."""
_TOLD_WITHIN_S: Final = 1.0


@dataclass(slots=True)
class Said:
    """A sentence, the utterance that says it once it may be heard, and where its words end."""

    text: str
    utterance: Utterance | None = None
    ends: list[WordEnd] = field(default_factory=list)
    kept_back: bytearray = field(default_factory=bytearray)
    is_made: bool = False

    @property
    def heard(self) -> str:
        return "" if self.utterance is None else self.utterance.heard


class Speech:
    """`say` sentence after sentence. `sounds_early` False: of what is kept back no sound is made either."""

    def __init__(
        self,
        call: CallSession,
        tts: TextToSpeech,
        waterfall: Waterfall,
        *,
        is_interruptible: bool = True,
        is_held: bool = False,
        sounds_early: bool = True,
        within_s: float = SOUND_WITHIN_S,
    ) -> None:
        self._call = call
        self._tts = tts
        self._waterfall = waterfall
        self._is_interruptible = is_interruptible
        self._sounds_early = sounds_early
        self._within_s = within_s
        self._held_bytes = 0
        self.released = asyncio.Event()
        if not is_held:
            self.released.set()
        self.said: list[Said] = []

    @property
    def is_held(self) -> bool:
        return not self.released.is_set()

    @property
    def text(self) -> str:
        """What was said, or was to be."""
        return " ".join(said.text for said in self.said)

    @property
    def heard(self) -> str:
        return " ".join(heard for said in self.said if (heard := said.heard))

    @property
    def is_speaking(self) -> bool:
        """Something is left to be heard."""
        return any(said.utterance is not None and not said.utterance.is_over for said in self.said)

    def release(self) -> None:
        """It may be heard from now on."""
        for said in self.said:
            self._begin(said)
            if said.kept_back:
                self._give(said, bytes(said.kept_back))
                said.kept_back.clear()
            if said.is_made:
                self._finish(said)
        self.released.set()

    async def say(self, text: str) -> None:
        """Returns when all of its sound is made. Raises ProviderError."""
        said = Said(text)
        self.said.append(said)
        if not self.is_held:
            self._begin(said)
        elif not self._sounds_early:
            await self.released.wait()
        try:
            async with contextlib.aclosing(
                spoken(self._tts, text, self._call.rate_hz, within_s=self._within_s)
            ) as sounds:
                async for sound in sounds:
                    self._waterfall.tell(Step.FIRST_SOUND, self._now())
                    said.ends += sound.ends
                    if not self.is_held:
                        self._give(said, sound.pcm)
                        continue
                    said.kept_back += sound.pcm
                    self._held_bytes += len(sound.pcm)
                    if self._held_bytes > MAX_HELD_BYTES:
                        await self.released.wait()
        finally:
            said.is_made = True
            self._finish(said)

    async def all_heard(self) -> None:
        for said in list(self.said):
            if said.utterance is not None:
                await said.utterance.ended

    async def silent(self) -> None:
        """Wait, not long, until the line has told what became of all that was said."""
        waiting = [said.utterance.ended for said in self.said if said.utterance is not None]
        if waiting:
            await asyncio.wait(waiting, timeout=_TOLD_WITHIN_S)

    def _begin(self, said: Said) -> None:
        if said.utterance is None:
            said.utterance = self._call.begin(said.text, interruptible=self._is_interruptible)
            said.utterance.ends = said.ends

    def _give(self, said: Said, pcm: bytes) -> None:
        if said.utterance is not None and pcm:
            self._call.add(said.utterance, pcm)
            self._waterfall.tell(Step.SENT, self._now())

    def _finish(self, said: Said) -> None:
        if said.utterance is not None:
            self._call.finish(said.utterance)

    def _now(self) -> float:
        return asyncio.get_running_loop().time()
