"""What the lines of other platforms have in common with each other: JSON text one way and the other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from longline.agentkit.line import CallInfo


@dataclass(frozen=True, slots=True)
class Audio:
    pcm: bytes


@dataclass(frozen=True, slots=True)
class Pressed:
    digit: str


@dataclass(frozen=True, slots=True)
class Marked:
    """All before the mark has been played, or was cleared."""

    name: str


@dataclass(frozen=True, slots=True)
class Stopped:
    """The stream is over."""


Read = Audio | Pressed | Marked | Stopped | None


class Codec(Protocol):
    """One platform's messages, for one stream. What is not understood is None, never an exception."""

    rate_hz: int
    confirms: bool
    """Whether it has marks."""

    @property
    def info(self) -> CallInfo: ...

    def read(self, text: str) -> Read: ...

    def audio(self, pcm: bytes) -> str: ...

    def clear(self) -> str: ...

    def mark(self, name: str) -> str | None: ...
