"""The words of a text, as turn-taking counts them."""

from __future__ import annotations

import re
from typing import Final

_WORD: Final = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")


def words_of(text: str) -> list[str]:
    """The words, in small letters and without marks: "Mm-hm!" is two, "don't" is one."""
    return _WORD.findall(text.lower())


def word_set(text: str) -> frozenset[str]:
    """A table of words, written as a text."""
    return frozenset(text.split())
