"""What the applications of this folder share: what they tell the test, what they say, what they listen for.

An application tells by one JSON object a line on its standard output. It greets with a long tone, gives way as soon as
it hears the caller, answers the key 5 with another tone, and takes its leave at the key #.
"""

from __future__ import annotations

import json
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.int16]

RATE_HZ = 8000
GREETING_HZ, GREETING_S = 500, 20.0
REPLY_HZ, REPLY_S = 900, 0.6
REPLY_KEY, END_KEY = "5", "#"
LOUD = 1500
"""What is above it is the caller's voice, not the line's noise."""
HEARD_S = 0.4
"""How much of a voice is measured for its pitch."""


def tell(event: str, **details: Any) -> None:
    print(json.dumps({"event": event, "at": time.time(), **details}), flush=True)


def tone(pitch_hz: float, seconds: float, rate_hz: int = RATE_HZ) -> Samples:
    times = np.arange(round(seconds * rate_hz)) / rate_hz
    return np.asarray(12_000 * np.sin(2 * np.pi * pitch_hz * times), dtype=np.int16)


class Ear:
    """Hears the caller: `feed` says True once, when he starts to talk; his pitch is told when enough was heard."""

    def __init__(self) -> None:
        self._voice: list[Samples] = []
        self._is_done = False

    def feed(self, samples: Samples, rate_hz: int) -> bool:
        if self._is_done or not (self._voice or np.abs(samples.astype(int)).max(initial=0) > LOUD):
            return False
        starts = not self._voice
        self._voice.append(samples)
        if sum(map(len, self._voice)) >= HEARD_S * rate_hz:
            self._is_done = True
            voice = np.concatenate(self._voice)
            spectrum = np.abs(np.fft.rfft(voice * np.hanning(len(voice))))
            tell("heard", pitch_hz=float(np.argmax(spectrum) * rate_hz / len(voice)))
        return starts


_MULAW = np.array(
    [
        (-1 if ~code & 0x80 else 1) * (((((code & 0x0F) ^ 0x0F) << 3) + 0x84 << (((code & 0x70) ^ 0x70) >> 4)) - 0x84)
        for code in range(256)
    ],
    dtype=np.int16,
)
_BY_VALUE = np.argsort(_MULAW, kind="stable")
_EDGES = (_MULAW[_BY_VALUE][1:].astype(int) + _MULAW[_BY_VALUE][:-1]) / 2


def from_mulaw(codes: bytes) -> Samples:
    return np.asarray(_MULAW[np.frombuffer(codes, dtype=np.uint8)])


def to_mulaw(samples: Samples) -> bytes:
    return _BY_VALUE[np.searchsorted(_EDGES, samples)].astype(np.uint8).tobytes()
