"""From the rate of a synthesiser to that of the line, piece by piece."""

from __future__ import annotations

import importlib
from typing import Any

import numpy


class Resampler:
    """To one rate. `convert` gives what can be given, `rest` the end. soxr does the work; equal rates need none."""

    def __init__(self, to_hz: int) -> None:
        self._to_hz = to_hz
        self._from_hz = to_hz
        self._stream: Any = None
        self._odd = b""

    def convert(self, pcm: bytes, from_hz: int) -> bytes:
        pcm, self._odd = self._odd + pcm, b""
        if len(pcm) % 2:
            pcm, self._odd = pcm[:-1], pcm[-1:]
        if from_hz == self._to_hz:
            return pcm
        if self._stream is None or self._from_hz != from_hz:
            self._stream = _soxr().ResampleStream(from_hz, self._to_hz, 1, dtype="int16")
            self._from_hz = from_hz
        return bytes(self._stream.resample_chunk(numpy.frombuffer(pcm, "<i2")).astype("<i2").tobytes())

    def rest(self) -> bytes:
        """What the filter still holds; the next piece begins anew."""
        if self._stream is None:
            return b""
        last = self._stream.resample_chunk(numpy.zeros(0, "<i2"), last=True)
        self._stream = None
        return bytes(last.astype("<i2").tobytes())


def _soxr() -> Any:
    """Raises ImportError that says what to install."""
    try:
        return importlib.import_module("soxr")
    except ImportError as error:
        raise ImportError("a voice at another rate than the line's needs soxr: pip install longline[agent]") from error
