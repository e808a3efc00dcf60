"""All that decides about turns, in one place: how voices are told, when a turn is over, what an interruption is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from longline.agentkit.turns.barge_in import BargeInRules
from longline.agentkit.turns.completeness import sounds_finished
from longline.agentkit.turns.endpointing import Completeness, EndpointingRules, Judge
from longline.agentkit.turns.energy import EnergyVad
from longline.agentkit.turns.guessing import GuessRules
from longline.agentkit.turns.keys import KeyRules
from longline.agentkit.turns.loudness import LoudnessRules
from longline.agentkit.turns.vad import Vad


@dataclass(slots=True)
class TurnRules:
    """`vad` makes one for each call. `completeness` is asked of each partial transcript (see `turns/endpointing`), and
    beside it `judge`, when there is one, which may take its time: a model, say (`judge.AskedCompleteness`). `guesses`:
    when an answer is begun before the turn is certainly over. `keys`: what the caller keys in."""

    vad: Callable[[], Vad] = EnergyVad
    endpointing: EndpointingRules = field(default_factory=EndpointingRules)
    completeness: Completeness = sounds_finished
    judge: Judge | None = None
    barge_in: BargeInRules = field(default_factory=BargeInRules)
    loudness: LoudnessRules = field(default_factory=LoudnessRules)
    guesses: GuessRules = field(default_factory=GuessRules)
    keys: KeyRules = field(default_factory=KeyRules)
