"""What the model says: each item of its conversation, the utterance that says it, and how much of that was heard."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any, Final

from longline.agentkit import mulaw
from longline.agentkit.conversation import Turn
from longline.agentkit.heard import heard_text
from longline.agentkit.resample import Resampler
from longline.agentkit.utterance import Utterance

MULAW_HZ: Final = 8_000
PCM_HZ: Final = 24_000


class Codec:
    """Between a line's samples and the session's: µ-law on a line of 8 kHz, else PCM at 24 kHz."""

    def __init__(self, rate_hz: int) -> None:
        self._is_mulaw = rate_hz == MULAW_HZ
        self._rate_hz = rate_hz
        self._up = Resampler(PCM_HZ)

    @property
    def format(self) -> dict[str, Any]:
        return {"type": "audio/pcmu"} if self._is_mulaw else {"type": "audio/pcm", "rate": PCM_HZ}

    def to_model(self, pcm: bytes) -> str:
        data = mulaw.from_linear(pcm) if self._is_mulaw else self._up.convert(pcm, self._rate_hz)
        return base64.b64encode(data).decode()

    def decoder(self) -> Decoder:
        return Decoder(self._rate_hz, is_mulaw=self._is_mulaw)


class Decoder:
    """Of one item."""

    def __init__(self, rate_hz: int, *, is_mulaw: bool) -> None:
        self._is_mulaw = is_mulaw
        self._down = Resampler(rate_hz)

    def take(self, delta: str) -> bytes:
        """Raises ValueError."""
        data = base64.b64decode(delta, validate=True)
        return mulaw.to_linear(data) if self._is_mulaw else self._down.convert(data, PCM_HZ)

    def rest(self) -> bytes:
        return b"" if self._is_mulaw else self._down.rest()


@dataclass(slots=True)
class Item:
    """One spoken item. `turn` is its place in the conversation."""

    id: str
    content_index: int
    response_id: str
    utterance: Utterance
    decoder: Decoder
    turn: Turn
    text: str = ""
    is_whole: bool = False

    @property
    def heard(self) -> str:
        if self.utterance.is_over and not self.utterance.was_cut:
            return self.text
        return heard_text(self.text, self.utterance.said_ms, self.utterance.heard_ms)

    @property
    def truncate_at_ms(self) -> int:
        """Never beyond what there is of it: the API takes that for an error."""
        return int(min(self.utterance.heard_ms, self.utterance.said_ms))
