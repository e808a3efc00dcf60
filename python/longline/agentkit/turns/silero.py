"""Voices by a model: Silero VAD in ONNX Runtime. It tells a voice from music, noise and steady hum better than a level.

    TurnRules(vad=silero("silero_vad.onnx"))        # pip install longline[silero]; scripts/fetch_silero.py has the file

Without a path the model is taken from a package that is installed and ships it (`silero_vad`, `pipecat`,
`livekit.plugins.silero`); none of them is imported. One session of the runtime serves all calls, on one thread; a
window of 32 ms costs about 0.1 ms.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy

from longline.agentkit.turns.vad import Change, Runs

WINDOW_MS: Final = 32
_CONTEXT_MS: Final = 4
"""Of the window before, which the model wants to see again."""
_INSTALLED: Final = (
    ("silero_vad", "data/silero_vad.onnx"),
    ("pipecat", "audio/vad/data/silero_vad.onnx"),
    ("livekit", "plugins/silero/resources/silero_vad.onnx"),
)
_MODEL_HZ: Final = {8_000: 8_000, 16_000: 16_000, 24_000: 8_000, 32_000: 16_000, 48_000: 16_000}
"""The model's rate for that of a line. A higher one is averaged down, which is good enough to hear a voice."""


@dataclass(frozen=True, slots=True)
class SileroRules:
    """Probabilities and milliseconds: at `start` a window has a voice, and once there is one it ends below `stop`. So
    much voice begins it, so much silence ends it."""

    start: float = 0.5
    stop: float = 0.35
    start_ms: float = 60.0
    stop_ms: float = 200.0


def silero(path: str | Path | None = None, rules: SileroRules | None = None) -> Callable[[], SileroVad]:
    """What `TurnRules(vad=…)` wants: it makes one for each call. The model is loaded here and now. Raises ImportError
    without onnxruntime, FileNotFoundError without a model."""
    try:
        runtime = importlib.import_module("onnxruntime")
    except ImportError as error:
        raise ImportError("Silero needs onnxruntime: pip install longline[silero]") from error
    file = Path(path) if path is not None else _installed()
    if not file.is_file():
        raise FileNotFoundError(f"there is no Silero model at {file}: scripts/fetch_silero.py gets one")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = runtime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    return lambda: SileroVad(session, rules)


def _installed() -> Path:
    for package, inside in _INSTALLED:
        spec = importlib.util.find_spec(package)
        for place in (spec.submodule_search_locations or ()) if spec is not None else ():
            if (file := Path(place) / inside).is_file():
                return file
    raise FileNotFoundError("no package with a Silero model is installed: give the path of one")


class SileroVad:
    """One caller's. `probability` is that of the last window."""

    def __init__(self, session: Any, rules: SileroRules | None = None) -> None:
        self.rules = rules or SileroRules()
        self._runs = Runs(self.rules.start_ms, self.rules.stop_ms)
        self.probability = 0.0
        self._session = session
        self._rate_hz = 0
        self._state = numpy.zeros((2, 1, 128), numpy.float32)
        self._context = numpy.zeros(0, numpy.float32)
        self._waiting = numpy.zeros(0, numpy.float32)

    @property
    def is_voiced(self) -> bool:
        return self._runs.is_voiced

    def hear(self, pcm: bytes, rate_hz: int, at_ms: float) -> tuple[Change, float] | None:
        """As `Vad.hear`. Raises ValueError for a rate that is none of a telephone's."""
        samples = self._samples(pcm, rate_hz)
        end_ms = at_ms + len(pcm) * 500 / rate_hz
        self._waiting = numpy.concatenate((self._waiting, samples))
        window = self._rate_hz * WINDOW_MS // 1_000
        change = None
        while len(self._waiting) >= window:
            piece, self._waiting = self._waiting[:window], self._waiting[window:]
            self.probability = self._judge(piece)
            until_ms = end_ms - len(self._waiting) * 1_000 / self._rate_hz
            least = self.rules.stop if self._runs.is_voiced else self.rules.start
            change = self._runs.hear(self.probability >= least, until_ms - WINDOW_MS, WINDOW_MS) or change
        return change

    def _samples(self, pcm: bytes, rate_hz: int) -> Any:
        model_hz = _MODEL_HZ.get(rate_hz)
        if model_hz is None:
            raise ValueError(f"Silero hears {', '.join(map(str, _MODEL_HZ))} Hz, not {rate_hz}")
        if model_hz != self._rate_hz:
            self._rate_hz = model_hz
            self._context = numpy.zeros(model_hz * _CONTEXT_MS // 1_000, numpy.float32)
            self._waiting = numpy.zeros(0, numpy.float32)
        samples = numpy.frombuffer(pcm, "<i2", len(pcm) // 2).astype(numpy.float32) / 32_768
        step = rate_hz // model_hz
        return samples[: len(samples) // step * step].reshape(-1, step).mean(axis=1) if step > 1 else samples

    def _judge(self, window: Any) -> float:
        """How likely it is that there is a voice in it."""
        given = numpy.concatenate((self._context, window))
        probability, self._state = self._session.run(
            None, {"input": given[None, :], "state": self._state, "sr": numpy.array(self._rate_hz, numpy.int64)}
        )
        self._context = window[-len(self._context) :]
        return float(probability[0][0])
