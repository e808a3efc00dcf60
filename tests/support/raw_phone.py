"""A phone of a few literal messages: no stack of ours is in it, so that what it sends and sees are plain packets."""

import asyncio
import contextlib
import random
import re
import socket
import struct
import time
from dataclasses import dataclass
from types import TracebackType
from typing import Self

SO_TIMESTAMPNS = 35
"""Linux: each datagram comes with the time of its arrival (socket(7)); the constant is not in Python's module."""

EVENT_PAYLOAD_TYPE = 101

SILENCE = b"\xff" * 160
"""20 ms of µ-law silence (the code of zero)."""


@dataclass(frozen=True)
class RtpPacket:
    """A packet as it arrived; `at` is the kernel's time of it, in Unix seconds: this process may be busy elsewhere."""

    at: float
    sequence: int
    timestamp: int
    marker: bool
    payload: bytes

    @property
    def is_silent(self) -> bool:
        """No sample is louder than the quietest µ-law segment."""
        return all(code & 0x7F >= 0x70 for code in self.payload)


class _Collector(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.received: list[bytes] = []
        self.arrived = asyncio.Event()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.received.append(data)
        self.arrived.set()


class _RtpSocket:
    """A UDP socket that keeps every datagram with the kernel's time of its arrival."""

    def __init__(self) -> None:
        self.received: list[tuple[float, bytes]] = []
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.setblocking(False)
        self.port = int(self._socket.getsockname()[1])
        asyncio.get_running_loop().add_reader(self._socket, self._read)

    def send(self, datagram: bytes, to: tuple[str, int]) -> None:
        self._socket.sendto(datagram, to)

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self._socket)
        self._socket.close()

    def _read(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                data, ancillary, _, _ = self._socket.recvmsg(65_536, 64)
                seconds, nanoseconds = struct.unpack("qq", ancillary[0][2][:16])
                self.received.append((seconds + nanoseconds / 1e9, data))


class RawPhone:
    """`async with RawPhone(sip_port) as phone: await phone.call()`. Loopback, UDP, PCMU."""

    def __init__(self, sip_port: int, *, sdp: bytes | None = None, keypad: bool = False, to: str = "longline") -> None:
        self._node = ("127.0.0.1", sip_port)
        self._tag = f"{random.getrandbits(64):016x}"
        self._to_tag = ""
        self._sdp = sdp
        self._keypad = keypad
        self._to = to
        self._sequence, self._ssrc = random.getrandbits(15), random.getrandbits(32)
        self.remote_rtp: tuple[str, int] = ("", 0)

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self.sip_transport, self.sip = await loop.create_datagram_endpoint(_Collector, ("127.0.0.1", 0))
        self.rtp = _RtpSocket()
        self._sip_port = self.sip_transport.get_extra_info("sockname")[1]
        self._rtp_port = self.rtp.port
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._to_tag:
            self.send_sip(self._request("BYE", 2))
            await asyncio.sleep(0.05)
        self.sip_transport.close()
        self.rtp.close()

    async def call(self) -> int:
        """Send the INVITE; the final status. ACKs a 200 and reads where to send audio."""
        self.send_sip(self._request("INVITE", 1, self._sdp if self._sdp is not None else self._offer()))
        response = await self.response(200)
        status = int(response.split(b" ", 2)[1])
        match = re.search(rb"\r\n(?:To|t):[^\r\n]*;tag=([^\s;]+)", response)
        tag = match[1].decode() if match else ""
        if status == 200:
            self._to_tag = tag
            host, port = re.search(rb"c=IN IP4 (\S+)", response), re.search(rb"m=audio (\d+)", response)
            assert host is not None and port is not None
            self.remote_rtp = (host[1].decode(), int(port[1]))
        self.send_sip(self._request("ACK", 1, to_tag=tag))
        return status

    @property
    def replaces(self) -> str:
        """What somebody else tells the node in order to take this phone's place (RFC 3891)."""
        return f"{self._tag}@127.0.0.1;to-tag={self._to_tag};from-tag={self._tag}"

    def refer(self, to: str) -> None:
        """Transfer the call; `to` is the value of Refer-To."""
        head, _, _ = self._request("REFER", 2).partition(b"Content-Length")
        self.send_sip(head + f"Refer-To: {to}\r\nContent-Length: 0\r\n\r\n".encode())

    def answer_requests(self) -> None:
        """200 to all that the node has asked so far."""
        kept = (b"via:", b"from:", b"to:", b"call-id:", b"cseq:")
        for data in self.sip.received:
            if not data.startswith(b"SIP/2.0"):
                lines = [line for line in data.split(b"\r\n") if line.lower().startswith(kept)]
                self.send_sip(b"\r\n".join([b"SIP/2.0 200 OK", *lines, b"Content-Length: 0", b"", b""]))

    def hang_up(self) -> None:
        self.send_sip(self._request("BYE", 2))
        self.forget()

    def forget(self) -> None:
        """Its call is over: it sends no BYE."""
        self._to_tag = ""

    async def response(self, at_least: int, timeout_s: float = 10) -> bytes:
        """The first response with this status or a higher one."""
        async with asyncio.timeout(timeout_s):
            while True:
                for data in self.sip.received:
                    match = re.match(rb"SIP/2.0 (\d{3})", data)
                    if match and int(match[1]) >= at_least:
                        return data
                self.sip.arrived.clear()
                await self.sip.arrived.wait()

    def send_sip(self, message: bytes) -> None:
        self.sip_transport.sendto(message, self._node)

    def send_rtp(self, payload: bytes, payload_type: int = 0) -> None:
        """The next packet in order; its timestamp follows its number."""
        self._sequence += 1
        header = struct.pack(
            "!BBHII", 0x80, payload_type, self._sequence & 0xFFFF, self._sequence * 160 & 0xFFFFFFFF, self._ssrc
        )
        self.rtp.send(header + payload, self.remote_rtp)

    def send_raw(self, datagram: bytes) -> None:
        self.rtp.send(datagram, self.remote_rtp)

    async def speak(self, seconds: float, payload: bytes = SILENCE) -> None:
        """Send the same frame over and over, paced."""
        started = time.monotonic()
        for index in range(round(seconds * 50)):
            self.send_rtp(payload)
            await asyncio.sleep(max(0.0, started + 0.02 * (index + 1) - time.monotonic()))

    async def press(self, key: str) -> None:
        """One key (RFC 4733), 100 ms long; the phone must have been made with a `keypad`."""
        event, start = "0123456789*#ABCD".index(key), (self._sequence + 1) * 160 & 0xFFFFFFFF
        for index in range(7):
            is_over = index >= 4  # the end is sent three times (RFC 4733 §2.5.1.4)
            duration = 160 * min(index + 1, 5)
            self._sequence += 1
            second = EVENT_PAYLOAD_TYPE | (0x80 if index == 0 else 0)
            header = struct.pack("!BBHII", 0x80, second, self._sequence & 0xFFFF, start, self._ssrc)
            self.rtp.send(header + struct.pack("!BBH", event, is_over << 7 | 10, duration), self.remote_rtp)
            await asyncio.sleep(0.02)

    def packets(self) -> list[RtpPacket]:
        """The RTP that has come so far."""
        packets = []
        for at, data in self.rtp.received:
            if len(data) >= 12 and data[1] & 0x7F == 0:
                _, second, sequence, timestamp, _ = struct.unpack("!BBHII", data[:12])
                packets.append(RtpPacket(at, sequence, timestamp, bool(second & 0x80), data[12:]))
        return packets

    def _offer(self) -> bytes:
        return (
            "v=0\r\no=raw 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
            f"m=audio {self._rtp_port} RTP/AVP 0{f' {EVENT_PAYLOAD_TYPE}' if self._keypad else ''}\r\n"
            "a=rtpmap:0 PCMU/8000\r\n"
            + (f"a=rtpmap:{EVENT_PAYLOAD_TYPE} telephone-event/8000\r\n" if self._keypad else "")
        ).encode()

    def _request(self, method: str, sequence: int, body: bytes = b"", to_tag: str | None = None) -> bytes:
        tag = self._to_tag if to_tag is None else to_tag
        branch = "invite" if method in ("INVITE", "CANCEL") else method.lower()
        content = "Content-Type: application/sdp\r\n" if body else ""
        head = (
            f"{method} sip:{self._to}@127.0.0.1:{self._node[1]} SIP/2.0\r\n"
            f"Via: SIP/2.0/UDP 127.0.0.1:{self._sip_port};branch=z9hG4bK-{self._tag}-{branch}\r\n"
            f"From: <sip:raw@127.0.0.1:{self._sip_port}>;tag={self._tag}\r\n"
            f"To: <sip:{self._to}@127.0.0.1:{self._node[1]}>{';tag=' + tag if tag else ''}\r\n"
            f"Call-ID: {self._tag}@127.0.0.1\r\nCSeq: {sequence} {method}\r\n"
            f"Contact: <sip:raw@127.0.0.1:{self._sip_port}>\r\nMax-Forwards: 70\r\n"
            f"{content}Content-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body
