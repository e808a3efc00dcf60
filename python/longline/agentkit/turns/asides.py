"""What a listener says while he listens: "mm-hm", "right". It is no turn, and nobody answers it.

Unless it was meant: who says "yes" just before the agent has done asking has answered. So the last aside is kept, and
is a turn after all when the agent falls silent within `answers_s` of it.
"""

from __future__ import annotations

from typing import Final

from longline.agentkit.turns.backchannel import is_backchannel
from longline.agentkit.turns.endpointing import TurnOver

ANSWERS_S: Final = 1.5


class Asides:
    """Tell it of turns that are over while the agent speaks, and when the agent has said all."""

    def __init__(self, answers_s: float = ANSWERS_S) -> None:
        self._answers_s = answers_s
        self._last: TurnOver | None = None

    def takes(self, text: str, over: TurnOver, *, agent_speaks: bool) -> bool:
        """Whether it was said aside; else it is a turn, and what was said aside before it is forgotten."""
        is_aside = agent_speaks and is_backchannel(text)
        self._last = TurnOver(over.spoke_until, over.at, text) if is_aside else None
        return is_aside

    def agent_silent(self, now: float) -> TurnOver | None:
        """What was said aside so shortly before that it is an answer."""
        last, self._last = self._last, None
        return last if last is not None and now - last.spoke_until <= self._answers_s else None
