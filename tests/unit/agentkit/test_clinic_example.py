"""The clinic of the examples, in memory and in virtual time: what callers say, and what they get."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest

from longline.agentkit.testing import Caller, FakeStt, FakeTts, virtual_time

CLINIC = Path(__file__).parents[3] / "examples" / "clinic.py"


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """With ears and a voice that need no programs."""
    spec = importlib.util.spec_from_file_location("clinic", CLINIC)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "PocketsphinxStt", lambda grammar: FakeStt())
    monkeypatch.setattr(module, "FliteTts", lambda voice: FakeTts())
    return module


@virtual_time
async def test_it_books_what_is_confirmed_and_hangs_up(example: ModuleType, tmp_path: Path) -> None:
    call = await (
        Caller()
        .interrupts("I need an appointment on Tuesday.", after=1.5)
        .hears("At what time?")
        .says("At three please.")
        .hears("Tuesday at three is free")
        .says("Yes please.")
        .hears("It is booked, Tuesday at three")
        .is_hung_up()
        .calls(example.Clinic(tmp_path / "calendar.json"))
    )
    call.expect_answers_within(900).expect_silent_within(300).expect_done("hang_up")
    assert json.loads((tmp_path / "calendar.json").read_text()) == [{"day": "Tuesday", "hour": "three"}]


@virtual_time
async def test_what_is_taken_is_not_booked(example: ModuleType) -> None:
    clinic = example.Clinic(None)
    await (
        Caller()
        .hears("How can I help you?")
        .says("How about Tuesday at ten?")
        .hears("is taken. nine or eleven would be free")
        .says("How about nine?")
        .hears("Tuesday at nine is free")
        .says("No, at eleven.")
        .hears("Tuesday at eleven is free")
        .says("Yes.")
        .hears("It is booked, Tuesday at eleven")
        .is_hung_up()
        .calls(clinic)
    )
    assert set(clinic.booked) == {("Tuesday", "eleven")}


@virtual_time
async def test_two_callers_do_not_get_the_same_hour(example: ModuleType) -> None:
    clinic = example.Clinic(None)
    clinic.booked["Monday", "three"] = "somebody else's call"
    await (
        Caller().hears("help you?").says("Monday at three.").hears("Monday at three is taken").hangs_up().calls(clinic)
    )
    assert len(clinic.booked) == 1


@virtual_time
async def test_who_is_not_understood_is_asked_again_and_let_go(example: ModuleType) -> None:
    call = await (
        Caller()
        .hears("How can I help you?")
        .says("My cat is green.")
        .hears("I did not understand")
        .says("The weather is nice.")
        .hears("in other words")
        .says("Blue is a colour.")
        .hears("You can say a day and an hour")
        .says("A train leaves now.")
        .hears("Please call again later")
        .is_hung_up()
        .calls(example.Clinic(None))
    )
    call.expect_ended_by("agent")


@virtual_time
async def test_who_says_nothing_is_asked_for_and_let_go(example: ModuleType) -> None:
    call = await (
        Caller()
        .hears("How can I help you?")
        .hears("Are you still there?", within=20)
        .is_hung_up(within=40)
        .calls(example.Clinic(None))
    )
    call.expect_heard("Please call again. Goodbye.")


@virtual_time
async def test_a_repetition_is_what_was_said_last(example: ModuleType) -> None:
    call = await (
        Caller()
        .hears("How can I help you?")
        .says("Wednesday at four.")
        .hears("Shall I book it?")
        .says("Say that again please.")
        .hears("Wednesday at four is free. Shall I book it?")
        .says("Goodbye.")
        .hears("Thank you for calling, goodbye")
        .is_hung_up()
        .calls(example.Clinic(None))
    )
    call.expect_not_heard("booked")


@virtual_time
async def test_a_please_that_comes_late_has_the_answer_said_again(example: ModuleType) -> None:
    await (
        Caller()
        .hears("How can I help you?")
        .says("Wednesday at four.")
        .interrupts("Please.", after=0.3)
        .hears("Wednesday at four is free. Shall I book it?")
        .hangs_up()
        .calls(example.Clinic(None))
    )


@virtual_time
async def test_a_day_that_is_full_is_called_so(example: ModuleType) -> None:
    clinic = example.Clinic(None)
    clinic.booked = {("Monday", hour): "somebody else's call" for hour in example.HOURS}
    await (
        Caller()
        .hears("How can I help you?")
        .says("Monday at three.")
        .hears("there is nothing free on Monday. On which day?")
        .says("Tuesday at three.")
        .hears("Tuesday at three is free")
        .hangs_up()
        .calls(clinic)
    )
