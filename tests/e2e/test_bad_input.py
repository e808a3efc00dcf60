"""Bad input from every side: one clear reason each, and a call that goes on beside it hears nothing of it."""

import asyncio
import base64
import itertools
import json
import random
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.app import App, AppCall, listen
from tests.support.node import Node
from tests.support.ports import free_ports
from tests.support.raw_phone import RawPhone
from tests.support.tone import tone

MOST_SPACING_S = 0.250
MOST_MISSING = 0.02
"""Of the call beside: between two packets 20 ms and what two noisy cores add; and the share of frames that the node may
skip, since a frame that is 60 ms late is not sent any more."""


@asynccontextmanager
async def undisturbed(node: Node) -> AsyncIterator[None]:
    """A call that goes on meanwhile: its packets come in order, on time, and without holes."""
    async with RawPhone(node.sip_port) as phone:
        assert await phone.call() == 200
        talking = asyncio.create_task(phone.speak(60))
        await asyncio.sleep(0.5)
        yield
        await asyncio.sleep(0.5)
        talking.cancel()
        packets = phone.packets()
    numbers = [packet.sequence for packet in packets]
    assert len(numbers) > 40
    steps = [(b - a) & 0xFFFF for a, b in itertools.pairwise(numbers)]
    assert sum(steps) - len(steps) <= MOST_MISSING * len(numbers)
    assert max(b.at - a.at for a, b in itertools.pairwise(packets)) < MOST_SPACING_S


def after_a_good_call(misbehave: Callable[[AppCall], Awaitable[None]]) -> Callable[[AppCall], Awaitable[None]]:
    """A handler: the first stream, which is the call beside, is served well; the others get this."""
    streams = itertools.count()

    async def handle(call: AppCall) -> None:
        await (misbehave if next(streams) else listen)(call)

    return handle


async def one_call(node: Node, seconds: float = 1.0) -> dict[str, Any]:
    """Call, speak, hang up if need be; the call's events, by type."""
    before = {call["id"] for call in await node.calls()}
    async with RawPhone(node.sip_port) as phone:
        assert await phone.call() == 200
        await phone.speak(seconds)
    call = await node.until_call(lambda call: call["id"] not in before and call["ended_at"] is not None)
    events = await node.events(call["id"])
    return {"call": call, **{event["type"]: event["details"] for event in events}}


async def test_malformed_sip_is_answered_or_dropped_and_costs_nobody(tmp_path: Path) -> None:
    garbage = random.Random(1)
    messages = [
        b"", b"\x00", b"\r\n\r\n", b"INVITE", b"INVITE sip:x SIP/2.0\r\n\r\n", b"SIP/2.0 200 OK\r\n\r\n",
        b"SIP/2.0 999999 Odd\r\nCSeq: 1 INVITE\r\n\r\n", b"\xff" * 1400, b"A" * 60_000,
        b"INVITE sip:x@y SIP/2.0\r\n" + b"Via: SIP/2.0/UDP h;branch=z9hG4bK1\r\n" * 900 + b"\r\n",
        b"OPTIONS sip:x@y SIP/2.0\r\nContent-Length: -1\r\n\r\n",
        b"OPTIONS sip:x@y SIP/2.0\r\nContent-Length: 99999999999999999999\r\n\r\n",
        *(garbage.randbytes(garbage.randint(1, 1200)) for _ in range(200)),
    ]  # fmt: skip
    async with App(listen) as app, Node(tmp_path, "--stream", app.url) as node, undisturbed(node):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            for message in messages:
                stranger.sendto(message, ("127.0.0.1", node.sip_port))
        for message in messages[3:]:
            _, writer = await asyncio.open_connection("127.0.0.1", node.sip_port)
            writer.write(message)
            writer.close()
        bad_cseq = RawPhone(node.sip_port)
        async with bad_cseq as phone:
            phone.send_sip(phone._request("INVITE", 1, phone._offer()).replace(b"CSeq: 1 INVITE", b"CSeq: one INVITE"))
            assert b" 400 " in (await phone.response(300)).split(b"\r\n")[0]


