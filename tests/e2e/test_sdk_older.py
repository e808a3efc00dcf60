"""The vendor's older SDKs, unmodified but for their base URL: teler 0.2.2, and @frejun/teler 1.0.8 for Node."""

import json
from pathlib import Path
from typing import Any

from websockets.asyncio.server import serve

from tests.support.app import App, Backend, listen
from tests.support.node import API_KEY, Node
from tests.support.older_sdks import NodeApp, run_teler_0_2
from tests.support.ports import free_ports
from tests.support.sipp import Sipp
from tests.support.tone import tone, write_wav


def trunk_to(carrier: Sipp) -> dict[str, str]:
    return {"LONGLINE_TRUNKS__CARRIER__URI": f"sip:127.0.0.1:{carrier.port}"}


async def test_teler_0_2_creates_calls_whose_flows_it_writes(tmp_path: Path) -> None:
    """It refuses an answer with a key that it does not know, and its `play` says file_url."""
    (port,) = free_ports(1)
    media = tmp_path / "media"
    media.mkdir()
    write_wav(media / "tone.wav", tone(700, 0.2))
    flows: list[dict[str, Any]] = []

    async def next_flow(_request: dict[str, Any]) -> Any:
        return flows.pop(0) if flows else {"action": "hangup"}

    async with App(listen) as app, Backend(next_flow) as backend, Sipp(tmp_path, "uas", port=port) as carrier:
        settings = trunk_to(carrier) | {"LONGLINE_MEDIA_DIR": str(media)}
        async with Node(tmp_path / "node", **settings) as node:
            where = (node.url + "/api/v1", app.url, backend.flow_url, backend.webhook_url)
            printed = await run_teler_0_2(*where, key=API_KEY)
            assert (printed["version"], printed["stranger"]) == ("0.2.2", "Forbidden.")
            for created in (printed["created"], printed["created_async"]):
                call = await node.call(created["id"])
                assert (created["from_number"], created["to_number"]) == (call["from_number"], call["to_number"])
                assert (created["record"], created["status_callback_url"]) == (False, backend.webhook_url)
            await node.until_over(2)

            flows += [printed["play"]]
            await run_teler_0_2(*where, key=API_KEY)
            await node.until_over(4)
            played = {kind for call in await node.calls() for kind in await kinds(node, call["id"])}
            assert "playback.finished" in played

            flows += [printed["stream"]]
            await run_teler_0_2(*where, key=API_KEY)
            await backend.until_told("stream.initiated")
    assert len(app.calls) == 1 and app.errors == []


async def kinds(node: Node, call_id: str) -> list[str]:
    return [event["type"] for event in await node.events(call_id)]


async def test_an_application_on_the_node_sdk_places_a_call_and_bridges_it(tmp_path: Path) -> None:
    """Its client, its flow and its StreamConnector; the far end hangs up when the remote service has heard enough."""
    relayed: list[dict[str, Any]] = []

    async def remote(socket: Any) -> None:
        async for message in socket:
            relayed.append(json.loads(message))
            if len(relayed) == 5:
                await socket.close()

    (port,) = free_ports(1)
    async with serve(remote, "127.0.0.1", 0) as service, Sipp(tmp_path, "uas", "-rtp_echo", port=port) as carrier:
        remote_url = f"ws://127.0.0.1:{next(iter(service.sockets)).getsockname()[1]}"
        async with Node(tmp_path / "node", **trunk_to(carrier)) as node:
            async with NodeApp(node.url + "/api/v1", remote_url, API_KEY) as app:
                printed = await app.finish()
            (call,) = await node.calls()
    answers = {key: value for line in printed for key, value in line.items()}
    assert answers["stranger"] == {"name": "ForbiddenException", "code": 403, "message": "Forbidden."}
    assert answers["mistake"] == {"name": "TelerException", "code": 422, "message": "API Error: Validation Error"}
    created = answers["created"]
    assert set(created) == {"message", "data"}
    assert set(created["data"]) == {"id", "from_number", "to_number", "status_callback_url", "record"}
    assert created["data"]["id"] == call["id"]
    assert set(answers["flow_request"]) == {"call_id", "account_id", "from_number", "to_number", "direction"}
    told = [line["webhook"]["event"] for line in printed if "webhook" in line]
    assert told[0] == "call.initiated" and told[-1] == "call.completed" and "stream.completed" in told
    assert [message["type"] for message in relayed] == ["start", *["audio"] * 4]
    assert call["state"] == "completed"
