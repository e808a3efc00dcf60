"""baresip registers with its password; it calls, is called, and is found again after the node has restarted."""

import asyncio
from pathlib import Path

import pytest

from tests.support.app import App, echo
from tests.support.baresip import Baresip
from tests.support.certificates import Authority
from tests.support.node import Node
from tests.support.ports import free_ports
from tests.support.tone import pitch_hz, tone, trim_silence

CALLER_HZ = 440
PASSWORD = "correct-horse-battery"
SHUT = {
    "LONGLINE_ACCESS__NETWORKS": "",
    "LONGLINE_ACCESS__ALGORITHMS": "MD5",  # baresip 1.0 gives up at a challenge with another, whatever else is offered
    "LONGLINE_PHONES__ALICE__PASSWORD": PASSWORD,
}
"""A node that lets nobody in without a password, not even from this machine."""


async def test_phone_with_a_password_calls_and_is_called_even_after_the_node_has_restarted(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    async with App(echo) as app:
        node = Node(tmp_path / "node", "--stream", app.url, **SHUT)
        account = f"<sip:alice@127.0.0.1:{node.sip_port}>;auth_pass={PASSWORD};regint=600"
        async with Baresip(tmp_path / "phone", port, tone(CALLER_HZ, 30), account=account) as phone:
            async with node:
                await phone.start(dial=node.uri)
                await phone.until("200 OK", 10)
                await phone.until("Call established", 10)
                await asyncio.sleep(1)
                (call,) = await node.calls()
                assert (call["direction"], call["from_number"]) == ("inbound", "alice")
                (await node.api.post(f"/api/v1/voice/calls/{call['id']}/hangup", json={})).raise_for_status()
                await phone.until("session closed", 10)
                assert pitch_hz(trim_silence(phone.heard())) == pytest.approx(CALLER_HZ, abs=2)
            phone.output = ""
            again = Node(
                tmp_path / "node", "--stream", app.url, **SHUT, LONGLINE_SIP_LISTEN=f"127.0.0.1:{node.sip_port}"
            )
            async with again:
                body = {
                    "from_number": "+14155550100",
                    "to_number": f"sip:alice@127.0.0.1:{node.sip_port}",
                    "flow": {"action": "stream", "ws_url": app.url},
                }
                answer = await again.api.post("/api/v1/voice/calls/initiate", json=body)
                assert answer.status_code < 300, answer.text
                await phone.until("Call established", 10)
                await asyncio.sleep(0.5)
                assert "200 OK" not in phone.output  # it has not registered again meanwhile
                await phone.stop()


async def test_phone_on_tls_is_called_over_the_connection_it_registered_by(tmp_path: Path) -> None:
    """No other one could be made: the phone's own certificate is of another name."""
    (tmp_path / "ca").mkdir()
    authority = Authority(tmp_path / "ca")
    port, udp_port, tls_port = free_ports(3)
    settings = SHUT | {
        "LONGLINE_SIP_LISTEN": f"127.0.0.1:{udp_port},tls:127.0.0.1:{tls_port}",
        "LONGLINE_SIP_TLS__CERTIFICATE": str(authority.issue("127.0.0.1")),
        "LONGLINE_CA_FILES": str(authority.file),
    }
    account = f"<sip:alice@127.0.0.1:{tls_port};transport=tls>;auth_pass={PASSWORD};regint=600"
    phone = Baresip(
        tmp_path / "phone", port, tone(CALLER_HZ, 30),
        account=account, certificate=authority.issue("another.example"), authority=authority.file,
    )  # fmt: skip
    async with App(echo) as app, Node(tmp_path / "node", "--stream", app.url, **settings) as node, phone:
        await phone.start()
        await phone.until("200 OK", 10)
        (alice,) = (await node.api.get("/api/v1/sip/phones")).json()["data"]
        assert [place["transport"] for place in alice["bindings"]] == ["TLS"]
        body = {"from_number": "+14155550100", "to_number": f"sip:alice@127.0.0.1:{tls_port}"}
        flow = {"flow": {"action": "stream", "ws_url": app.url}}
        (await node.api.post("/api/v1/voice/calls/initiate", json=body | flow)).raise_for_status()
        await phone.until("Call established", 10)
        await phone.stop()
        assert (await node.until_call())["state"] == "completed"
