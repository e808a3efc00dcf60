"""Applications that we did not write, unmodified, each in a two-way call: it hears the caller and is heard, gives way
when he talks, gets his keys, and takes its leave in its own way."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest
import pytest_asyncio

from tests.support.app import App, AppCall, Backend
from tests.support.clients import ClientApp
from tests.support.node import Node
from tests.support.raw_phone import SILENCE, RawPhone, RtpPacket
from tests.support.realtime import RealtimeModel
from tests.support.tone import from_ulaw, pitch_hz, to_ulaw, tone

pytestmark = pytest.mark.asyncio(loop_scope="module")

CALLER_HZ, GREETING_HZ, REPLY_HZ = 450, 500, 900
VOICE = to_ulaw(tone(CALLER_HZ, 0.02))
"""Nine whole periods: frames of it follow each other without a seam."""
TOLERANCE_HZ = 15
LATE_S = 0.3
"""What two busy cores may need from an application's decision to its `clear` and our reading of it."""


class Caller:
    """A phone whose line is never still: it sends silence, or a voice, at all times."""

    def __init__(self, phone: RawPhone) -> None:
        self._phone = phone

    async def until(self, condition: Callable[[], bool], timeout_s: float = 15) -> None:
        async with asyncio.timeout(timeout_s):
            while not condition():
                await self._phone.speak(0.1, SILENCE)

    async def wait_for(self, told: Coroutine[Any, Any, dict[str, Any]]) -> dict[str, Any]:
        """Keep the line while waiting for what an application tells."""
        waiting = asyncio.ensure_future(told)
        try:
            await self.until(waiting.done, 30)
            return await waiting
        finally:
            waiting.cancel()

    def heard(self, since: float = 0.0) -> list[RtpPacket]:
        """What was not silence, since this time."""
        return [packet for packet in self._phone.packets() if packet.at >= since and not packet.is_silent]

    async def hang_up_is_answered(self) -> None:
        """The node says BYE; it is answered."""
        await self.until(lambda: any(data.startswith(b"BYE") for data in self._phone.sip.received))
        self._phone.answer_requests()
        self._phone.forget()


def pitch_of(packets: list[RtpPacket]) -> float:
    return pitch_hz(np.concatenate([from_ulaw(packet.payload) for packet in packets]))


async def converse(app: ClientApp, phone: RawPhone, provider: str) -> dict[str, Any]:
    """From the greeting to the last key; what the application told of its stream."""
    caller = Caller(phone)
    stream = await caller.wait_for(app.until("stream"))
    assert stream["provider"] == provider

    await caller.until(lambda: len(caller.heard()) >= 30)
    assert pitch_of(caller.heard()[5:25]) == pytest.approx(GREETING_HZ, abs=TOLERANCE_HZ)

    await phone.speak(0.6, VOICE)
    silent_from = (await caller.wait_for(app.until("interrupted")))["at"] + LATE_S
    await phone.speak(0.6, SILENCE)
    assert caller.heard(silent_from) == [], "of twenty seconds, what was cleared is not heard"

    await phone.press("5")
    await caller.wait_for(app.until("dtmf", digit="5"))
    await caller.until(lambda: len(caller.heard(silent_from)) >= 25)
    assert pitch_of(caller.heard(silent_from)[3:23]) == pytest.approx(REPLY_HZ, abs=TOLERANCE_HZ)
    await phone.speak(0.3, SILENCE)

    await phone.press("#")
    await caller.wait_for(app.until("dtmf", digit="#"))
    await caller.wait_for(app.until("ended"))
    await caller.hang_up_is_answered()
    assert not [line for line in app.told if line["event"] == "error"]
    return stream


def heard_hz(app: ClientApp) -> float:
    (heard,) = [line["pitch_hz"] for line in app.told if line["event"] == "heard"]
    assert isinstance(heard, float)
    return heard


def interrupted(app: ClientApp) -> float:
    (at,) = [line["at"] for line in app.told if line["event"] == "interrupted"]
    assert isinstance(at, float)
    return at


