"""A call with an application of `tests/clients` from the caller's end of the line, where all is measured on packets."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.app import Backend
from tests.support.clients import ClientApp
from tests.support.node import Node
from tests.support.raw_phone import SILENCE, RawPhone, RtpPacket
from tests.support.tone import from_ulaw, pitch_hz, to_ulaw, tone

CALLER_HZ, GREETING_HZ, REPLY_HZ = 450, 500, 900
VOICE = to_ulaw(tone(CALLER_HZ, 0.02))
"""Nine whole periods: frames of it follow each other without a seam."""
TOLERANCE_HZ = 15
LATE_S = 1.0
"""What two busy cores may need, at the worst, from an application's decision to its `clear`."""
QUIET_S = 0.5
NUMBERS = {"twilio": "+15550101", "plivo": "+15550102", "vonage": "+15550103"}
SECRET = "secret-of-the-apps"


def pitch_of(packets: list[RtpPacket]) -> float:
    return pitch_hz(np.concatenate([from_ulaw(packet.payload) for packet in packets]))


def near(hz: float) -> Any:
    return pytest.approx(hz, abs=TOLERANCE_HZ)


class Conversation:
    """A phone whose line is never still (it sends silence, or a voice), and the application it talks to."""

    def __init__(self, app: ClientApp, phone: RawPhone) -> None:
        self.app, self.phone = app, phone
        self.silent_from = 0.0
        """When the application had given way."""

    async def until(self, condition: Callable[[], bool], timeout_s: float = 15) -> None:
        async with asyncio.timeout(timeout_s):
            while not condition():
                await self.phone.speak(0.1, SILENCE)

    async def told(self, event: str, **details: Any) -> dict[str, Any]:
        """Keep the line while waiting for what the application tells."""
        waiting: asyncio.Task[dict[str, Any]] = asyncio.create_task(self.app.until(event, **details))
        try:
            await self.until(waiting.done, 30)
            return await waiting
        finally:
            waiting.cancel()

    def heard(self, since: float = 0.0) -> list[RtpPacket]:
        """What was not silence, since this time."""
        return [packet for packet in self.phone.packets() if packet.at >= since and not packet.is_silent]

    async def is_greeted(self) -> None:
        await self.until(lambda: len(self.heard()) >= 30)
        assert pitch_of(self.heard()[5:25]) == near(GREETING_HZ)

    async def interrupt(self) -> None:
        """Talk, until the application gives way."""
        await self.phone.speak(0.6, VOICE)
        await self.gives_way((await self.told("interrupted"))["at"])

    async def gives_way(self, at: float) -> None:
        """Since then the application is silent: of its twenty seconds, nothing more is heard."""
        await self.until(lambda: time.time() - self.heard()[-1].at > QUIET_S)
        assert len(self.heard(at)) * 0.02 < LATE_S
        self.silent_from = time.time()

    async def press(self, key: str, reply_hz: float) -> None:
        """Press a key, and hear what the application says to it."""
        before = len(self.heard(self.silent_from))
        await self.phone.press(key)
        await self.told("dtmf", digit=key)
        await self.until(lambda: len(self.heard(self.silent_from)) >= before + 25)
        assert pitch_of(self.heard(self.silent_from)[before + 3 : before + 23]) == near(reply_hz)
        await self.phone.speak(0.4, SILENCE)

    async def take_leave(self) -> None:
        """The application ends its stream at a key; the flow has nothing else to do, so the node hangs up."""
        await self.phone.press("#")
        await self.told("dtmf", digit="#")
        await self.told("ended")
        await self.is_hung_up()
        assert not [line for line in self.app.told if line["event"] == "error"]

    async def is_hung_up(self) -> None:
        await self.until(lambda: any(data.startswith(b"BYE") for data in self.phone.sip.received))
        self.phone.answer_requests()
        self.phone.forget()


async def converse(app: ClientApp, phone: RawPhone, provider: str) -> Conversation:
    """All of it, in order."""
    talk = Conversation(app, phone)
    assert (await talk.told("stream"))["provider"] == provider
    await talk.is_greeted()
    await talk.interrupt()
    await talk.press("5", REPLY_HZ)
    await talk.take_leave()
    return talk


class Exchange:
    """A node; each of its calls has the flow that the test says. It has an app for each language of `NUMBERS`."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.flow: Any = {}

    @asynccontextmanager
    async def call(self, url: str, dialect: str, **options: Any) -> AsyncIterator[RawPhone]:
        async with self.call_with({"action": "stream", "ws_url": url, "dialect": dialect, **options}) as phone:
            yield phone

    @asynccontextmanager
    async def call_with(self, flow: Any, language: str = "") -> AsyncIterator[RawPhone]:
        """A flow in another platform's language is answered to that platform's question; a text is XML."""
        self.flow = flow
        async with RawPhone(self.node.sip_port, keypad=True, to=NUMBERS.get(language, "longline")) as phone:
            assert await phone.call() == 200
            yield phone


@asynccontextmanager
async def exchange(folder: Path) -> AsyncIterator[Exchange]:
    made: list[Exchange] = []

    async def flow(_request: dict[str, Any]) -> Any:
        return made[0].flow

    async with Backend(flow) as backend:
        settings = {
            "LONGLINE_INBOUND__FLOW_URL": backend.flow_url,
            "LONGLINE_APPS": json.dumps(
                {name: {"flow_url": backend.flow_url, "webhook_version": name, "secret": SECRET} for name in NUMBERS}
            ),
            "LONGLINE_NUMBERS": json.dumps({number: {"app": name} for name, number in NUMBERS.items()}),
        }
        async with Node(folder / "node", **settings) as node:
            made.append(Exchange(node))
            yield made[0]
