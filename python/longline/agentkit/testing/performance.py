"""A script being played: told what the caller hears, it says what he does. Pure: times are handed in.

What the caller does next depends on the agent: he waits for its words, lets it finish, or speaks over it.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Final

from longline.agentkit.testing.record import GAP_S, says
from longline.agentkit.testing.script import Hears, Interrupts, IsHungUp, Presses, Says, Script, Step, Waits, told

TALKS_ON_S: Final = 0.5
"""Speech that goes on for so long while a caller listens is for him."""


@dataclass(frozen=True, slots=True)
class Speak:
    text: str
    interrupts: bool = False


@dataclass(frozen=True, slots=True)
class Press:
    digits: str


@dataclass(frozen=True, slots=True)
class HangUp:
    pass


Action = Speak | Press | HangUp


class Performance:
    """`tick` it every few milliseconds. `problem` says what did not happen that the caller waited for; he then hangs
    up."""

    def __init__(self, script: Script, begun_at: float) -> None:
        self.script = script
        self.problem: str | None = None
        self.failed_step: int | None = None
        self._steps = deque(enumerate(script.steps))
        self._since = begun_at
        """When the step at hand began."""
        self._voiced_from: float | None = None
        """When the agent was first heard in this step."""
        self._onset: float | None = None
        """When it last began to speak."""
        self._voiced_until: float | None = None
        self._words: list[str] = []
        self._is_over = False

    @property
    def step(self) -> Step | None:
        """The one at hand."""
        return self._steps[0][1] if self._steps else None

    def hear(self, at: float, *, is_voiced: bool, words: list[str] | None = None) -> None:
        """What the caller hears of the agent just now."""
        self._words += words or []
        if is_voiced:
            if self._voiced_until is None or at - self._voiced_until > GAP_S:
                self._onset = at
            self._voiced_from = at if self._voiced_from is None else self._voiced_from
            self._voiced_until = at

    def knows(self, words: str) -> bool:
        """Whether the caller has heard these words in the step at hand."""
        return says(" ".join(self._words), words)

    def tick(self, now: float, *, is_busy: bool, is_over: bool = False) -> Action | None:
        """What the caller does now. `is_busy`: he is still speaking or pressing; `is_over`: the agent has hung up."""
        if self._is_over:
            return None
        if is_busy and not is_over:
            self._begin_step(now)
            return None
        while self._steps:
            number, step = self._steps[0]
            match step:
                case Says(text):
                    return self._do(now, Speak(text), is_over)
                case Presses(digits):
                    return self._do(now, Press(digits), is_over)
                case Interrupts(text, after_s, within_s):
                    if self._voiced_from is not None and now >= self._voiced_from + after_s:
                        if self._is_silent(now):
                            return self._fail(number, f"the agent had nothing more to say after {after_s:g} s")
                        return self._do(now, Speak(text, interrupts=True), is_over)
                    if is_over or now >= self._since + within_s + after_s:
                        return self._fail(number, "the agent did not speak" if not is_over else "the agent hung up")
                    return None
                case Waits(seconds):
                    if not is_over and now < self._since + seconds:
                        return None
                    self._done(now)
                case Hears(words, within_s):
                    if self._has_heard(words) and (is_over or self._is_silent(now)):
                        self._done(now)
                        continue
                    if is_over or now >= max(self._since, self._voiced_until or 0.0) + within_s:
                        return self._fail(number, "the agent hung up" if is_over else self._instead())
                    return None
                case IsHungUp(within_s):
                    if is_over:
                        self._done(now)
                        continue
                    if now >= max(self._since, self._voiced_until or 0.0) + within_s:
                        return self._fail(number, "the agent did not")
                    return None
                case _:
                    self._done(now)
                    return self._hang_up()
        return self._hang_up() if is_over or now >= self._since + self.script.pause_s else None

    def _do(self, now: float, action: Action, is_over: bool) -> Action | None:
        if is_over:
            return self._fail(self._steps[0][0], "the agent had hung up")
        self._done(now)
        return action

    def _done(self, now: float) -> None:
        self._steps.popleft()
        self._begin_step(now)

    def _begin_step(self, now: float) -> None:
        self._since = now
        self._voiced_from = None
        self._words.clear()

    def _has_heard(self, words: str) -> bool:
        if words:
            return self.knows(words)
        if self._onset is None or self._voiced_until is None or self._voiced_from is None:
            return False
        # What was being said when the step began, and stops, is no answer to what the caller did before it.
        return self._onset >= self._since or self._voiced_until >= self._since + TALKS_ON_S

    def _is_silent(self, now: float) -> bool:
        return self._voiced_until is None or now - self._voiced_until >= self.script.pause_s

    def _instead(self) -> str:
        if self._words:
            return f"heard instead: {' '.join(self._words)!r}"
        return "the agent said nothing" if self._voiced_from is None else "the agent said something else"

    def _hang_up(self) -> Action:
        self._is_over = True
        return HangUp()

    def _fail(self, number: int, why: str) -> Action:
        self.failed_step = number
        line = f", line {self.script.lines[number]}" if number < len(self.script.lines) else ""
        of = f"step {number + 1} of {len(self.script.steps)}{line}"
        self.problem = f"{self.script.name}: {of}, “{told(self.script.steps[number])}”: {why}"
        return self._hang_up()
