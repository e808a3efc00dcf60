"""What a caller keys in, gathered to a whole: keys in, an entry out when it is complete. Times are handed in.

An entry is over with a key that ends it, with as many keys as it may have, or when no key follows for `between_s`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class KeyRules:
    """`ends`: keys that end an entry and are not of it. `longest` keys are enough, so 1 makes each key an entry.
    `between_s` after a key an entry is over. `interrupt`: an agent that speaks stops at a key."""

    ends: str = "#"
    longest: int = 32
    between_s: float = 2.5
    interrupt: bool = True

    def __post_init__(self) -> None:
        if self.longest < 1 or self.between_s <= 0:
            raise ValueError("longest is at least 1, between_s positive")


@dataclass(frozen=True, slots=True)
class Entry:
    keys: str
    ended_by: Literal["key", "length", "time"]


class KeyEntry:
    """Tell it each key, ask `decide` at `deadline`."""

    def __init__(self, rules: KeyRules | None = None) -> None:
        self.rules = rules or KeyRules()
        self.keys = ""
        self.deadline: float | None = None

    def press(self, key: str, at: float) -> Entry | None:
        """Returns the entry that this key completes."""
        if key in self.rules.ends:
            return self._over("key")
        self.keys += key
        if len(self.keys) >= self.rules.longest:
            return self._over("length")
        self.deadline = at + self.rules.between_s
        return None

    def decide(self, now: float) -> Entry | None:
        if self.deadline is None or now < self.deadline:
            return None
        return self._over("time")

    def _over(self, by: Literal["key", "length", "time"]) -> Entry:
        entry = Entry(self.keys, by)
        self.keys, self.deadline = "", None
        return entry
