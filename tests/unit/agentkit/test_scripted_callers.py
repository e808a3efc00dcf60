"""Callers with a script, against whole agents, in memory and in virtual time."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from longline.agentkit.agent import VoiceAgent
from longline.agentkit.line import Digit
from longline.agentkit.ports import Sound, Tool, ToolCall
from longline.agentkit.session import CallSession
from longline.agentkit.testing import Caller, CallFailed, FakeLlm, FakeStt, FakeTts, Network, virtual_time
from longline.agentkit.testing.written import WordReader, spoken

OPENING = "We open at nine in the morning and we close at six in the evening on all days."


def clinic(**more: object) -> VoiceAgent:
    llm = FakeLlm(when={"open": OPENING, "monday": "Monday at nine is yours.", "wait": "Yes?"})
    return VoiceAgent(FakeStt(), llm, FakeTts(), greeting="Clinic, how can I help?", **more)  # type: ignore[arg-type]


@virtual_time
async def test_a_conversation_is_heard_as_the_caller_hears_it() -> None:
    call = (
        await Caller()
        .hears("how can I help")
        .says("Monday, please.")
        .hears("Monday at nine")
        .hangs_up()
        .calls(clinic())
    )
    assert [(turn.role, turn.text) for turn in call.turns] == [
        ("agent", "Clinic, how can I help?"),
        ("caller", "Monday, please."),
        ("agent", "Monday at nine is yours."),
    ]
    assert call.ended_by == "caller" and call.reports[0].caller == "Monday, please."
    answer = call.answers[-1].answer_ms
    assert answer is not None and 250 <= answer <= 700
    assert answer == pytest.approx(call.reports[0].waterfall.total_ms, abs=60)
    call.expect_heard("help", "Monday").expect_not_heard("sorry").expect_answers_within(700).expect_ended_by("caller")


@virtual_time
async def test_who_is_interrupted_falls_silent_and_was_heard_up_to_there() -> None:
    caller = Caller().hears().says("When do you open?").interrupts("Wait, please", after=1.2).hears("Yes").hangs_up()
    call = await caller.calls(clinic())
    (cut,) = call.interruptions
    assert cut.text and OPENING.startswith(cut.text) and len(cut.text) < len(OPENING) / 2
    assert cut.text == call.reports[0].heard, "what the agent believes is what was heard"
    call.expect_silent_within(200).expect_heard("We open at nine", "Yes")
    with pytest.raises(CallFailed, match=r"spoke for \d+ ms more"):
        call.expect_silent_within(10)


@virtual_time
async def test_a_backchannel_costs_no_word() -> None:
    caller = Caller().hears().says("When do you open?").interrupts("mm-hm", after=1.2).hears("on all days")
    call = await caller.calls(clinic())
    assert call.turns[-1].text == OPENING or call.heard.endswith(OPENING)
    assert [done for done in call.done if done != "pause"] == ["resume"]


@virtual_time
async def test_keys_reach_the_agent_and_what_it_asks_of_the_line_is_known() -> None:
    pressed: list[str] = []

    async def menu(call: CallSession) -> None:
        async for event in call:
            if isinstance(event, Digit):
                pressed.append(event.digit)
            if pressed == ["4", "#"]:
                call.send_dtmf("99")
                await call.transfer("sip:desk@example.com")
                return

    call = await Caller().waits(0.5).presses("4#").is_hung_up(within=1).calls(menu)
    assert pressed == ["4", "#"] and call.ended_by == "agent"
    call.expect_done("dtmf 99", "transfer sip:desk@example.com").expect_ended_by("agent")
    with pytest.raises(CallFailed, match="did not ask for 'record"):
        call.expect_done("record.start")


@virtual_time
async def test_what_is_not_heard_fails_with_the_step_and_the_transcript() -> None:
    with pytest.raises(CallFailed) as failed:
        await Caller().named("Ada").hears().says("Monday, please.").hears("Tuesday", within=2).calls(clinic())
    text = str(failed.value)
    assert "Ada: step 3 of 3, “hears 'Tuesday' within 2 s”: heard instead: 'Monday at nine is yours.'" in text
    assert "caller  Monday, please." in text and "Monday at nine is yours.  (after" in text


@pytest.mark.parametrize(
    ("caller", "problem"),
    [
        (Caller().hears(within=1), "the agent said nothing"),
        (Caller().interrupts(within=1), "the agent did not speak"),
        (Caller().is_hung_up(within=1), "the agent did not"),
        (Caller().hears(within=1).says("never"), "step 1 of 2"),
    ],
    ids=["hears", "interrupts", "is hung up", "later steps are not tried"],
)
def test_a_silent_agent_fails_every_step_that_waits_for_it(caller: Caller, problem: str) -> None:
    async def silent(call: CallSession) -> None:
        async for _ in call:
            pass

    @virtual_time
    async def rehearsal() -> None:
        await caller.calls(silent)

    with pytest.raises(CallFailed, match=problem):
        rehearsal()


@virtual_time
async def test_an_agent_that_fails_or_never_ends_is_told_of() -> None:
    async def breaks(call: CallSession) -> None:
        raise KeyError("slot")

    async def stays(call: CallSession) -> None:
        await asyncio.sleep(100)

    with pytest.raises(CallFailed, match="the agent failed: KeyError: 'slot'"):
        await Caller().waits(1).calls(breaks)
    with pytest.raises(CallFailed, match="went on for 5 s after the call was over"):
        await Caller().waits(1).calls(stays)


@virtual_time
async def test_the_same_seed_is_the_same_call_on_a_bad_network() -> None:
    caller = Caller().hears().says("Monday, please, if that is possible.").hears("Monday").hangs_up()
    network = Network(loss=0.05, jitter_ms=30, seed=7)
    calls = [await caller.calls(clinic(), network=network) for _ in range(2)]
    assert str(calls[0]) == str(calls[1])


@virtual_time
async def test_a_voice_that_cannot_be_read_is_known_by_the_agents_word() -> None:
    class Hum(FakeTts):
        async def say(self, text: str):  # type: ignore[no-untyped-def]
            async for sound in super().say(text):
                yield type(sound)(bytes(len(sound.pcm) // 2 * 2).replace(b"\0\0", b"\x01\x20"), sound.rate_hz)

    agent = VoiceAgent(FakeStt(), FakeLlm(OPENING, "Yes?"), Hum())
    call = await Caller().says("When?").interrupts(after=1.0).hears("Yes").calls(agent)
    assert call.interruptions[0].text == call.reports[0].heard != ""


@virtual_time
async def test_a_tool_is_run_between_the_words() -> None:
    booked: list[str] = []
    llm = FakeLlm([ToolCall("1", "book", {"slot": "Monday"})], "Booked.")
    book = Tool("book", "Books a slot.", lambda slot: booked.append(slot))
    await Caller().says("Monday, please.").hears("Booked").calls(VoiceAgent(FakeStt(), llm, FakeTts(), tools=[book]))
    assert booked == ["Monday"]


@virtual_time
async def test_a_caller_may_have_another_voice_and_his_speech_takes_the_agent_no_time() -> None:
    class Real(FakeTts):
        """A voice that needs real time, as a program or a service does."""

        async def say(self, text: str) -> AsyncIterator[Sound]:
            process = await asyncio.create_subprocess_exec("true")
            await process.wait()
            async for sound in super().say(text):
                yield sound

    call = await Caller().hears().says("Monday, please.").hears("Monday").calls(clinic(), voice=Real())
    assert call.turns[1].text == "Monday, please." and call.reports[0].caller == "Monday, please."


def test_words_are_read_however_they_are_cut() -> None:
    text = "No, no: a naïve “caller” waits 24 hours."
    pcm = b"".join(spoken(text, 8_000))
    for size in (1, 7, 160, 320, 1_000, len(pcm)):
        reader, words = WordReader(), list[str]()
        for begin in range(0, len(pcm), size):
            words += reader.read(pcm[begin : begin + size])
        assert words == text.split(), size
    assert len(pcm) / 16 == pytest.approx(40 * len(text), abs=40)
    assert " ".join(WordReader().read(pcm[: len(pcm) // 2])) == "No, no: a naïve"


@virtual_time
async def test_what_ended_before_the_caller_spoke_is_no_answer_to_him() -> None:
    async def slow(call: CallSession) -> None:
        call.play(b"".join(spoken("Welcome.", 8_000)))
        await call.said()
        await asyncio.sleep(2)
        call.play(b"".join(spoken("Your number?", 8_000)))
        await asyncio.sleep(3)

    call = await Caller().waits(0.5).presses("2").hears().says("Seven.").calls(slow)
    assert [turn.text for turn in call.turns] == ["Welcome.", "[pressed 2]", "Your number?", "Seven."]
