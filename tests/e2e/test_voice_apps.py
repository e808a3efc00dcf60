"""A voice app through a whole node: its number is called, its flow is asked, and it is told under its own secret."""

import asyncio
import json
import signal
from pathlib import Path

from longline.webhooks.signature import verify
from tests.support.app import App, Backend, listen
from tests.support.node import Node
from tests.support.ports import free_ports
from tests.support.sipp import Sipp


async def test_a_call_to_an_apps_number_is_the_apps_from_its_flow_to_its_signed_webhooks(tmp_path: Path) -> None:
    file = tmp_path / "longline.toml"
    file.write_text('[numbers."+15550101"]\nname = "hot line"\n')
    port, media_port = free_ports(2)
    async with App(listen) as app:
        flow = {"action": "stream", "ws_url": app.url, "chunk_size": 100}
        async with Backend(flow) as backend, Node(tmp_path / "node", "--config", str(file)) as node:
            secret = (await node.api.post("/api/v1/secrets", json={"name": "one"})).json()
            (number,) = (await node.api.get("/api/v1/virtual-numbers")).json()["data"]
            body = {
                "name": "line", "flow_url": backend.flow_url, "webhook_url": backend.webhook_url,
                "secret_id": secret["id"], "webhook_api_version": "2026-06-01", "vn_ids": [number["id"]],
            }  # fmt: skip
            made = (await node.api.post("/api/v1/voice/apps", json=body)).raise_for_status().json()
            sipp = Sipp(
                tmp_path / "sipp", "caller_talks", "-m", "1", "-d", "500", "-s", "+15550101", "-rtp_echo",
                "-mp", str(media_port & ~1), port=port, remote=f"127.0.0.1:{node.sip_port}",
            )  # fmt: skip
            (await sipp.run(60)).check()
            (call,) = await node.until_over(1)
            async with asyncio.timeout(10):
                while not any(json.loads(raw)["type"] == "call.completed" for _, raw in backend.deliveries):
                    await asyncio.sleep(0.02)
            assert node.process is not None
            file.write_text("")
            node.process.send_signal(signal.SIGHUP)
            async with asyncio.timeout(10):
                while (await node.api.get("/api/v1/virtual-numbers")).json()["data"]:
                    await asyncio.sleep(0.02)
    assert (call["to_number"], made["vn_count"]) == ("+15550101", 1)
    assert call["id"].startswith("cs_") and call["voice_app_id"].startswith("va_")  # as its app has it, not the node
    assert backend.flow_requests[0]["call_id"] == call["id"]
    for headers, raw in backend.deliveries:
        told = json.loads(raw)
        assert (told["call_id"], told["voice_app_id"]) == (call["id"], call["voice_app_id"])
        signed = headers["x-teler-timestamp"], raw, headers["x-teler-signature"], float(headers["x-teler-timestamp"])
        assert verify(secret["secret_value"], *signed) and not verify("another", *signed)
