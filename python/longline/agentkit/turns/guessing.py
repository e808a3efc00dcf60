"""Whether to begin an answer before it is certain that the caller's turn is over, and what he will have said.

A guess is worth it when the words sound finished: then it is begun while the silence that ends a turn is still waited
for, and it is kept when the turn ends in the same words. Otherwise it is dropped and another may be made, at most
`most` in a turn: each costs a request to a model.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from longline.agentkit.turns.words import words_of


@dataclass(frozen=True, slots=True)
class GuessRules:
    """How finished the words must be (0 to 1, see `Completeness`): `silent` once the caller has fallen silent,
    `speaking` while his voice is still heard. Words of which that cannot be told count as 0.5. `most` 0: no guesses.
    `sounds`: the voice is begun as well, so that speech is ready at the end of the turn."""

    silent: float = 0.5
    speaking: float = 0.85
    most: int = 3
    sounds: bool = True


class Guess(Enum):
    BEGIN = "begin an answer to these words, and drop the one before it"
    DROP = "drop the answer that was begun"


def is_same(one: str, other: str) -> bool:
    """Marks and capitals are none of the words."""
    return words_of(one) == words_of(other)


class Guesser:
    """Tell it what is understood, do what it returns; `is_right` when the turn is over."""

    def __init__(self, rules: GuessRules | None = None) -> None:
        self.rules = rules or GuessRules()
        self.text: str | None = None
        self._made = 0

    def understood(self, text: str, finished: float | None, *, is_speaking: bool) -> Guess | None:
        if self.text is not None and is_same(text, self.text):
            return None
        least = self.rules.speaking if is_speaking else self.rules.silent
        if words_of(text) and self._made < self.rules.most and (0.5 if finished is None else finished) >= least:
            self.text = text
            self._made += 1
            return Guess.BEGIN
        return self.drop()

    def drop(self) -> Guess | None:
        was, self.text = self.text, None
        return None if was is None else Guess.DROP

    def is_right(self, text: str) -> bool:
        """The turn is over, and this is what was said. The next one begins anew."""
        right = self.text is not None and is_same(text, self.text)
        self.text, self._made = None, 0
        return right
