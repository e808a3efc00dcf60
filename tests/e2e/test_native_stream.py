"""An agent on longline.v1 through a whole node: what it knows of its speech, and what it asks for over the stream."""

import asyncio
from pathlib import Path

from longline.agentkit import KeyRules, ToolCall, TurnRules, VoiceAgent, transfer_to
from longline.agentkit.line import Digit
from longline.agentkit.server import serve
from longline.agentkit.session import CallSession, RequestRefused
from longline.agentkit.testing import FakeLlm, FakeStt, FakeTts
from tests.support.app import Backend
from tests.support.node import Node
from tests.support.ports import free_ports
from tests.support.raw_phone import RawPhone
from tests.support.sipp import Sipp


async def test_an_agent_speaks_hears_keys_records_transfers_and_hangs_up(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    told: list[object] = []

    async def talk(call: CallSession) -> None:
        said = await call.play(b"\x00\x10" * call.rate_hz).ended
        told.append((said.heard_ms, said.was_cut))
        await call.record()
        await call.record(False)
        try:
            await call.transfer("sip:nobody@")
        except RequestRefused as refused:
            told.append(str(refused))
        async for event in call:
            if isinstance(event, Digit):
                told.append(event.digit)
                break
        await call.transfer(f"sip:colleague@127.0.0.1:{port}")
        async for _ in call:
            pass

    async with (
        Sipp(tmp_path / "colleague", "uas", "-rtp_echo", port=port),
        serve(talk, "127.0.0.1", 0) as agent,
        Backend({"action": "stream", "ws_url": f"ws://127.0.0.1:{agent.port}/", "dialect": "longline"}) as backend,
        Node(tmp_path / "node", LONGLINE_INBOUND__FLOW_URL=backend.flow_url) as node,
        RawPhone(node.sip_port, keypad=True) as phone,
    ):
        assert await phone.call() == 200
        await phone.speak(2.5)
        await phone.press("7")
        call = await node.until_call(lambda call: len(call["legs"]) == 2 and call["legs"][1]["state"] == "answered")
        events = [event["type"] for event in await node.events(call["id"])]
        assert {"recording.completed", "call.transfer.completed"} <= set(events)
        await node.api.post(f"/api/v1/voice/calls/{call['id']}/hangup", json={})
        ended = await node.until_call()
        assert [leg["role"] for leg in ended["legs"]] == ["primary", "transfer_target"]
    assert told[0] == (1_000, False)
    assert "SIP URI" in str(told[1]) and told[2] == "7"


async def test_an_agent_puts_its_caller_through_to_a_human_who_is_told_why(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    target = f"sip:colleague@127.0.0.1:{port}"
    wish = ToolCall("1", "transfer_to_human", {"reason": "Wants his money back."})
    turn = TurnRules(keys=KeyRules(longest=1))
    agent = VoiceAgent(FakeStt(), FakeLlm([wish]), FakeTts(), tools=[transfer_to(target)], turn=turn)
    async with (
        Sipp(tmp_path / "colleague", "uas", "-rtp_echo", port=port),
        serve(agent, "127.0.0.1", 0) as server,
        Backend({"action": "stream", "ws_url": f"ws://127.0.0.1:{server.port}/", "dialect": "longline"}) as backend,
        Node(tmp_path / "node", LONGLINE_INBOUND__FLOW_URL=backend.flow_url) as node,
        RawPhone(node.sip_port, keypad=True) as phone,
    ):
        assert await phone.call() == 200
        await phone.speak(0.5)
        await phone.press("7")
        call = await node.until_call(lambda call: len(call["legs"]) == 2 and call["legs"][1]["state"] == "answered")
        for _ in range(200):
            types = [event["type"] for event in await node.events(call["id"])]
            if "call.transfer.completed" in types or "call.transfer.failed" in types:
                break
            await asyncio.sleep(0.05)
        assert "call.transfer.completed" in types


async def test_an_agent_hangs_up(tmp_path: Path) -> None:
    async def talk(call: CallSession) -> None:
        call.hangup()
        async for _ in call:
            pass

    async with (
        serve(talk, "127.0.0.1", 0) as agent,
        Backend({"action": "stream", "ws_url": f"ws://127.0.0.1:{agent.port}/", "dialect": "longline"}) as backend,
        Node(tmp_path, LONGLINE_INBOUND__FLOW_URL=backend.flow_url) as node,
        RawPhone(node.sip_port) as phone,
    ):
        assert await phone.call() == 200
        call = await node.until_call()
        assert call["state"] == "completed"
        types = [event["type"] for event in await node.events(call["id"])]
        assert types.index("stream.completed") < types.index("call.completed")
