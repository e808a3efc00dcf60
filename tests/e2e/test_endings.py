"""Calls that end early or badly: each with the right SIP status, state, reason and webhook."""

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.app import App, Backend, listen
from tests.support.node import Node
from tests.support.ports import free_ports
from tests.support.raw_phone import RawPhone
from tests.support.sipp import Sipp

ANSWERED = ["call.initiated", "call.ringing", "call.answered"]
NOT_ANSWERED = ["call.initiated", "call.ringing", "call.completed"]


async def originate(node: Node, backend: Backend, target: str, **more: Any) -> str:
    """Place a call by the API; its id."""
    body = {
        "from_number": "+15550100",
        "to_number": target,
        "flow_url": backend.flow_url,
        "status_callback_url": backend.webhook_url,
    }
    answer = await node.api.post("/api/v1/voice/calls/initiate", json=body | more)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["data"]["id"])


async def outcome(node: Node, call_id: str) -> tuple[str, str]:
    """State and reason of a call, once it has ended."""
    call = await node.until_call(lambda call: call["id"] == call_id and call["ended_at"] is not None)
    return call["state"], call["reason"]


async def test_a_caller_who_cancels_before_the_answer_gets_487(tmp_path: Path) -> None:
    async def slow_flow(_: dict[str, Any]) -> dict[str, Any]:
        await asyncio.sleep(4)
        return {"action": "hangup"}

    (port,) = free_ports(1)
    async with Backend(slow_flow) as backend:
        urls = {"LONGLINE_INBOUND__FLOW_URL": backend.flow_url, "LONGLINE_INBOUND__WEBHOOK_URL": backend.webhook_url}
        async with Node(tmp_path / "node", **urls) as node:
            sipp = Sipp(tmp_path, "caller_cancels", "-m", "1", port=port, remote=f"127.0.0.1:{node.sip_port}")
            (await sipp.run()).check()
            call = await node.until_call()
            assert (call["direction"], call["state"], call["reason"]) == ("inbound", "failed", "canceled")
            hook = await backend.until_told("call.completed")
            assert (hook["data"]["reason"], hook["data"]["duration"]) == ("canceled", 0)
            assert backend.told() == NOT_ANSWERED


