"""A trunk that is Kamailio: we register there with digest, and it stays on the way of calls in both directions."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.support.app import App, AppCall, Backend, listen
from tests.support.kamailio import PASSWORD, USER, Kamailio
from tests.support.node import Node
from tests.support.ports import free_ports
from tests.support.sipp import Sipp


async def trunk_of(node: Node) -> dict[str, Any]:
    (trunk,) = (await node.api.get("/api/v1/sip/trunks")).raise_for_status().json()["data"]
    assert isinstance(trunk, dict)
    return trunk


async def until_registered(node: Node) -> dict[str, Any]:
    async with asyncio.timeout(30):
        while (trunk := await trunk_of(node))["live"]["registration"]["state"] != "registered":
            await asyncio.sleep(0.05)
    return trunk


def settings(proxy: Kamailio, **more: str) -> dict[str, str]:
    prefix = "LONGLINE_TRUNKS__PROXY__"
    trunk = {"URI": f"sip:127.0.0.1:{proxy.port}", "USERNAME": USER, "PASSWORD": PASSWORD, "REGISTRATION": "true"}
    return {prefix + name: value for name, value in (trunk | more).items()}


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_whoever_calls_the_number_that_we_registered_reaches_us_through_the_proxy(
    tmp_path: Path, transport: str
) -> None:
    proxy_port, caller_port = free_ports(2)
    async with App(listen) as app, Kamailio(tmp_path / "proxy", proxy_port, "127.0.0.1:9") as proxy:
        async with Node(tmp_path / "node", "--stream", app.url, **settings(proxy, TRANSPORT=transport)) as node:
            trunk = await until_registered(node)
            assert trunk["live"]["registration"]["expires_at"] is not None
            caller = Sipp(
                tmp_path, "caller_reinvites", "-m", "1", "-s", USER,
                port=caller_port, remote=f"127.0.0.1:{proxy_port}",
            )  # fmt: skip
            (await caller.run()).check()
            (call,) = await node.until_over(1)
            assert (call["state"], call["reason"]) == ("completed", "normal_clearing")
            listed = (await node.api.get("/api/v1/sip/calls", params={"trunk_id": trunk["id"]})).json()["data"]
            assert [each["id"] for each in listed] == [call["id"]]
            # The ACKs, the re-INVITE and the BYE of the caller went by the proxy.
            for method, count in (("INVITE", 1), ("ACK", 2), ("BYE", 1)):
                await proxy.until(f"WITHIN {method} from port {caller_port}", count)
        await proxy.until(f"REGISTER {USER} expires 0")


async def test_our_own_re_invite_and_bye_go_back_through_the_proxy(tmp_path: Path) -> None:
    proxy_port, caller_port = free_ports(2)
    async with App(listen) as app, Kamailio(tmp_path / "proxy", proxy_port, "127.0.0.1:9") as proxy:
        async with Node(tmp_path / "node", "--stream", app.url, **settings(proxy)) as node:
            await until_registered(node)
            caller = Sipp(
                tmp_path, "caller_is_reinvited", "-m", "1", "-s", USER,
                port=caller_port, remote=f"127.0.0.1:{proxy_port}",
            )  # fmt: skip
            async with caller:
                call = await node.until_call(lambda call: call["state"] == "answered")
                path = f"/api/v1/voice/calls/{call['id']}"
                held = await node.api.post(f"{path}/hold", json={"on": True})
                assert held.status_code == 202, held.text
                await proxy.until("WITHIN INVITE")
                await proxy.until("WITHIN ACK", 2)  # the caller's, and ours
                assert (await node.api.post(f"{path}/hangup", json={})).status_code == 202
                (await caller.finish()).check()
            assert f"WITHIN INVITE from port {caller_port}" not in proxy.output
            assert "WITHIN BYE" in proxy.output


async def test_a_call_that_we_place_goes_out_and_on_through_the_proxy(tmp_path: Path) -> None:
    async def hang_up(call: AppCall) -> None:
        await call.hear(1.0)

    proxy_port, callee_port = free_ports(2)
    async with App(hang_up) as app, Kamailio(tmp_path / "proxy", proxy_port, f"127.0.0.1:{callee_port}") as proxy:
        flow = {"action": "stream", "ws_url": app.url, "chunk_size": 20}
        async with Backend(flow) as backend, Node(tmp_path / "node", **settings(proxy)) as node:
            async with Sipp(tmp_path, "callee_reinvites", "-m", "1", port=callee_port) as callee:
                body = {
                    "from_number": "+15550100", "to_number": "+15550101",
                    "flow_url": backend.flow_url, "status_callback_url": backend.webhook_url,
                }  # fmt: skip
                assert (await node.api.post("/api/v1/voice/calls/initiate", json=body)).status_code == 202
                (await callee.finish()).check()
            (call,) = await node.until_over(1)
            assert (call["state"], call["reason"]) == ("completed", "completed")
            await proxy.until(f"INVITE out by {USER}")
            # The callee's re-INVITE went by the proxy, and so did our ACK and our BYE, which may have gone by TCP.
            await proxy.until(f"WITHIN INVITE from port {callee_port}")
            await proxy.until("WITHIN ACK", 2)
            await proxy.until("WITHIN BYE")
            assert f"WITHIN BYE from port {callee_port}" not in proxy.output
            trunk = await trunk_of(node)
            found = (await node.api.get("/api/v1/sip/calls", params={"trunk_id": trunk["id"]})).json()["data"]
            assert [each["id"] for each in found] == [call["id"]]
