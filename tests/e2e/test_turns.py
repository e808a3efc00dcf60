"""An application that answers every turn by webhook only: baresip calls examples/menu.py and presses keys."""

import asyncio
import sys
from pathlib import Path
from typing import Any

from tests.support.baresip import Baresip
from tests.support.node import Node
from tests.support.ports import free_ports
from tests.support.tone import power_at, read_wav, tone

MENU = Path(__file__).parents[2] / "examples" / "menu.py"


async def until_events(node: Node, call_id: str, event: str, count: int) -> list[dict[str, Any]]:
    async with asyncio.timeout(30):
        while True:
            told = [each["details"] for each in await node.events(call_id) if each["type"] == event]
            if len(told) >= count:
                return told
            await asyncio.sleep(0.1)


async def test_a_caller_walks_through_the_menu_and_leaves_a_message(tmp_path: Path) -> None:
    app_port, phone_port = free_ports(2)
    app = await asyncio.create_subprocess_exec(
        sys.executable, str(MENU), "--port", str(app_port), stdout=asyncio.subprocess.PIPE
    )
    try:
        settings = {
            "LONGLINE_INBOUND__FLOW_URL": f"http://127.0.0.1:{app_port}/",
            "LONGLINE_WEBHOOK_VERSION": "2026-06-01",
            "LONGLINE_RECORDING": "false",
        }
        async with (
            Node(tmp_path / "node", **settings) as node,
            Baresip(tmp_path / "phone", phone_port, tone(440, 60), keypad=True) as phone,
        ):
            await phone.start(dial=node.uri)
            await phone.until("Call established", 15)
            call = await node.until_call(lambda call: call["state"] == "answered")
            await until_events(node, call["id"], "playback.started", 1)
            await phone.press("9")  # ends the prompt; not on the menu
            await until_events(node, call["id"], "playback.started", 3)
            await phone.press("2")
            await until_events(node, call["id"], "playback.started", 5)  # how to leave a message, and the beep
            await until_events(node, call["id"], "playback.finished", 5)
            await asyncio.sleep(1.5)
            await phone.press("#")
            over = await node.until_call(lambda call: call["state"] == "completed", 30)
            events = await node.events(call["id"])
            (recording,) = [e["details"] for e in events if e["type"] == "recording.completed"]
            gathered = [e["details"] for e in events if e["type"] == "gather.completed"]
            (file,) = (tmp_path / "node").rglob("rec_*.wav")
            message = read_wav(file)
        assert app.stdout is not None
        said = (await asyncio.wait_for(app.stdout.readline(), 5)).decode()
    finally:
        app.kill()
        await app.wait()
    assert over["reason"] == "completed"
    assert gathered == [{"digit_count": 1, "reason": "num_digits"}] * 2
    assert recording["recording_id"] in said
    assert 1.2 <= len(message) / 8000 <= 10
    assert power_at(message[4000:8000], 440) > 0.9
