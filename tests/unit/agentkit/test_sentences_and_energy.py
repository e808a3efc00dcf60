"""Sentences for a voice, and voices by their level."""

import math
import random
from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longline.agentkit.sentences import LONGEST, Sentences
from longline.agentkit.turns.energy import EnergyVad, level_db

RATE = 8_000


def all_of(text: str, step: int = 1) -> list[str]:
    sentences = Sentences()
    said = [part for at in range(0, len(text), step) for part in sentences.add(text[at : at + step])]
    rest = sentences.rest()
    return [*said, rest] if rest else said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("We open at nine. Shall I book it?", ["We open at nine.", "Shall I book it?"]),
        ("Sure, nine it is.", ["Sure, nine it is."]),
        ("Let me see what there is, one moment.", ["Let me see what there is,", "one moment."]),
        ("Dr. Smith is in. Call J. Doe.", ["Dr. Smith is in.", "Call J. Doe."]),
        ("It costs 3.50 euros", ["It costs 3.50 euros"]),
        ("One\nTwo", ["One", "Two"]),
        ("", []),
    ],
)
def test_sentences_are_said_as_soon_as_they_are_whole(text: str, said: list[str]) -> None:
    assert all_of(text) == said == all_of(text, step=1_000) or all_of(text, step=1_000) == said


@given(st.text(alphabet="ab .,!?\n", max_size=700), st.integers(1, 50))
def test_nothing_is_lost_and_nothing_is_too_long(text: str, step: int) -> None:
    said = all_of(text, step)
    assert "".join("".join(said).split()) == "".join(text.split())
    assert all(0 < len(part) <= LONGEST + step for part in said)


def tone(ms: int, amplitude: float, hz: float = 300) -> bytes:
    return array("h", (int(amplitude * math.sin(math.tau * hz * n / RATE)) for n in range(RATE * ms // 1000))).tobytes()


def noise(ms: int, amplitude: int, seed: int = 1) -> bytes:
    draw = random.Random(seed)
    return array("h", (draw.randint(-amplitude, amplitude) for _ in range(RATE * ms // 1000))).tobytes()


def changes(vad: EnergyVad, pcm: bytes) -> list[tuple[str, float]]:
    told = []
    for at in range(0, len(pcm), 320):
        change = vad.hear(pcm[at : at + 320], RATE, at / 16)
        if change is not None:
            told.append(change)
    return told


def test_a_voice_is_told_with_when_it_began_and_when_it_ended() -> None:
    pcm = noise(1_000, 60) + tone(800, 8_000) + noise(1_000, 60)
    assert changes(EnergyVad(), pcm) == [("started", 1_000.0), ("stopped", 1_800.0)]


def test_a_voice_that_ends_within_a_frame_is_told_to_two_milliseconds() -> None:
    for more_ms in (4, 8, 13, 19):
        vad, pcm = EnergyVad(), noise(1_000, 60) + tone(800 + more_ms, 8_000) + noise(1_000, 60)
        (_, _), (kind, at_ms) = changes(vad, pcm[: len(pcm) // 320 * 320])
        assert kind == "stopped" and 1_800 + more_ms <= at_ms <= 1_802 + more_ms


def test_a_pause_between_words_and_a_click_are_nothing() -> None:
    words = (tone(300, 6_000) + noise(100, 60)) * 3
    assert [kind for kind, _ in changes(EnergyVad(), noise(500, 60) + words)] == ["started"]
    assert changes(EnergyVad(), noise(500, 60) + tone(40, 20_000) + noise(500, 60)) == []


def test_steady_noise_becomes_the_background() -> None:
    assert changes(EnergyVad(), noise(20_000, 120)) == []
    vad = EnergyVad()
    assert changes(vad, noise(10_000, 100) + noise(10_000, 220)) == []
    assert [kind for kind, _ in changes(vad, tone(500, 9_000))] == ["started"]


def test_levels_are_those_of_the_definition() -> None:
    assert level_db(b"") == level_db(bytes(320)) == -60.0
    assert level_db(array("h", [32767] * 160).tobytes()) == pytest.approx(0.0, abs=0.01)
    assert level_db(tone(1_000, 32767)) == pytest.approx(-3.01, abs=0.05)
