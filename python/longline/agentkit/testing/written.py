"""Speech that a fake can read: a tone that is as long as its words take to say, with the words in its low bytes.

Each 20 ms of a voiced word holds the word, its number and whether it is the last 20 ms of it, so that whoever reads the
samples knows which words have been heard to their end, wherever a queue was cut, held or repeated. It survives what
keeps samples as they are (a line in memory, linear PCM), not µ-law, resampling or loss: there it is a tone like any.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

FRAME_MS: Final = 20
MS_PER_LETTER: Final = 40
"""The letters of a word and the space behind it: 150 words a minute, as people speak."""
_MAGIC: Final = b"\xa7\x3c\x5e"
_HEAD: Final = len(_MAGIC) + 3
_LONGEST: Final = 60
"""Octets of one word; of a longer one the rest is not written."""
_LOUD: Final = (0x20, 0xE0)
"""The high bytes of the samples in turn: a level of -12 dB."""
_WORD: Final = re.compile(r"\S+\s*")


def frame_bytes(rate_hz: int) -> int:
    return 2 * rate_hz * FRAME_MS // 1_000


def silence(rate_hz: int, ms: float = FRAME_MS) -> bytes:
    return bytes(2 * round(rate_hz * ms / 1_000))


def voice(rate_hz: int, low: bytes = b"") -> bytes:
    """20 ms of the tone; `low` are the low bytes of its first samples."""
    samples = frame_bytes(rate_hz) // 2
    pcm = bytearray(2 * samples)
    pcm[0 : 2 * min(len(low), samples) : 2] = low[:samples]
    pcm[1::2] = bytes(_LOUD) * (samples // 2)
    return bytes(pcm)


def spoken(text: str, rate_hz: int, ms_per_letter: float = MS_PER_LETTER) -> Iterator[bytes]:
    """The text in frames of 20 ms; the space behind a word is silent."""
    written = 0.0
    for number, match in enumerate(_WORD.finditer(text)):
        word = match[0].rstrip()
        octets = word.encode()[:_LONGEST]
        written += len(word) * ms_per_letter / FRAME_MS
        frames = max(1, round(written))
        written -= frames
        for left in reversed(range(frames)):
            yield voice(rate_hz, _MAGIC + bytes((number % 256, left == 0, len(octets))) + octets)
        written += (len(match[0]) - len(word)) * ms_per_letter / FRAME_MS
        for _ in range(max(0, round(written))):
            yield silence(rate_hz)
        written -= max(0, round(written))


class WordReader:
    """Give it all samples in their order, cut as they come."""

    def __init__(self) -> None:
        self._low = bytearray()
        self._odd = b""
        self._last: tuple[int, str] | None = None

    def read(self, pcm: bytes) -> list[str]:
        """The words that were over with these samples."""
        pcm = self._odd + pcm
        self._odd = pcm[len(pcm) & ~1 :]
        self._low += pcm[: len(pcm) & ~1 : 2]
        words: list[str] = []
        begin = self._low.find(_MAGIC)
        while begin >= 0 and len(self._low) >= begin + _HEAD:
            number, is_end, length = self._low[begin + _HEAD - 3 : begin + _HEAD]
            end = begin + _HEAD + length
            if len(self._low) < end:
                break
            word = (number, self._low[begin + _HEAD : end].decode(errors="replace"))
            if is_end and word != self._last:
                words.append(word[1])
            self._last = word if is_end else None
            del self._low[:end]
            begin = self._low.find(_MAGIC)
        keep = len(self._low) if begin >= 0 else len(_MAGIC) - 1
        del self._low[: max(0, len(self._low) - keep)]
        return words
