"""What is heard by now, between two tellings of the line."""

from longline.agentkit.played import Pace, Played


def made(said_ms: float = 1_000) -> Played:
    played = Played()
    played.say(said_ms)
    return played


def test_nothing_is_heard_before_it_begins() -> None:
    played = made()
    assert played.heard_ms(5.0) == 0 and played.due(100) is None


def test_it_goes_on_with_the_clock_and_no_further_than_what_was_said() -> None:
    played = made()
    played.started(5.0)
    assert played.heard_ms(5.25) == 250
    assert played.due(400) == 5.4
    assert played.heard_ms(9.0) == 1_000


def test_the_line_knows_better_when_more_was_heard() -> None:
    played = made()
    played.started(5.0)
    played.told(5.2, 260)
    assert played.heard_ms(5.2) == 260
    assert round(played.heard_ms(5.3)) == 360
    played.told(5.3, 300)
    assert round(played.heard_ms(5.3)) == 360, "what was given on as heard is not taken back"
    assert round(played.heard_ms(5.4)) == 400, "and is not added to"


def test_what_is_held_stands_still() -> None:
    played = made()
    played.started(5.0)
    played.held(5.3)
    assert round(played.heard_ms(8.0)) == 300 and played.due(400) is None
    played.resumed(8.0)
    assert round(played.heard_ms(8.1)) == 400


def test_the_length_of_a_sentence_that_is_being_made_is_guessed_and_the_guess_learned() -> None:
    pace = Pace(letter_ms=50)
    assert pace.length_ms("ten chars.", 100) == 500
    assert pace.length_ms("ten chars.", 800) == 800
    pace.learn("ten chars.", 700)
    assert pace.length_ms("ten chars.", 100) == 700
