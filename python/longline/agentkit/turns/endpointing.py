"""When the caller's turn is over: silence long enough, and how long that is for this caller and these words.

The wait after the last voiced sound lies between `shortest_s` and `longest_s`. It begins at `first_s`, follows the
pauses that this caller makes within his turns (`pauses.py`), and is moved by how finished the words are: a
`Completeness` of 1 cuts it to the shortest, one of 0 draws it out to the longest, and none leaves it. A turn that was
called over too early, because the caller went on within `regret_s`, is a pause that is learned from as well.

Leaves out: what is voice (the VAD's), what the words are (the transcriber's), and what is said next.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Final

from longline.agentkit.turns.pauses import Pauses

MAX_PAUSE_S: Final = 5.0
"""A longer silence is no pause within a turn, whatever came after it."""


Completeness = Callable[[str], float | None]
"""How finished a sentence is that somebody says: 0 (he will go on) to 1 (he has said it); None: it cannot tell."""


Judge = Callable[[str], Awaitable[float | None]]
"""The same, by somebody who takes his time: what he says counts if it comes while the words are still the same."""


def cannot_tell(_: str) -> float | None:
    return None


@dataclass(frozen=True, slots=True)
class EndpointingRules:
    """Seconds. `regret_s` after its end a turn may still turn out not to have been over. `stale_s`: a voice that goes
    on for so long without another word is not his who spoke (a television, music), whose turn ended with his words."""

    shortest_s: float = 0.25
    first_s: float = 0.6
    longest_s: float = 1.6
    regret_s: float = 1.0
    stale_s: float = 3.0

    def __post_init__(self) -> None:
        if not 0 < self.shortest_s <= self.first_s <= self.longest_s:
            raise ValueError("shortest_s, first_s and longest_s must be positive and rise")


@dataclass(frozen=True, slots=True)
class TurnOver:
    """`spoke_until` is when the last voiced sound ended, `at` when the turn was called over; `text` what was said, of
    which the transcriber will not say `final` again."""

    spoke_until: float
    at: float
    text: str
    final: str = ""

    def with_final(self, text: str) -> TurnOver:
        """The last words of it are known."""
        whole = " ".join(part for part in (self.final, text) if part)
        return replace(self, text=whole, final=whole)

    def with_partial(self, text: str) -> TurnOver:
        """The last words of it may be these."""
        return replace(self, text=" ".join(part for part in (self.final, text) if part))


class Endpointer:
    """Tell it what happens, ask `decide` at `deadline`. One for each caller: it learns. `pauses` are what is known of
    him already."""

    def __init__(
        self,
        rules: EndpointingRules | None = None,
        completeness: Completeness = cannot_tell,
        pauses: Pauses | None = None,
    ) -> None:
        self.rules = rules or EndpointingRules()
        self._completeness = completeness
        self._pauses = pauses or Pauses()
        self._speaks = False
        self._stopped_at: float | None = None
        self._last: TurnOver | None = None
        self._finals: list[str] = []
        self._partial = ""
        self._words_at: float | None = None
        self._judged: tuple[str, float | None] | None = None

    @property
    def pauses(self) -> Pauses:
        """What has been learned of this caller."""
        return self._pauses

    @property
    def text(self) -> str:
        """What has been understood of the turn so far."""
        return " ".join(part for part in (*self._finals, self._partial) if part)

    @property
    def is_speaking(self) -> bool:
        return self._speaks

    @property
    def finished(self) -> float | None:
        """How finished the words sound: as somebody has judged them (`judged`), or by the rule for all."""
        text = self.text
        if self._judged is not None and self._judged[0] == text and self._judged[1] is not None:
            return self._judged[1]
        return self._completeness(text) if text else None

    def judged(self, text: str, finished: float | None) -> None:
        """Somebody who takes his time says how finished these words are. Of other words it says nothing."""
        self._judged = (text, finished)

    @property
    def wait_s(self) -> float:
        """The silence that would end the turn now."""
        rules = self.rules
        learned = self._pauses.longest_s()
        wait = rules.first_s if learned is None else learned
        wait = min(max(wait, rules.shortest_s), rules.longest_s)
        finished = self.finished
        if finished is None:
            return wait
        if finished >= 0.5:
            return wait + (rules.shortest_s - wait) * (2 * finished - 1)
        return wait + (rules.longest_s - wait) * (1 - 2 * finished)

    @property
    def deadline(self) -> float | None:
        """When to ask; None while the caller speaks or has not begun."""
        if self._speaks:
            return None if self._words_at is None or not self.text else self._words_at + self.rules.stale_s
        return None if self._stopped_at is None else self._stopped_at + self.wait_s

    def speech_started(self, at: float) -> TurnOver | None:
        """Returns the turn that was called over too early, if this goes on with it."""
        self._speaks = True
        if self._stopped_at is not None:
            self._learn(at - self._stopped_at)
            self._stopped_at = None
            return None
        last, self._last = self._last, None
        if last is None or at - last.at > self.rules.regret_s:
            return None
        self._learn(at - last.spoke_until)
        self._finals = [last.final] if last.final else []
        self._partial = last.text.removeprefix(last.final).strip()
        return last

    def answered(self) -> None:
        """The caller hears an answer: what he says now is no more of that turn."""
        self._last = None

    def speech_stopped(self, at: float) -> None:
        if self._speaks:
            self._speaks, self._stopped_at = False, at

    def last_words(self, over: TurnOver) -> None:
        """What was understood of a turn after it was called over."""
        if self._last is not None:
            self._last = over

    def transcript(self, text: str, *, is_final: bool, at: float | None = None) -> None:
        """What has been understood: a partial replaces the one before it, a final stands. `at` is now."""
        if at is not None and text not in ("", self._partial):
            self._words_at = at
        if is_final:
            self._finals += [text] if text else []
            self._partial = ""
        else:
            self._partial = text

    def decide(self, now: float) -> TurnOver | None:
        """Whether the turn is over; it is told once."""
        deadline = self.deadline
        spoke_until = self._words_at if self._speaks else self._stopped_at
        if deadline is None or spoke_until is None or now < deadline:
            return None
        over = TurnOver(spoke_until, now, self.text, " ".join(self._finals))
        self._last, self._stopped_at = None if self._speaks else over, None
        self._finals, self._partial, self._words_at, self._judged = [], "", None, None
        return over

    def _learn(self, pause_s: float) -> None:
        if 0 < pause_s <= MAX_PAUSE_S:
            self._pauses = self._pauses.heard(pause_s)
