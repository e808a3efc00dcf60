"""Takes out what a model thinks before it answers, where a server leaves that in the answer: `<think>…</think>`."""

from __future__ import annotations

from enum import Enum
from typing import Final

OPEN: Final = "<think>"
CLOSE: Final = "</think>"


class _State(Enum):
    BEGINS = "it is not known yet whether it begins with a thought"
    THINKS = "until the end of the thought"
    SPEAKS = "all is said"


class Spoken:
    """`add` the pieces of an answer: what it returns is to be said. Only a thought at the beginning is looked for."""

    def __init__(self) -> None:
        self._held = ""
        self._state = _State.BEGINS

    def add(self, piece: str) -> str:
        if self._state is _State.SPEAKS:
            return piece
        self._held += piece
        if self._state is _State.BEGINS:
            begun = self._held.lstrip()
            if len(begun) < len(OPEN) and OPEN.startswith(begun):
                return ""
            if not begun.startswith(OPEN):
                return self.rest()
            self._state = _State.THINKS
        _, close, answer = self._held.partition(CLOSE)
        if not close:
            self._held = self._held[-len(CLOSE) :]
            return ""
        self._state, self._held = _State.SPEAKS, ""
        return answer.lstrip()

    def rest(self) -> str:
        """What was held back, when the answer is over: nothing of a thought that never ended."""
        held, self._held = self._held, ""
        if self._state is _State.THINKS:
            return ""
        self._state = _State.SPEAKS
        return held