async def test_a_busy_callee_fails_the_call_as_busy(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    async with Backend({"action": "hangup"}) as backend, Node(tmp_path / "node") as node:
        async with Sipp(tmp_path, "callee_is_busy", "-m", "1", port=port) as sipp:
            call_id = await originate(node, backend, sipp.uri)
            assert await outcome(node, call_id) == ("failed", "busy")
            (await sipp.finish()).check()
            hook = await backend.until_told("call.completed")
            assert hook["data"]["reason"] == "busy"
            assert backend.flow_requests == []


async def test_a_callee_who_never_answers_is_cancelled_after_the_ring_timeout(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    async with Backend({"action": "hangup"}) as backend, Node(tmp_path / "node", LONGLINE_RING_TIMEOUT_S="2") as node:
        async with Sipp(tmp_path, "callee_never_answers", "-m", "1", port=port) as sipp:
            call_id = await originate(node, backend, sipp.uri)
            assert await outcome(node, call_id) == ("failed", "no_answer")
            (await sipp.finish()).check()
            hook = await backend.until_told("call.completed")
            assert hook["data"]["reason"] == "no_answer"
            assert backend.told() == NOT_ANSWERED


async def test_a_call_hung_up_by_the_api_while_it_rings_is_cancelled(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    async with Backend({"action": "hangup"}) as backend, Node(tmp_path / "node") as node:
        async with Sipp(tmp_path, "callee_never_answers", "-m", "1", port=port) as sipp:
            call_id = await originate(node, backend, sipp.uri)
            await node.until_call(lambda call: call["state"] == "ringing")
            answer = await node.api.post(f"/api/v1/voice/calls/{call_id}/hangup", json={})
            assert answer.status_code == 202
            assert await outcome(node, call_id) == ("failed", "canceled")
            (await sipp.finish()).check()
            await backend.until_told("call.completed")
            assert backend.told() == NOT_ANSWERED
            again = await node.api.post(f"/api/v1/voice/calls/{call_id}/hangup", json={})
            assert (again.status_code, again.json()["code"]) == (409, "call_not_live")


async def test_a_callee_that_is_not_there_is_a_carrier_error(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    async with Backend({"action": "hangup"}) as backend, Node(tmp_path / "node") as node:
        call_id = await originate(node, backend, f"sip:nobody@127.0.0.1:{port};transport=tcp")
        assert await outcome(node, call_id) == ("failed", "carrier_error")
        await backend.until_told("call.completed")


@pytest.mark.parametrize(
    ("flow", "status", "reason"),
    [
        (None, 503, "flow_unreachable"),
        ({"action": "hangup"}, 603, "rejected"),
        ({"action": "dance"}, 500, "flow_invalid"),
        ({"action": "stream", "ws_url": "ws://127.0.0.1:9", "chunk_size": 30}, 500, "flow_invalid"),
        (["not", "an", "object"], 500, "flow_invalid"),
    ],
)
async def test_an_inbound_flow_that_cannot_run_refuses_the_call_truthfully(
    tmp_path: Path, flow: Any, status: int, reason: str
) -> None:
    (port,) = free_ports(1)
    async with Backend(flow) as backend:
        (dead_port,) = free_ports(1)
        flow_url = backend.flow_url if flow is not None else f"http://127.0.0.1:{dead_port}/flow"
        urls = {"LONGLINE_INBOUND__FLOW_URL": flow_url, "LONGLINE_INBOUND__WEBHOOK_URL": backend.webhook_url}
        async with Node(tmp_path / "node", **urls) as node:
            remote = f"127.0.0.1:{node.sip_port}"
            sipp = Sipp(tmp_path, "caller_is_refused", "-m", "1", port=port, remote=remote, status=status)
            (await sipp.run()).check()
            call = await node.until_call()
            assert (call["state"], call["reason"]) == ("failed", reason)
            hook = await backend.until_told("call.completed")
            assert hook["data"]["reason"] == reason


async def test_an_outbound_call_whose_flow_url_is_dead_is_answered_and_hung_up(tmp_path: Path) -> None:
    port, dead_port = free_ports(2)
    async with Backend() as backend, Node(tmp_path / "node") as node:
        async with Sipp(tmp_path, "uas", "-m", "1", port=port) as sipp:
            call_id = await originate(node, backend, sipp.uri, flow_url=f"http://127.0.0.1:{dead_port}/flow")
            call = await node.until_call(lambda call: call["id"] == call_id and call["ended_at"] is not None)
            assert call["reason"] == "flow_unreachable"
            assert call["answered_at"] is not None
            events = await node.events(call_id)
            (failure,) = [event for event in events if event["type"] == "flow.failed"]
            assert "connect" in str(failure["details"]).lower()
            hook = await backend.until_told("call.completed")
            assert hook["data"]["reason"] == "flow_unreachable"


async def test_a_node_without_an_inbound_flow_answers_404(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    async with Node(tmp_path / "node") as node:
        remote = f"127.0.0.1:{node.sip_port}"
        sipp = Sipp(tmp_path, "caller_is_refused", "-m", "1", port=port, remote=remote, status=404)
        (await sipp.run()).check()


async def test_a_call_that_the_application_ends_is_hung_up(tmp_path: Path) -> None:
    async def leave(call: Any) -> None:
        await call.hear(0.5)
        await call.socket.close(1000)

    (port,) = free_ports(1)
    async with Backend() as backend, App(leave) as app:
        urls = {"LONGLINE_INBOUND__WEBHOOK_URL": backend.webhook_url}
        async with Node(tmp_path / "node", "--stream", app.url, **urls) as node:
            sipp = Sipp(tmp_path, "caller_waits_for_bye", "-m", "1", port=port, remote=f"127.0.0.1:{node.sip_port}")
            (await sipp.run()).check()
            call = await node.until_call()
            assert (call["state"], call["reason"]) == ("completed", "completed")
            await backend.until_told("call.completed")
            told = [name for name in backend.told() if name != "recording.completed"]
            assert told == [*ANSWERED, "stream.initiated", "stream.completed", "call.completed"]


async def test_a_media_server_that_is_killed_ends_its_calls_and_new_calls_go_on(tmp_path: Path) -> None:
    port, second_port = free_ports(2)
    async with App(listen) as app, Node(tmp_path / "node", "--stream", app.url) as node:
        assert node.process is not None
        remote = f"127.0.0.1:{node.sip_port}"
        async with Sipp(tmp_path / "first", "caller_waits_for_bye", "-m", "1", port=port, remote=remote) as sipp:
            await node.until_call(lambda call: call["state"] == "answered")
            kill_media_server(node.process.pid)
            (await sipp.finish()).check()
            call = await node.until_call()
            assert call["reason"] == "media_server_died"
            await asyncio.sleep(1)
            again = Sipp(tmp_path / "second", "caller_talks", "-m", "1", "-d", "500", port=second_port, remote=remote)
            (await again.run()).check()


def kill_media_server(node_pid: int) -> None:
    """kill -9 of the node's child."""
    children = Path(f"/proc/{node_pid}/task/{node_pid}/children").read_text().split()
    (media_server,) = [int(pid) for pid in children if Path(f"/proc/{pid}/comm").read_text() == "longline-media\n"]
    os.kill(media_server, signal.SIGKILL)


async def test_a_second_node_on_the_same_data_does_not_start_and_leaves_live_calls_alone(tmp_path: Path) -> None:
    async with App(listen) as app, Node(tmp_path / "node", "--stream", app.url) as node:
        async with RawPhone(node.sip_port) as phone:
            assert await phone.call() == 200
            http_port, sip_port = free_ports(2)
            second = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "longline", "serve", "--stream", app.url,
                env=dict(node.environment)
                | {"LONGLINE_HTTP_LISTEN": f"127.0.0.1:{http_port}", "LONGLINE_SIP_LISTEN": f"127.0.0.1:{sip_port}"},
                stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
            )  # fmt: skip
            try:
                said, _ = await asyncio.wait_for(second.communicate(), 20)
            finally:
                if second.returncode is None:
                    second.kill()
            assert second.returncode == 2
            assert b"belongs to a node that is running" in said
            (call,) = await node.calls()
            assert (call["state"], call["ended_at"]) == ("answered", None)
        call = await node.until_call()
        assert call["reason"] == "normal_clearing"
