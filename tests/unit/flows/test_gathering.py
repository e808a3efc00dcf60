"""When the keys that a caller presses are enough."""

from longline.flows.gathering import Gathering


def test_so_many_digits_are_enough() -> None:
    gathering = Gathering(timeout_s=5, num_digits=3)
    for key in "12":
        gathering.press(0.0, key)
    assert gathering.reason is None
    gathering.press(0.0, "3")
    assert (gathering.digits, gathering.reason) == ("123", "num_digits")


def test_the_finish_key_ends_it_and_is_no_digit() -> None:
    gathering = Gathering(timeout_s=5)
    for key in "12#4":
        gathering.press(0.0, key)
    assert (gathering.digits, gathering.reason) == ("12", "finish_key")


def test_without_a_finish_key_every_key_is_a_digit() -> None:
    gathering = Gathering(timeout_s=5, num_digits=4, finish_key="")
    for key in "1#*A":
        gathering.press(0.0, key)
    assert (gathering.digits, gathering.reason) == ("1#*A", "num_digits")


def test_nothing_is_waited_for_while_the_prompt_plays() -> None:
    gathering = Gathering(timeout_s=5)
    gathering.handle_timeout(1000.0)
    assert gathering.reason is None and gathering.deadline is None
    gathering.listen(1000.0)
    gathering.handle_timeout(1004.9)
    assert gathering.reason is None
    gathering.handle_timeout(1005.0)
    assert (gathering.digits, gathering.reason) == ("", "timeout")


def test_each_key_begins_the_time_anew() -> None:
    gathering = Gathering(timeout_s=5)
    gathering.listen(0.0)
    gathering.press(4.0, "1")
    gathering.handle_timeout(5.0)
    assert gathering.reason is None and gathering.deadline == 9.0
    gathering.handle_timeout(9.0)
    assert (gathering.digits, gathering.reason) == ("1", "timeout")


def test_digits_have_a_bound() -> None:
    gathering = Gathering(timeout_s=5)
    for _ in range(100):
        gathering.press(0.0, "7")
    assert gathering.reason == "num_digits" and len(gathering.digits) == 64
