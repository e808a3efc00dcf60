"""A call session over each of its lines, on sockets of this host."""

import asyncio
import base64
import contextlib
import itertools
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from longline.agentkit import mulaw
from longline.agentkit.line import Digit, Frame, NotOnThisLine, Over
from longline.agentkit.server import serve
from longline.agentkit.session import CallSession
from longline.agentkit.testing import virtual_time
from longline.agentkit.utterance import Utterance
from longline.streamkit.line.line import Line
from longline.streamkit.line.wire import Wire

HALF_A_SECOND = b"\x10\x20" * 4_000


def teler_start() -> list[dict[str, Any]]:
    return [{"type": "start", "call_id": "cs_1", "stream_id": "ms_1", "metadata": {"lang": "en"}, "data": {}}]


def twilio_start() -> list[dict[str, Any]]:
    start = {"streamSid": "MZ1", "callSid": "CA1", "customParameters": {"lang": "en"}}
    return [{"event": "connected"}, {"event": "start", "streamSid": "MZ1", "start": start}]


@contextlib.asynccontextmanager
async def caller(handler: Any, first: list[dict[str, Any]]) -> AsyncIterator[ClientConnection]:
    """The platform's side of one call."""
    async with serve(handler, "127.0.0.1", 0) as server, connect(f"ws://127.0.0.1:{server.port}/") as socket:
        for message in first:
            await socket.send(json.dumps(message))
        yield socket


async def all_of(socket: ClientConnection) -> list[dict[str, Any]]:
    return [json.loads(text) async for text in socket]


@pytest.mark.parametrize("first", [teler_start(), twilio_start()], ids=["teler", "twilio"])
@virtual_time(sockets=True)
async def test_the_same_agent_runs_behind_other_clouds(first: list[dict[str, Any]]) -> None:
    utterances: list[Utterance] = []

    async def talk(call: CallSession) -> None:
        assert (call.rate_hz, call.metadata) == (8_000, {"lang": "en"})
        utterances.append(call.play(HALF_A_SECOND, "hello"))
        await utterances[0].ended

    async with caller(talk, first) as socket:
        is_twilio = len(first) == 2
        heard = b""
        async for text in socket:
            message = json.loads(text)
            if message.get("event") == "media":
                heard += mulaw.to_linear(base64.b64decode(message["media"]["payload"]))
            elif message.get("type") == "audio":
                heard += base64.b64decode(message["audio_b64"])
            elif message.get("event") == "mark":
                await socket.send(json.dumps(message))
        expected = mulaw.to_linear(mulaw.from_linear(HALF_A_SECOND)) if is_twilio else HALF_A_SECOND
        assert heard == expected
    assert (utterances[0].heard_ms, utterances[0].was_cut) == (500.0, False)


@virtual_time(sockets=True)
async def test_an_interrupted_utterance_says_how_much_of_it_was_heard() -> None:
    cut: list[Utterance] = []

    async def talk(call: CallSession) -> None:
        said = call.play(HALF_A_SECOND * 20)
        await asyncio.sleep(0.5)
        call.interrupt()
        cut.append(await said.ended)

    async with caller(talk, teler_start()) as socket:
        messages = await all_of(socket)
    assert cut[0].was_cut and 350 < cut[0].heard_ms < 900
    assert [message["type"] for message in messages].count("clear") == 1


async def test_what_the_caller_says_and_presses_comes_in_order() -> None:
    events: list[Any] = []

    async def talk(call: CallSession) -> None:
        events.extend([event async for event in call])

    codes = bytes(range(160))
    async with caller(talk, twilio_start()) as socket:
        media = {"event": "media", "media": {"track": "inbound", "payload": base64.b64encode(codes).decode()}}
        for message in (media, {"event": "nonsense"}, {"event": "dtmf", "dtmf": {"digit": "4"}}, media):
            await socket.send(json.dumps(message))
        await socket.send("not json")
        await socket.send(json.dumps({"event": "stop"}))
        await all_of(socket)
    pcm = mulaw.to_linear(codes)
    assert events == [Frame(pcm, 0.0), Digit("4"), Frame(pcm, 20.0), Over("stopped")]


async def test_a_line_that_cannot_says_so() -> None:
    answers: list[str] = []

    async def talk(call: CallSession) -> None:
        for wanted in (lambda: call.send_dtmf("1"), lambda: call.transfer("sip:a@b")):
            with pytest.raises(NotOnThisLine) as refused:
                done = wanted()
                if asyncio.iscoroutine(done):
                    await done
            answers.append(str(refused.value))

    async with caller(talk, teler_start()) as socket:
        await all_of(socket)
    assert len(answers) == 2 and all("REST API" in answer for answer in answers)


async def test_who_speaks_something_else_is_sent_away() -> None:
    async def talk(call: CallSession) -> None:
        raise AssertionError("nobody is there")

    for first in ("hello", json.dumps({"type": "question"}), json.dumps([1])):
        async with serve(talk, "127.0.0.1", 0) as server, connect(f"ws://127.0.0.1:{server.port}/") as socket:
            await socket.send(first)
            with pytest.raises(ConnectionClosed):
                await socket.recv()
            assert socket.close_code == 1002


@virtual_time(sockets=True)
async def test_a_native_line_tells_what_was_heard_and_outlives_its_socket() -> None:
    said: list[Utterance] = []

    async def talk(call: CallSession) -> None:
        said.append(call.play(b"\x01\x02" * 160 * 50, "a second"))
        await said[0].ended

    side = Line(f"token-{number}" for number in itertools.count(1))
    async with serve(talk, "127.0.0.1", 0) as server, Wire(side, f"ws://127.0.0.1:{server.port}/") as wire:
        await wire.dial()
        assert await wire.until(lambda: side.is_ready, 5)
        await asyncio.sleep(0.2)
        await wire.drop()
        await wire.dial()
        assert await wire.until(lambda: bool(said) and said[0].is_over, 10)
    assert (said[0].heard_ms, said[0].was_cut) == (1_000, False)


@pytest.mark.parametrize("code", range(256))
def test_mu_law_comes_back(code: int) -> None:
    again = mulaw.from_linear(mulaw.to_linear(bytes([code])))
    assert again == (b"\xff" if code == 0x7F else bytes([code])), "0x7f is the other zero"
