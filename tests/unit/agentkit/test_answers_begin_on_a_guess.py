"""An answer that is begun before the caller's turn is over: heard no sooner, ready when it is, and without a trace when
the guess was wrong."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

import pytest

from longline.agentkit.agent import VoiceAgent
from longline.agentkit.conversation import Conversation
from longline.agentkit.ports import ProviderError, Tool, ToolCall, Transcript
from longline.agentkit.testing import Caller, FakeLlm, FakeStt, FakeTts, virtual_time
from longline.agentkit.turns.guessing import Guess, Guesser, GuessRules
from longline.agentkit.turns.rules import TurnRules
from longline.agentkit.waterfall import Step

SLOW = {"first_s": 0.3}
OPEN = Caller().says("When do you open?").hears("nine").hangs_up()
NO_GUESSES = TurnRules(guesses=GuessRules(most=0))


def clinic(*, tools: Sequence[Tool] = (), turn: TurnRules | None = None) -> tuple[VoiceAgent, FakeLlm, FakeTts]:
    llm, tts = FakeLlm(when={"open": "We open at nine."}, **SLOW), FakeTts(**SLOW)  # type: ignore[arg-type]
    agent = VoiceAgent(FakeStt(final_s=0.1), llm, tts, tools=tools, turn=turn or TurnRules())
    return agent, llm, tts


@virtual_time
async def test_what_was_begun_early_is_ready_at_the_end_of_the_turn() -> None:
    agent, llm, _ = clinic()
    quick = await OPEN.calls(agent)
    plain, _, _ = clinic(turn=NO_GUESSES)
    slow = await OPEN.calls(plain)
    saved = (slow.answers[0].answer_ms or 0) - (quick.answers[0].answer_ms or 0)
    assert saved >= 300, "the time of model and voice lies within the silence that ends a turn"
    waterfall = quick.reports[0].waterfall
    assert waterfall.at[Step.FIRST_TOKEN] < waterfall.at[Step.TRANSCRIPT] < waterfall.at[Step.SENT]
    assert len(llm.asked) == 1 and llm.asked[0][-1]["content"] == "When do you open?"
    assert quick.reports[0].caller == "When do you open?" and quick.reports[0].heard == "We open at nine."


@virtual_time
async def test_nothing_is_heard_before_the_turn_is_over_and_a_wrong_guess_leaves_no_trace() -> None:
    llm = FakeLlm(when={"tuesday": "Tuesday, then.", "monday": "Monday, then."}, first_s=1.0)
    agent = VoiceAgent(FakeStt(), llm, FakeTts())
    agent.turn.endpointing = replace(agent.turn.endpointing, first_s=0.9, shortest_s=0.9)
    conversation = Conversation()

    async def talk(call: object) -> None:
        await agent(call, conversation)  # type: ignore[arg-type]

    caller = Caller().says("Monday, please.").waits(0.5).says("No. Tuesday.").hears("Tuesday").hangs_up()
    call = await caller.calls(talk)
    call.expect_not_heard("Monday, then")
    assert len(llm.asked) >= 2 and llm.cancelled >= 1
    assert [(turn.role, turn.text) for turn in conversation.turns] == [
        ("caller", "Monday, please. No. Tuesday."),
        ("agent", "Tuesday, then."),
    ]


@virtual_time
async def test_no_tool_is_run_on_a_guess() -> None:
    ran_at: list[float] = []

    def book() -> str:
        ran_at.append(asyncio.get_running_loop().time())
        return "done"

    tool = Tool("book", "", book)
    llm = FakeLlm([ToolCall("1", "book", {})], "Booked.")
    llm.may_be_guessed = True
    agent = VoiceAgent(FakeStt(final_s=0.1), llm, FakeTts(), tools=[tool])
    call = await Caller().says("Monday.").hears("Booked").hangs_up().calls(agent)
    (at,) = ran_at
    assert at >= call.reports[0].waterfall.at[Step.TRANSCRIPT]
    assert call.reports[0].waterfall.at[Step.FIRST_TOKEN] < call.reports[0].waterfall.at[Step.TRANSCRIPT]


@virtual_time
async def test_a_guess_that_fails_is_asked_again_and_nobody_hears_of_it() -> None:
    llm = FakeLlm([ProviderError("llm", "is down")], "At nine.")
    llm.may_be_guessed = True
    agent = VoiceAgent(FakeStt(final_s=0.1), llm, FakeTts())
    call = await OPEN.calls(agent)
    call.expect_not_heard("Sorry")
    assert len(llm.asked) == 2


@virtual_time
async def test_a_state_that_a_wrong_guess_has_changed_is_as_it_was() -> None:
    class Counting:
        async def reply(self, conversation: Conversation, tools: Sequence[Tool]) -> AsyncIterator[str | ToolCall]:
            conversation.state["asked"] = [*conversation.state.get("asked", []), conversation.turns[-1].text]
            yield "Aha."

    class TwoMinds(FakeStt):
        async def listen(self, audio: AsyncIterator[bytes], rate_hz: int) -> AsyncIterator[Transcript]:
            async for transcript in super().listen(audio, rate_hz):
                yield replace(transcript, text="Ten.") if transcript.is_final else transcript

    conversation = Conversation()
    agent = VoiceAgent(TwoMinds(final_s=0.1), Counting(), FakeTts())
    await Caller().says("Nine.").hears("Aha").hangs_up().calls(lambda call: agent(call, conversation))
    assert conversation.state == {"asked": ["Ten."]}


@virtual_time
async def test_a_model_that_cannot_be_asked_so_is_not() -> None:
    agent, llm, _ = clinic()
    llm.may_be_guessed = False
    call = await OPEN.calls(agent)
    assert call.reports[0].waterfall.at[Step.FIRST_TOKEN] >= call.reports[0].waterfall.at[Step.TRANSCRIPT]


@pytest.mark.parametrize(
    ("text", "finished", "is_speaking", "guess"),
    [
        ("tomorrow at three", None, False, Guess.BEGIN),
        ("tomorrow at three", None, True, None),
        ("tomorrow at three.", 0.9, True, Guess.BEGIN),
        ("tomorrow at", 0.1, False, None),
        ("", None, False, None),
    ],
)
def test_when_a_guess_is_worth_it(text: str, finished: float | None, is_speaking: bool, guess: Guess | None) -> None:
    assert Guesser().understood(text, finished, is_speaking=is_speaking) is guess


def test_a_guess_is_dropped_for_other_words_and_there_is_an_end_to_guessing() -> None:
    guesser = Guesser(GuessRules(most=2))
    assert guesser.understood("Yes.", 0.9, is_speaking=False) is Guess.BEGIN
    assert guesser.understood("yes", 0.9, is_speaking=False) is None, "the same words"
    assert guesser.understood("Yes and", 0.1, is_speaking=True) is Guess.DROP
    assert guesser.understood("Yes and no.", 0.9, is_speaking=False) is Guess.BEGIN
    assert guesser.understood("Yes and no. Well.", 0.9, is_speaking=False) is Guess.DROP, "two were made"
    assert not guesser.is_right("Yes and no. Well.")
    assert guesser.understood("Yes.", 0.9, is_speaking=False) is Guess.BEGIN, "another turn"
    assert guesser.is_right("yes")
