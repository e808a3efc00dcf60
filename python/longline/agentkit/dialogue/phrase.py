"""What may be said, written as JSGF writes it: `[i need] an appointment [on <day>] | (how about | rather) <day>`.

Words follow each other, `|` is one or the other, brackets are what may be left out, parentheses hold together, and
`<name>` is what is written under that name elsewhere. A phrase is matched against words, and is the grammar of a
recogniser. Leaves out repetition, weights and tags.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

MAX_DEPTH: Final = 20
_TOKEN: Final = re.compile(r"\s*(?:(?P<mark>[\[\]()|])|<(?P<name>[^<>\s]*)>|(?P<word>[^\s\[\]()|<>]+)|(?P<other>\S))")
_WORD: Final = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")


class PhraseError(ValueError):
    """The text says what is wrong, and where."""


@dataclass(frozen=True, slots=True)
class Phrase:
    """A tree: `kind` is `word` or `name` (of `text`), `all` in a row, `one` of many, or `maybe`."""

    kind: str
    text: str = ""
    parts: tuple[Phrase, ...] = ()

    def names(self) -> Iterator[str]:
        """What it refers to."""
        if self.kind == "name":
            yield self.text
        for part in self.parts:
            yield from part.names()

    def regex(self, of_name: Callable[[str], str]) -> str:
        """For `re`, against words that have a space behind each."""
        if self.kind == "word":
            return re.escape(self.text) + " "
        if self.kind == "name":
            return of_name(self.text)
        parts = [part.regex(of_name) for part in self.parts]
        if self.kind == "all":
            return "".join(parts)
        return f"(?:{'|'.join(parts)})" + ("?" if self.kind == "maybe" else "")

    def jsgf(self) -> str | None:
        """As a recogniser has it. Words with digits are left out, and what is nothing without them: nobody says "9"."""
        if self.kind == "word":
            return None if any(letter.isdigit() for letter in self.text) else self.text
        if self.kind == "name":
            return f"<{self.text}>"
        parts = [part.jsgf() for part in self.parts]
        if self.kind == "all":
            return None if None in parts else " ".join(part for part in parts if part)
        spoken = [part for part in parts if part]
        if self.kind == "maybe":
            return f"[{' | '.join(spoken)}]" if spoken else ""
        return f"({' | '.join(spoken)})" if spoken else None

    def can_be_empty(self) -> bool:
        """Whether it is said by saying nothing, as far as it can be told without what it refers to."""
        if self.kind in ("word", "name"):
            return False
        if self.kind == "maybe":
            return True
        return (all if self.kind == "all" else any)(part.can_be_empty() for part in self.parts)


def words(text: str) -> str:
    """Words in small letters, each with a space behind it: what a phrase is matched against."""
    return "".join(f"{word} " for word in _WORD.findall(text.lower().replace("’", "'")))


def parse_phrase(text: str) -> Phrase:
    """Raises PhraseError."""
    parser = _Parser(text)
    found = parser.one(0)
    parser.end()
    if found.can_be_empty():
        raise PhraseError("it can be said by saying nothing")
    return found


class _Parser:
    def __init__(self, text: str) -> None:
        self._tokens = [match for match in _TOKEN.finditer(text) if match.group().strip()]
        self._at = 0

    def one(self, depth: int) -> Phrase:
        if depth > MAX_DEPTH:
            raise PhraseError(f"more than {MAX_DEPTH} brackets within each other")
        ways = [self._all(depth)]
        while self._take("|"):
            ways.append(self._all(depth))
        return ways[0] if len(ways) == 1 else Phrase("one", parts=tuple(ways))

    def end(self) -> None:
        if self._at < len(self._tokens):
            token = self._tokens[self._at]
            raise PhraseError(f"{token.group().strip()!r} at column {token.end()} closes nothing")

    def _all(self, depth: int) -> Phrase:
        parts: list[Phrase] = []
        while self._at < len(self._tokens):
            token = self._tokens[self._at]
            mark, column = token["mark"], token.end()
            if mark in ("|", "]", ")"):
                break
            self._at += 1
            if mark:
                inner = self.one(depth + 1)
                if not self._take({"[": "]", "(": ")"}[mark]):
                    raise PhraseError(f"{mark!r} at column {column} is not closed")
                parts.append(Phrase("maybe", parts=(inner,)) if mark == "[" else inner)
            elif token["name"]:
                parts.append(Phrase("name", token["name"]))
            elif token["word"] and (spoken := words(token["word"]).split()):
                parts += [Phrase("word", word) for word in spoken]
            else:
                raise PhraseError(f"{token.group().strip()!r} at column {column} is no word")
        if not parts:
            where = self._tokens[self._at].end() if self._at < len(self._tokens) else "the end"
            raise PhraseError(f"a word is missing at column {where}")
        return parts[0] if len(parts) == 1 else Phrase("all", parts=tuple(parts))

    def _take(self, mark: str) -> bool:
        if self._at < len(self._tokens) and self._tokens[self._at]["mark"] == mark:
            self._at += 1
            return True
        return False
