"""How long a sound took to come back: normalised cross-correlation of what was played with what was heard.

By FFT: the whole call at once, and half a second at a time where that is not alike enough, since a jitter buffer on the
way makes sound shorter and longer as it follows the network.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RATE_HZ = 8000
"""Both signals: mono, 8 kHz."""

LONGEST_LAG_MS = 5000
"""No echo is looked for beyond this delay."""

ECHO_CORRELATION = 0.5
"""From this likeness on (1 is identical but for loudness) what was heard counts as what was played."""

QUIET_RMS = 30.0
"""Below this level, of 32,767, a signal holds nothing to correlate."""


WINDOW_SAMPLES = RATE_HZ // 2
"""What is looked for at a time when the echo moves."""

STEADY = 0.9
"""An echo this like what was played has not moved."""


@dataclass(frozen=True)
class Echo:
    """Where the played signal stands in the heard one."""

    delay_ms: float
    correlation: float


def find_echo(played: NDArray[np.int16], heard: NDArray[np.int16]) -> Echo | None:
    """The delay at which `heard` is most like `played`, or None when it is not in there.

    Both arrays start at the same instant. Of an echo that moves it is the median, of delay and likeness.
    """
    whole = _find(played, heard)
    if whole is not None and whole.correlation >= STEADY:
        return whole
    echoes = []
    for start in range(0, len(played) - WINDOW_SAMPLES + 1, WINDOW_SAMPLES):
        window = played[start : start + WINDOW_SAMPLES]
        reach = heard[start : start + WINDOW_SAMPLES + LONGEST_LAG_MS * RATE_HZ // 1000]
        if _rms(_centred(window)) >= QUIET_RMS:
            echoes.append(_find(window, reach))
    found = sorted((echo for echo in echoes if echo is not None), key=lambda echo: echo.delay_ms)
    if 2 * len(found) <= len(echoes):
        return whole
    likeness = float(np.median([echo.correlation for echo in found]))
    return Echo(delay_ms=found[len(found) // 2].delay_ms, correlation=likeness)


def _find(played: NDArray[np.int16], heard: NDArray[np.int16]) -> Echo | None:
    """The lag of the highest correlation of `played` with as much of `heard`, normalised by the energy of both."""
    source = _centred(played)
    target = np.concatenate([_centred(heard), np.zeros(len(source))])
    if _rms(source) < QUIET_RMS or _rms(target) < QUIET_RMS:
        return None
    lags = min(LONGEST_LAG_MS * RATE_HZ // 1000, len(target) - len(source)) + 1
    size = 1 << (len(source) + len(target) - 1).bit_length()
    spectrum = np.fft.rfft(target, size) * np.conj(np.fft.rfft(source, size))
    products = np.fft.irfft(spectrum, size)[:lags]
    energy = np.concatenate([[0.0], np.cumsum(target**2)])
    window_energy = energy[len(source) : len(source) + lags] - energy[:lags]
    likeness = products / np.sqrt(np.maximum(window_energy, 1.0) * np.sum(source**2))
    best = int(np.argmax(likeness))
    if likeness[best] < ECHO_CORRELATION:
        return None
    return Echo(delay_ms=best * 1000 / RATE_HZ, correlation=float(likeness[best]))


def _centred(samples: NDArray[np.int16]) -> NDArray[np.float64]:
    wide = samples.astype(np.float64)
    return wide - wide.mean() if len(wide) else wide


def _rms(samples: NDArray[np.float64]) -> float:
    return float(np.sqrt(np.mean(samples**2))) if len(samples) else 0.0
