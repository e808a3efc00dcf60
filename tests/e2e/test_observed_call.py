"""One whole call, looked at from all sides: live events, history, metadata, metrics, and a log that keeps secrets."""

import asyncio
import json
import re
from pathlib import Path
from typing import Any

from tests.support.app import App, AppCall, Backend
from tests.support.baresip import Baresip
from tests.support.node import API_KEY, Node
from tests.support.ports import free_ports
from tests.support.tone import tone

FROM, PRESSED, SENT = "+14155550123", "80*61#93", "5#2*"
WEBHOOK_SECRET, URL_SECRET = "whsec-of-this-test", "s3cret-of-the-url"


async def live_events(node: Node, call_id: str, after: str | None = None) -> list[dict[str, Any]]:
    """What the node tells until it ends the stream; 204 is nothing."""
    headers = {} if after is None else {"last-event-id": after}
    path = f"/api/v1/voice/calls/{call_id}/live"
    async with node.api.stream("GET", path, headers=headers, timeout=60) as answer:
        lines = [line async for line in answer.aiter_lines()]
    return [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: ")]


async def until_counted(node: Node, call_id: str, **counts: int) -> None:
    """A live call counts what happens in it as it happens."""
    async with asyncio.timeout(20):
        while not counts.items() <= (await node.call(call_id))["activity"].items():
            await asyncio.sleep(0.1)


async def test_a_call_is_seen_while_it_lives_and_afterwards_and_the_log_keeps_its_secrets(tmp_path: Path) -> None:
    (port,) = free_ports(1)

    async def speak(call: AppCall) -> None:
        await call.say(tone(1000, 1))
        await call.hear(60)

    async def flow(_: dict[str, Any]) -> Any:
        return {"action": "stream", "ws_url": f"{app.url}&secret={URL_SECRET}", "chunk_size": 20}

    settings = {
        "LONGLINE_LOG_LEVEL": "debug",
        "LONGLINE_WEBHOOK_SECRET": WEBHOOK_SECRET,
        "LONGLINE_QUALITY_INTERVAL_S": "1",
    }
    async with (
        App(speak) as app,
        Backend(flow) as backend,
        Node(tmp_path / "node", **settings) as node,
        Baresip(tmp_path / "phone", port, tone(440, 30), keypad=True) as phone,
    ):
        await phone.start()
        order = {
            "from_number": FROM,
            "to_number": phone.uri,
            "flow_url": f"{backend.flow_url}?secret={URL_SECRET}",
            "status_callback_url": backend.webhook_url,
            "metadata": {"ticket": 7, "who": "Ann"},
        }
        placed = (await node.api.post("/api/v1/voice/calls/initiate", json=order)).raise_for_status().json()
        call_id = placed["data"]["id"]
        path = f"/api/v1/voice/calls/{call_id}"
        watching = asyncio.create_task(live_events(node, call_id))
        await phone.until("Call established", 15)
        await until_counted(node, call_id, talkspurts=1)
        await phone.press(PRESSED)
        (await node.api.post(f"{path}/dtmf", json={"digits": SENT, "duration_ms": 60})).raise_for_status()
        patch = {"metadata": {"who": None, "mood": "good"}}
        assert (await node.api.patch(path, json=patch)).json()["metadata"] == {"ticket": 7, "mood": "good"}
        await until_counted(node, call_id, digits_received=len(PRESSED), digits_sent=len(SENT))
        (await node.api.post(f"{path}/streams", json={"ws_url": app.url})).raise_for_status()
        async with asyncio.timeout(10):
            while len(app.calls) < 2:
                await asyncio.sleep(0.05)
        (await node.api.post(f"{path}/hangup", json={})).raise_for_status()

        # what the application was told
        assert backend.flow_requests[0]["metadata"] == {"ticket": 7, "who": "Ann"}
        assert [call.start["metadata"] for call in app.calls] == [
            {"ticket": 7, "who": "Ann"},
            {"ticket": 7, "mood": "good"},
        ]

        # what whoever watched was told: all of it, in order, once
        seen = await watching
        listed = await node.events(call_id)
        assert sorted(event["id"] for event in seen) == sorted(event["id"] for event in listed)
        types = [event["type"] for event in seen]
        milestones = [
            "call.initiated",
            "call.answered",
            "flow.received",
            "playout.started",
            "call.updated",
            "call.completed",
        ]
        assert list(dict.fromkeys(name for name in types if name in milestones)) == milestones, "by their first"
        assert len(await live_events(node, call_id, seen[2]["id"])) == len(seen) - 3
        assert all("digit" not in event["details"] for event in [*seen, *listed])

        # what is known of it afterwards
        call = await node.call(call_id)
        assert call["metadata"] == {"ticket": 7, "mood": "good"}
        expected = {"digits_received": len(PRESSED), "digits_sent": len(SENT), "streams": 2, "flow_requests": 1}
        assert {key: call["activity"].get(key) for key in expected} == expected
        assert call["quality"]["heard"], "how it sounded"

        page = (await node.api.get("/metrics")).raise_for_status().text
        for moment in ("answer", "flow", "stream_connect", "first_audio_to_caller"):
            (count,) = re.findall(rf'moment_seconds_count{{moment="{moment}"}} (\S+)', page)
            assert float(count) >= 1, moment
        for line in (
            'longline_call_duration_seconds_count{direction="outbound"} 1.0',
            'longline_events_total{type="call.completed"} 1.0',
            "longline_media_up 1.0",
            'route="/api/v1/voice/calls/{call_id}/dtmf",status="2xx"',
        ):
            assert line in page
        assert call_id not in page and FROM.strip("+") not in page

    log = node.log.read_text()
    assert '"event": "request"' in log and "req_" in log, "it is the debug log"
    for secret in (FROM.strip("+"), API_KEY, WEBHOOK_SECRET, URL_SECRET, "Ann", "inline:"):
        assert secret not in log, secret
    assert not re.search(r'"digits?"', log)
    assert PRESSED not in log and SENT not in log