@pytest.mark.parametrize(
    ("sdp", "status"),
    [
        (b"this is no SDP", 400),
        (b"v=0\r\no=x 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 9000 RTP/AVP 96\r\n", 488),
        (b"v=0\r\no=x 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\nm=audio 9000 RTP/AVP 0\r\n", 488),
        (b"v=0\r\no=x 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n", 488),
    ],
    ids=["no_sdp", "no_common_codec", "no_address", "no_media"],
)
async def test_malformed_sdp_refuses_the_call(tmp_path: Path, sdp: bytes, status: int) -> None:
    async with App(listen) as app, Node(tmp_path, "--stream", app.url) as node, undisturbed(node):
        async with RawPhone(node.sip_port, sdp=sdp) as phone:
            assert await phone.call() in (status, 488)
            await phone.response(400)


async def test_malformed_rtp_is_counted_and_nothing_else(tmp_path: Path) -> None:
    garbage = random.Random(2)
    async with App(listen) as app, Node(tmp_path, "--stream", app.url) as node:
        async with undisturbed(node), RawPhone(node.sip_port) as phone:
            assert await phone.call() == 200
            await phone.speak(0.3)
            for length in range(13):
                phone.send_raw(bytes(length))
            for datagram in (
                struct.pack("!BBHII", 0x00, 0, 1, 1, 1) + bytes(160),  # version 0
                struct.pack("!BBHII", 0xA0, 0, 1, 1, 1) + b"\xff" * 160,  # padding longer than the packet
                struct.pack("!BBHII", 0x8F, 0, 1, 1, 1),  # fifteen contributing sources that are not there
                struct.pack("!BBHIIHH", 0x90, 0, 1, 1, 1, 1, 65535),  # an extension that is not there
                *(garbage.randbytes(garbage.randint(1, 1400)) for _ in range(300)),
                bytes(60_000),
            ):
                phone.send_raw(datagram)
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
                for number in range(100):
                    stranger.sendto(
                        struct.pack("!BBHII", 0x80, 0, number, number * 160, 9) + bytes(160), phone.remote_rtp
                    )
            await phone.speak(0.3)
        call = await node.until_call()
        assert call["reason"] == "normal_clearing"


async def _app_says(message: str | bytes, tmp_path: Path) -> dict[str, Any]:
    """A call whose application sends this, and then speaks; its events."""

    async def say_it(call: AppCall) -> None:
        await call.socket.send(message)
        await call.say(tone(600, 0.3))
        await listen(call)

    async with App(after_a_good_call(say_it)) as app, Node(tmp_path, "--stream", app.url) as node, undisturbed(node):
        return await one_call(node)


async def test_malformed_json_is_refused_and_the_stream_goes_on(tmp_path: Path) -> None:
    events = await _app_says('{"type": "audio", ', tmp_path)
    assert "json" in events["stream.refused_message"]["reason"]
    assert "playout.started" in events, "what is said after it is heard"
    assert events["call"]["reason"] == "normal_clearing"


async def test_deeply_nested_json_is_refused_and_the_stream_goes_on(tmp_path: Path) -> None:
    events = await _app_says("[" * 100_000, tmp_path)
    assert "json" in events["stream.refused_message"]["reason"]
    assert "playout.started" in events


async def test_malformed_base64_is_refused_and_the_stream_goes_on(tmp_path: Path) -> None:
    events = await _app_says(json.dumps({"type": "audio", "audio_b64": "!!!! not base64", "chunk_id": 1}), tmp_path)
    assert "base64" in events["stream.refused_message"]["reason"]
    assert "playout.started" in events


async def _stream_reason(handle: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]] | None) -> Any:
    """A TCP server that behaves like this where an application should be; its port, or one where nobody listens."""
    if handle is None:
        return None, free_ports(1)[0]
    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    return server, server.sockets[0].getsockname()[1]


