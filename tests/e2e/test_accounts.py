"""Keys and accounts made beside a node that runs; and a node whose records are in a PostgreSQL."""

import asyncio
from pathlib import Path
from typing import Any

import httpx2

from tests.e2e.test_commands import longline
from tests.support.app import App, echo
from tests.support.node import Node
from tests.support.postgres import binaries, cluster


async def made(node: Node, *words: str) -> str:
    """What a command prints that works beside the node."""
    status, output, errors = await longline(*words, environment=node.environment)
    assert status == 0, errors
    return output.strip()


async def test_a_key_made_beside_a_running_node_is_good_at_once_and_sees_its_own_account(tmp_path: Path) -> None:
    async with Node(tmp_path / "node", LONGLINE_RING_TIMEOUT_S="2") as node:
        account = await made(node, "accounts", "create", "Acme")
        key = await made(node, "keys", "create", "--account", "Acme", "--scope", "read", "--scope", "calls")
        async with httpx2.AsyncClient(base_url=node.url, headers={"x-api-key": key}, timeout=10) as acme:
            order = {
                "from_number": "+14155550100", "to_number": f"sip:nobody@127.0.0.1:{node.sip_port}",
                "flow_url": "http://127.0.0.1:9/flow", "status_callback_url": "http://127.0.0.1:9/status",
            }  # fmt: skip
            placed = (await acme.post("/api/v1/voice/calls/initiate", json=order)).raise_for_status().json()["data"]
            path = f"/api/v1/voice/calls/{placed['id']}"
            seen: dict[str, Any] = (await acme.get(path)).raise_for_status().json()
            events = (await acme.get(f"{path}/events")).raise_for_status().json()["data"]
            assert events and {event["account_id"] for event in events} == {seen["account_id"]}
            assert (await node.api.get(path)).status_code == 404
            assert (await node.api.post(f"{path}/hangup", json={})).status_code == 404
            assert placed["id"] not in {call["id"] for call in await node.calls()}
            assert (await acme.get("/api/v1/sip/trunks")).json()["data"] == []
            assert (await acme.post("/api/v1/sip/ip-acls", json={})).json()["code"] == "missing_scope"
            listed = await made(node, "keys", "list", "--account", "Acme")
            assert key[:11] in listed and "never" not in listed
            assert account in await made(node, "accounts", "list")
            await made(node, "keys", "revoke", key[:11])
            await asyncio.sleep(1.1)
            assert (await acme.get(path)).status_code == 403


async def test_a_node_keeps_its_calls_in_postgresql(tmp_path: Path) -> None:
    programs = binaries()
    assert programs is not None, "no PostgreSQL: scripts/setup.sh --test installs it"
    with cluster(programs) as postgres:
        url = await postgres.url(is_empty=True)
        async with App(echo) as app, Node(tmp_path / "node", "--stream", app.url, LONGLINE_DATABASE_URL=url) as node:
            status, _, errors = await longline("dial", node.uri, "--duration", "1")
            assert status == 0, errors
            (call,) = await node.until_over(1)
            assert call["state"] == "completed"
            types = {event["type"] for event in await node.events(call["id"])}
            assert {"call.initiated", "call.answered", "stream.connected", "call.completed"} <= types
            assert await node.stop() == 0
            await node.start()
            assert [kept["id"] for kept in await node.calls()] == [call["id"]]
