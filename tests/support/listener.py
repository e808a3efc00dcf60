"""An agent that speaks without end and listens: what of ten minutes makes it pause, and what interrupts it.

Only what decides is here, the detector and the rules of barge-in, so that minutes take seconds. A transcriber tells its
words `PARTIAL_AFTER_S` after they began, and that they were all when the voice was silent for `FINAL_AFTER_S`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from longline.agentkit.turns.barge_in import BargeIn, BargeInRules, Decision, State
from longline.agentkit.turns.vad import Vad
from tests.support import sounds
from tests.support.sounds import FRAME, RATE_HZ, Samples

FRAME_S = FRAME / RATE_HZ
PARTIAL_AFTER_S, FINAL_AFTER_S = 0.35, 0.7
AGAIN_AFTER_S = 1.0
"""Who was interrupted speaks again when it has been quiet for so long."""


@dataclass(frozen=True)
class Scene:
    """What comes from the caller's side, and which words a transcriber finds in it, and when each begins and ends."""

    name: str
    audio: Samples
    words: tuple[tuple[float, float, str], ...] = ()

    @property
    def minutes(self) -> float:
        return len(self.audio) / RATE_HZ / 60


@dataclass
class Outcome:
    pauses: list[float] = field(default_factory=list)
    interruptions: list[float] = field(default_factory=list)
    held_s: float = 0.0


def listen(scene: Scene, vad: Vad, rules: BargeInRules | None = None) -> Outcome:
    """Frame by frame, as a talk does it."""
    barge_in, outcome = BargeIn(rules), Outcome()
    told = sorted(
        each
        for begins, ends, text in scene.words
        for each in ((begins + PARTIAL_AFTER_S, text, False), (ends + FINAL_AFTER_S, text, True))
    )
    barge_in.agent_speaks()
    held_since = quiet_since = 0.0
    for number in range(len(scene.audio) // FRAME):
        now = (number + 1) * FRAME_S
        decisions = []
        pcm = scene.audio[number * FRAME : (number + 1) * FRAME].tobytes()
        change = vad.hear(pcm, RATE_HZ, number * 20.0)
        if change is not None:
            started = change[0] == "started"
            quiet_since = float("inf") if started else now
            decisions.append(barge_in.speech_started(now) if started else barge_in.speech_stopped(now))
        while told and told[0][0] <= now:
            _, text, is_final = told.pop(0)
            decisions.append(barge_in.transcript(text, is_final=is_final))
        decisions.append(barge_in.decide(now))
        for decision in decisions:
            if decision is Decision.PAUSE:
                outcome.pauses.append(now)
                held_since = now
            elif decision is Decision.CLEAR:
                outcome.interruptions.append(now)
            if decision in (Decision.RESUME, Decision.CLEAR):
                outcome.held_s += now - held_since
        if barge_in.state is State.LISTENING and now - quiet_since >= AGAIN_AFTER_S:
            barge_in.agent_speaks()
    return outcome


# --- scenes -----------------------------------------------------------------------------------------------------------


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
