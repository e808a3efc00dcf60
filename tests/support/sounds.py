"""What an agent hears that is no interruption, and what is one: made by rule and seed, at 8 kHz.

Voices are a harmonic source under three formants, syllable by syllable: enough for what tells voices by level or by
spectrum, not for a recogniser (`flite` speaks for that). Levels are dB of full scale, over what is loud of a sound.
"""

import functools
import importlib
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from tests.support.tone import RATE_HZ, Samples, read_wav

Signal = NDArray[np.float64]
FRAME = RATE_HZ // 50
VOWELS = {
    "a": (730, 1090, 2440),
    "e": (530, 1840, 2480),
    "i": (270, 2290, 3010),
    "o": (570, 840, 2410),
    "u": (300, 870, 2240),
    "ae": (660, 1720, 2410),
    "m": (250, 1000, 2200),
}
"""The first three formants in Hz (Peterson and Barney 1952, men); "m" is a murmur through the nose."""


# --- levels -----------------------------------------------------------------------------------------------------------


def frame_levels_db(signal: Signal | Samples, frame: int = FRAME) -> Signal:
    """RMS of each frame, in dB of full scale (32,768)."""
    whole = signal[: len(signal) // frame * frame].astype(float).reshape(-1, frame)
    power = np.maximum((whole**2).mean(axis=1) / 32_768.0**2, 1e-12)
    return np.asarray(10 * np.log10(power))


def loudness_db(signal: Signal | Samples) -> float:
    """RMS of the frames that are within 20 dB of the loudest."""
    levels = frame_levels_db(signal)
    loud = levels[levels > levels.max() - 20]
    return float(10 * np.log10(np.mean(10 ** (loud / 10))))


def at_level(signal: Signal | Samples, level_db: float) -> Samples:
    full = signal.astype(float) * 32_767 / max(float(np.abs(signal).max()), 1e-9)
    scaled = full * 10 ** ((level_db - loudness_db(full)) / 20)
    return np.clip(np.round(scaled), -32_767, 32_767).astype(np.int16)


def first_voiced_sample(speech: Samples) -> int:
    """Where two times 5 ms first are within 20 dB of the loudest 20 ms, and above -50 dB."""
    step = RATE_HZ // 200
    levels = frame_levels_db(speech, step)
    is_loud = levels >= max(-50.0, float(frame_levels_db(speech).max()) - 20)
    return int(np.argmax(is_loud[:-1] & is_loud[1:])) * step


def mixed(*parts: Samples) -> Samples:
    """On top of each other, as long as the longest."""
    out = np.zeros(max(map(len, parts)), dtype=np.int32)
    for part in parts:
        out[: len(part)] += part
    return np.clip(out, -32_767, 32_767).astype(np.int16)


def silence(seconds: float) -> Samples:
    return np.zeros(round(seconds * RATE_HZ), dtype=np.int16)


# --- voices -----------------------------------------------------------------------------------------------------------


def _syllable(random: np.random.Generator, f0: tuple[float, float], vowels: tuple[str, str], seconds: float) -> Signal:
    """From one vowel and pitch to another."""
    count = round(seconds * RATE_HZ)
    way = np.linspace(0, 1, count)
    pitch = f0[0] + (f0[1] - f0[0]) * way + 2 * np.sin(2 * np.pi * 5 * way * seconds + random.uniform(0, 6))
    phase = 2 * np.pi * np.cumsum(pitch) / RATE_HZ
    out = np.zeros(count)
    for number in range(1, int(3_600 / min(f0)) + 1):
        hz = number * pitch
        gain = np.zeros(count)
        for at, width in enumerate((90, 110, 170)):
            formant = VOWELS[vowels[0]][at] * (1 - way) + VOWELS[vowels[1]][at] * way
            gain += (1.0, 0.5, 0.2)[at] * np.exp(-(((hz - formant) / (2.5 * width)) ** 2))
        out += gain / number**0.3 * np.sin(number * phase + random.uniform(0, 6)) * (hz < 3_700)
    rise, fall = min(count // 3, 200), min(count // 3, 400)
    out[:rise] *= np.linspace(0, 1, rise) ** 2
    out[-fall:] *= np.linspace(1, 0, fall) ** 2
    return out


def _noise(random: np.random.Generator, seconds: float, low_hz: float, high_hz: float, slope: float = 0.0) -> Signal:
    """Noise of a band; `slope` -1 is pink."""
    count = round(seconds * RATE_HZ)
    spectrum = np.fft.rfft(random.standard_normal(count))
    hz = np.fft.rfftfreq(count, 1 / RATE_HZ)
    spectrum *= ((hz >= low_hz) & (hz <= high_hz)) * np.maximum(hz, 20.0) ** (slope / 2)
    return np.asarray(np.fft.irfft(spectrum, count))


def talk(seconds: float, seed: int, level_db: float = -20.0) -> Samples:
    """Somebody talks: syllables, consonants, short pauses."""
    random = np.random.default_rng(seed)
    base = random.uniform(95, 210)
    parts: list[Signal] = []
    names = list(VOWELS)
    length = 0
    while length < seconds * RATE_HZ:
        for _ in range(int(random.integers(2, 7))):
            pitch = base * random.uniform(0.85, 1.25)
            pair = (str(random.choice(names)), str(random.choice(names)))
            parts.append(
                _syllable(random, (pitch, pitch * random.uniform(0.85, 1.1)), pair, random.uniform(0.11, 0.24))
            )
            parts[-1] /= np.abs(parts[-1]).max()
            consonant = _noise(random, random.uniform(0.03, 0.09), 1_500, 3_700)
            parts.append(consonant / np.abs(consonant).max() * random.uniform(0.02, 0.2))
        parts.append(np.zeros(round(random.uniform(0.05, 0.45) * RATE_HZ)))
        length = sum(map(len, parts))
    return at_level(np.concatenate(parts)[: round(seconds * RATE_HZ)], level_db)


def backchannel(words: str, seed: int, level_db: float = -26.0) -> Samples:
    """A listener's "mm-hm", "uh-huh", "yeah", "okay" or "mm"."""
    random = np.random.default_rng(seed)
    base = random.uniform(100, 220)
    shapes: dict[str, list[tuple[tuple[str, str], float, tuple[float, float]]]] = {
        "mm": [(("m", "m"), 0.3, (1.0, 0.9))],
        "mm-hm": [(("m", "m"), 0.16, (1.0, 0.95)), (("m", "m"), 0.22, (1.1, 1.25))],
        "uh-huh": [(("a", "a"), 0.12, (1.0, 0.95)), (("a", "a"), 0.2, (1.1, 1.2))],
        "yeah": [(("i", "ae"), 0.28, (1.1, 0.9))],
        "okay": [(("o", "o"), 0.13, (1.0, 1.0)), (("e", "i"), 0.24, (1.15, 0.95))],
    }
    parts: list[Signal] = []
    for vowels, seconds, (first, last) in shapes[words]:
        if parts:
            parts.append(0.02 * _noise(random, 0.04, 300, 2_500))
        one = _syllable(random, (base * first, base * last), vowels, seconds * random.uniform(0.85, 1.2))
        parts.append(one / np.abs(one).max())
    return at_level(np.concatenate(parts), level_db)


BACKCHANNELS = ("mm", "mm-hm", "uh-huh", "yeah", "okay")


def breath(seed: int, level_db: float = -42.0) -> Samples:
    random = np.random.default_rng(seed)
    seconds = random.uniform(0.4, 0.9)
    out = _noise(random, seconds, 200, 2_500, -1) * np.sin(np.pi * np.linspace(0, 1, round(seconds * RATE_HZ))) ** 1.5
    return at_level(out, level_db)


def cough(seed: int, level_db: float = -18.0) -> Samples:
    """One to three bursts that begin at once and die away."""
    random = np.random.default_rng(seed)
    parts: list[Signal] = []
    for _ in range(int(random.integers(1, 4))):
        burst = _noise(random, random.uniform(0.15, 0.28), 150, 3_200, -0.7)
        fall = np.exp(-np.linspace(0, random.uniform(3, 5), len(burst)))
        fall[:40] *= np.linspace(0, 1, 40)
        parts += [burst / np.abs(burst).max() * fall, np.zeros(round(random.uniform(0.06, 0.2) * RATE_HZ))]
    return at_level(np.concatenate(parts), level_db)


def far_talk(seconds: float, seed: int, level_db: float = -40.0) -> Samples:
    """Somebody else in the room, with the room around him."""
    random = np.random.default_rng(seed)
    dry = talk(seconds, seed).astype(float)
    room = random.standard_normal(RATE_HZ // 3) * np.exp(-np.linspace(0, 7, RATE_HZ // 3))
    room[0] = 2.0
    size = 1 << (len(dry) + len(room)).bit_length()
    wet = np.fft.irfft(np.fft.rfft(dry, size) * np.fft.rfft(room, size), size)[: len(dry)]
    return at_level(wet, level_db)


# --- what is no voice -------------------------------------------------------------------------------------------------


def noise(seconds: float, seed: int, level_db: float = -45.0, kind: str = "pink") -> Samples:
    """`white`, `pink`, `car` (below 400 Hz) or `street` (pink that swells and falls by 8 dB every few seconds)."""
    random = np.random.default_rng(seed)
    if kind == "car":
        return at_level(_noise(random, seconds, 20, 400, -1), level_db)
    out = _noise(random, seconds, 50, 3_800, 0 if kind == "white" else -1)
    if kind == "street":
        steps = np.arange(0, len(out) + 2 * RATE_HZ, RATE_HZ)
        slow = np.interp(np.arange(len(out)), steps, random.uniform(-8, 0, len(steps)))
        out = out * 10 ** (slow / 20)
    return at_level(out, level_db)


def clicks(seconds: float, seed: int, level_db: float = -34.0) -> Samples:
    """A keyboard: 4 ms each, five a second."""
    random = np.random.default_rng(seed)
    out = np.zeros(round(seconds * RATE_HZ))
    at = 0
    while (at := at + int(random.exponential(0.2) * RATE_HZ) + 400) < len(out) - 40:
        out[at : at + 32] += random.standard_normal(32) * np.exp(-np.linspace(0, 4, 32)) * random.uniform(0.4, 1)
    return at_level(out, level_db)


def hold_music(seconds: float, seed: int, level_db: float = -24.0) -> Samples:
    """Plucked chords over a bass, 112 beats a minute, through a telephone."""
    random = np.random.default_rng(seed)
    out = np.zeros(round(seconds * RATE_HZ) + 2 * RATE_HZ)
    root = 220 * 2 ** (int(random.integers(0, 12)) / 12)
    beat = 60 / 112
    chords = ((0, 4, 7), (9, 12, 16), (5, 9, 12), (7, 11, 14))
    for number in range(int(seconds / beat) + 1):
        chord = chords[number // 4 % 4]
        notes = [chord[number % 3], *([n - 12 for n in chord] if number % 2 == 0 else [])]
        for note in notes:
            hz = root * 2 ** (note / 12)
            times = np.arange(round(1.2 * RATE_HZ)) / RATE_HZ
            sound = sum(
                np.sin(2 * np.pi * hz * k * times + k) / k * np.exp(-times * (2 + k))
                for k in range(1, 6)
                if hz * k < 3_600
            )
            start = round(number * beat * RATE_HZ)
            end = min(len(out), start + len(times))
            out[start:end] += np.asarray(sound)[: end - start] * (1 if note == chord[number % 3] else 0.5)
    return at_level(out[: round(seconds * RATE_HZ)], level_db)


def echo(own: Samples, loss_db: float = 20.0, delay_ms: float = 120.0) -> Samples:
    """What comes back of our own speech: later, quieter, without its lowest tones."""
    delay = round(delay_ms * RATE_HZ / 1_000)
    spectrum = np.fft.rfft(own.astype(float))
    spectrum[np.fft.rfftfreq(len(own), 1 / RATE_HZ) < 300] = 0
    back = np.fft.irfft(spectrum, len(own)) * 10 ** (-loss_db / 20)
    return np.concatenate([np.zeros(delay), back])[: len(own)].astype(np.int16)


# --- real words -------------------------------------------------------------------------------------------------------


@functools.cache
def flite(text: str, voice: str = "rms") -> Samples:
    """Spoken by flite, at 8 kHz, without the silence around it."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / "said.wav"
        subprocess.run(["flite", "-voice", voice, "-t", text, "-o", str(file)], check=True, capture_output=True)
        rate = int.from_bytes(file.read_bytes()[24:28], "little")
        said = read_wav(file)
    if rate != RATE_HZ:
        said = np.asarray(importlib.import_module("soxr").resample(said, rate, RATE_HZ)).astype(np.int16)
    loud = np.flatnonzero(np.abs(said.astype(int)) > 200)
    return said[max(0, loud[0] - 80) : loud[-1] + 80]
