"""How long a caller has waited for the model, and what is due then. Times are handed in.

    begin → asks for patience (once) → gives up        the model speaks: its sound is waited out first

A model that stops in mid-sentence has failed sooner than one that has not begun.
"""

from __future__ import annotations

from enum import Enum

from longline.agentkit.answer import Patience


class Due(Enum):
    ASK_PATIENCE = "the caller is asked for patience"
    GIVE_UP = "the model has failed"


class Waiting:
    """Tell it what happens, ask `decide` at `deadline`."""

    def __init__(self, patience: Patience) -> None:
        self._patience = patience
        self._since: float | None = None
        self._has_asked = False

    @property
    def is_on(self) -> bool:
        return self._since is not None

    def begin(self, now: float) -> None:
        self._since, self._has_asked = now, False

    def goes_on(self, now: float) -> None:
        """Something has come, and more is to."""
        if self._since is not None:
            self._since = now

    def end(self) -> None:
        self._since = None

    def ask(self) -> bool:
        """Whether the caller is to be asked for patience now: once, and only when he waits."""
        may, self._has_asked = self._since is not None and not self._has_asked, True
        return may

    def deadline(self, plays_until: float, *, is_open: bool) -> float | None:
        """What has come is played until then; `is_open`: the model is in the middle of something."""
        if self._since is None:
            return None
        is_last = self._has_asked and not is_open
        return max(self._since, plays_until) + (self._patience.all_s if is_last else self._patience.first_s)

    def decide(self, now: float, plays_until: float, *, is_open: bool) -> Due | None:
        if self._since is None:
            return None
        waited_s = now - max(self._since, plays_until)
        if waited_s >= (self._patience.first_s if is_open else self._patience.all_s):
            return Due.GIVE_UP
        return Due.ASK_PATIENCE if waited_s >= self._patience.first_s and self.ask() else None
