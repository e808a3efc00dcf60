"""What a model says, piece by piece, made into what a voice can say: sentences, the first of them as soon as may be."""

from __future__ import annotations

import re
from typing import Final

FIRST_WORDS: Final = 4
"""The first clause may go ahead of its sentence when it has so many words."""
LONGEST: Final = 300
"""Characters that are said together at most."""
_END: Final = re.compile(r"(?<![A-Z][a-z])(?<!\b[A-Z])[.!?…]+[\"'”’)\]]*(?=\s)|\n+")
_CLAUSE: Final = re.compile(r"[,;:–](?=\s)")


class Sentences:
    """`add` pieces, say what it returns, then what `rest` has."""

    def __init__(self) -> None:
        self._text = ""
        self._is_first = True

    def add(self, piece: str) -> list[str]:
        self._text += piece
        whole = []
        while (end := self._cut()) is not None:
            part, self._text = self._text[:end].strip(), self._text[end:].lstrip()
            if part:
                whole.append(part)
                self._is_first = False
        return whole

    def rest(self) -> str:
        """What is left when the model has ended."""
        rest, self._text = self._text.strip(), ""
        return rest

    def _cut(self) -> int | None:
        if (match := _END.search(self._text)) is not None:
            return match.end()
        if self._is_first:
            for clause in _CLAUSE.finditer(self._text):
                if len(self._text[: clause.start()].split()) >= FIRST_WORDS:
                    return clause.end()
        if len(self._text) > LONGEST:
            space = self._text.rfind(" ", 0, LONGEST)
            return space if space > 0 else LONGEST
        return None


def split(text: str) -> list[str]:
    """A text that is known whole, in the pieces in which it is said."""
    sentences = Sentences()
    return [*sentences.add(text), *([rest] if (rest := sentences.rest()) else [])]
