"""What a listener says while he listens: "mm-hm", "right". It is no turn, and nobody answers it.

Unless it was meant: who says "yes" just before the agent has done asking has answered. So the last aside is kept, and
is a turn after all when the agent falls silent within `answers_s` of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from longline.agentkit.turns.backchannel import is_backchannel

ANSWERS_S: Final = 1.5


@dataclass(frozen=True, slots=True)
class Aside:
    """Seconds: `until` is when its last voiced sound ended, `over_at` when it was called over."""

    text: str
    until: float
    over_at: float


class Asides:
    """Tell it of what is over while the agent speaks, and when the agent has said all."""

    def __init__(self, answers_s: float = ANSWERS_S) -> None:
        self._answers_s = answers_s
        self._last: Aside | None = None

    def takes(self, said: Aside, *, agent_speaks: bool) -> bool:
        """Whether it was said aside; else it is a turn, and what was said aside before it is forgotten."""
        is_aside = agent_speaks and is_backchannel(said.text)
        self._last = said if is_aside else None
        return is_aside

    def agent_silent(self, now: float) -> Aside | None:
        """What was said aside so shortly before that it is an answer."""
        last, self._last = self._last, None
        return last if last is not None and now - last.until <= self._answers_s else None
