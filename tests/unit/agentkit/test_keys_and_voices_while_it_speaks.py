"""What a caller does while the agent speaks: keys, words that may not interrupt, and voices that say nothing."""

from collections.abc import AsyncIterator

import pytest

from longline.agentkit.agent import VoiceAgent
from longline.agentkit.conversation import Conversation
from longline.agentkit.ports import Transcript
from longline.agentkit.session import CallSession
from longline.agentkit.testing import Caller, FakeLlm, FakeStt, FakeTts, virtual_time
from longline.agentkit.testing.written import voice
from longline.agentkit.turns.keys import KeyRules
from longline.agentkit.turns.rules import TurnRules

MENU = "For sales press one, for support press two, for all that is left press three and wait."


@virtual_time
async def test_an_entry_of_keys_is_one_turn() -> None:
    llm = FakeLlm("Thank you.")
    agent = VoiceAgent(FakeStt(), llm, FakeTts(), greeting="Your number, please.")
    await Caller().hears("number").presses("4711#").hears("Thank you").hangs_up().calls(agent)
    assert [asked[-1]["content"] for asked in llm.asked] == ["[pressed 4711]"]


@virtual_time
async def test_a_key_interrupts_the_menu() -> None:
    turn = TurnRules(keys=KeyRules(longest=1))
    agent = VoiceAgent(FakeStt(), FakeLlm("Support, hello."), FakeTts(), greeting=MENU, turn=turn)
    call = await Caller().waits(1.5).presses("2").hears("Support").hangs_up().calls(agent)
    call.expect_heard("For sales", "Support").expect_not_heard("press three")


@virtual_time
async def test_keys_are_given_to_a_handler_that_says_what_they_mean_or_nothing() -> None:
    entries: list[str] = []

    async def on_keys(call: CallSession, keys: str) -> str | None:
        entries.append(keys)
        return "My number is 4711." if keys == "4711" else None

    llm = FakeLlm("Welcome.")
    agent = VoiceAgent(FakeStt(), llm, FakeTts(), on_keys=on_keys)
    await Caller().waits(0.2).presses("99#").waits(1.0).presses("4711").hears("Welcome").hangs_up().calls(agent)
    assert entries == ["99", "4711"]
    assert [asked[-1]["content"] for asked in llm.asked] == ["My number is 4711."]


@pytest.mark.parametrize("interruptible", [False, True])
@virtual_time
async def test_what_may_not_be_interrupted_is_said_to_its_end_and_then_answered(interruptible: bool) -> None:
    greeting = "This call is recorded. If you do not want that, say so now. How can I help?"
    llm = FakeLlm(when={"open": "At nine."})
    agent = VoiceAgent(FakeStt(), llm, FakeTts(), greeting=greeting, greeting_interruptible=interruptible)
    call = await Caller().waits(1.0).says("When do you open?").hears("At nine").hangs_up().calls(agent)
    if interruptible:
        call.expect_not_heard("How can I help").expect_done("clear")
    else:
        call.expect_heard(greeting, "At nine")
        assert not {"pause", "clear"} & set(call.done)


@virtual_time
async def test_what_an_application_says_itself_may_not_be_interrupted_either() -> None:
    async def talk(call: CallSession) -> None:
        call.voice = FakeTts()
        call.say("Please listen to all of this, it is the law.", interruptible=False)
        await VoiceAgent(FakeStt(), FakeLlm("Yes?"), FakeTts())(call)

    call = await Caller().waits(0.5).says("Stop it now.").hears("Yes").hangs_up().calls(talk)
    call.expect_heard("it is the law", "Yes")


class Noise(FakeStt):
    """Hears words in nothing."""

    async def listen(self, audio: AsyncIterator[bytes], rate_hz: int) -> AsyncIterator[Transcript]:
        async for frame in audio:
            if not frame:
                yield Transcript("", is_final=True)


@pytest.mark.parametrize("seconds", [0.3, 1.2, 2.5])
@virtual_time
async def test_a_voice_without_words_takes_nothing_from_what_is_said(seconds: float) -> None:
    """A cough, a television, a door."""
    answer = "We open at nine in the morning and close at six in the evening."
    agent = VoiceAgent(Noise(), FakeLlm(), FakeTts(), greeting=answer)
    noise = range(60, 60 + round(50 * seconds))

    def background(number: int) -> bytes:
        return voice(8_000) if number in noise else bytes(320)

    conversation = Conversation()
    caller = Caller().hears("in the evening", within=15).hangs_up()
    call = await caller.calls(lambda call: agent(call, conversation), background=background)
    assert call.heard == answer, "each word once"
    assert "resume" in call.done and "clear" not in call.done
    assert not conversation.turns[0].was_interrupted and conversation.turns[0].heard == answer


@virtual_time
async def test_music_that_does_not_stop_silences_nobody_for_ever() -> None:
    """Neither the agent, which goes on over it, nor the caller, whose turn ends with his words."""
    llm = FakeLlm(when={"open": "We open at nine in the morning and close at six in the evening."})
    agent = VoiceAgent(FakeStt(), llm, FakeTts())

    def background(number: int) -> bytes:
        return voice(8_000) if number > 20 else bytes(320)

    caller = Caller().says("When do you open?").hears("in the evening", within=20).hangs_up()
    (await caller.calls(agent, background=background)).expect_heard("We open at nine in the morning")


@virtual_time
async def test_silence_is_asked_about_again_after_a_noise() -> None:
    agent = VoiceAgent(Noise(), FakeLlm(), FakeTts(), greeting="Hello.", silence=["Still there?"], silence_s=3.0)

    def background(number: int) -> bytes:
        return voice(8_000) if 100 < number < 120 else bytes(320)

    call = await Caller().is_hung_up(within=20).calls(agent, background=background)
    call.expect_heard("Hello", "Still there").expect_ended_by("agent")
    assert call.turns[-1].ended_at >= 2.4 + 3.0 + 0.4, "the noise was something"