async def _forbid(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
    await writer.drain()
    writer.close()


async def _stall(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()


async def _talk_nonsense(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"220 mail.example ESMTP\r\n\r\n")
    await writer.drain()
    await reader.read()


@pytest.mark.parametrize(
    ("handle", "reason"),
    [
        (None, "connect_refused"),
        (_forbid, "http_status"),
        (_stall, "connect_timeout"),
        (_talk_nonsense, "bad_upgrade"),
    ],
    ids=["refuses", "forbids", "stalls", "is_no_websocket"],
)
async def test_an_application_that_cannot_be_connected_ends_the_call_with_the_reason(
    tmp_path: Path, handle: Any, reason: str
) -> None:
    server, port = await _stream_reason(handle)
    async with Node(tmp_path, "--stream", f"ws://127.0.0.1:{port}/") as node:
        async with RawPhone(node.sip_port) as phone:
            assert await phone.call() == 200
            call = await node.until_call()
            assert (call["state"], call["reason"]) in (("failed", "stream_failed"), ("completed", "stream_failed"))
            (failure,) = [event for event in await node.events(call["id"]) if event["type"] == "stream.failed"]
            assert failure["details"]["reason"] == reason
    if server is not None:
        server.close()


async def test_an_application_that_stops_reading_is_let_go_as_stalled(tmp_path: Path) -> None:
    is_over = asyncio.Event()

    async def stop_reading(call: AppCall) -> None:
        call.socket.transport.pause_reading()
        await is_over.wait()

    async with (
        App(after_a_good_call(stop_reading), receive_buffer=4096) as app,
        Node(tmp_path, "--stream", app.url, "--chunk-size", "20") as node,
    ):
        async with undisturbed(node), RawPhone(node.sip_port) as phone:
            assert await phone.call() == 200
            await asyncio.gather(phone.speak(1), asyncio.sleep(1))
            call = await node.until_call(timeout_s=45)
            assert call["reason"] == "stream_failed"
            (failure,) = [event for event in await node.events(call["id"]) if event["type"] == "stream.failed"]
            assert failure["details"]["reason"] == "app_stalled"
            is_over.set()


async def test_an_application_that_floods_is_told_so_and_the_call_goes_on(tmp_path: Path) -> None:
    async def flood(call: AppCall) -> None:
        minute = base64.b64encode(bytes(2 * 8000 * 20)).decode()
        for chunk_id in range(40):  # more than thirteen minutes of speech
            await call.send({"type": "audio", "audio_b64": minute, "chunk_id": chunk_id})
        for _ in range(20_000):
            await call.send({"type": "unknown"})
        await listen(call)

    async with App(after_a_good_call(flood)) as app, Node(tmp_path, "--stream", app.url) as node, undisturbed(node):
        events = await one_call(node, 2.0)
        assert events["playout.overflow"]["dropped_ms"] > 0
        assert events["call"]["reason"] == "normal_clearing"


async def test_an_application_that_closes_in_the_middle_of_a_frame_is_a_lost_connection(tmp_path: Path) -> None:
    async def break_off(call: AppCall) -> None:
        call.socket.transport.write(b"\x81\x7e\x10\x00{")  # a text frame of 4,096 bytes, of which one comes
        await asyncio.sleep(0.2)
        call.socket.transport.abort()

    async with App(after_a_good_call(break_off)) as app, Node(tmp_path, "--stream", app.url) as node, undisturbed(node):
        async with RawPhone(node.sip_port) as phone:
            assert await phone.call() == 200
            call = await node.until_call()
            assert call["reason"] == "stream_failed"
            (failure,) = [event for event in await node.events(call["id"]) if event["type"] == "stream.failed"]
            assert failure["details"]["reason"] == "connection_lost"


async def test_bad_requests_to_the_api_are_refused_with_the_field_at_fault(tmp_path: Path) -> None:
    async with App(listen) as app, Node(tmp_path, "--stream", app.url) as node, undisturbed(node):
        post = node.api.post
        path = "/api/v1/voice/calls/initiate"
        answer = await post(path, content=b'{"from_number": ', headers={"content-type": "application/json"})
        assert (answer.status_code, answer.json()["message"]) == (422, "Validation Error")
        answer = await post(path, json={"from_number": "+15550100", "to_number": "five", "flow_url": "x"})
        fields = {error["loc"][-1] for error in answer.json()["errors"]}
        assert answer.status_code == 422 and {"to_number", "flow_url"} <= fields
        answer = await post(path, content=b"x" * 1_000_000, headers={"content-type": "application/json"})
        assert answer.status_code == 413
        answer = await node.api.get("/api/v1/voice/calls", params={"cursor_after": "nonsense"})
        assert answer.status_code == 400
