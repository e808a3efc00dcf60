"""A call of a test that is over: who said what when, what was heard, and how it went; and what it is expected to be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from longline.agentkit.testing.record import CallTurn, says, table


class CallFailed(AssertionError):
    """A call was not what it was expected to be; the text says what, and has the transcript."""


@dataclass(slots=True)
class Call:
    """Times are seconds since the call began. `done` is what the agent asked of the line, in words: `hang_up`,
    `transfer sip:desk@example.com`, `dtmf 4#`, `pause`, `resume`, `clear`. `reports` are the agent's own, of each turn,
    with the waterfalls. Each `expect_…` raises CallFailed and returns the call."""

    name: str
    turns: list[CallTurn]
    duration_s: float
    ended_by: str
    problem: str | None = None
    done: list[str] = field(default_factory=list)
    reports: list[Any] = field(default_factory=list)
    audio: bytes = b""
    """What the caller heard, from begin to end, as the line had it."""

    @property
    def heard(self) -> str:
        """All that the caller heard the agent say."""
        return " ".join(turn.text for turn in self.turns if turn.role == "agent" and turn.text)

    @property
    def answers(self) -> list[CallTurn]:
        """The agent's turns that answered something."""
        return [turn for turn in self.turns if turn.answer_ms is not None]

    @property
    def interruptions(self) -> list[CallTurn]:
        """The agent's turns that were spoken into."""
        return [turn for turn in self.turns if turn.was_interrupted]

    def __str__(self) -> str:
        end = f"{self.duration_s:8.2f}  over, by the {self.ended_by or 'network'}"
        return f"{table(self.turns)}\n{end}"

    def expect_heard(self, *texts: str) -> Call:
        """The caller heard each of these, one after the other."""
        rest = self.heard
        for text in texts:
            if not says(rest, text):
                before = says(self.heard, text)
                self.fail(f"the caller did not hear {text!r}" + (" after the ones before it" if before else ""))
            rest = _after(rest, text)
        return self

    def expect_not_heard(self, *texts: str) -> Call:
        for text in texts:
            if says(self.heard, text):
                self.fail(f"the caller heard {text!r}")
        return self

    def expect_answers_within(self, ms: float) -> Call:
        """Each answer began so soon after the caller's last sound."""
        late = [turn for turn in self.answers if (turn.answer_ms or 0) > ms]
        if late:
            worst = max(late, key=lambda turn: turn.answer_ms or 0)
            took = f"{len(late)} of {len(self.answers)} answers took more than {ms:g} ms"
            self.fail(f"{took}, the longest {worst.answer_ms:.0f} ms, at {worst.begun_at:.2f} s")
        return self

    def expect_silent_within(self, ms: float) -> Call:
        """After each interruption the agent was silent so soon, and there was one."""
        if not self.interruptions:
            self.fail("nobody interrupted the agent")
        for turn in self.interruptions:
            if (turn.silent_after_ms or 0) > ms:
                self.fail(
                    f"interrupted at {turn.interrupted_at:.2f} s, it spoke for {turn.silent_after_ms:.0f} ms more"
                )
        return self

    def expect_not_interrupted(self) -> Call:
        """No answer was cut short: not by a noise either."""
        if "clear" in self.done or self.interruptions:
            self.fail("the agent was interrupted")
        return self

    def expect_ended_by(self, who: str) -> Call:
        if self.ended_by != who:
            self.fail(f"the call was ended by the {self.ended_by or 'network'}, not by the {who}")
        return self

    def expect_done(self, *wanted: str) -> Call:
        """The agent asked this of the line: each text begins one of `done`."""
        for text in wanted:
            if not any(done.startswith(text) for done in self.done):
                self.fail(f"the agent did not ask for {text!r}, but for {', '.join(self.done) or 'nothing'}")
        return self

    def fail(self, why: str) -> None:
        """Raises CallFailed, with the transcript."""
        raise CallFailed(failure(why, self))


def failure(why: str, call: Call) -> str:
    return f"{why}\nThe call, at the caller's end (seconds):\n{call}"


def _after(text: str, words: str) -> str:
    """What follows the words in the text."""
    parts: Sequence[str] = text.split()
    for number in range(len(parts)):
        if says(" ".join(parts[: number + 1]), words):
            return " ".join(parts[number + 1 :])
    return text
