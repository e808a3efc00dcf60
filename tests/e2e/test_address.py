"""Whose audio is a call's: docs/decisions/0004."""

import asyncio
import socket
import struct
from pathlib import Path

from tests.support.app import App, AppCall
from tests.support.node import Node
from tests.support.raw_phone import RawPhone
from tests.support.tone import Samples, tone

LOUD = b"\x10" * 160
"""20 ms of µ-law, far from silence."""


def offer(address: str) -> bytes:
    """An offer that announces this address, at a port where nobody listens."""
    return (
        f"v=0\r\no=raw 1 1 IN IP4 {address}\r\ns=-\r\nc=IN IP4 {address}\r\nt=0 0\r\nm=audio 9 RTP/AVP 0\r\n"
    ).encode()


async def test_a_phone_that_announces_another_address_is_heard_and_hears(tmp_path: Path) -> None:
    """As behind a NAT: its packets come from where its SIP came from."""
    heard: list[Samples] = []

    async def speak_and_listen(call: AppCall) -> None:
        await call.say(tone(700, 5))
        heard.append(await call.hear(1.5))

    async with App(speak_and_listen) as app, Node(tmp_path, "--stream", app.url, "--chunk-size", "20") as node:
        async with RawPhone(node.sip_port, sdp=offer("127.0.0.99")) as phone:
            assert await phone.call() == 200
            await phone.speak(2, LOUD)
            loud = [packet for packet in phone.packets() if not packet.is_silent]
    assert abs(heard[0][-4000:].astype(int)).mean() > 10_000
    assert len(loud) > 50


async def test_a_stranger_who_sprays_packets_is_neither_heard_nor_sent_audio(tmp_path: Path) -> None:
    heard: list[Samples] = []

    async def listen_well(call: AppCall) -> None:
        await call.say(tone(700, 5))
        heard.append(await call.hear(2.5))

    def spray(stranger: socket.socket, to: tuple[str, int]) -> None:
        for number in range(20):
            stranger.sendto(struct.pack("!BBHII", 0x80, 0, number, number * 160, 7) + LOUD, to)

    async with App(listen_well) as app, Node(tmp_path, "--stream", app.url, "--chunk-size", "20") as node:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            stranger.bind(("127.0.0.5", 0))
            stranger.setblocking(False)
            async with RawPhone(node.sip_port) as phone:
                assert await phone.call() == 200
                spray(stranger, phone.remote_rtp)  # before the phone has said anything
                await phone.speak(1.0)
                spray(stranger, phone.remote_rtp)  # and while it speaks
                await phone.speak(2.0)
                loud = [packet for packet in phone.packets() if not packet.is_silent]
            await asyncio.sleep(0)
            try:
                received = stranger.recv(2048)
            except BlockingIOError:
                received = b""
    assert received == b""
    assert abs(heard[0].astype(int)).max() < 1000
    assert len(loud) > 100
