"""How much of an utterance has been heard by now: what the line last told, and the clock since.

A line tells every fifth of a second or so; who must know it at any moment (another framework's transport, which gives
its words on as they are heard) asks here. Pure: times are seconds of one clock, handed in.
"""

from __future__ import annotations


class Played:
    """One utterance. What is heard never goes back, and never beyond what was said."""

    def __init__(self) -> None:
        self.said_ms = 0.0
        self._heard_ms = 0.0
        self._given_ms = 0.0
        self._since: float | None = None
        """When `_heard_ms` was heard; None: the utterance has not begun, or is held."""

    def say(self, length_ms: float) -> None:
        """So much more of it was given to the line."""
        self.said_ms += length_ms

    def started(self, now: float) -> None:
        if self._since is None:
            self._since = now

    def told(self, now: float, heard_ms: float) -> None:
        """The line says how much was heard. What was guessed beyond it stands until it is true."""
        self._heard_ms, self._since = heard_ms, now

    def held(self, now: float) -> None:
        self._heard_ms, self._since = self.heard_ms(now), None

    def resumed(self, now: float) -> None:
        self._since = now

    def heard_ms(self, now: float) -> float:
        since = 0.0 if self._since is None else max(0.0, now - self._since) * 1000
        self._given_ms = max(self._given_ms, min(self.said_ms, self._heard_ms + since))
        return self._given_ms

    def due(self, position_ms: float) -> float | None:
        """When so much will have been heard, if nothing happens; None while nothing is."""
        return None if self._since is None else self._since + (position_ms - self._heard_ms) / 1000


class Pace:
    """How fast a voice speaks, for sentences whose sound is not all there yet. Learns."""

    def __init__(self, letter_ms: float = 65.0) -> None:
        self.letter_ms = letter_ms

    def learn(self, text: str, length_ms: float) -> None:
        """So long is all of this text."""
        if text and length_ms > 0:
            self.letter_ms = length_ms / len(text)

    def length_ms(self, text: str, so_far_ms: float) -> float:
        """How long a text will be, of which there is so much sound."""
        return max(so_far_ms, self.letter_ms * len(text))
