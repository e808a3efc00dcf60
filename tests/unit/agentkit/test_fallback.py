"""A second provider when the first fails: who is asked, and that nothing said is lost or said twice."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest

from longline.agentkit.conversation import Conversation
from longline.agentkit.heard import WordEnd
from longline.agentkit.llm.fallback import FallbackLlm
from longline.agentkit.ports import ProviderError, Sound, SpeechToText, ToolCall, Transcript
from longline.agentkit.ranking import Ranking
from longline.agentkit.stt.fallback import FallbackStt
from longline.agentkit.testing import FakeLlm, FakeStt, FakeTts, virtual_time
from longline.agentkit.testing.written import spoken
from longline.agentkit.tts.fallback import FallbackTts

DOWN = ProviderError("first", "is down")
RATE = 8_000
A, B, C = ("a",), ("b",), ("c",)


# --- who is asked -----------------------------------------------------------------------------------------------------


def test_who_has_failed_rests_and_then_has_his_old_place() -> None:
    ranking = Ranking((A, B, C), rest_s=30)
    ranking.failed(A, DOWN, now=100)
    assert ranking.order(101) == [B, C, A]
    ranking.failed(B, ProviderError("b", "later", retry_after_s=5), now=101)
    assert ranking.order(102) == [C, B, A], "b is back before a"
    assert ranking.order(107) == [B, C, A]
    assert ranking.order(131) == [A, B, C]
    assert ranking.failures == {"first": 1, "b": 1}


def test_who_has_worked_rests_no_more() -> None:
    ranking = Ranking((A, B))
    ranking.failed(A, DOWN, now=100)
    ranking.worked(A)
    assert ranking.order(101) == [A, B]


def test_providers_that_compare_equal_are_two() -> None:
    first, second = [0], [0]
    ranking = Ranking((first, second))
    ranking.failed(second, DOWN, now=0)
    assert ranking.order(1)[0] is first


def test_none_at_all_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        FallbackLlm()


# --- models -----------------------------------------------------------------------------------------------------------


async def reply(llm: FallbackLlm) -> list[str | ToolCall]:
    return [piece async for piece in llm.reply(Conversation(), ())]


@virtual_time
async def test_another_model_answers_when_the_first_fails_before_it_begins() -> None:
    first, second = FakeLlm([DOWN], "Again."), FakeLlm(["At ", "nine."], ["At ten."])
    llm = FallbackLlm(first, second)
    assert await reply(llm) == ["At ", "nine."]
    assert await reply(llm) == ["At ten."], "the first rests"
    await asyncio.sleep(31)
    assert await reply(llm) == ["Again."]


@virtual_time
async def test_a_model_that_does_not_begin_is_stopped_and_another_asked() -> None:
    first, second = FakeLlm([60.0, "Late."]), FakeLlm(["At nine."])
    begun = asyncio.get_running_loop().time()
    assert await reply(FallbackLlm(first, second, wait_s=2)) == ["At nine."]
    assert asyncio.get_running_loop().time() - begun == pytest.approx(2)
    assert first.cancelled == 1


@virtual_time
async def test_an_answer_that_was_begun_is_not_begun_again() -> None:
    llm = FallbackLlm(FakeLlm(["At ", DOWN]), FakeLlm("At ten."))
    pieces = llm.reply(Conversation(), ())
    assert await anext(pieces) == "At "
    with pytest.raises(ProviderError, match="is down"):
        await anext(pieces)
    assert await reply(llm) == ["At ten."]


@virtual_time
async def test_the_fault_of_the_last_is_told_when_all_have_failed() -> None:
    with pytest.raises(ProviderError, match="second"):
        await reply(FallbackLlm(FakeLlm([DOWN]), FakeLlm([ProviderError("second", "too")])))


@virtual_time
async def test_to_close_an_answer_closes_the_model_behind_it() -> None:
    first = FakeLlm(["At ", 60.0, "nine."])
    pieces = FallbackLlm(first, FakeLlm()).reply(Conversation(), ())
    await anext(pieces)
    await pieces.aclose()  # type: ignore[attr-defined]
    assert first.cancelled == 1


# --- voices -----------------------------------------------------------------------------------------------------------


class BreakingVoice:
    """A hundred milliseconds for each word, and a fault (or a stall) after so many of them."""

    def __init__(self, words: int, *, tells_ends: bool = True, stalls: bool = False) -> None:
        self._words, self._tells_ends, self._stalls = words, tells_ends, stalls

    async def say(self, text: str) -> AsyncIterator[Sound]:
        at = 0
        for number, word in enumerate([*text.split(), ""]):
            at = text.index(word, at) + len(word)
            if number == self._words:
                await asyncio.sleep(60 if self._stalls else 0)
                raise DOWN
            end = WordEnd(at, (number + 1) * 100.0)
            yield Sound(bytes(1_600), RATE, (end,) if self._tells_ends else ())


async def say(tts: FallbackTts, text: str) -> list[Sound]:
    return [sound async for sound in tts.say(text)]


@virtual_time
@pytest.mark.parametrize("fails", [DOWN, 60.0], ids=["refuses", "does not begin"])
async def test_another_voice_says_the_sentence(fails: ProviderError | float) -> None:
    first, second = FakeTts(fails=[fails]), FakeTts()
    tts = FallbackTts(first, second)
    assert await say(tts, "We open at nine.")
    await say(tts, "Every day.")
    assert (first.said, second.said) == (["We open at nine."], ["We open at nine.", "Every day."])


@virtual_time
@pytest.mark.parametrize("stalls", [False, True])
async def test_another_voice_goes_on_behind_the_last_word(stalls: bool) -> None:
    second = FakeTts(tells_ends=True)
    sounds = await say(FallbackTts(BreakingVoice(3, stalls=stalls), second), "We open at nine, every day.")
    assert second.said == ["nine, every day."]
    ends = [end for sound in sounds for end in sound.ends]
    assert [end.end for end in ends] == [2, 7, 10, 16, 22, 27]
    assert [end.at_ms for end in ends] == sorted(end.at_ms for end in ends)
    assert ends[3].at_ms > 300


@virtual_time
async def test_a_fault_behind_the_last_word_is_none() -> None:
    second = FakeTts()
    voice = BreakingVoice(2)
    assert len(await say(FallbackTts(voice, second), "Good bye. ")) == 2
    assert len(await say(FallbackTts(BreakingVoice(1), second), "Good bye.")) > 1
    assert second.said == ["bye."]


@virtual_time
async def test_a_voice_that_does_not_tell_its_words_has_its_sentence_said_again() -> None:
    second = FakeTts()
    await say(FallbackTts(BreakingVoice(3, tells_ends=False), second), "We open at nine.")
    assert second.said == ["We open at nine."]


class Plain:
    """An iterator that is no generator, and cannot be closed."""

    def __init__(self, *sounds: Sound) -> None:
        self._sounds = list(sounds)

    def say(self, text: str) -> "Plain":
        return self

    def __aiter__(self) -> "Plain":
        return self

    async def __anext__(self) -> Sound:
        if not self._sounds:
            raise StopAsyncIteration
        return self._sounds.pop()


@virtual_time
async def test_a_voice_need_not_be_a_generator() -> None:
    sound = Sound(bytes(320), RATE)
    assert await say(FallbackTts(Plain(sound), FakeTts()), "Hello.") == [sound]


# --- transcribers -----------------------------------------------------------------------------------------------------


class Deaf:
    """Hears all, and says nothing: or fails after so many frames."""

    def __init__(self, fails_after: int | None = None) -> None:
        self.closed = 0
        self._fails_after = fails_after

    async def listen(self, audio: AsyncIterator[bytes], rate_hz: int) -> AsyncIterator[Transcript]:
        count = 0
        try:
            async for _ in audio:
                count += 1
                if count == self._fails_after:
                    raise DOWN
        finally:
            self.closed += 1
        yield Transcript("", is_final=True)


async def audio(*turns: str) -> AsyncIterator[bytes]:
    """In real time, with a second of silence behind each turn."""
    for text in turns:
        for frame in [*spoken(text, RATE), b"", *[bytes(320)] * 150]:
            yield frame
            await asyncio.sleep(len(frame) / 2 / RATE)


async def finals(stt: SpeechToText, turns: Sequence[str]) -> list[str]:
    return [transcript.text async for transcript in stt.listen(audio(*turns), RATE) if transcript.is_final]


@virtual_time
async def test_what_was_said_before_the_first_has_failed_is_heard_by_the_second() -> None:
    first = Deaf(fails_after=40)
    assert await finals(FallbackStt(first, FakeStt()), ["when do you open", "thank you"]) == [
        "when do you open",
        "thank you",
    ]
    assert first.closed == 1


@virtual_time
async def test_a_final_that_is_overdue_is_asked_of_another() -> None:
    begun = asyncio.get_running_loop().time()
    stt = FallbackStt(Deaf(), FakeStt(), wait_s=1.5)
    heard = stt.listen(audio("when do you open"), RATE)
    async for transcript in heard:
        if transcript.is_final:
            break
    length_s = sum(len(frame) for frame in spoken("when do you open", RATE)) / 2 / RATE
    assert transcript.text == "when do you open"
    assert asyncio.get_running_loop().time() - begun == pytest.approx(length_s + 1.5, abs=0.05)
    await heard.aclose()  # type: ignore[attr-defined]


@virtual_time
async def test_what_the_first_has_understood_is_not_heard_again() -> None:
    class Once(FakeStt):
        async def listen(self, audio: AsyncIterator[bytes], rate_hz: int) -> AsyncIterator[Transcript]:
            async for transcript in super().listen(audio, rate_hz):
                yield transcript
                if transcript.is_final:
                    raise DOWN

    assert await finals(FallbackStt(Once(), FakeStt()), ["when do you open", "thank you"]) == [
        "when do you open",
        "thank you",
    ]


@virtual_time
async def test_when_all_are_deaf_it_is_told_and_nothing_is_left() -> None:
    with pytest.raises(ProviderError):
        await finals(FallbackStt(Deaf(), Deaf(fails_after=3)), ["when do you open"])
    assert len(asyncio.all_tasks()) == 1
