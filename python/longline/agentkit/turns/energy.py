"""Voices by their level: louder than the background by `margin_db` for long enough. Who is silent tells the background.

Needs nothing but the samples. Tells voice from silence and steady noise; music and other people's talk it takes for
voices, which is what a model (Silero) is for.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy

from longline.agentkit.turns.vad import Change, Runs

FLOOR_DB: Final = -60.0
"""Nothing is quieter, as far as this cares."""
PIECE_MS: Final = 2
"""To which a voice's end is told."""


@dataclass(frozen=True, slots=True)
class EnergyRules:
    """dB, and milliseconds: so much voice starts it, so much silence stops it. `creep_db_s`: the background rises by so
    much a second under what is taken for a voice: speech has gaps that take it down again, a noise that stays has none
    and is background in the end."""

    margin_db: float = 12.0
    least_db: float = -45.0
    start_ms: float = 60.0
    stop_ms: float = 200.0
    creep_db_s: float = 3.0


def level_db(pcm: bytes) -> float:
    """The RMS level of PCM of 16 bits, in dB below the loudest square wave."""
    samples = numpy.frombuffer(pcm, "<i2", len(pcm) // 2).astype(numpy.float32)
    power = float(numpy.dot(samples, samples)) / max(1, len(samples))
    return max(FLOOR_DB, 10 * math.log10(power / 32768**2) if power else FLOOR_DB)


def quiet_end_ms(pcm: bytes, rate_hz: int, least_db: float) -> float:
    """How much of a frame is quiet after the last of its pieces that is as loud as this."""
    step = 2 * rate_hz * PIECE_MS // 1_000
    quiet = 0.0
    for begin in range(len(pcm) - step, -1, -step):
        if level_db(pcm[begin : begin + step]) >= least_db:
            return quiet
        quiet += PIECE_MS
    return 0.0


class EnergyVad:
    """`hear` frame after frame; a change is told with when it really happened: `start_ms` or `stop_ms` before."""

    def __init__(self, rules: EnergyRules | None = None) -> None:
        self.rules = rules or EnergyRules()
        self._runs = Runs(self.rules.start_ms, self.rules.stop_ms)
        self.background_db = FLOOR_DB + self.rules.margin_db / 2
        self._loud: tuple[bytes, float] | None = None
        """The last frame that was loud, and how loud it had to be."""

    @property
    def is_voiced(self) -> bool:
        return self._runs.is_voiced

    def hear(self, pcm: bytes, rate_hz: int, at_ms: float) -> tuple[Change, float] | None:
        """`at_ms` is where the frame begins. Returns the change and where in the audio it was, in milliseconds."""
        length_ms = len(pcm) * 500 / rate_hz
        level = level_db(pcm)
        least_db = max(self.rules.least_db, self.background_db + self.rules.margin_db)
        is_loud = level >= least_db
        if is_loud:
            self._loud = pcm, least_db
            self.background_db += self.rules.creep_db_s * length_ms / 1_000
        else:
            # Down at once, up slowly: a background that rises is one only when it stays.
            rate = 0.5 if level < self.background_db else min(1.0, length_ms / 1_000)
            self.background_db += (level - self.background_db) * rate
        change = self._runs.hear(is_loud, at_ms, length_ms)
        if change is None or is_loud or self._loud is None:
            return change
        # A voice ends within a frame: what is behind it need not be waited for.
        return "stopped", change[1] - quiet_end_ms(self._loud[0], rate_hz, self._loud[1])
