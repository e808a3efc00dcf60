"""What the caller says, turn by turn: timestamps and transcripts in, turns out."""

import pytest

from longline.agentkit.turns.endpointing import Endpointer, EndpointingRules
from longline.agentkit.turns.listening import (
    FINAL_WITHIN_S,
    Amended,
    FinalWanted,
    Listening,
    Spoke,
    StillWaiting,
    Told,
    WentOn,
    Wordless,
)

RULES = EndpointingRules(shortest_s=0.2, first_s=0.6, longest_s=1.6, regret_s=1.0, stale_s=3.0)


def listening() -> Listening:
    return Listening(Endpointer(RULES), wait_s=4.0, give_up_s=12.0)


def speak(heard: Listening, start: float, stop: float, partial: str = "") -> None:
    assert heard.voice("started", start) == []
    if partial:
        assert heard.transcript(partial, is_final=False, now=stop) == []
    assert heard.voice("stopped", stop) == []


def decide(heard: Listening) -> tuple[float, list[Told]]:
    assert heard.deadline is not None
    return heard.deadline, heard.decide(heard.deadline)


def test_a_turn_waits_for_its_last_words() -> None:
    heard = listening()
    speak(heard, 1.0, 2.0, "I need a doc")
    at, told = decide(heard)
    assert told == [FinalWanted()] and not heard.is_idle
    assert heard.transcript("I need a doctor.", is_final=True, now=at + 0.1) == [Spoke("I need a doctor.", 2.0, at)]
    assert heard.is_idle and heard.deadline is None


def test_words_that_stand_are_not_said_twice() -> None:
    heard = listening()
    heard.voice("started", 1.0)
    heard.transcript("Hello.", is_final=True, now=1.5)
    heard.transcript("I need", is_final=False, now=1.9)
    heard.voice("stopped", 2.0)
    at, _ = decide(heard)
    heard.transcript("I need a doc", is_final=False, now=at + 0.1)
    assert heard.transcript("I need a doctor.", is_final=True, now=at + 0.2) == [
        Spoke("Hello. I need a doctor.", 2.0, at)
    ]


def test_last_words_that_come_too_late_amend_the_turn() -> None:
    heard = listening()
    speak(heard, 1.0, 2.0, "I need a doc")
    over_at, _ = decide(heard)
    at, told = decide(heard)
    assert at == pytest.approx(over_at + FINAL_WITHIN_S) and told == [Spoke("I need a doc", 2.0, over_at)]
    assert heard.transcript("I need a doctor.", is_final=True, now=at + 0.5) == [Amended("I need a doctor.")]
    assert heard.transcript("Next", is_final=True, now=at + 0.9) == [] and heard.text == "Next"


def test_a_short_sound_without_words_is_nothing_and_a_long_one_is_waited_for() -> None:
    heard = listening()
    speak(heard, 1.0, 1.2)
    decide(heard)
    assert decide(heard)[1] == [Wordless(has_failed=False)]
    speak(heard, 11.0, 12.0)
    over_at, _ = decide(heard)
    told = [decide(heard) for _ in range(3)]
    assert [(pytest.approx(at - over_at), each) for at, each in told] == [
        (FINAL_WITHIN_S, []),
        (4.0, [StillWaiting()]),
        (12.0, [Wordless(has_failed=True)]),
    ]
    speak(heard, 31.0, 32.0)
    at, _ = decide(heard)
    assert heard.transcript("", is_final=True, now=at) == [Wordless(has_failed=False)]


def test_a_short_word_that_is_understood_late_is_a_turn_all_the_same() -> None:
    heard = listening()
    speak(heard, 1.0, 1.3)
    at, told = decide(heard)
    assert told == [FinalWanted()]
    assert decide(heard) == (pytest.approx(at + FINAL_WITHIN_S), [Wordless(has_failed=False)])
    assert heard.transcript("Yes.", is_final=True, now=at + 1.5) == [Spoke("Yes.", 1.3, at)]
    assert heard.transcript("Hm.", is_final=True, now=at + 1.6) == [], "the next words are of the next turn"
    assert heard.text == "Hm."


def test_a_noise_that_is_answered_late_with_nothing_stays_one() -> None:
    heard = listening()
    speak(heard, 1.0, 1.3)
    at, _ = decide(heard)
    decide(heard)
    assert heard.transcript("", is_final=True, now=at + 1.5) == []
    assert heard.is_idle and heard.text == ""


def test_who_goes_on_before_his_words_are_known_has_one_turn() -> None:
    heard = listening()
    speak(heard, 1.0, 2.0, "I would like")
    decide(heard)
    assert heard.voice("started", 2.9) == [], "nothing was told yet"
    heard.transcript("I would like", is_final=True, now=3.0)
    heard.transcript("an appointment", is_final=False, now=3.5)
    heard.voice("stopped", 3.9)
    at, told = decide(heard)
    assert told == [FinalWanted()]
    assert heard.transcript("an appointment.", is_final=True, now=at) == [
        Spoke("I would like an appointment.", 3.9, at)
    ]


def test_who_goes_on_before_he_is_answered_was_not_done() -> None:
    heard = listening()
    speak(heard, 1.0, 2.0)
    at, _ = decide(heard)
    assert heard.transcript("I would like", is_final=True, now=at) == [Spoke("I would like", 2.0, at)]
    assert heard.voice("started", at + 0.3) == [WentOn()] and heard.text == "I would like"
    heard.voice("stopped", at + 1.0)
    over_at, _ = decide(heard)
    assert heard.transcript("to book.", is_final=True, now=over_at) == [
        Spoke("I would like to book.", at + 1.0, over_at)
    ]


def test_a_turn_ends_with_its_words_though_a_television_goes_on() -> None:
    heard = listening()
    heard.voice("started", 1.0)
    heard.transcript("When do you", is_final=False, now=2.0)
    heard.transcript("When do you open?", is_final=False, now=2.5)
    assert heard.deadline == pytest.approx(5.5)
    assert heard.decide(5.5) == [FinalWanted()]
    assert heard.transcript("When do you open?", is_final=True, now=5.6) == [Spoke("When do you open?", 2.5, 5.5)]
    assert heard.deadline is None, "no words, no turn"


def test_a_transcriber_that_fails_costs_what_it_was_told() -> None:
    heard = listening()
    assert not heard.deaf()
    speak(heard, 1.0, 2.0)
    decide(heard)
    assert heard.deaf() and heard.deadline is None
    heard.voice("started", 9.0)
    assert heard.deaf()
