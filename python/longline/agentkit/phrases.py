"""What is said when something is wrong, made into sound before it is needed: it can be said whatever fails."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field

from longline.agentkit.ports import ProviderError, TextToSpeech
from longline.agentkit.voice import spoken


@dataclass(slots=True)
class Phrases:
    """`wait` when an answer takes long, `sorry` when it has failed, `goodbye` when nothing more can be done."""

    wait: str = "One moment, please."
    sorry: str = "Sorry, something went wrong on my side. Could you say that again?"
    goodbye: str = "I am sorry, I have a technical problem. Please call again later. Goodbye."
    sounds: dict[str, bytes] = field(default_factory=dict)

    async def prepare(self, tts: TextToSpeech, rate_hz: int) -> None:
        for text in (self.wait, self.sorry, self.goodbye):
            with contextlib.suppress(ProviderError):
                pieces = [sound.pcm async for sound in spoken(tts, text, rate_hz)]
                self.sounds[text] = b"".join(pieces)
