"""Where the words of a text end in its sound, from what a voice tells of it: characters or words, with their times.

A voice tells of what it said, which may be written otherwise than the text (numbers, spaces, quotes): what cannot be
found in the text near the place where it should be is passed over.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from longline.agentkit.heard import WordEnd

SLACK: Final = 24
"""Characters of the text that a voice may have passed over."""


class Alignment:
    """Of one text; tell it in order. Seconds are of the sound of the whole text."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self.end_s = 0.0
        """Up to where it was told."""

    def characters(self, characters: Iterable[str], ends_s: Iterable[float]) -> tuple[WordEnd, ...]:
        """The words that end within these characters."""
        found = []
        for character, end_s in zip(characters, ends_s, strict=False):
            self.end_s = float(end_s)
            if self._find(character) and self._is_end and not character.isspace():
                found.append(WordEnd(self._at, float(end_s) * 1_000))
        return tuple(found)

    def words(self, words: Iterable[str], ends_s: Iterable[float]) -> tuple[WordEnd, ...]:
        """Each with the marks that follow it."""
        found = []
        for word, end_s in zip(words, ends_s, strict=False):
            self.end_s = float(end_s)
            if not self._find(word.strip()):
                continue
            while self._at < len(self._text) and not (here := self._text[self._at]).isspace() and not here.isalnum():
                self._at += 1
            found.append(WordEnd(self._at, float(end_s) * 1_000))
        return tuple(found)

    @property
    def _is_end(self) -> bool:
        return self._at == len(self._text) or self._text[self._at].isspace()

    def _find(self, part: str) -> bool:
        at = self._text.find(part, self._at, self._at + SLACK + len(part)) if part else -1
        if at >= 0:
            self._at = at + len(part)
        return at >= 0


class Samples:
    """Whole samples of 16 bits of what comes in pieces of any length."""

    def __init__(self) -> None:
        self._odd = b""

    def whole(self, pcm: bytes) -> bytes:
        pcm = self._odd + pcm
        even = len(pcm) & ~1
        self._odd = pcm[even:]
        return pcm[:even]
