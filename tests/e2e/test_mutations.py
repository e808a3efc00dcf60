"""Thousands of broken messages to a live node, over UDP and TCP: none of it is heard in the call that goes on beside.

A third of the table is sent, which is more than PROTOS c07 has cases; LONGLINE_MUTATIONS=all sends it whole.
"""

import asyncio
import contextlib
import itertools
import os
import re
import socket
from pathlib import Path

import numpy as np

from tests.support.app import App, AppCall, listen
from tests.support.mutations import Case, cases
from tests.support.node import Node
from tests.support.raw_phone import RawPhone, RtpPacket
from tests.support.tone import from_ulaw, power_at, tone

STRIDE = 1 if os.environ.get("LONGLINE_MUTATIONS") == "all" else 3
TCP_STRIDE = 25
"""Of the cases that are sent, one in so many goes over TCP as well, and every one that no datagram can hold."""
MAX_DATAGRAM = 65_507
BATCH = 32
"""So many datagrams go out before the node is asked whether it still answers: more might overflow its socket."""
ANSWER_TIMEOUT_S = 10.0
PITCH_HZ = 440.0
MOST_MISSING = 0.02
MOST_RSS_GROWTH_KB = 24 * 1024
"""Of the signalling process, over all cases: caches and what the allocator keeps. A leak of 4 KB a case is more."""


class Peer:
    """Whoever sends the broken messages; asks in between whether the node is still there."""

    def __init__(self, sip_port: int) -> None:
        self._node = ("127.0.0.1", sip_port)
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.setblocking(False)
        self._port = self._socket.getsockname()[1]
        self._probes = itertools.count()
        self.statuses: dict[int, int] = {}

    async def send_datagrams(self, broken: list[Case]) -> int:
        """How many were sent. AssertionError, with the names of the last, when the node stops answering."""
        for first in range(0, len(broken), BATCH):
            batch = broken[first : first + BATCH]
            for case in batch:
                self._socket.sendto(case.data, self._node)
            await self._probe(f"after {batch[0].name} … {batch[-1].name}")
        return len(broken)

    async def send_streams(self, broken: list[Case]) -> int:
        """The same over TCP, on one connection after the other: the node closes those it cannot follow."""
        for case in broken:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                reader, writer = await asyncio.open_connection(*self._node)
                with contextlib.suppress(OSError):
                    writer.write(case.data)
                    writer.write_eof()
                    await reader.read()
            writer.close()
        await self._probe("after TCP")
        return len(broken)

    def close(self) -> None:
        self._socket.close()

    async def _probe(self, when: str) -> None:
        branch = f"z9hG4bKprobe{next(self._probes)}x{self._port}"
        probe = (
            "OPTIONS sip:longline@127.0.0.1 SIP/2.0\r\n"
            f"Via: SIP/2.0/UDP 127.0.0.1:{self._port};branch={branch};rport\r\nMax-Forwards: 70\r\n"
            "From: <sip:probe@127.0.0.1>;tag=p\r\nTo: <sip:longline@127.0.0.1>\r\n"
            f"Call-ID: {branch}\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
        ).encode()
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                await loop.sock_sendto(self._socket, probe, self._node)
                while True:
                    answer = await loop.sock_recv(self._socket, 65_536)
                    self._answered(answer)
                    if branch.encode() in answer and answer.startswith(b"SIP/2.0 200 "):
                        return
        except TimeoutError:
            raise AssertionError(f"the node does not answer {when}") from None

    def _answered(self, answer: bytes) -> None:
        match = re.match(rb"SIP/2\.0 (\d{3}) ", answer)
        assert match is not None, f"this is no response: {answer[:60]!r}"
        status = int(match[1])
        self.statuses[status] = self.statuses.get(status, 0) + 1


def rss_kb(pid: int) -> int:
    return int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[1])  # type: ignore[index]


def descriptors(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


async def say_a_tone(call: AppCall) -> None:
    """The application of the call beside: one long tone, chunk after chunk."""

    async def keep_saying() -> None:
        while True:
            await call.say(tone(PITCH_HZ, 5.0))
            await asyncio.sleep(4.9)

    saying = asyncio.create_task(keep_saying())
    try:
        await listen(call)
    finally:
        saying.cancel()


def assert_tone(packets: list[RtpPacket]) -> None:
    """Numbers without holes but for those that two busy cores make, and the tone in every second of it."""
    numbers = [packet.sequence for packet in packets]
    steps = [(b - a) & 0xFFFF for a, b in itertools.pairwise(numbers)]
    assert sum(steps) - len(steps) <= MOST_MISSING * len(numbers)
    heard = from_ulaw(b"".join(packet.payload for packet in packets[100:]))
    seconds = np.split(heard[: len(heard) // 8000 * 8000], len(heard) // 8000)
    assert len(seconds) >= 3
    pure = [power_at(second, PITCH_HZ) for second in seconds]
    assert np.median(pure) > 0.98
    assert min(pure) > 0.8, [round(share, 2) for share in pure]


async def test_no_broken_message_is_heard_in_a_call_or_leaves_anything_behind(tmp_path: Path) -> None:
    chosen = [case for case in cases() if case.number % STRIDE == 0]
    datagrams = [case for case in chosen if len(case.data) <= MAX_DATAGRAM]
    numbers = {case.number for case in chosen if case.number % TCP_STRIDE == 0 or len(case.data) > MAX_DATAGRAM}
    streams = [case for case in cases("TCP") if case.number in numbers]
    async with App(say_a_tone) as app, Node(tmp_path, "--stream", app.url) as node:
        assert node.process is not None
        peer = Peer(node.sip_port)
        async with RawPhone(node.sip_port) as phone:
            assert await phone.call() == 200
            talking = asyncio.create_task(phone.speak(600))
            (beside,) = await node.calls()
            warm_up = [case for case in cases() if case.number % 101 == 0 and len(case.data) <= MAX_DATAGRAM]
            await peer.send_datagrams(warm_up)
            await asyncio.sleep(1)
            before = (rss_kb(node.process.pid), descriptors(node.process.pid))
            assert await peer.send_datagrams(datagrams) + await peer.send_streams(streams) >= 4_500
            await asyncio.sleep(1)
            talking.cancel()
            assert_tone(phone.packets())
        peer.close()
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            while (call := await node.call(beside["id"]))["ended_at"] is None:
                await asyncio.sleep(0.05)
        assert call["reason"] == "normal_clearing"
        after = (rss_kb(node.process.pid), descriptors(node.process.pid))
        assert after[1] <= before[1]
        assert after[0] - before[0] < MOST_RSS_GROWTH_KB
        assert {200, 400} <= set(peer.statuses)
        assert "internal_errors" not in node.log.read_text() and "Traceback" not in node.log.read_text()
        print(f"{len(datagrams)} datagrams, {len(streams)} streams, answers {sorted(peer.statuses.items())}")
        print(f"kB and descriptors: {before}, {after}")
    assert app.errors == []
