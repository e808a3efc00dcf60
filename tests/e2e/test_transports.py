"""baresip, a phone that we did not write, over TLS and over IPv6, both ways; and a carrier that DNS leads to."""

import asyncio
import sys
from pathlib import Path

import pytest

from tests.support.app import App, AppCall
from tests.support.baresip import Baresip
from tests.support.certificates import Authority
from tests.support.dns import DnsServer
from tests.support.node import Node
from tests.support.ports import free_ports
from tests.support.tone import Samples, pitch_hz, power_at, tone, trim_silence

CALLER_HZ, APP_HZ = 440, 1000
TALK_S = 2


class Talk:
    """The application says one tone and keeps what it hears."""

    def __init__(self) -> None:
        self.heard: list[Samples] = []

    async def __call__(self, call: AppCall) -> None:
        await call.say(tone(APP_HZ, TALK_S + 2))
        self.heard.append(await call.hear(TALK_S))


def check_tone(samples: Samples, frequency_hz: float) -> None:
    speech = trim_silence(samples)
    assert len(speech) / 8000 > TALK_S - 1
    assert pitch_hz(speech) == pytest.approx(frequency_hz, abs=2)
    assert power_at(speech, frequency_hz) > 0.95


async def place_call(node: Node, target: str, stream: str) -> None:
    command = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "longline", "call", target, "--stream", stream,
        env=dict(node.environment), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    output, _ = await asyncio.wait_for(command.communicate(), 20)
    assert command.returncode == 0, output.decode()


async def test_tls_with_srtp_carries_a_call_each_way_and_a_certificate_of_another_name_is_refused(
    tmp_path: Path,
) -> None:
    authority = Authority(tmp_path)
    (tls_port,) = free_ports(1)
    talk = Talk()
    settings = {
        "LONGLINE_SIP_LISTEN": f"127.0.0.1:{free_ports(1)[0]},tls:127.0.0.1:{tls_port}",
        "LONGLINE_SIP_TLS__CERTIFICATE": str(authority.issue("127.0.0.1")),
        "LONGLINE_CA_FILES": str(authority.file),
        "LONGLINE_SRTP": "required",
    }
    right, wrong = authority.issue("127.0.0.1"), authority.issue("elsewhere.example")
    ports = free_ports(3)
    async with (
        App(talk) as app,
        Node(tmp_path / "node", "--stream", app.url, "--chunk-size", "20", **settings) as node,
        Baresip(tmp_path / "caller", ports[0], tone(CALLER_HZ, 20), srtp=True, rtp_ports="42100-42198",
                certificate=right, authority=authority.file) as caller,
        Baresip(tmp_path / "callee", ports[1], tone(CALLER_HZ, 20), srtp=True, rtp_ports="42200-42298",
                certificate=right, authority=authority.file) as callee,
        Baresip(tmp_path / "impostor", ports[2], tone(CALLER_HZ, 20), srtp=True, rtp_ports="42300-42398",
                certificate=wrong, authority=authority.file) as impostor,
    ):  # fmt: skip
        await caller.start(dial=f"sip:longline@127.0.0.1:{tls_port};transport=tls")
        await callee.start()
        await impostor.start()
        await caller.until("Call established", 10)
        await place_call(node, callee.uri, app.url)
        await callee.until("Call established", 10)
        await place_call(node, impostor.uri, app.url)
        calls = await node.until_over(3)
        for phone in (caller, callee):
            await phone.until("session closed", 10)
            await phone.stop()
            check_tone(phone.heard(), APP_HZ)
        assert not app.errors
        assert len(talk.heard) == 2
        for heard in talk.heard:
            check_tone(heard, CALLER_HZ)
        assert [call["reason"] for call in calls] == ["completed", "completed", "carrier_error"]
        for call in calls[:2]:
            (started,) = [e for e in await node.events(call["id"]) if e["type"] == "leg.media_started"]
            assert started["details"]["srtp_suite"] is not None
        assert "Incoming call" not in impostor.output
        assert "the TLS certificate is of another name" in node.log.read_text()


async def test_ipv6_carries_a_call_each_way_beside_ipv4(tmp_path: Path) -> None:
    talk = Talk()
    (sip_port,) = free_ports(1)
    ports = free_ports(3)
    async with (
        App(talk) as app,
        Node(tmp_path / "node", "--stream", app.url, "--chunk-size", "20",
             LONGLINE_SIP_LISTEN=f"127.0.0.1:{sip_port},[::1]:{sip_port}") as node,
        Baresip(tmp_path / "caller", ports[0], tone(CALLER_HZ, 20), host="::1", rtp_ports="42400-42498") as caller,
        Baresip(tmp_path / "callee", ports[1], tone(CALLER_HZ, 20), host="::1", rtp_ports="42500-42598") as callee,
        Baresip(tmp_path / "old", ports[2], tone(CALLER_HZ, 20), rtp_ports="42600-42698") as old,
    ):  # fmt: skip
        await caller.start(dial=f"sip:longline@[::1]:{sip_port}")
        await callee.start()
        await old.start(dial=f"sip:longline@127.0.0.1:{sip_port}")
        await place_call(node, callee.uri, app.url)
        phones = (caller, callee, old)
        for phone in phones:
            await phone.until("Call established", 10)
        calls = await node.until_over(3)
        for phone in phones:
            await phone.until("session closed", 10)
            await phone.stop()
            check_tone(phone.heard(), APP_HZ)
        assert not app.errors
        assert len(talk.heard) == 3
        for heard in talk.heard:
            check_tone(heard, CALLER_HZ)
        assert {call["reason"] for call in calls} == {"completed"}


async def test_carrier_that_dns_knows_is_reached_past_a_server_that_is_down(tmp_path: Path) -> None:
    talk = Talk()
    port, dead = free_ports(2)
    zone = {
        ("carrier.example", "NAPTR"): ['10 10 "s" "SIP+D2U" "" _sip._udp.carrier.example.'],
        ("_sip._udp.carrier.example", "SRV"): [
            f"10 1 {dead} one.carrier.example.",
            f"20 1 {port} two.carrier.example.",
        ],
        ("one.carrier.example", "A"): ["127.0.0.1"],
        ("two.carrier.example", "A"): ["127.0.0.1"],
    }
    async with (
        DnsServer(zone) as dns,
        App(talk) as app,
        Node(tmp_path / "node", LONGLINE_DNS_SERVERS=dns.server) as node,
        Baresip(tmp_path / "carrier", port, tone(CALLER_HZ, 20)) as carrier,
    ):
        await carrier.start()
        await place_call(node, "sip:phone@carrier.example", app.url)
        await carrier.until("Call established", 5)
        (call,) = await node.until_over(1)
        assert call["reason"] == "completed"
        check_tone(talk.heard[0], CALLER_HZ)
        assert dns.asked[:2] == ["NAPTR carrier.example", "SRV _sip._udp.carrier.example"]
