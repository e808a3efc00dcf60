"""How long somebody pauses within what he says: learned from the pauses that turned out to be none of the end."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Pauses:
    """A running mean and mean deviation, as RFC 6298 §2 keeps them of round trips: quick to learn, slow to forget."""

    mean_s: float = 0.0
    deviation_s: float = 0.0
    count: int = 0

    def heard(self, pause_s: float) -> Pauses:
        """With one more pause in it."""
        if self.count == 0:
            return Pauses(pause_s, pause_s / 2, 1)
        off = abs(pause_s - self.mean_s)
        return replace(
            self,
            mean_s=0.75 * self.mean_s + 0.25 * pause_s,
            deviation_s=0.75 * self.deviation_s + 0.25 * off,
            count=self.count + 1,
        )

    def longest_s(self, deviations: float = 2.0) -> float | None:
        """A pause that few of this person's exceed; None before one was heard."""
        return self.mean_s + deviations * self.deviation_s if self.count else None
