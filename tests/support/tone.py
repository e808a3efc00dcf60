"""Tones: made, measured for pitch, and searched for gaps. Signals are int16 arrays, mono, at 8 kHz unless told."""

import wave
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

RATE_HZ = 8000
Samples = NDArray[np.int16]


def tone(pitch_hz: float, seconds: float, amplitude: float = 12_000, rate_hz: int = RATE_HZ) -> Samples:
    """A sine."""
    times = np.arange(round(seconds * rate_hz)) / rate_hz
    return np.asarray(amplitude * np.sin(2 * np.pi * pitch_hz * times), dtype=np.int16)


def pitch_hz(samples: Samples, rate_hz: int = RATE_HZ) -> float:
    """The strongest frequency, to a fraction of a hertz."""
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(np.argmax(spectrum) * rate_hz / len(samples))


def from_ulaw(codes: bytes) -> Samples:
    """The samples that µ-law stands for (ITU-T G.711)."""
    inverted = ~np.frombuffer(codes, dtype=np.uint8)
    magnitude = ((((inverted & 0x0F).astype(np.int32) << 3) + 0x84) << ((inverted & 0x70) >> 4)) - 0x84
    return np.where(inverted & 0x80, -magnitude, magnitude).astype(np.int16)


def to_ulaw(samples: Samples) -> bytes:
    """The nearest codes."""
    values = from_ulaw(bytes(range(256))).astype(int)
    by_value = np.argsort(values, kind="stable")
    edges = (values[by_value][1:] + values[by_value][:-1]) / 2
    return bytes(by_value[np.searchsorted(edges, samples)].astype(np.uint8))


def power_at(samples: Samples, frequency_hz: float, rate_hz: int = RATE_HZ) -> float:
    """The share (0 to 1) of the signal's energy that lies within 30 Hz of a frequency."""
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples)))) ** 2
    frequencies = np.fft.rfftfreq(len(samples), 1 / rate_hz)
    return float(spectrum[np.abs(frequencies - frequency_hz) < 30].sum() / max(spectrum.sum(), 1.0))


def longest_gap_ms(samples: Samples, floor: float = 1500, rate_hz: int = RATE_HZ) -> float:
    """The longest stretch of a tone without a sample above `floor`; a tone's own zero crossings are far shorter."""
    loud = np.flatnonzero(np.abs(samples.astype(int)) > floor)
    if len(loud) == 0:
        return len(samples) * 1000 / rate_hz
    edges = np.concatenate([[loud[0]], loud, [len(samples) - 1]])
    return float(np.max(np.diff(edges)) * 1000 / rate_hz)


def trim_silence(samples: Samples, floor: float = 1500) -> Samples:
    """From the first loud sample to the last."""
    loud = np.flatnonzero(np.abs(samples.astype(int)) > floor)
    return samples[loud[0] : loud[-1] + 1] if len(loud) else samples[:0]


def write_wav(path: Path, samples: Samples, rate_hz: int = RATE_HZ) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate_hz)
        file.writeframes(samples.tobytes())


def read_wav(path: Path) -> Samples:
    """A mono file, also one whose header was never finished: its data reach to the end of the file."""
    data = path.read_bytes()
    start = data.index(b"data") + 8
    return np.frombuffer(data[start : start + (len(data) - start) // 2 * 2], dtype="<i2").astype(np.int16)
