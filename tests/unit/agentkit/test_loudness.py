"""What is loud enough to make an agent pause: learned from the caller, and from what was nobody's word."""

from longline.agentkit.turns.loudness import Loudness, LoudnessRules


def sound(loudness: Loudness, level_db: float, ms: float = 400) -> bool:
    """Whether the agent pauses for it, at its end."""
    for _ in range(3):
        loudness.hear(level_db, 20)
    loudness.started()
    for _ in range(round(ms / 20)):
        loudness.hear(level_db, 20)
    return loudness.is_enough


def test_of_a_caller_who_has_said_nothing_yet_every_sound_is_enough() -> None:
    assert sound(Loudness(), -44)


def test_what_is_far_quieter_than_the_caller_is_not_he() -> None:
    loudness = Loudness()
    sound(loudness, -15)
    loudness.was_voice()
    assert not sound(loudness, -40), "a breath"
    assert sound(loudness, -30)


def test_what_was_taken_back_has_to_be_louder_the_next_time_and_is_forgotten() -> None:
    loudness = Loudness()
    sound(loudness, -15)
    loudness.was_voice()
    assert sound(loudness, -32)
    loudness.was_nothing()
    assert not sound(loudness, -30) and sound(loudness, -27)
    sound(loudness, -60, ms=60_000)
    assert sound(loudness, -32)


def test_who_is_as_loud_as_ever_is_always_heard() -> None:
    loudness = Loudness()
    sound(loudness, -20)
    loudness.was_voice()
    sound(loudness, -10)
    loudness.was_nothing()
    assert sound(loudness, -25), "a bang does not make the agent deaf"
    assert loudness.least_db == -20 - LoudnessRules().beside_voice_db


def test_a_sound_begins_quietly() -> None:
    loudness = Loudness()
    sound(loudness, -15)
    loudness.was_voice()
    sound(loudness, -50, ms=20)
    assert not loudness.is_enough
    for _ in range(3):
        loudness.hear(-20, 20)
    assert loudness.is_enough
