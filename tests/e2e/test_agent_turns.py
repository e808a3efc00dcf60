"""A voice agent in a real call: its turns are told as the packets say, and no break of its socket is heard."""

import asyncio
import contextlib
import itertools
import math
import random
import struct
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from longline.agentkit import Conversation, EndpointingRules, Report, Sound, Tool, ToolCall, Transcript, TurnRules
from longline.agentkit.agent import VoiceAgent
from longline.agentkit.server import serve
from longline.agentkit.turns.endpointing import cannot_tell
from tests.support.app import Backend
from tests.support.breaking_proxy import BreakingProxy
from tests.support.node import API_KEY, Node
from tests.support.raw_phone import SILENCE, RawPhone
from tests.support.speaking_caller import VOICE, SpeakingCaller

RATE_HZ = 8_000
ENDPOINTING_S = 0.3
AS_TRUE_AS_MS = 40.0
"""The machine may be busy: a test that is quicker would say so of the machine. `make bench-agent-share` is exact."""


class Hears:
    async def listen(self, audio: AsyncIterator[bytes], rate_hz: int) -> AsyncIterator[Transcript]:
        number = 0
        async for frame in audio:
            if not frame:
                number += 1
                yield Transcript(f"question {number}", is_final=True)


class Answers:
    """Each reply in its turn."""

    def __init__(self, *replies: str | ToolCall) -> None:
        self._replies = list(replies)

    async def reply(self, conversation: Conversation, tools: Sequence[Tool]) -> AsyncIterator[str | ToolCall]:
        yield self._replies.pop(0)


class Hums:
    """A tenth of a second for each letter, all at once."""

    async def say(self, text: str) -> AsyncIterator[Sound]:
        samples = (round(9_000 * math.cos(2 * math.pi * 500 * n / RATE_HZ)) for n in range(len(text) * RATE_HZ // 10))
        yield Sound(b"".join(struct.pack("<h", sample) for sample in samples), RATE_HZ)


class Scene:
    """A call from a phone through a node and a proxy to an agent."""

    def __init__(self, folder: Path, *replies: str | ToolCall, tools: Sequence[Tool] = (), **settings: str) -> None:
        self.reports: list[Report] = []
        rules = EndpointingRules(ENDPOINTING_S, ENDPOINTING_S, ENDPOINTING_S)
        self.agent = VoiceAgent(
            Hears(),
            Answers(*replies),
            Hums(),
            tools=tools,
            turn=TurnRules(endpointing=rules, completeness=cannot_tell),
            report=self.reports.append,
        )
        self._folder, self._settings = folder, settings

    async def __aenter__(self) -> "Scene":
        self._stack = contextlib.AsyncExitStack()
        enter = self._stack.enter_async_context
        server = await enter(serve(self.agent, "127.0.0.1", 0))
        self.proxy = await enter(BreakingProxy(server.port))
        url = f"ws://127.0.0.1:{self.proxy.port}/"
        backend = await enter(Backend({"action": "stream", "ws_url": url, "dialect": "longline"}))
        self.node = await enter(Node(self._folder, LONGLINE_INBOUND__FLOW_URL=backend.flow_url, **self._settings))
        self.phone = await enter(RawPhone(self.node.sip_port))
        assert await self.phone.call() == 200
        self.caller = SpeakingCaller(self.phone, random.Random(7))
        await self.caller.begin()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def until_reported(self, count: int) -> None:
        for _ in range(250):
            if len(self.reports) >= count:
                return
            await self.caller.say(SILENCE, 0.02)
        raise AssertionError(f"{len(self.reports)} turns were reported, not {count}")

    async def turns_kept(self, count: int) -> list[dict[str, Any]]:
        """The call's events of that kind, once there are so many."""
        (call,) = (await self.node.api.get("/api/v1/voice/calls")).json()["data"]
        for _ in range(100):
            kept = [event for event in await self.node.events(call["id"]) if event["type"] == "agent.turn"]
            if len(kept) >= count:
                return kept
            await asyncio.sleep(0.05)
        raise AssertionError(f"{len(kept)} turns were kept, not {count}")

    async def table(self, call_id: str) -> str:
        """As `longline turns` prints it."""
        where = ("--url", self.node.url, "--api-key", API_KEY)
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "longline", "turns", call_id, *where, stdout=asyncio.subprocess.PIPE
        )
        output, _ = await process.communicate()
        assert process.returncode == 0
        return output.decode()


async def test_a_waterfall_is_what_the_packets_say_and_the_node_keeps_it(tmp_path: Path) -> None:
    async with Scene(tmp_path, "One.", "Two.", "Three.", LONGLINE_TRANSCRIPTS_IN_EVENTS="true") as scene:
        for _ in range(3):
            await scene.caller.ask()
            await scene.caller.wait()
        await scene.until_reported(3)
        kept = await scene.turns_kept(3)
        table = await scene.table(kept[0]["call_id"])
    assert [line.split()[:2] for line in table.splitlines()[1:]] == [
        [str(event["payload"]["number"]), str(event["payload"]["total_ms"])] for event in kept
    ]
    assert "question 2" in table and "Two." in table
    for turn, report, event in zip(scene.caller.turns, scene.reports, kept, strict=True):
        total_ms = report.waterfall.total_ms
        assert turn.delay_ms is not None and total_ms is not None
        assert turn.delay_ms == pytest.approx(total_ms, abs=AS_TRUE_AS_MS)
        assert sum(report.waterfall.parts_ms().values()) == pytest.approx(total_ms, abs=1)
        assert report.waterfall.parts_ms()["received"] > 0
        data = event["payload"]
        assert (data["number"], data["total_ms"]) == (report.number, round(total_ms))
        assert (data["caller"], data["heard"]) == (f"question {report.number}", report.agent)


LONG = "Between nine and six."


async def test_a_socket_that_breaks_in_mid_answer_is_not_heard(tmp_path: Path) -> None:
    async with Scene(tmp_path, LONG, "Yes.") as scene:
        asking = asyncio.create_task(scene.caller.ask())
        while not scene.caller.turns or not scene.caller.voiced(0):
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.3)
        scene.proxy.reset()
        turn = await asking
        await scene.until_reported(1)
        await scene.caller.ask()
        await scene.until_reported(2)
        kept = await scene.turns_kept(2)
    assert turn.heard_at is not None
    of_first = [at for at in scene.caller.voiced(0) if at < scene.caller.turns[1].spoke_until]
    assert len(of_first) == pytest.approx(len(LONG) * 5, abs=1), "packets of 20 ms, and no more"
    assert max(later - earlier for earlier, later in itertools.pairwise(of_first)) < 0.2
    first, second = scene.reports
    assert (first.heard, first.was_interrupted) == (LONG, False)
    assert (second.caller, second.heard) == ("question 2", "Yes.")
    assert [event["payload"]["number"] for event in kept] == [1, 2]
    assert "caller" not in kept[0]["payload"] and kept[0]["payload"]["caller_chars"] == len("question 1")


