"""baresip, a phone that we did not write, calls and is called."""

import asyncio
import sys
from pathlib import Path

import pytest

from tests.support.app import App, AppCall, echo
from tests.support.baresip import Baresip
from tests.support.node import Node
from tests.support.ports import free_ports
from tests.support.tone import Samples, longest_gap_ms, pitch_hz, power_at, tone, trim_silence

CALLER_HZ, APP_HZ = 440, 1000
TALK_S = 60
LONGEST_GAP_MS = 20


def check_tone(samples: Samples, frequency_hz: float, at_least_s: float) -> None:
    """It is this tone, for so long, without a gap."""
    speech = trim_silence(samples)
    assert len(speech) / 8000 >= at_least_s
    assert longest_gap_ms(speech) <= LONGEST_GAP_MS
    assert pitch_hz(speech) == pytest.approx(frequency_hz, abs=1)
    assert power_at(speech, frequency_hz) > 0.95


async def test_a_minute_of_tone_crosses_both_ways_without_a_gap_over_udp_and_over_tcp(tmp_path: Path) -> None:
    heard_by_app: dict[str, Samples] = {}

    async def speak_and_listen(call: AppCall) -> None:
        for _ in range(TALK_S // 10 + 1):
            await call.say(tone(APP_HZ, 10))
        heard_by_app[call.start["call_id"]] = await call.hear(TALK_S)

    udp_port, tcp_port = free_ports(2)
    say = tone(CALLER_HZ, TALK_S + 10)
    async with (
        App(speak_and_listen) as app,
        Node(tmp_path / "node", "--stream", app.url, "--chunk-size", "20") as node,
        Baresip(tmp_path / "udp", udp_port, say, rtp_ports="42000-42098") as over_udp,
        Baresip(tmp_path / "tcp", tcp_port, say, rtp_ports="42100-42198") as over_tcp,
    ):
        phones = (over_udp, over_tcp)
        await over_udp.start(dial=node.uri + ";transport=udp")
        await over_tcp.start(dial=node.uri + ";transport=tcp")
        for phone in phones:
            await phone.until("Call established", 10)
        await node.until_call(timeout_s=TALK_S + 20)
        for phone in phones:
            await phone.until("session closed", 20)
            await phone.stop()
        assert not app.errors
        for phone in phones:
            check_tone(phone.heard(), APP_HZ, TALK_S - 1)
        assert len(heard_by_app) == 2
        for samples in heard_by_app.values():
            check_tone(samples, CALLER_HZ, TALK_S - 1)
        for call in await node.calls():
            assert (call["state"], call["reason"]) == ("completed", "completed")


async def test_longline_call_rings_a_baresip_that_answers(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    phone = Baresip(tmp_path / "phone", port, tone(CALLER_HZ, 20))
    async with App(echo) as app, Node(tmp_path / "node") as node, phone:
        await phone.start()
        command = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "longline", "call", phone.uri, "--stream", app.url,
            env=dict(node.environment), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        output, _ = await asyncio.wait_for(command.communicate(), 20)
        assert command.returncode == 0, output.decode()
        await phone.until("Call established", 10)
        await asyncio.sleep(2)
        call = await node.until_call(lambda call: call["state"] == "answered")
        hangup = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "longline", "hangup", call["id"],
            env=dict(node.environment), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        output, _ = await asyncio.wait_for(hangup.communicate(), 20)
        assert hangup.returncode == 0, output.decode()
        await phone.until("session closed", 10)
        await phone.stop()
        call = await node.until_call()
        assert (call["direction"], call["state"], call["reason"]) == ("outbound", "completed", "completed")
        assert pitch_hz(trim_silence(phone.heard())) == pytest.approx(CALLER_HZ, abs=2)