class Place:
    """A node whose calls are streamed as `flow` says."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.flow: dict[str, Any] = {}

    @asynccontextmanager
    async def call(self, url: str, dialect: str, **options: Any) -> AsyncIterator[RawPhone]:
        self.flow = {"action": "stream", "ws_url": url, "dialect": dialect, **options}
        async with RawPhone(self.node.sip_port, keypad=True) as phone:
            assert await phone.call() == 200
            yield phone


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def place(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Place]:
    places: list[Place] = []

    async def flow(_request: dict[str, Any]) -> dict[str, Any]:
        return places[0].flow

    async with Backend(flow) as backend:
        folder = tmp_path_factory.mktemp("clients")
        async with Node(folder / "node", LONGLINE_INBOUND__FLOW_URL=backend.flow_url) as node:
            places.append(Place(node))
            yield places[0]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pipecat() -> AsyncIterator[ClientApp]:
    async with ClientApp("pipecat_bot.py") as app:
        yield app


@pytest.mark.parametrize("provider", ["twilio"])
async def test_pipecat_finds_out_whose_stream_it_has(place: Place, pipecat: ClientApp, provider: str) -> None:
    pipecat.told.clear()
    async with place.call(pipecat.url("/bot"), provider) as phone:
        await converse(pipecat, phone, provider)
    assert heard_hz(pipecat) == pytest.approx(CALLER_HZ, abs=TOLERANCE_HZ)


async def test_a_realtime_session_of_openai_agents(place: Place) -> None:
    """Its model speaks in bursts, seconds ahead of what is heard; what is cut off is told to it to a few frames."""
    async with RealtimeModel(GREETING_HZ, REPLY_HZ) as model:
        async with ClientApp("openai_bot.js", REALTIME_URL=model.url) as app, place.call(app.url(), "twilio") as phone:
            await converse(app, phone, "twilio")
            loud_s = sum(packet.at < interrupted(app) for packet in Caller(phone).heard()) * 0.02
    assert model.heard_hz == pytest.approx(CALLER_HZ, abs=TOLERANCE_HZ)
    (cut,) = model.of_type("conversation.item.truncate")
    assert cut["audio_end_ms"] == pytest.approx(loud_s * 1000, abs=600), "a mark each half second says what was heard"
    asked = model.of_type("session.update")[0]["session"]["audio"]
    assert asked["input"]["format"] == asked["output"]["format"] == {"type": "audio/pcmu"}


@pytest.mark.parametrize("program", ["teler_bot.py", "teler_bot.js"])
async def test_telers_stream_connectors_bridge_a_call(place: Place, program: str) -> None:
    """In Python and for Node: what we tell goes to a remote service, and what that says comes back, `clear` too."""
    interrupted: list[float] = []
    heard: list[float] = []

    async def give_way(call: AppCall) -> None:
        await call.say(tone(GREETING_HZ, 20))
        while np.abs((await call.hear(0.1)).astype(int)).max() < 1500:
            pass
        await call.send({"type": "clear"})
        interrupted.append(time.time())
        heard.append(pitch_hz(await call.hear(0.3)))
        await call.hear(1.0)
        await call.say(tone(REPLY_HZ, 0.6))
        await call.hear(1.0)

    async with App(give_way) as remote, ClientApp(program, REMOTE_URL=remote.url) as bridge:
        async with place.call(bridge.url("/stream"), "teler", chunk_size=100) as phone:
            caller = Caller(phone)
            await caller.until(lambda: len(caller.heard()) >= 30)
            assert pitch_of(caller.heard()[5:25]) == pytest.approx(GREETING_HZ, abs=TOLERANCE_HZ)
            await phone.speak(0.8, VOICE)
            silent_from = interrupted[0] + LATE_S
            await caller.until(lambda: len(caller.heard(silent_from)) >= 25)
            reply = caller.heard(silent_from)
            assert reply[0].at > silent_from + 0.3 and pitch_of(reply[3:23]) == pytest.approx(REPLY_HZ, abs=15)
            await caller.wait_for(bridge.until("ended"))
            await caller.hang_up_is_answered()
    assert not remote.errors and heard == [pytest.approx(CALLER_HZ, abs=TOLERANCE_HZ)]
