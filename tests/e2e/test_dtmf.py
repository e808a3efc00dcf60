"""Keys both ways with baresip, a phone that we did not write: each press arrives, and is told, once."""

import asyncio
import re
from pathlib import Path
from typing import Any

from tests.support.app import App, listen
from tests.support.baresip import Baresip
from tests.support.node import Node
from tests.support.ports import free_ports
from tests.support.tone import tone

PRESSED = "15#55*0"
SENT = "90*77#8A"
TONE_MS = 80


async def digits(node: Node, call_id: str, event: str, count: int) -> list[dict[str, Any]]:
    """The digits that the node tells by this event, as soon as there are so many."""
    async with asyncio.timeout(10):
        while True:
            events = await node.events(call_id)
            told = [each["details"] for each in events if each["type"] == event]
            if len(told) >= count:
                return told
            await asyncio.sleep(0.1)


async def test_keys_pressed_on_either_side_arrive_once_each(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    async with (
        App(listen) as app,
        Node(tmp_path / "node", "--stream", app.url, LONGLINE_DIGITS_IN_EVENTS="true") as node,
        Baresip(tmp_path / "phone", port, tone(440, 20), keypad=True) as phone,
    ):
        await phone.start(dial=node.uri)
        await phone.until("Call established", 10)
        call = await node.until_call(lambda call: call["state"] == "answered")

        await phone.press(PRESSED)
        await digits(node, call["id"], "dtmf.received", len(PRESSED))

        order = {"digits": SENT, "duration_ms": TONE_MS}
        (await node.api.post(f"/api/v1/voice/calls/{call['id']}/dtmf", json=order)).raise_for_status()
        await digits(node, call["id"], "dtmf.sent", len(SENT))
        await asyncio.sleep(0.5)  # for what should not come: more of either

        received = await digits(node, call["id"], "dtmf.received", len(PRESSED))
        assert "".join(digit["digit"] for digit in received) == PRESSED
        assert {digit["method"] for digit in received} == {"rfc4733"}
        sent = await digits(node, call["id"], "dtmf.sent", len(SENT))
        assert [(digit["digit"], digit["duration_ms"]) for digit in sent] == [(key, TONE_MS) for key in SENT]
        assert {digit["method"] for digit in sent} == {"rfc4733"}
        heard = re.findall(r"received event: '(.)' \(end=(\d)\)", phone.output)
        assert heard == [(key, end) for key in SENT for end in "01"]
        assert not app.errors