async def test_a_socket_that_breaks_while_a_tool_runs_costs_the_caller_nothing(tmp_path: Path) -> None:
    runs: list[int] = []

    async def book(hour: int) -> str:
        scene.proxy.reset()
        runs.append(hour)
        await asyncio.sleep(1.0)
        return "booked"

    tools = [Tool("book", "Books an hour.", book)]
    async with Scene(tmp_path, ToolCall("1", "book", {"hour": 9}), "Done.", tools=tools) as scene:
        turn = await scene.caller.ask()
        await scene.until_reported(1)
    assert turn.heard_at is not None and runs == [9]
    (report,) = scene.reports
    assert (report.heard, report.was_interrupted, report.failure) == ("Done.", False, None)


async def test_what_is_said_while_there_is_no_socket_is_answered_when_there_is_one(tmp_path: Path) -> None:
    async with Scene(tmp_path, "Yes.") as scene:
        scene.proxy.is_shut = True
        scene.proxy.reset()
        await scene.caller.say(SILENCE, 0.2)
        spoke_until = await scene.caller.say(VOICE, 0.5)
        await scene.caller.say(SILENCE, 0.5)
        assert not scene.caller.voiced(0)
        scene.proxy.is_shut = False
        for _ in range(400):
            if scene.caller.voiced(0):
                break
            await scene.caller.say(SILENCE, 0.02)
        await scene.until_reported(1)
    heard_at = scene.caller.voiced(0)[0]
    (report,) = scene.reports
    assert (report.caller, report.heard) == ("question 1", "Yes.")
    assert report.waterfall.total_ms == pytest.approx(1000 * (heard_at - spoke_until), abs=AS_TRUE_AS_MS), (
        "the outage is in it"
    )


async def test_a_conversation_goes_on_however_often_its_socket_breaks(tmp_path: Path) -> None:
    answers = [f"Answer {number}." for number in range(1, 5)]
    chance = random.Random(3)
    async with Scene(tmp_path, *answers) as scene:

        async def break_it() -> None:
            while True:
                await asyncio.sleep(chance.uniform(1.1, 1.6))  # sooner it would be one outage
                getattr(scene.proxy, chance.choice(["reset", "half_close", "cut"]))()

        breaking = asyncio.create_task(break_it())
        for _ in answers:
            await scene.caller.ask()
            await scene.caller.wait()
        await scene.until_reported(len(answers))
        breaking.cancel()
        kept = await scene.turns_kept(len(answers))
    assert [(report.caller, report.heard) for report in scene.reports] == [
        (f"question {number}", answer) for number, answer in enumerate(answers, 1)
    ]
    assert [event["payload"]["number"] for event in kept] == list(range(1, 5)), "each once, in order"
    voiced = len(scene.caller.voiced(0))
    assert voiced == pytest.approx(5 * sum(map(len, answers)), abs=len(answers)), "every packet of every answer, once"
