"""`dial` and transfer on real calls: who hears whom, what is heard meanwhile, and every way in which nobody comes."""

import asyncio
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.e2e.test_flows import ulaw_to_linear
from tests.support.app import App, AppCall, Backend, listen
from tests.support.baresip import Baresip
from tests.support.early_callee import EarlyCallee
from tests.support.node import Node
from tests.support.ports import free_ports
from tests.support.raw_phone import RawPhone
from tests.support.sipp import Sipp
from tests.support.tone import Samples, pitch_hz, power_at, tone, trim_silence, write_wav

CALLER_HZ, CALLEE_HZ, MUSIC_HZ, CONFIRM_HZ = 440, 700, 1150, 1700


def settings(backend: Backend, folder: Path) -> dict[str, str]:
    media = folder / "media"
    media.mkdir(exist_ok=True)
    write_wav(media / "music.wav", tone(MUSIC_HZ, 1.0))
    write_wav(media / "confirm.wav", tone(CONFIRM_HZ, 1.2))
    write_wav(media / "sorry.wav", tone(MUSIC_HZ, 1.0))
    return {"LONGLINE_INBOUND__FLOW_URL": backend.flow_url, "LONGLINE_MEDIA_DIR": str(media)}


def is_tone(samples: Samples, frequency_hz: float) -> bool:
    return pitch_hz(samples) == pytest.approx(frequency_hz, abs=2) and power_at(samples, frequency_hz) > 0.9


async def until_leg(node: Node, state: str, number: int = 1) -> dict[str, Any]:
    """Wait until the last call has a leg of this number in this state."""
    return await node.until_call(lambda call: len(call["legs"]) > number and call["legs"][number]["state"] == state)


