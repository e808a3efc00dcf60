"""Where the time of one answer went: from the caller's last sound to the agent's first that he heard.

    end of speech → received → endpoint → transcript → first token → first sound made → first packet sent → heard

Each step is told once, when it happened; what did not happen (no model was asked) takes no time. Times are handed in.
`received` is the jitter buffer of the node, whose wait is known where the line tells it; the network between the caller
and the node is not in it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class Step(StrEnum):
    """In the order in which they happen."""

    END_OF_SPEECH = "end_of_speech"
    RECEIVED = "received"
    ENDPOINT = "endpoint"
    TRANSCRIPT = "transcript"
    FIRST_TOKEN = "first_token"
    FIRST_SOUND = "first_sound"
    SENT = "sent"
    HEARD = "heard"


ORDER = tuple(Step)


@dataclass(slots=True)
class Waterfall:
    """One turn of the agent. `at` is seconds of one clock."""

    at: dict[Step, float] = field(default_factory=dict)

    def tell(self, step: Step, at: float) -> None:
        """The first time counts."""
        self.at.setdefault(step, at)

    def waited(self, wait_s: float) -> None:
        """What was told as the end of speech had come so long before: that was the end, and this its receipt."""
        end = self.at.get(Step.END_OF_SPEECH)
        if end is not None and wait_s > 0 and Step.RECEIVED not in self.at:
            self.at[Step.END_OF_SPEECH], self.at[Step.RECEIVED] = end - wait_s, end

    @property
    def is_whole(self) -> bool:
        return Step.END_OF_SPEECH in self.at and Step.HEARD in self.at

    @property
    def total_ms(self) -> float | None:
        """`end_of_speech_to_heard_ms`; None while it is not heard, or when the agent spoke unasked."""
        if not self.is_whole:
            return None
        return round(1000 * (self.at[Step.HEARD] - self.at[Step.END_OF_SPEECH]), 1)

    def parts_ms(self) -> dict[str, float]:
        """How long after the one before it each step came; their sum is the total. A step that came early, since work
        was begun on a guess, takes nothing, and what came after it counts from the later of the two."""
        parts: dict[str, float] = {}
        last = self.at.get(Step.END_OF_SPEECH)
        for step in ORDER[1:]:
            if last is None or step not in self.at:
                continue
            parts[step.value] = round(1000 * max(0.0, self.at[step] - last), 1)
            last = max(last, self.at[step])
        return parts

    def row(self) -> str:
        """One line of the table that a terminal shows."""
        cells = self.parts_ms()
        shown = "".join(f"{cells[step.value]:>14.0f}" if step.value in cells else f"{'–':>14}" for step in ORDER[1:])
        total = self.total_ms
        return f"{'–' if total is None else f'{total:.0f}':>8}{shown}"


def head() -> str:
    """What stands above the rows."""
    return f"{'ms':>8}" + "".join(f"{step.value.replace('_', ' '):>14}" for step in ORDER[1:])
