"""A call of an hour: no growth, and a conversation that is bounded by its rule."""

import asyncio
import gc
import itertools
import json
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import pytest

from longline.agentkit.agent import VoiceAgent
from longline.agentkit.conversation import Conversation, MemoryRules, Turn
from longline.agentkit.line import CallInfo, Frame, LineEvent, Over, SpeechEnded, SpeechStarted
from longline.agentkit.memory import Summariser
from longline.agentkit.ports import ProviderError, Sound, Tool, ToolCall, Transcript
from longline.agentkit.session import MAX_UTTERANCES, CallSession
from longline.agentkit.testing import FakeLlm, virtual_time

RATE = 8_000
FRAME_S = 0.06
VOICE = (b"\x00\x20" + b"\x00\xe0") * (RATE * 60 // 2_000)
SILENCE = bytes(len(VOICE))
TURN_S = 6.0
HOUR_S = 3_600.0


class LongLine:
    """A caller who speaks for two seconds of every six, for an hour, and hears what he is told at once."""

    rate_hz = RATE

    def __init__(self) -> None:
        self.info = CallInfo("cs_1", "ms_1")
        self._told: list[LineEvent] = []
        self._said: dict[str, int] = {}
        self.at: dict[float, int] = {}
        self.on_minute = lambda minute: None

    async def events(self) -> AsyncIterator[LineEvent]:
        for number in range(round(HOUR_S / FRAME_S)):
            await asyncio.sleep(FRAME_S)
            told, self._told = self._told, []
            for event in told:
                yield event
            at_s = number * FRAME_S
            if number % 1_000 == 0:
                self.on_minute(number // 1_000)
            yield Frame(VOICE if 1.0 <= at_s % TURN_S < 3.0 else SILENCE, at_s * 1_000)
        yield Over("hung up")

    def say(self, utterance_id: str, pcm: bytes) -> None:
        if utterance_id not in self._said:
            self._told.append(SpeechStarted(utterance_id))
        self._said[utterance_id] = self._said.get(utterance_id, 0) + len(pcm)

    def say_end(self, utterance_id: str) -> None:
        self._told.append(SpeechEnded(utterance_id, self._said.pop(utterance_id) * 500 / RATE, False))

    def clear(self) -> None:
        self._told += [SpeechEnded(name, 0.0, True) for name in self._said]
        self._said.clear()

    def pause(self) -> None: ...

    def resume(self) -> None: ...

    def send_digits(self, digits: str) -> None: ...

    def request(self, request_id: str, action: str, fields: Mapping[str, Any]) -> None: ...

    def hang_up(self) -> None: ...


class Talkative:
    """Ears, a mind with a tool and a voice, without end."""

    def __init__(self) -> None:
        self.numbers = itertools.count()
        self.told = 0

    async def listen(self, audio: AsyncIterator[bytes], rate_hz: int) -> AsyncIterator[Transcript]:
        async for frame in audio:
            if not frame:
                yield Transcript(f"This is the sentence number {next(self.numbers)} of mine.", is_final=True)

    async def reply(self, conversation: Conversation, tools: Sequence[Tool]) -> AsyncIterator[str | ToolCall]:
        self.told = max(self.told, len(json.dumps(conversation.messages())))
        if conversation.turns[-1].role == "caller":
            yield ToolCall(f"c{conversation.forgotten}", "look_up", {"what": "all"})
        else:
            yield f"I have looked it up, and it is {'x' * 200}."

    async def say(self, text: str) -> AsyncIterator[Sound]:
        yield Sound(VOICE * 10, RATE)


@virtual_time
async def test_an_hour_does_not_grow() -> None:
    tool, mind, line = Tool("look_up", "", lambda what: "y" * 500), Talkative(), LongLine()
    agent = VoiceAgent(mind, mind, mind, tools=[tool], memory=MemoryRules(keep_turns=40, keep_notes=10, note=_short))
    conversation = Conversation(rules=agent.memory)
    blocks: dict[int, int] = {}
    tasks: dict[int, int] = {}

    def on_minute(minute: int) -> None:
        tasks[minute] = len(asyncio.all_tasks())
        if minute in (25, 59):
            gc.collect()
            blocks[minute] = sys.getallocatedblocks()

    line.on_minute = on_minute
    async with CallSession(line) as call:
        await agent(call, conversation)
    assert conversation.forgotten > 1_000 and len(conversation.turns) <= 40 and len(conversation.notes) == 10
    assert len(call.utterances) <= MAX_UTTERANCES
    assert max(tasks[minute] for minute in range(30, 60)) <= max(tasks[minute] for minute in range(1, 30))
    assert blocks[59] - blocks[25] < 1_500, "of memory, in 34 minutes and 340 turns"
    assert mind.told < 40 * 800 + 10 * 200


def _short(turn: Turn) -> str | None:
    return turn.text[:40] if turn.role == "caller" else None


@virtual_time
async def test_what_leaves_is_summarised_beside_the_call() -> None:
    line, mind = LongLine(), Talkative()
    model = FakeLlm("He has said twenty sentences.", [ProviderError("llm", "is down")], "He has said forty.")
    model.replies += ["He goes on."] * 1_000
    agent = VoiceAgent(mind, mind, mind, memory=MemoryRules(keep_turns=10, summary_of=Summariser(model)))
    conversation = Conversation("Listen.", rules=agent.memory)
    async with CallSession(line) as call, asyncio.timeout(400):
        task = asyncio.create_task(agent(call, conversation))
        await asyncio.sleep(390)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    system = conversation.messages()[0]["content"]
    assert "Listen." in system and conversation.summary in system and conversation.summary
    assert "He has said twenty sentences." in model.asked[1][1]["content"], "a summary goes on from the last"
    assert len(conversation.leaving) <= 20 and len(conversation.turns) <= 10


async def test_turns_that_nobody_can_summarise_become_notes() -> None:
    async def fails(summary: str, turns: Sequence[Turn]) -> str:
        raise ProviderError("llm", "is down")

    conversation = Conversation(rules=MemoryRules(keep_turns=2, summarise_at=2, summary_of=fails, note=_short))
    for number in range(8):
        conversation.add(Turn("caller", f"number {number}"))
        if conversation.wants_summary:
            with pytest.raises(ProviderError):
                await conversation.summarise()
    assert [turn.text for turn in conversation.leaving] == ["number 2", "number 3", "number 4", "number 5"]
    assert list(conversation.notes) == ["number 0", "number 1"]
    assert conversation.messages()[0]["content"].endswith("- caller: number 5"), "nothing is lost meanwhile"


def test_many_words_leave_sooner() -> None:
    conversation = Conversation(keep_chars=1_000)
    for _ in range(5):
        conversation.add(Turn("caller", "x" * 400))
    assert len(conversation.turns) == 2 and conversation.forgotten == 3


def test_a_conversation_is_kept_between_calls() -> None:
    first = Conversation("Be kind.", keep_turns=2, note=lambda turn: turn.text)
    for text in ("I am Ann.", "Hello Ann.", "My cat is ill."):
        first.add(Turn("caller", text))
    first.state["cats"] = 1
    stored = json.loads(json.dumps(first.snapshot()))
    again = Conversation("Be brief.")
    again.restore(stored)
    assert again.messages()[0]["content"] == "Be brief.\n\nEarlier in this call:\n- I am Ann."
    assert [turn.text for turn in again.turns] == ["Hello Ann.", "My cat is ill."] and again.state == {"cats": 1}
    for nonsense in ({}, {"version": 2}, {**stored, "turns": [{"roll": 1}]}):
        with pytest.raises(ValueError, match="snapshot"):
            Conversation().restore(nonsense)
