"""When nobody has said anything for too long, and what is done about it. Times are handed in."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum


class Act(Enum):
    HANG_UP = "all prompts have been said, and nobody has answered"


class Silence:
    """Tell it whether it is quiet, ask `decide` at `deadline`: it gives the prompts one after the other, then
    `Act.HANG_UP`. Without prompts silence is nobody's business."""

    def __init__(self, prompts: Sequence[str], after_s: float) -> None:
        self._prompts = list(prompts)
        self._after_s = after_s
        self._since: float | None = None
        self._next = 0

    @property
    def deadline(self) -> float | None:
        return None if self._since is None or not self._prompts else self._since + self._after_s

    def tell(self, is_quiet: bool, now: float) -> None:
        if not is_quiet:
            self._since = None
        elif self._since is None:
            self._since = now

    def answered(self) -> None:
        """The caller has said something: the prompts begin anew."""
        self._next = 0

    def decide(self, now: float) -> str | Act | None:
        """A prompt, or what else is to be done now."""
        deadline = self.deadline
        if deadline is None or now < deadline:
            return None
        self._since = None
        if self._next >= len(self._prompts):
            return Act.HANG_UP
        self._next += 1
        return self._prompts[self._next - 1]
