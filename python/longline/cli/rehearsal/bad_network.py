"""A bad network with a seed: which packet is lost, and how late each other one comes. Pure: times are handed in."""

from __future__ import annotations

from random import Random
from typing import Final

from longline.agentkit.testing.script_file import Impairment

OVERTAKEN_S: Final = 0.045
"""How much later than it should a packet comes that is overtaken: two more of 20 ms are before it."""


class BadNetwork:
    """One direction of one call. What is not to be overtaken never is, however much the delay varies."""

    def __init__(self, impairment: Impairment, seed: str) -> None:
        self._impairment = impairment
        self._random = Random(seed)
        self._last_due = 0.0
        self.lost = 0

    def due(self, now: float) -> float | None:
        """When a packet that is sent now arrives; None: never. The same draws are made whatever becomes of it, so that
        one setting does not change what another does with the same seed."""
        lost, late, overtaken = (self._random.random() for _ in range(3))
        if lost < self._impairment.loss:
            self.lost += 1
            return None
        due = now + late * self._impairment.jitter_ms / 1_000
        if overtaken < self._impairment.reorder:
            return max(due, self._last_due) + OVERTAKEN_S
        self._last_due = max(due, self._last_due)
        return self._last_due
