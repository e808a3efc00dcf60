"""Which time a position of the caller's audio has, whatever his frames' way was like."""

from longline.agentkit.audio_clock import AudioClock


def test_a_frame_that_comes_late_moves_nothing() -> None:
    clock = AudioClock()
    for number in range(1, 200):
        came = 100 + (95 if 80 <= number < 95 else number) * 0.02 + 0.001 * (number % 5)
        clock.heard(number * 20, came)
        assert -1e-9 <= clock.at(number * 20) - (100 + number * 0.02) <= 0.00101, number


def test_what_is_told_again_after_an_outage_moves_nothing() -> None:
    clock = AudioClock()
    for number in range(1, 50):
        clock.heard(number * 20, number * 0.02)
    for number in range(50, 200):  # 3 s, all at once
        clock.heard(number * 20, 4.0, is_late=True)
        assert abs(clock.at(number * 20) - number * 0.02) < 1e-9
    for number in range(200, 260):
        clock.heard(number * 20, number * 0.02)
    assert abs(clock.at(5_000) - 5.0) < 1e-9


def test_positions_that_jump_are_followed_within_a_second() -> None:
    clock = AudioClock()
    for number in range(1, 100):
        clock.heard(number * 20, number * 0.02)
    for number in range(100, 155):
        clock.heard(number * 20, number * 0.02 + 0.5)
    assert abs(clock.at(3_000) - 3.5) < 1e-9


def test_before_the_first_frame_nothing_is_known() -> None:
    assert AudioClock().at(0) == float("-inf")
