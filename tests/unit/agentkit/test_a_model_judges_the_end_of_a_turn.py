"""Whether a sentence is finished, by a model that takes its time."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest

from longline.agentkit.agent import VoiceAgent
from longline.agentkit.judge import AskedCompleteness
from longline.agentkit.ports import ProviderError
from longline.agentkit.testing import Caller, FakeLlm, FakeStt, FakeTts, virtual_time
from longline.agentkit.turns.endpointing import Endpointer, EndpointingRules, Judge, cannot_tell
from longline.agentkit.turns.rules import TurnRules

RULES = EndpointingRules(shortest_s=0.2, first_s=0.6, longest_s=1.6)


def test_a_judgement_counts_for_the_words_it_was_made_of() -> None:
    endpointer = Endpointer(RULES, lambda text: 0.1)
    endpointer.speech_started(0.0)
    endpointer.transcript("two rooms", is_final=False)
    endpointer.speech_stopped(1.0)
    assert endpointer.wait_s == pytest.approx(1.4), "by the rule for all"
    endpointer.judged("two rooms", 1.0)
    assert endpointer.wait_s == pytest.approx(0.2)
    endpointer.transcript("two rooms and", is_final=False)
    assert endpointer.wait_s == pytest.approx(1.4)
    endpointer.judged("two rooms and", None)
    assert endpointer.wait_s == pytest.approx(1.4), "who cannot tell changes nothing"


@pytest.mark.parametrize(
    ("reply", "finished"),
    [("Yes.", 0.95), ("no", 0.05), ("Well", None), ("", None), ([ProviderError("llm", "is down")], None)],
)
@virtual_time
async def test_a_model_says_yes_or_no(reply: str | Sequence[str | ProviderError], finished: float | None) -> None:
    judge = AskedCompleteness(FakeLlm(reply))
    assert await judge("Two rooms") == finished
    assert judge.late == (not isinstance(reply, str))


@virtual_time
async def test_a_model_that_is_late_is_not_waited_for_and_one_that_knows_is_not_asked() -> None:
    model = FakeLlm([2.0, "yes"], "yes", first_s=0.1)
    judge = AskedCompleteness(model, within_s=0.5)
    began = asyncio.get_running_loop().time()
    assert await judge("Two rooms") is None and judge.late == 1
    assert asyncio.get_running_loop().time() - began == pytest.approx(0.5)
    assert model.cancelled == 1, "what it would say costs nothing more"
    assert (await judge("Two rooms"), await judge("Two rooms")) == (0.95, 0.95) and len(model.asked) == 2


async def _fails(text: str) -> float | None:
    raise ValueError("no idea")


@pytest.mark.parametrize(
    ("judge", "at_most_ms", "at_least_ms"),
    [(AskedCompleteness(FakeLlm(*["yes"] * 9)), 450, 0), (AskedCompleteness(FakeLlm(*["no"] * 9)), 1_800, 1_400)],
    ids=["yes", "no"],
)
@virtual_time
async def test_an_agent_answers_sooner_or_later_by_it(judge: Judge, at_most_ms: float, at_least_ms: float) -> None:
    turn = TurnRules(endpointing=RULES, completeness=cannot_tell, judge=judge)
    agent = VoiceAgent(FakeStt(), FakeLlm("All right."), FakeTts(), turn=turn)
    call = await Caller().says("Two rooms please").hears("All right").hangs_up().calls(agent)
    answer_ms = call.answers[0].answer_ms
    assert answer_ms is not None and at_least_ms <= answer_ms <= at_most_ms


@virtual_time
async def test_a_judge_that_fails_costs_no_answer() -> None:
    turn = TurnRules(endpointing=replace(RULES), judge=_fails)
    agent = VoiceAgent(FakeStt(), FakeLlm("All right."), FakeTts(), turn=turn)
    call = await Caller().says("Two rooms please").hears("All right").hangs_up().calls(agent)
    call.expect_answers_within(1_800)
