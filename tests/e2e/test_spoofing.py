"""Somebody who has read a call's messages on the way cannot end it from elsewhere."""

import asyncio
import socket
from pathlib import Path

import pytest

from tests.support.app import App, echo
from tests.support.node import Node
from tests.support.raw_phone import RawPhone


async def test_bye_with_the_right_tags_from_another_address_does_not_end_a_call(tmp_path: Path) -> None:
    async with App(echo) as app, Node(tmp_path / "node", "--stream", app.url) as node, RawPhone(node.sip_port) as phone:
        assert await phone.call() == 200
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as thief:
            thief.bind(("127.0.0.2", 0))
            thief.setblocking(False)
            thief.sendto(phone._request("BYE", 2), ("127.0.0.1", node.sip_port))
            async with asyncio.timeout(10):
                while '"why": "spoofed", "source": "127.0.0.2"' not in node.log.read_text():
                    await asyncio.sleep(0.05)
            (call,) = await node.calls()
            assert call["state"] == "answered"
            with pytest.raises(BlockingIOError):  # no answer either
                thief.recv(9999)
        phone.sip.received.clear()
        phone.send_sip(phone._request("BYE", 3))
        phone.forget()
        assert (await phone.response(200)).startswith(b"SIP/2.0 200")
        assert (await node.until_call())["state"] == "completed"
