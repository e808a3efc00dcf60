"""The end of a turn: timestamps in, decisions out."""

import pytest

from longline.agentkit.turns.completeness import sounds_finished
from longline.agentkit.turns.endpointing import Endpointer, EndpointingRules, TurnOver

RULES = EndpointingRules(shortest_s=0.2, first_s=0.6, longest_s=1.6, regret_s=1.0)


def speak(endpointer: Endpointer, start: float, stop: float) -> None:
    endpointer.speech_started(start)
    endpointer.speech_stopped(stop)


def test_a_turn_is_over_when_the_caller_has_been_silent_long_enough_and_that_is_told_once() -> None:
    endpointer = Endpointer(RULES)
    assert endpointer.deadline is None
    speak(endpointer, 1.0, 2.0)
    assert endpointer.deadline == pytest.approx(2.6)
    assert endpointer.decide(2.59) is None
    assert endpointer.decide(2.61) == TurnOver(spoke_until=2.0, at=2.61, text="")
    assert endpointer.decide(9.0) is None and endpointer.deadline is None


def test_nobody_s_turn_ends_while_he_speaks() -> None:
    endpointer = Endpointer(RULES)
    endpointer.speech_started(1.0)
    assert endpointer.decide(60.0) is None


def test_a_caller_who_pauses_long_is_waited_for_longer_the_next_time() -> None:
    endpointer = Endpointer(RULES)
    for number in range(5):  # pauses of half a second, each taken back
        speak(endpointer, number * 1.5, number * 1.5 + 1.0)
    assert endpointer.pauses.count == 4 and endpointer.pauses.mean_s == pytest.approx(0.5)
    assert RULES.first_s < endpointer.wait_s <= RULES.longest_s
    slow = endpointer.wait_s

    quick = Endpointer(RULES)
    for number in range(12):
        speak(quick, number * 1.1, number * 1.1 + 1.0)
    assert RULES.shortest_s <= quick.wait_s < 0.3 < slow


def test_a_turn_called_over_too_early_is_gone_on_with_and_learned_from() -> None:
    endpointer = Endpointer(RULES)
    speak(endpointer, 0.0, 1.0)
    endpointer.transcript("I would like", is_final=True)
    over = endpointer.decide(1.6)
    assert over is not None and over.text == "I would like"
    assert endpointer.speech_started(2.0) == over
    assert endpointer.pauses.mean_s == pytest.approx(1.0)
    endpointer.transcript("an appointment", is_final=True)
    assert endpointer.text == "I would like an appointment"
    endpointer.speech_stopped(3.0)
    deadline = endpointer.deadline
    assert deadline is not None
    again = endpointer.decide(deadline)
    assert again is not None and again.text == "I would like an appointment"


def test_what_is_said_long_after_a_turn_is_another_turn() -> None:
    endpointer = Endpointer(RULES)
    speak(endpointer, 0.0, 1.0)
    assert endpointer.decide(1.6) is not None
    assert endpointer.speech_started(2.7) is None
    assert (endpointer.text, endpointer.pauses.count) == ("", 0)


@pytest.mark.parametrize(
    ("text", "wait_s"),
    [("tomorrow at", 1.4), ("tomorrow at three.", 0.28), ("yes", 0.28), ("tomorrow three", 0.6), ("", 0.6)],
)
def test_words_that_sound_finished_shorten_the_wait_and_others_draw_it_out(text: str, wait_s: float) -> None:
    endpointer = Endpointer(RULES, sounds_finished)
    speak(endpointer, 0.0, 1.0)
    endpointer.transcript(text, is_final=False)
    assert endpointer.wait_s == pytest.approx(wait_s)
    assert RULES.shortest_s <= endpointer.wait_s <= RULES.longest_s


def test_a_partial_transcript_is_replaced_and_a_final_one_stays() -> None:
    endpointer = Endpointer(RULES)
    endpointer.transcript("I", is_final=False)
    endpointer.transcript("I need", is_final=False)
    endpointer.transcript("I need a", is_final=True)
    endpointer.transcript("doc", is_final=False)
    assert endpointer.text == "I need a doc"


def test_rules_that_fall_are_refused() -> None:
    with pytest.raises(ValueError, match="must be positive and rise"):
        EndpointingRules(shortest_s=1.0, first_s=0.5)
