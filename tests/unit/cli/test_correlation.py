"""Finding an echo by correlation."""

import numpy as np
import pytest

from longline.cli.correlation import find_echo


def speech(seed: int, samples: int = 16_000) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(0, 4000, samples)
    envelope = np.abs(np.sin(np.arange(samples) * 2 * np.pi / 4000))
    return (noise * envelope).astype(np.int16)


@pytest.mark.parametrize("delay", [0, 1, 320, 12_345])
def test_an_echo_is_found_at_its_delay(delay: int) -> None:
    played = speech(1)
    heard = np.concatenate([np.zeros(delay, np.int16), played])
    echo = find_echo(played, heard)
    assert echo is not None
    assert echo.delay_ms == pytest.approx(delay / 8)
    assert echo.correlation > 0.99


def test_an_echo_that_is_quieter_and_noisy_is_found() -> None:
    played = speech(1)
    noise = np.random.default_rng(9).normal(0, 200, len(played) + 800)
    heard = (np.concatenate([np.zeros(800), played * 0.4]) + noise).astype(np.int16)
    echo = find_echo(played, heard)
    assert echo is not None
    assert echo.delay_ms == pytest.approx(100)


def test_an_echo_that_moves_is_found_where_it_mostly_is() -> None:
    played = speech(1)
    moved = np.concatenate([np.zeros(480), played[:10_000], played[9_900:]]).astype(np.int16)
    echo = find_echo(played, moved)
    assert echo is not None
    assert echo.delay_ms == pytest.approx(60)
    assert echo.correlation > 0.95


def test_another_voice_is_no_echo() -> None:
    assert find_echo(speech(1), speech(2)) is None


def test_an_echo_beyond_the_longest_lag_is_not_found() -> None:
    played = speech(1, 4000)
    assert find_echo(played, np.concatenate([np.zeros(48_000, np.int16), played])) is None


@pytest.mark.parametrize("heard", [np.zeros(0, np.int16), np.zeros(8000, np.int16)])
def test_silence_holds_no_echo(heard: np.ndarray) -> None:
    assert find_echo(speech(1), heard) is None
