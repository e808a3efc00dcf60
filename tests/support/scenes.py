"""Ten minutes of what is no interruption, and what a transcriber finds in it. By rule and seed."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from tests.support import sounds
from tests.support.tone import RATE_HZ, Samples


@dataclass(frozen=True)
class Scene:
    """What comes from the caller's side, and which words a transcriber finds in it, with when each begins and ends."""

    name: str
    audio: Samples
    words: tuple[tuple[float, float, str], ...] = ()


def scattered(
    name: str,
    made: Sequence[tuple[Samples, str]],
    minutes: float,
    seed: int,
    every_s: float = 5.0,
    floor_db: float = -62,
) -> Scene:
    """These sounds in turn, one in `every_s` seconds on average, over the hiss of a line."""
    random = np.random.default_rng(seed)
    audio = sounds.noise(minutes * 60, seed, floor_db, "white")
    words, at = [], 2.0
    for sound, text in _again(made):
        if at + len(sound) / RATE_HZ > minutes * 60 - 2:
            break
        first = round(at * RATE_HZ)
        audio[first : first + len(sound)] = sounds.mixed(audio[first : first + len(sound)], sound)
        if text:
            words.append((at, at + len(sound) / RATE_HZ, text))
        at += len(sound) / RATE_HZ + random.uniform(0.5, 1.5) * every_s
    return Scene(name, audio, tuple(words))


def _again(made: Sequence[tuple[Samples, str]]) -> Iterator[tuple[Samples, str]]:
    while True:
        yield from made


def not_meant(minutes: float, seed: int = 1) -> list[Scene]:
    """What is no interruption, each for so long."""
    seconds = minutes * 60
    levels = np.random.default_rng(seed).uniform(-32, -20, 40)
    backchannels = [
        (sounds.backchannel(sounds.BACKCHANNELS[n % 5], seed + n, float(levels[n])), sounds.BACKCHANNELS[n % 5])
        for n in range(40)
    ]
    wordless = [(sound, "") for sound, _ in backchannels]
    steady = [("noise, white", "white", -48.0), ("noise, pink", "pink", -42.0), ("noise, car", "car", -34.0)]
    return [
        *(Scene(name, sounds.noise(seconds, seed, level, kind)) for name, kind, level in steady),
        Scene("noise, street", sounds.noise(seconds, seed, -38.0, "street")),
        Scene("noise that begins", _begins(sounds.noise(seconds, seed, -36.0, "pink"))),
        Scene("keyboard", sounds.mixed(sounds.clicks(seconds, seed), sounds.noise(seconds, seed, -58.0))),
        Scene("music on hold", sounds.hold_music(seconds, seed)),
        Scene("far talk", sounds.far_talk(seconds, seed)),
        scattered("breaths", [(sounds.breath(seed + n), "") for n in range(40)], minutes, seed, 3.0),
        scattered("coughs", [(sounds.cough(seed + n), "") for n in range(40)], minutes, seed, 6.0),
        scattered("backchannels", backchannels, minutes, seed),
        scattered("backchannels, not understood", wordless, minutes, seed),
    ]


def _begins(noise: Samples) -> Samples:
    """Somebody opens a window, every half minute, and closes it after another."""
    half = 30 * RATE_HZ
    gate = (np.arange(len(noise)) // half % 2 == 1) * 1.0
    return np.asarray(noise * np.maximum(gate, 10 ** (-25 / 20))).astype(np.int16)
