"""SRTP with baresip, a phone that we did not write (it uses libsrtp): it calls, is called, and nobody breaks in."""

import asyncio
import re
import socket
import struct
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.support.app import App, AppCall
from tests.support.baresip import Baresip
from tests.support.node import Node
from tests.support.ports import free_ports
from tests.support.raw_phone import RawPhone
from tests.support.tone import Samples, longest_gap_ms, pitch_hz, power_at, tone, trim_silence

CALLER_HZ, APP_HZ, INTRUDER_HZ = 440, 1000, 2000
TALK_S = 2
RTP_PORTS = range(26_000, 26_008)
SUITE = "AES_CM_128_HMAC_SHA1_80"
"""What baresip prefers."""
GAP_MS = 40
"""Packets may come late to a busy machine, never half of them."""


def check_tone(samples: Samples, frequency_hz: float) -> None:
    speech = trim_silence(samples)
    assert len(speech) / 8000 > TALK_S - 1
    assert longest_gap_ms(speech) <= GAP_MS
    assert pitch_hz(speech) == pytest.approx(frequency_hz, abs=2)
    assert power_at(speech, frequency_hz) > 0.95


async def check_record(node: Node, call_id: str, suite: str | None) -> None:
    """The events say whether the media was encrypted; the log says nothing of keys."""
    (started,) = [event for event in await node.events(call_id) if event["type"] == "leg.media_started"]
    assert started["details"]["srtp_suite"] == suite
    assert "inline" not in node.log.read_text()


async def spray(ports: range) -> None:
    """Plain RTP of a loud tone to every port that a leg may have, as if from the phone's own host."""
    codes = encode(tone(INTRUDER_HZ, 1, 30_000))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for n in range(10_000):
            header = struct.pack("!BBHII", 0x80, 0, n % 65_536, n * 160, 0xBAD)
            payload = codes[n % 50 * 160 :][:160]
            for port in ports:
                sender.sendto(header + payload, ("127.0.0.1", port))
            await asyncio.sleep(0.02)


def encode(samples: Samples) -> bytes:
    """µ-law, by its formula (ITU-T G.711 to within a step)."""
    magnitude = np.minimum(np.abs(samples.astype(int)) + 132, 32_767)
    exponent = np.floor(np.log2(magnitude)).astype(int) - 7
    mantissa = magnitude >> (exponent + 3) & 15
    code = (samples < 0).astype(int) << 7 | exponent << 4 | mantissa
    return bytes((~code & 0xFF).astype(np.uint8))


async def test_an_encrypted_call_comes_in_and_plain_rtp_that_breaks_in_is_not_heard(tmp_path: Path) -> None:
    heard_by_app: list[Samples] = []

    async def speak_and_listen(call: AppCall) -> None:
        await call.say(tone(APP_HZ, TALK_S + 2))
        heard_by_app.append(await call.hear(TALK_S))

    (port,) = free_ports(1)
    ports = f"{RTP_PORTS.start}-{RTP_PORTS.stop - 1}"
    async with (
        App(speak_and_listen) as app,
        Node(tmp_path / "node", "--stream", app.url, "--chunk-size", "20", LONGLINE_RTP_PORTS=ports,
             LONGLINE_LOG_LEVEL="debug") as node,
        Baresip(tmp_path / "phone", port, tone(CALLER_HZ, 20), srtp=True) as phone,
    ):  # fmt: skip
        intruder = asyncio.create_task(spray(RTP_PORTS))
        await phone.start(dial=node.uri)
        await phone.until("Call established", 10)
        call = await node.until_call()
        intruder.cancel()
        await phone.until("session closed", 10)
        await phone.stop()
        assert not app.errors
        (heard,) = heard_by_app
        assert power_at(heard, INTRUDER_HZ) < 0.001
        check_tone(heard, CALLER_HZ)
        check_tone(phone.heard(), APP_HZ)
        await check_record(node, call["id"], SUITE)


async def test_a_node_that_requires_srtp_calls_with_it_and_refuses_what_has_none(tmp_path: Path) -> None:
    heard_by_app: list[Samples] = []

    async def speak_and_listen(call: AppCall) -> None:
        await call.say(tone(APP_HZ, TALK_S + 2))
        heard_by_app.append(await call.hear(TALK_S))

    (port,) = free_ports(1)
    async with (
        App(speak_and_listen) as app,
        Node(tmp_path / "node", "--stream", app.url, LONGLINE_SRTP="required") as node,
        Baresip(tmp_path / "phone", port, tone(CALLER_HZ, 20), srtp=True) as phone,
    ):
        await phone.start()
        command = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "longline", "call", phone.uri, "--stream", app.url,
            env=dict(node.environment), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        output, _ = await asyncio.wait_for(command.communicate(), 20)
        assert command.returncode == 0, output.decode()
        call = await node.until_call()
        await phone.until("session closed", 10)
        await phone.stop()
        check_tone(heard_by_app[0], CALLER_HZ)
        check_tone(phone.heard(), APP_HZ)
        await check_record(node, call["id"], SUITE)
        async with RawPhone(node.sip_port) as plain:
            assert await plain.call() == 488
        assert re.search("media must be encrypted here", node.log.read_text())
