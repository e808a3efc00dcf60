"""The vendor's own SDK, unmodified but for its base URL."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from fastapi import FastAPI, WebSocket
from teler import AsyncClient, CallFlow, Client, StreamConnector
from teler.exceptions import ConflictException, ForbiddenException, NotFoundException
from websockets.asyncio.server import serve

from tests.support.app import App, Backend, listen
from tests.support.node import API_KEY, Node
from tests.support.ports import free_ports
from tests.support.sipp import Sipp


@pytest.fixture
async def carrier(tmp_path: Path) -> AsyncIterator[Sipp]:
    """A trunk that answers every call."""
    (port,) = free_ports(1)
    async with Sipp(tmp_path / "carrier", "uas", "-rtp_echo", port=port) as sipp:
        yield sipp


async def test_the_sdk_creates_lists_retrieves_and_hangs_up_a_call(tmp_path: Path, carrier: Sipp) -> None:
    async with App(listen) as app, Backend(CallFlow.stream(app.url, chunk_size=100, record=False)) as backend:
        trunk = {"LONGLINE_TRUNKS__CARRIER__URI": f"sip:127.0.0.1:{carrier.port}"}
        async with Node(tmp_path / "node", **trunk) as node:
            client = AsyncClient(API_KEY, base_url=node.url + "/api/v1")
            created = await client.voice.calls.create(
                from_number="+15550100", to_number="+15550101", flow_url=backend.flow_url,
                status_callback_url=backend.webhook_url, record=False,
            )  # fmt: skip
            await backend.until_told("stream.initiated")
            call = await client.voice.calls.retrieve(created.id)
            assert (call.id, call.state, call.direction) == (created.id, "answered", "outbound")
            assert (call.from_number, call.to_number) == ("+15550100", "+15550101")
            page = await client.voice.calls.list(state="answered", to_number="+15550101")
            assert [listed.id for listed in page.data] == [created.id]
            legs = await client.voice.calls.list_legs(created.id)
            assert [(leg.role, leg.state) for leg in legs.data] == [("primary", "answered")]
            hangup = await client.voice.mutations.hangup(created.id)
            assert hangup.request_id.startswith("req_")
            hook = await backend.until_told("call.completed")
            assert hook["data"]["call_id"] == created.id
            assert (await client.voice.calls.retrieve(created.id)).state == "completed"
            with pytest.raises(ConflictException):
                await client.voice.mutations.hangup(created.id)
            (flow_request,) = backend.flow_requests
            assert set(flow_request) == {"call_id", "account_id", "from_number", "to_number", "direction"}
            assert flow_request["call_id"] == created.id


async def test_a_trunk_that_the_sdk_makes_is_let_in_at_once_and_no_more_when_it_is_deleted(tmp_path: Path) -> None:
    """Nobody else is: not even this machine, since access.networks is empty."""
    (port,) = free_ports(1)
    settings = {"LONGLINE_ACCESS__NETWORKS": "[]", "LONGLINE_ACCESS__ALGORITHMS": "MD5"}
    async with App(listen) as app, Node(tmp_path / "node", "--stream", app.url, **settings) as node:
        client = AsyncClient(API_KEY, base_url=node.url + "/api/v1")

        def call(number: int, patience_ms: int = 1500) -> Sipp:
            login = ("-au", "pbx-user", "-ap", "pbx-secret", "-m", "1", "-recv_timeout", str(patience_ms))
            remote = f"127.0.0.1:{node.sip_port}"
            where = ("-auth_uri", f"service@{remote}")
            return Sipp(tmp_path / str(number), "caller_logs_in", *login, *where, port=port, remote=remote)

        assert (await call(1).run()).status != 0
        trunk = await client.sip.trunks.create(
            "pbx", "127.0.0.1", "credential", auth_credential={"username": "pbx-user", "password": "pbx-secret"},
            channel_limit=1, transport="udp",
        )  # fmt: skip
        (await call(2, patience_ms=20_000).run()).check()
        await node.until_over(1)
        (found,) = (await client.sip.calls.list(trunk_id=trunk.id)).data
        assert (found.state, found.direction, found.ended_by) == ("completed", "inbound", "caller")
        assert (await client.sip.calls.retrieve(found.id)).sip_trunk_id == trunk.id
        await client.sip.trunks.update(trunk.id, is_active=False)
        assert (await call(3).run()).status != 0
        await client.sip.trunks.delete(trunk.id)
        assert len(await node.calls()) == 1


async def test_the_sdk_maps_our_errors_to_its_exceptions(tmp_path: Path) -> None:
    async with Node(tmp_path / "node") as node:

        def ask() -> None:
            with pytest.raises(NotFoundException):
                Client(API_KEY, base_url=node.url + "/api/v1").voice.calls.retrieve("cs_" + "0" * 26)
            with pytest.raises(ForbiddenException):
                Client("wrong", base_url=node.url + "/api/v1").voice.calls.list()

        await asyncio.to_thread(ask)


async def test_the_sdks_stream_connector_bridges_a_call_to_another_socket(tmp_path: Path) -> None:
    """Its bridge relays our messages to a remote service, and that service's answers to the caller."""
    relayed: list[str] = []

    async def remote(socket: Any) -> None:
        async for message in socket:
            relayed.append(message)
            if len(relayed) == 5:
                await socket.close()

    bridge = FastAPI()
    app_port, port = free_ports(2)
    async with serve(remote, "127.0.0.1", 0) as service:
        remote_url = f"ws://127.0.0.1:{next(iter(service.sockets)).getsockname()[1]}"

        @bridge.websocket("/stream")
        async def stream(socket: WebSocket) -> None:
            await socket.accept()
            await StreamConnector(remote_url=remote_url).bridge_stream(socket)
            await socket.close(1000)

        server = uvicorn.Server(uvicorn.Config(bridge, port=app_port, log_level="warning"))
        serving = asyncio.create_task(server.serve())
        while not server.started:
            await asyncio.sleep(0.02)
        async with Node(tmp_path / "node", "--stream", f"ws://127.0.0.1:{app_port}/stream") as node:
            remote_address = f"127.0.0.1:{node.sip_port}"
            (await Sipp(tmp_path, "caller_waits_for_bye", "-m", "1", port=port, remote=remote_address).run()).check()
        server.should_exit = True
        await serving
    assert '"start"' in relayed[0] and all('"audio"' in message for message in relayed[1:])
