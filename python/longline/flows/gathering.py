"""Collecting keys, decided without a clock: what was pressed, when it is enough, and until when to wait."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from longline.flows.fields import DIGITS_MAX

GatherReason = Literal["num_digits", "finish_key", "timeout"]


@dataclass(slots=True)
class Gathering:
    """`press`, `listen` when the prompt is over, `handle_timeout` when `deadline` has come; over when there is a
    `reason`. Times are seconds of any clock."""

    timeout_s: float
    num_digits: int | None = None
    finish_key: str = "#"
    digits: str = ""
    reason: GatherReason | None = None
    deadline: float | None = None

    def listen(self, now: float) -> None:
        """The prompt is over: from now on nothing is waited for longer than the time-out."""
        if self.deadline is None:
            self.deadline = now + self.timeout_s

    def press(self, now: float, key: str) -> None:
        if self.reason is not None:
            return
        if key == self.finish_key:
            self.reason = "finish_key"
            return
        self.digits += key
        self.deadline = now + self.timeout_s
        if len(self.digits) >= (self.num_digits or DIGITS_MAX):
            self.reason = "num_digits"

    def handle_timeout(self, now: float) -> None:
        if self.reason is None and self.deadline is not None and now >= self.deadline:
            self.reason = "timeout"
