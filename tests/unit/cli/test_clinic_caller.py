"""The caller of the demo gets what he wants from the clinic of the examples, whoever he is. Without a line."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest

from longline.agentkit.dialogue.dialogue import Dialogue
from longline.agentkit.dialogue.reading import read_dialogue
from longline.cli.clinic_caller import DAYS, HOURS, POPULAR, Persona

EXAMPLES = Path(__file__).parents[3] / "examples"


@pytest.fixture(scope="module")
def dialogue() -> Dialogue:
    return read_dialogue(EXAMPLES / "clinic.yaml")


@pytest.fixture(scope="module")
def clinic() -> ModuleType:
    spec = importlib.util.spec_from_file_location("clinic", EXAMPLES / "clinic.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def booked_by(persona: Persona, dialogue: Dialogue, taken: set[tuple[str, str]], *, deaf_at: int) -> tuple[str, str]:
    """The clinic does not understand what is said `deaf_at` times before."""
    booked, memory, text = ("", ""), dialogue.begin().memory, persona.first
    for turn in range(20):
        persona.said.append(text)
        step = dialogue.hear(memory, "[unclear]" if turn == deaf_at else text)
        says = step.says
        while step.calls is not None and step.calls.tool != "hang_up":
            slot = step.calls.arguments["day"], step.calls.arguments["hour"]
            free = [hour for hour in HOURS if (slot[0], hour) not in taken][:2]
            if slot in taken:
                result = json.dumps({"outcome": "taken", "free": " or ".join(free)})
            elif step.calls.tool == "look_up":
                result = "free"
            else:
                booked, result = slot, "booked"
            step = dialogue.outcome(step.memory, result)
            says = f"{says} {step.says}".strip()
        memory = step.memory
        answer = persona.answer(says)
        if answer is None:
            assert step.calls is not None, "the agent hangs up"
            return booked
        text = answer
    raise AssertionError(f"they talk on and on: {persona.said}")


@pytest.mark.parametrize("deaf_at", [-1, 0, 1, 2])
def test_every_caller_books_what_he_wants(dialogue: Dialogue, clinic: ModuleType, deaf_at: int) -> None:
    for seed in range(60):
        persona = Persona.of(seed)
        assert booked_by(persona, dialogue, clinic.TAKEN, deaf_at=deaf_at) == persona.wants, persona.said


def test_callers_differ() -> None:
    callers = [Persona.of(seed) for seed in range(200)]
    assert {caller.wants[0] for caller in callers} == set(DAYS)
    assert {caller.wants[1] for caller in callers} == set(HOURS)
    assert {(caller.is_brief, caller.asks_again) for caller in callers} == {(a, b) for a in (0, 1) for b in (0, 1)}


def test_a_seed_is_always_the_same_caller() -> None:
    assert Persona.of(7).first == Persona.of(7).first
    assert Persona.of(7).wants == Persona.of(7).wants


def test_some_callers_want_what_is_taken(clinic: ModuleType) -> None:
    assert set(POPULAR) == clinic.TAKEN
    assert sum(Persona.of(seed).wants in clinic.TAKEN for seed in range(1, 11)) >= 2
