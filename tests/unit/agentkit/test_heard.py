"""What was heard of what was said."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longline.agentkit.heard import WordEnd, heard_text, word_ends

TEXT = "Your appointment is on Tuesday at three."


@pytest.mark.parametrize(
    ("heard_ms", "heard"),
    [(0, ""), (500, "Your"), (2_000, "Your appointment is"), (4_000, TEXT), (9_000, TEXT)],
)
def test_words_are_cut_where_their_letters_put_them(heard_ms: float, heard: str) -> None:
    assert heard_text(TEXT, 4_000, heard_ms) == heard


def test_times_of_the_synthesiser_are_better_than_a_guess() -> None:
    ends = [WordEnd(4, 900.0), WordEnd(16, 1_000.0), WordEnd(len(TEXT), 4_000.0)]
    assert heard_text(TEXT, 4_000, 500, ends) == ""
    assert heard_text(TEXT, 4_000, 1_500, ends) == "Your appointment"


@given(st.text(max_size=80), st.floats(1, 10_000), st.floats(0, 10_000), st.floats(0, 10_000))
def test_more_sound_is_never_less_text(text: str, duration: float, one: float, other: float) -> None:
    less, more = (heard_text(text, duration, ms) for ms in sorted((one, other)))
    assert more.startswith(less) and text.startswith(more)


def test_a_text_without_words_has_no_ends() -> None:
    assert word_ends("", 100) == [] and word_ends("  ", 100) == []
