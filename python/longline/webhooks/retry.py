"""When a webhook that was not acknowledged is sent again. Pure: randomness is handed in, time is the caller's."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Exponential back-off with jitter: the n-th retry waits between half and all of `first_s * 2^(n-1)`, capped.

    The defaults spread 8 retries over 4 to 8 minutes.
    """

    retries_max: int = 8
    first_s: float = 2.0
    longest_s: float = 300.0

    def delay_s(self, attempts: int, random: Callable[[], float]) -> float | None:
        """How long to wait after this many failed attempts; None for no further one. `random` is in [0, 1)."""
        if attempts > self.retries_max:
            return None
        whole = min(self.longest_s, self.first_s * 2.0 ** (attempts - 1))
        return whole / 2 + random() * whole / 2
