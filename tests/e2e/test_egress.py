"""A node whose URLs lead nowhere near it: what who names its neighbours is told, and that they are not asked."""

from pathlib import Path

from tests.support.app import App, Backend, listen
from tests.support.node import Node
from tests.support.raw_phone import RawPhone

REFUSED = {"LONGLINE_EGRESS__ALLOW": "[]", "LONGLINE_EGRESS__REQUIRE_TLS": "false"}
"""As a node on the public internet has it; a fresh install lets this machine be reached."""


async def test_a_flow_of_a_neighbour_is_not_asked_for_and_the_events_say_why(tmp_path: Path) -> None:
    async with Backend({"action": "hangup"}) as backend:
        urls = {"LONGLINE_INBOUND__FLOW_URL": backend.flow_url, "LONGLINE_INBOUND__WEBHOOK_URL": backend.webhook_url}
        async with Node(tmp_path, **REFUSED, **urls) as node, RawPhone(node.sip_port) as phone:
            assert await phone.call() == 503
            call = await node.until_call()
            assert (call["state"], call["reason"]) == ("failed", "flow_unreachable")
            (failure,) = [event for event in await node.events(call["id"]) if event["type"] == "flow.failed"]
            assert failure["details"]["refusal"] == "address_not_allowed"
            assert (backend.flow_requests, backend.told()) == ([], [])
            (hook,) = (await node.api.get("/api/v1/events", params={"type": "call.initiated"})).json()["data"]
            detail = (await node.api.get(f"/api/v1/events/{hook['id']}")).json()
            assert "refused, address_not_allowed" in str(detail)


async def test_a_stream_to_a_neighbour_is_not_dialled(tmp_path: Path) -> None:
    async with App(listen) as app, Node(tmp_path, "--stream", app.url, **REFUSED) as node:
        async with RawPhone(node.sip_port) as phone:
            assert await phone.call() == 200
            call = await node.until_call()
            (failure,) = [event for event in await node.events(call["id"]) if event["type"] == "stream.failed"]
            assert failure["details"]["reason"] == "url_refused"
            assert failure["details"]["refusal"] == "address_not_allowed"
            assert app.calls == []
