"""A sound while the agent speaks: an interruption, a "go on", or nothing."""

import pytest

from longline.agentkit.turns.backchannel import is_backchannel
from longline.agentkit.turns.barge_in import BargeIn, BargeInRules, Decision, State

RULES = BargeInRules(sure_s=0.8, wait_s=0.5, confirm_s=0.2)


def speaking() -> BargeIn:
    barge_in = BargeIn(RULES)
    barge_in.agent_speaks()
    return barge_in


def test_the_agent_falls_silent_at_the_first_sound_and_only_while_it_speaks() -> None:
    assert BargeIn(RULES).speech_started(1.0) is None
    barge_in = speaking()
    assert barge_in.speech_started(1.0) is Decision.PAUSE
    assert barge_in.speech_started(1.1) is None


def test_words_that_are_no_backchannel_are_an_interruption_at_once() -> None:
    barge_in = speaking()
    barge_in.speech_started(1.0)
    assert barge_in.transcript("wait", is_final=False) is Decision.CLEAR
    assert barge_in.state is State.LISTENING
    assert barge_in.transcript("wait a moment", is_final=True) is None


def test_a_backchannel_lets_the_agent_go_on() -> None:
    barge_in = speaking()
    barge_in.speech_started(1.0)
    assert barge_in.transcript("mm-hm", is_final=False) is None, "more may come"
    assert barge_in.speech_stopped(1.3) is Decision.RESUME
    assert barge_in.state is State.SPEAKING
    assert barge_in.speech_started(2.0) is Decision.PAUSE
    barge_in.transcript("yes", is_final=False)
    assert barge_in.transcript("yes but not on Monday", is_final=False) is Decision.CLEAR


def test_a_voice_that_stays_is_an_interruption_without_a_word() -> None:
    barge_in = speaking()
    barge_in.speech_started(1.0)
    assert barge_in.deadline == pytest.approx(1.8)
    assert barge_in.decide(1.79) is None
    assert barge_in.decide(1.8) is Decision.CLEAR


def test_a_short_noise_is_taken_back_when_no_words_come() -> None:
    barge_in = speaking()
    barge_in.speech_started(1.0)
    assert barge_in.speech_stopped(1.2) is None
    assert barge_in.deadline == pytest.approx(1.7)
    assert barge_in.decide(1.7) is Decision.RESUME
    assert barge_in.deadline is None


def test_words_that_come_late_still_count() -> None:
    barge_in = speaking()
    barge_in.speech_started(1.0)
    barge_in.speech_stopped(1.3)
    assert barge_in.transcript("stop", is_final=True) is Decision.CLEAR


def test_who_has_said_all_cannot_be_interrupted() -> None:
    barge_in = speaking()
    barge_in.agent_silent()
    assert barge_in.speech_started(1.0) is None
    held = speaking()
    held.speech_started(1.0)
    held.agent_silent()
    assert (held.state, held.deadline) == (State.LISTENING, None)


@pytest.mark.parametrize("text", ["Mm-hm.", "yeah", "Oh, I see!", "uh huh", "okay, got it", "right right"])
def test_what_listeners_say(text: str) -> None:
    assert is_backchannel(text)


@pytest.mark.parametrize(
    "text", ["", "no", "yes please stop", "okay but when", "I see a problem", "yes yes yes yes yes"]
)
def test_what_is_meant(text: str) -> None:
    assert not is_backchannel(text)


def test_what_the_line_has_paused_goes_on_when_our_own_ear_hears_no_voice() -> None:
    barge_in = speaking()
    barge_in.line_held(1.0)
    assert (barge_in.state, barge_in.deadline) == (State.HELD, pytest.approx(1.2))
    assert barge_in.decide(1.2) is Decision.RESUME


def test_a_voice_that_the_line_heard_first_is_judged_as_any_other_and_not_paused_twice() -> None:
    barge_in = speaking()
    barge_in.line_held(1.0)
    assert barge_in.speech_started(1.04) is None
    assert barge_in.decide(1.3) is None
    assert barge_in.decide(1.84) is Decision.CLEAR


def test_a_voice_is_not_older_than_what_it_interrupts() -> None:
    barge_in = BargeIn(RULES)
    barge_in.speech_started(1.0)
    barge_in.agent_speaks()
    barge_in.line_held(5.0)
    assert barge_in.deadline == pytest.approx(5.8)


def test_a_line_that_has_waited_too_long_goes_on_by_itself() -> None:
    barge_in = speaking()
    barge_in.line_held(1.0)
    barge_in.line_went_on()
    assert (barge_in.state, barge_in.deadline) == (State.SPEAKING, None)
    assert barge_in.speech_started(4.0) is Decision.PAUSE


def test_a_pause_does_not_outlive_what_it_paused() -> None:
    barge_in = speaking()
    barge_in.line_held(1.0)
    assert barge_in.agent_silent() is Decision.RESUME, "else what is said next would wait behind it"
    barge_in.agent_speaks()
    barge_in.line_held(2.0)
    barge_in.cut()
    assert barge_in.state is State.LISTENING