async def test_the_two_hear_each_other_and_the_callee_who_leaves_ends_the_call(tmp_path: Path) -> None:
    ports = free_ports(2)
    caller = Baresip(tmp_path / "caller", ports[0], tone(CALLER_HZ, 20), rtp_ports="43000-43098")
    callee = Baresip(tmp_path / "callee", ports[1], tone(CALLEE_HZ, 20), rtp_ports="43100-43198")
    flow = {"action": "dial", "to": callee.uri, "record": "per_leg"}
    async with Backend(flow) as backend, Node(tmp_path / "node", **settings(backend, tmp_path)) as node, caller, callee:
        await callee.start()
        await caller.start(dial=node.uri)
        await until_leg(node, "answered")
        await asyncio.sleep(2.5)
        await callee.stop()
        call = await node.until_call()
        await caller.until("session closed", 10)
        await caller.stop()
        events = [event["type"] for event in await node.events(call["id"])]
    for phone, other_hz in ((caller, CALLEE_HZ), (callee, CALLER_HZ)):
        heard = trim_silence(phone.heard())
        assert len(heard) >= 1.5 * 8000 and is_tone(heard[: 8000 * 3 // 2], other_hz)
    assert (call["state"], call["reason"]) == ("completed", "normal_clearing")
    primary, other = call["legs"]
    assert (other["role"], other["parent_leg_id"], other["ended_by"]) == ("dial_target", primary["id"], "callee")
    assert events.count("recording.completed") >= 2 and "leg.joined" in events


async def test_each_hears_what_is_meant_for_him_alone_before_they_are_joined(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    caller_port = free_ports(1)[0]
    caller = Baresip(tmp_path / "caller", caller_port, tone(CALLER_HZ, 20), rtp_ports="43200-43298")
    callee = Baresip(tmp_path / "callee", port, tone(CALLEE_HZ, 20), rtp_ports="43300-43398")
    flow = {
        "action": "dial",
        "to": callee.uri,
        "dial_music": {"action": "play", "media_url": "music.wav"},
        "confirm_sound": {"action": "play", "media_url": "confirm.wav"},
    }
    async with Backend(flow) as backend, Node(tmp_path / "node", **settings(backend, tmp_path)) as node, caller, callee:
        await callee.start()
        await caller.start(dial=node.uri)
        await until_leg(node, "answered")
        await asyncio.sleep(3.5)
        await caller.stop()
        call = await node.until_call()
        await callee.until("session closed", 10)
        await callee.stop()
    heard = trim_silence(callee.heard())
    assert is_tone(heard[400:8000], CONFIRM_HZ) and is_tone(heard[-8000:], CALLER_HZ)
    heard = trim_silence(caller.heard())
    assert is_tone(heard[400:4000], MUSIC_HZ) and is_tone(heard[-8000:], CALLEE_HZ)
    assert call["reason"] == "normal_clearing" and call["legs"][1]["ended_by"] == "caller"


async def test_a_busy_callee_has_the_branch_for_it_or_is_told_to_the_caller(tmp_path: Path) -> None:
    sipp_port, *_ = free_ports(1)
    steps: list[dict[str, Any]] = []

    async def flow(_: dict[str, Any]) -> Any:
        return steps.pop(0)

    async with (
        Backend(flow) as backend,
        Node(tmp_path / "node", **settings(backend, tmp_path)) as node,
        Sipp(tmp_path / "sipp", "callee_is_busy", "-m", "2", port=sipp_port) as sipp,
    ):
        dial = {"action": "dial", "to": sipp.uri}
        steps += [dial, dial | {"on_busy": {"action": "play", "media_url": "sorry.wav"}}]
        async with RawPhone(node.sip_port) as phone:
            assert await phone.call() == 486
        async with RawPhone(node.sip_port) as phone:
            assert await phone.call() == 200
            await phone.speak(2)
        calls = await node.until_over(2)
        (await sipp.finish()).check()
    assert [(call["state"], call["reason"]) for call in calls] == [("failed", "busy"), ("completed", "completed")]
    assert [call["legs"][1]["reason"] for call in calls] == ["busy", "busy"]


async def test_a_callee_who_does_not_answer_is_let_go(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    callee = Baresip(tmp_path / "callee", port, tone(CALLEE_HZ, 5), rtp_ports="43400-43498", answer=False)
    flow = {"action": "dial", "to": callee.uri, "timeout": 1}
    async with Backend(flow) as backend, Node(tmp_path / "node", **settings(backend, tmp_path)) as node, callee:
        await callee.start()
        async with RawPhone(node.sip_port) as phone:
            assert await phone.call() == 480
        call = await node.until_call()
        await callee.until("Incoming call", 5)
        await callee.until("session closed", 10)
    assert (call["state"], call["reason"], call["legs"][1]["reason"]) == ("failed", "no_answer", "no_answer")


async def test_the_caller_hears_what_the_network_of_the_other_plays_before_anybody_answers(tmp_path: Path) -> None:
    async with EarlyCallee(tone(CALLEE_HZ, 10)) as callee:
        flow = {"action": "dial", "to": callee.uri, "timeout": 2}
        async with Backend(flow) as backend, Node(tmp_path / "node", **settings(backend, tmp_path)) as node:
            async with RawPhone(node.sip_port) as phone:
                assert await phone.call() == 480
                heard = trim_silence(ulaw_to_linear(phone.packets()))
                progress = await phone.response(183)
    assert b" 183 " in progress.split(b"\r\n")[0] and b"m=audio" in progress
    assert len(heard) >= 8000 and is_tone(heard[800:8000], CALLEE_HZ)


async def test_a_caller_who_gives_up_stops_the_ringing(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    caller_port = free_ports(1)[0]
    callee = Baresip(tmp_path / "callee", port, tone(CALLEE_HZ, 5), rtp_ports="43500-43598", answer=False)
    async with (
        Backend({"action": "dial", "to": callee.uri}) as backend,
        Node(tmp_path / "node", **settings(backend, tmp_path)) as node,
        callee,
    ):
        await callee.start()
        remote = f"127.0.0.1:{node.sip_port}"
        async with Sipp(tmp_path / "s", "caller_cancels", "-m", "1", port=caller_port, remote=remote) as sipp:
            (await sipp.finish()).check()
        call = await node.until_call()
        await callee.until("session closed", 10)
    assert (call["state"], call["reason"]) == ("failed", "canceled")
    assert [leg["state"] for leg in call["legs"]] == ["failed", "failed"]


async def test_a_caller_who_talks_to_an_application_is_transferred_and_hears_a_person(tmp_path: Path) -> None:
    ports = free_ports(2)
    caller = Baresip(tmp_path / "caller", ports[0], tone(CALLER_HZ, 20), rtp_ports="43600-43698")
    person = Baresip(tmp_path / "person", ports[1], tone(CALLEE_HZ, 20), rtp_ports="43700-43798")

    async def speak(call: AppCall) -> None:
        await call.say(tone(MUSIC_HZ, 20))
        await listen(call)

    async with (
        App(speak) as app,
        Backend() as backend,
        Node(
            tmp_path / "node", "--stream", app.url, "--chunk-size", "20",
            LONGLINE_INBOUND__WEBHOOK_URL=backend.webhook_url,
        ) as node,
        caller,
        person,
    ):  # fmt: skip
        await person.start()
        await caller.start(dial=node.uri)
        call = await node.until_call(lambda call: call["state"] == "answered")
        await asyncio.sleep(1.5)
        body = {"target": {"kind": "sip", "uri": person.uri, "custom_headers": {"X-Ticket": "4711"}}}
        url = f"/api/v1/voice/calls/{call['id']}/transfer"
        begun = (await node.api.post(url, json=body)).raise_for_status().json()
        await until_leg(node, "answered")
        await asyncio.sleep(2)
        await person.stop()
        call = await node.until_call()
        await caller.until("session closed", 10)
        await caller.stop()
        await backend.until_told("call.transfer.completed")
        assert not app.errors
    heard = trim_silence(caller.heard())
    assert is_tone(heard[800:8000], MUSIC_HZ) and is_tone(heard[-8000:], CALLEE_HZ)
    assert is_tone(trim_silence(person.heard())[:8000], CALLER_HZ), "and not the application"
    leg = call["legs"][1]
    assert (leg["id"], leg["role"], leg["ended_by"]) == (begun["target_leg_id"], "transfer_target", "callee")
    assert (call["state"], call["reason"]) == ("completed", "normal_clearing")
    told = backend.told()
    assert told.index("call.transfer.initiated") < told.index("call.transfer.completed") < told.index("call.completed")


async def test_a_phone_that_transfers_its_call_leaves_the_other_to_a_third(tmp_path: Path) -> None:
    ports = free_ports(3)
    caller = Baresip(tmp_path / "caller", ports[0], tone(CALLER_HZ, 20), rtp_ports="43800-43898", keypad=True)
    callee = Baresip(tmp_path / "callee", ports[1], tone(CALLEE_HZ, 20), rtp_ports="44000-44098")
    third = Baresip(tmp_path / "third", ports[2], tone(CONFIRM_HZ, 20), rtp_ports="44100-44198")
    flow = {"action": "dial", "to": callee.uri}
    async with (
        Backend(flow) as backend,
        Node(tmp_path / "node", **settings(backend, tmp_path)) as node,
        caller,
        callee,
        third,
    ):
        await callee.start()
        await third.start()
        await caller.start(dial=node.uri)
        await until_leg(node, "answered")
        await asyncio.sleep(1.5)
        await caller.command(f"/transfer {third.uri}")
        await until_leg(node, "answered", 2)
        await caller.until("terminated (duration", 10)
        await asyncio.sleep(2)
        await third.stop()
        call = await node.until_call()
        await callee.until("session closed", 10)
        await callee.stop()
    heard = trim_silence(callee.heard())
    assert is_tone(heard[800:8000], CALLER_HZ) and is_tone(heard[-8000:], CONFIRM_HZ)
    assert is_tone(trim_silence(third.heard())[:8000], CALLEE_HZ)
    assert [leg["role"] for leg in call["legs"]] == ["primary", "dial_target", "transfer_target"]
    assert (call["state"], call["reason"]) == ("completed", "normal_clearing")


async def test_a_phone_with_two_calls_makes_them_one_and_the_two_others_hear_each_other(tmp_path: Path) -> None:
    ports = free_ports(2)
    bob = Baresip(tmp_path / "bob", ports[0], tone(CALLER_HZ, 20), rtp_ports="44200-44298")
    carol = Baresip(tmp_path / "carol", ports[1], tone(CALLEE_HZ, 20), rtp_ports="44300-44398")
    steps = [bob, carol]

    async def flow(_: dict[str, Any]) -> Any:
        return {"action": "dial", "to": steps.pop(0).uri}

    async with (
        Backend(flow) as backend,
        Node(tmp_path / "node", **settings(backend, tmp_path)) as node,
        bob,
        carol,
        RawPhone(node.sip_port) as line_1,
        RawPhone(node.sip_port) as line_2,
    ):
        await bob.start()
        await carol.start()
        assert (await line_1.call(), await line_2.call()) == (200, 200)
        line_1.refer(f"<sip:carol@127.0.0.1?Replaces={quote(line_2.replaces, safe='')}>")
        await node.until_call(lambda call: len(call["legs"]) == 3 and call["legs"][2]["state"] == "answered")
        await asyncio.sleep(2.5)
        for line in (line_1, line_2):
            line.answer_requests()
            line.forget()
        await bob.stop()
        calls = await node.until_over(2)
        await carol.until("session closed", 10)
        await carol.stop()
    for phone, other_hz in ((bob, CALLEE_HZ), (carol, CALLER_HZ)):
        assert is_tone(trim_silence(phone.heard())[800:12_800], other_hz)
    for call in calls:
        assert [leg["role"] for leg in call["legs"]] == ["primary", "dial_target", "transfer_target"]
        assert (call["state"], call["reason"]) == ("completed", "normal_clearing")
