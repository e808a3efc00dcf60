"""What of a sentence the caller has really heard: the words before the moment at which it stopped.

Where the synthesiser tells when its words end, they are cut there; where it does not, by length: speech is even enough
that a word is put where its letters put it. A word counts when it was heard to its end, so what is given back is never
more than what was heard by more than the error of that guess.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

_WORD: Final = re.compile(r"\S+")


@dataclass(frozen=True, slots=True)
class WordEnd:
    """Of `text[:end]` the last word is over at `at_ms` of the sound."""

    end: int
    at_ms: float


def word_ends(text: str, duration_ms: float) -> list[WordEnd]:
    """By length alone: each letter, mark and space takes the same time."""
    if not text:
        return []
    return [WordEnd(match.end(), duration_ms * match.end() / len(text)) for match in _WORD.finditer(text)]


def heard_text(
    text: str, duration_ms: float, heard_ms: float, ends: Sequence[WordEnd] | None = None, tolerance_ms: float = 60
) -> str:
    """The words of `text`, of `duration_ms` in all, that `heard_ms` of it hold. `ends`, rising, when they are known."""
    if heard_ms + tolerance_ms >= duration_ms > 0:
        return text
    known = word_ends(text, duration_ms) if ends is None else ends
    last = max((end.end for end in known if end.at_ms <= heard_ms + tolerance_ms), default=0)
    return text[:last]
