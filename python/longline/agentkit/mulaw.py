"""µ-law (ITU-T G.711) to linear PCM of 16 bits and back, by two tables."""

from __future__ import annotations

from typing import Final

import numpy

_BIAS: Final = 0x84
_CLIP: Final = 32_635


def _decode(code: int) -> int:
    code = ~code & 0xFF
    magnitude = (((code & 0x0F) << 3) + _BIAS << (code >> 4 & 7)) - _BIAS
    return -magnitude if code & 0x80 else magnitude


def _encode(sample: int) -> int:
    sign = 0x80 if sample < 0 else 0
    magnitude = min(abs(sample), _CLIP) + _BIAS
    exponent = magnitude.bit_length() - 8
    return ~(sign | exponent << 4 | magnitude >> exponent + 3 & 0x0F) & 0xFF


_LINEAR: Final = numpy.array([_decode(code) for code in range(256)], "<i2")
_CODES: Final = numpy.array(
    [_encode(sample - 0x10000 if sample >= 0x8000 else sample) for sample in range(0x10000)], "B"
)


def to_linear(codes: bytes) -> bytes:
    """PCM, little-endian, two bytes for each code."""
    return bytes(_LINEAR[numpy.frombuffer(codes, "B")].tobytes())


def from_linear(pcm: bytes) -> bytes:
    """A code for each sample; half a sample at the end is left out."""
    return bytes(_CODES[numpy.frombuffer(pcm, "<u2", len(pcm) // 2)].tobytes())
