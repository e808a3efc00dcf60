"""Silero hears a voice when it begins and when it ends, at every rate, and none in noise."""

from pathlib import Path

import numpy
import pytest
from tests.support.speech import speech

from longline.agentkit.turns import silero as module
from longline.agentkit.turns.silero import SileroRules, SileroVad, silero
from longline.agentkit.turns.vad import Change

MODEL = Path(__file__).resolve().parents[3] / ".setup" / "silero.onnx"
needs_model = pytest.mark.skipif(not MODEL.exists(), reason="scripts/fetch_silero.py gets the model (setup.sh --test)")


class Answers:
    """A model that says what it is told to."""

    def __init__(self, *probabilities: float) -> None:
        self.probabilities = list(probabilities)
        self.given: list[int] = []

    def run(self, _: None, inputs: dict[str, numpy.ndarray]) -> tuple[numpy.ndarray, numpy.ndarray]:
        self.given.append(inputs["input"].shape[1])
        return numpy.array([[self.probabilities.pop(0)]]), inputs["state"]


def changes(vad: SileroVad, pcm: bytes, rate_hz: int = 8_000, frame_ms: int = 20) -> list[tuple[Change, float]]:
    size = rate_hz * frame_ms // 500
    heard = [vad.hear(pcm[at : at + size], rate_hz, at * 500 / rate_hz) for at in range(0, len(pcm), size)]
    return [change for change in heard if change is not None]


@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 48_000])
def test_a_change_is_told_with_when_it_was(rate_hz: int) -> None:
    model = Answers(0.1, 0.6, 0.1, 0.6, 0.6, 0.4, 0.3, 0.3, 0.4, 0.2, 0.2, 0.2, 0.2)
    vad = SileroVad(model, SileroRules(start_ms=60, stop_ms=120))
    told = changes(vad, bytes(2 * rate_hz * 32 * 13 // 1_000), rate_hz)
    assert [(kind, pytest.approx(at, abs=1)) for kind, at in told] == [("started", 96.0), ("stopped", 288.0)]
    assert set(model.given) == {288 if rate_hz == 8_000 else 576}, "a window and what came before it"


def test_a_rate_that_it_does_not_know_is_refused() -> None:
    with pytest.raises(ValueError, match="not 11025"):
        SileroVad(Answers()).hear(bytes(320), 11_025, 0.0)


def test_what_is_missing_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(FileNotFoundError, match="fetch_silero"):
        silero(tmp_path / "none.onnx")
    monkeypatch.setattr(module, "_INSTALLED", (("longline", "none.onnx"), ("no_such_package", "x")))
    with pytest.raises(FileNotFoundError, match="give the path"):
        silero()

    def missing(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr("importlib.import_module", missing)
    with pytest.raises(ImportError, match=r"pip install longline\[silero\]"):
        silero()


@needs_model
@pytest.mark.parametrize("rate_hz", [8_000, 16_000])
async def test_a_sentence_begins_and_ends(rate_hz: int) -> None:
    said = await speech("I would like an appointment on Monday", "rms", rate_hz)
    pcm = bytes(2 * rate_hz) + said.tobytes() + bytes(2 * rate_hz)
    told = changes(silero(MODEL)(), pcm, rate_hz)
    begun_ms, ended_ms = 1_000, 1_000 + len(said) * 1_000 / rate_hz
    assert told[0][0] == "started" and begun_ms - 60 <= told[0][1] <= begun_ms + 250
    assert told[-1][0] == "stopped" and ended_ms - 400 <= told[-1][1] <= ended_ms + 120


@needs_model
@pytest.mark.parametrize("kind", ["white noise", "hum", "a chord"])
def test_what_is_no_voice_is_none(kind: str) -> None:
    rate_hz, random = 8_000, numpy.random.default_rng(7)
    at = numpy.arange(rate_hz * 6) / rate_hz
    sound = {
        "white noise": 2_000 * random.standard_normal(len(at)),
        "hum": 4_000 * numpy.sin(2 * numpy.pi * 50 * at),
        "a chord": sum(2_500 * numpy.sin(2 * numpy.pi * hz * at) for hz in (262, 330, 392)),
    }[kind]
    assert changes(silero(MODEL)(), numpy.asarray(sound, dtype="<i2").tobytes()) == []
