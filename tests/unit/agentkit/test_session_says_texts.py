"""A session with a voice: texts are said in the order in which they were asked for, and keys are read as a whole."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest
from tests.unit.agentkit.fakes import FakeLine, FakeTts

from longline.agentkit.line import Digit, LineEvent, TrackAdded, TrackRemoved
from longline.agentkit.ports import ProviderError, Sound
from longline.agentkit.session import CallSession, NoVoice
from longline.agentkit.turns.keys import KeyEntry, KeyRules
from longline.agentkit.utterance import SpeechOrder, Utterance


class Log:
    def __init__(self) -> None:
        self.said: list[tuple[str, str]] = []

    def say(self, utterance_id: str, pcm: bytes) -> None:
        self.said.append((utterance_id, pcm.decode()))

    def say_end(self, utterance_id: str) -> None:
        self.said.append((utterance_id, "."))


async def test_what_is_made_at_once_is_said_one_after_the_other() -> None:
    log = Log()
    order = SpeechOrder(log)
    first, second, empty = (Utterance(name, 8_000) for name in ("one", "two", "empty"))
    for utterance in (first, empty, second):
        order.begin(utterance)
    order.add(second, b"2222")
    order.add(first, b"11")
    order.finish(second)
    order.add(first, b"11")
    assert log.said == [("one", "11"), ("one", "11")]
    order.finish(first)
    assert not second.is_over and log.said[2:] == [("one", ".")]
    order.finish(empty)
    assert empty.is_over and log.said[3:] == [("two", "2222"), ("two", ".")]


async def test_what_was_cut_is_not_said_though_it_is_still_being_made() -> None:
    log = Log()
    order = SpeechOrder(log)
    first, second = Utterance("one", 8_000), Utterance("two", 8_000)
    order.begin(first)
    order.begin(second)
    order.add(first, b"11")
    order.clear()
    for utterance in (first, second):
        order.add(utterance, b"more")
        order.finish(utterance)
    assert log.said == [("one", "11")]
    assert second.is_over and second.was_cut and not first.is_over, "the line tells how much of it was heard"


async def test_texts_are_said_in_order_and_what_was_heard_of_them_is_known() -> None:
    async with CallSession(FakeLine(stays_s=3.0), tts=FakeTts()) as call:
        first, second = call.say("Good day. How are you?"), call.say("Bye.", interruptible=False)
        assert (await second.ended).heard_ms == 4 * 40 and not second.interruptible
        assert first.is_over and not first.was_cut and first.heard_ms == first.said_ms == 21 * 40


async def test_the_words_that_were_heard_of_a_text_that_was_cut_are_known() -> None:
    """Forty milliseconds for each letter: 840 ms of it are a sentence of 21 letters, and what follows begins then."""
    async with CallSession(FakeLine(stays_s=3.0), tts=FakeTts()) as call:
        said = call.say("We open at nine, sir. And on Sundays we are closed.")
        while said.heard_ms < 1_300:
            await asyncio.sleep(0.02)
        assert said.heard.startswith("We open at nine, sir. And on")
        call.interrupt()
        await said.ended
    assert said.was_cut and said.heard in ("We open at nine, sir. And on", "We open at nine, sir. And on Sundays")


async def test_a_voice_that_fails_says_so_in_the_utterance() -> None:
    class Mute:
        async def say(self, text: str) -> AsyncIterator[Sound]:
            raise ValueError("no such voice")
            yield

    async with CallSession(FakeLine(), tts=Mute()) as call:
        said = await call.say("Hello").ended
        assert isinstance(said.fault, ProviderError) and "no such voice" in str(said.fault)
    async with CallSession(FakeLine()) as call:
        with pytest.raises(NoVoice):
            call.say("Hello")


class ScriptedLine(FakeLine):
    """Gives events at their times, in seconds."""

    def __init__(self, *script: tuple[float, LineEvent]) -> None:
        super().__init__()
        self.given = script

    async def events(self) -> AsyncIterator[LineEvent]:
        for at_s, event in self.given:
            await asyncio.sleep(max(0.0, at_s - asyncio.get_running_loop().time() + self.begun))
            yield event
        await asyncio.sleep(60)

    async def __aenter__(self) -> CallSession:
        self.begun = asyncio.get_running_loop().time()
        self.call = CallSession(self)
        return await self.call.__aenter__()

    async def __aexit__(self, *_: object) -> None:
        await self.call.__aexit__()


async def test_keys_are_read_as_a_whole() -> None:
    line = ScriptedLine(*((0.01 * n, Digit(digit)) for n, digit in enumerate("42#7")))
    async with line as call:
        assert await call.keys() == "42"
        assert await call.keys(KeyRules(between_s=0.05)) == "7", "nothing follows"
        assert await call.keys(within_s=0.02) == ""


async def test_parties_come_and_go() -> None:
    line = ScriptedLine((0.0, TrackAdded(1, "dial_target")), (0.0, TrackAdded(2, "x")), (0.0, TrackRemoved(2)))
    async with line as call:
        assert call.tracks == {0: "caller"}
        for _ in range(3):
            await call.next_event()
        assert call.tracks == {0: "caller", 1: "dial_target"}


@pytest.mark.parametrize(
    ("rules", "keys", "entries"),
    [
        (KeyRules(), "4#", [("4", "key")]),
        (KeyRules(), "#", [("", "key")]),
        (KeyRules(longest=1, ends=""), "1#", [("1", "length"), ("#", "length")]),
        (KeyRules(longest=3), "12345#", [("123", "length"), ("45", "key")]),
        (KeyRules(ends="#*"), "1*2", [("1", "key")]),
    ],
)
def test_an_entry_of_keys(rules: KeyRules, keys: str, entries: Sequence[tuple[str, str]]) -> None:
    entry = KeyEntry(rules)
    done = [each for n, key in enumerate(keys) if (each := entry.press(key, float(n))) is not None]
    assert [(each.keys, each.ended_by) for each in done] == entries


def test_an_entry_ends_when_no_key_follows() -> None:
    entry = KeyEntry(KeyRules(between_s=2.0))
    assert entry.deadline is None
    entry.press("4", 1.0)
    entry.press("2", 2.5)
    assert entry.deadline == 4.5 and entry.decide(4.4) is None
    over = entry.decide(4.5)
    assert over is not None and (over.keys, over.ended_by) == ("42", "time")
    assert entry.deadline is None
