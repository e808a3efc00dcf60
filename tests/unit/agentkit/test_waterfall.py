"""The steps of one answer, and what each of them took."""

import pytest

from longline.agentkit.waterfall import ORDER, Step, Waterfall, head


def test_the_parts_are_the_whole() -> None:
    waterfall = Waterfall()
    for number, step in enumerate(ORDER):
        waterfall.tell(step, 1.0 + number / 10)
    assert waterfall.total_ms == 700.0
    assert waterfall.parts_ms() == {step.value: 100.0 for step in ORDER[1:]}
    assert len(waterfall.row()) == len(head())


def test_work_that_was_begun_on_a_guess_takes_nothing_twice() -> None:
    waterfall = Waterfall()
    times = {Step.END_OF_SPEECH: 1.0, Step.FIRST_TOKEN: 1.2, Step.ENDPOINT: 1.6, Step.SENT: 1.7, Step.HEARD: 1.8}
    for step, at in times.items():
        waterfall.tell(step, at)
    parts = waterfall.parts_ms()
    assert parts == {"endpoint": 600.0, "first_token": 0.0, "sent": 100.0, "heard": 100.0}
    assert sum(parts.values()) == pytest.approx(waterfall.total_ms, abs=0.5)


def test_the_first_time_counts_and_an_unasked_word_has_no_total() -> None:
    waterfall = Waterfall()
    waterfall.tell(Step.SENT, 2.0)
    waterfall.tell(Step.SENT, 3.0)
    waterfall.tell(Step.HEARD, 2.1)
    assert (waterfall.at[Step.SENT], waterfall.total_ms, waterfall.parts_ms()) == (2.0, None, {})
