"""A transcriber that fails is begun again, the caller is told when it matters, and nothing lasts for ever."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from tests.unit.agentkit.fakes import FakeLine, FakeLlm, FakeTts

from longline.agentkit.agent import VoiceAgent
from longline.agentkit.answer import Patience
from longline.agentkit.ears import MAX_FRAMES, TRIES, Deaf, Ears
from longline.agentkit.ports import ProviderError, Transcript
from longline.agentkit.session import CallSession
from longline.agentkit.testing import virtual_time

Step = str | float | Exception


class Transcriber:
    """Each time it is begun it does what its next script has: a text when the turn is over, a pause, a fault."""

    def __init__(self, *scripts: list[Step]) -> None:
        self.scripts = list(scripts)
        self.begun_at: list[float] = []
        self.heard: list[bytes] = []
        self.closed = 0

    async def listen(self, audio: AsyncIterator[bytes], rate_hz: int) -> AsyncIterator[Transcript]:
        self.begun_at.append(asyncio.get_running_loop().time())
        script = self.scripts.pop(0) if self.scripts else []
        try:
            async for frame in audio:
                self.heard.append(frame)
                if frame:
                    continue
                while script and not isinstance(script[0], str):
                    step = script.pop(0)
                    if isinstance(step, Exception):
                        raise step
                    assert isinstance(step, float)
                    await asyncio.sleep(step)
                if script:
                    yield Transcript(str(script.pop(0)), is_final=True)
        finally:
            self.closed += 1


class Noted:
    def __init__(self) -> None:
        self.told: list[Transcript | Deaf] = []

    @property
    def faults(self) -> list[Deaf]:
        return [each for each in self.told if isinstance(each, Deaf)]


async def listen(stt: Transcriber, seconds: float, every_s: float = 0.5) -> Noted:
    """Turn after turn, of one frame each."""
    noted = Noted()
    ears = Ears(stt, 8_000, noted.told.append)
    task = asyncio.create_task(ears.run())
    for _ in range(round(seconds / every_s)):
        ears.hear(bytes(320))
        ears.end_turn()
        await asyncio.sleep(every_s)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return noted


@pytest.mark.parametrize("fault", [ProviderError("stt", "is down"), RuntimeError("oh")], ids=["a fault", "a bug"])
@virtual_time
async def test_who_fails_is_begun_again(fault: Exception) -> None:
    stt = Transcriber(["one", fault], ["two"])
    noted = await listen(stt, 4)
    assert [each.text if isinstance(each, Transcript) else each.for_good for each in noted.told] == [
        "one",
        False,
        "two",
    ]
    assert stt.closed == 2


@virtual_time
async def test_failures_in_a_row_wait_longer_and_are_not_endless() -> None:
    stt = Transcriber(*([ProviderError("stt", "is down")] for _ in range(9)))
    noted = await listen(stt, 30, 0.1)
    waits = [later - before for before, later in zip(stt.begun_at, stt.begun_at[1:], strict=False)]
    assert [round(wait, 1) for wait in waits] == [0.5, 1.0, 2.0]
    assert [each.for_good for each in noted.faults] == [False] * (TRIES - 1) + [True]


@virtual_time
async def test_failures_that_are_not_in_a_row_are_mended_each_time() -> None:
    stt = Transcriber(*([text, ProviderError("stt", "is down")] for text in ("one", "two", "three", "four", "five")))
    noted = await listen(stt, 20)
    assert [each.for_good for each in noted.faults[:5]] == [False] * 5


@virtual_time
async def test_who_is_asked_to_wait_waits_or_gives_up() -> None:
    patient = Transcriber([ProviderError("stt", "limit", retry_after_s=5)], ["one"])
    await listen(patient, 8)
    assert patient.begun_at[1] - patient.begun_at[0] == pytest.approx(5, abs=0.1)
    (deaf,) = (await listen(Transcriber([ProviderError("stt", "limit", retry_after_s=60)]), 8)).faults
    assert deaf.for_good


@virtual_time
async def test_of_too_many_frames_the_oldest_go_and_the_ends_of_turns_stay() -> None:
    ears = Ears(Transcriber(), 8_000, lambda _: None)
    ears.end_turn()
    for number in range(MAX_FRAMES + 10):
        ears.hear(bytes([number % 256]))
    waiting = list(ears._frames)
    assert (len(waiting), ears.dropped, waiting[0], waiting[1]) == (MAX_FRAMES, 11, b"", bytes([11]))


async def said_by(agent: VoiceAgent, line: FakeLine) -> list[str]:
    said: list[str] = []
    async with CallSession(line) as call:
        begin = call.play
        call.play = lambda pcm, text="": (said.append(text), begin(pcm, text))[1]  # type: ignore[method-assign]
        await agent(call)
    return [text.split(",")[0] for text in said]


@virtual_time
async def test_a_caller_whose_words_are_lost_is_told_and_the_next_are_heard() -> None:
    stt = Transcriber([ProviderError("stt", "is down")], ["When do you open?"])
    llm = FakeLlm(["At nine."])
    agent = VoiceAgent(stt, llm, FakeTts())
    assert await said_by(agent, FakeLine((0.2, 0.6), (6.0, 0.6), stays_s=3.0)) == ["Sorry"]
    assert [message["content"] for message in llm.asked[0]] == ["When do you open?"]


@virtual_time
async def test_a_late_transcript_is_waited_for_and_answered() -> None:
    stt, llm = Transcriber([3.0, "When do you open?"]), FakeLlm(["At nine."])
    agent = VoiceAgent(stt, llm, FakeTts(), patience=Patience(first_s=2.0, all_s=6.0))
    assert await said_by(agent, FakeLine((0.2, 0.6), stays_s=6.0)) == ["One moment"]
    assert len(llm.asked) == 1


@virtual_time
async def test_a_transcriber_that_stalls_is_told_of() -> None:
    agent = VoiceAgent(Transcriber([60.0]), FakeLlm(), FakeTts(), patience=Patience(first_s=2.0, all_s=6.0))
    assert await said_by(agent, FakeLine((0.2, 0.6), stays_s=9.0)) == ["One moment", "Sorry"]


@virtual_time
async def test_a_noise_without_words_is_not_told_of() -> None:
    agent = VoiceAgent(Transcriber([]), FakeLlm(), FakeTts())
    assert await said_by(agent, FakeLine((0.2, 0.2), stays_s=15.0)) == []


@virtual_time
async def test_an_agent_that_is_deaf_for_good_says_goodbye() -> None:
    agent = VoiceAgent(Transcriber([ProviderError("stt", "no", retry_after_s=60)]), FakeLlm(), FakeTts())
    line = FakeLine((0.2, 0.6), stays_s=60.0)
    assert await said_by(agent, line) == ["I am sorry"]
    assert line.done == ["hang_up"]
