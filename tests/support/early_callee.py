"""A callee that never answers, and plays a tone meanwhile (183 with a session description): a few literal messages."""

import asyncio
import re
import struct
from types import TracebackType
from typing import Self

import numpy as np

from tests.support.tone import Samples


def _ulaw(samples: Samples) -> bytes:
    """G.711 µ-law, by its definition."""
    magnitude = np.minimum(np.abs(samples.astype(int)), 32_635) + 132
    exponent = np.floor(np.log2(magnitude)).astype(int) - 7
    code = exponent << 4 | magnitude >> exponent + 3 & 0x0F
    return bytes((~(code | np.where(samples < 0, 0x80, 0)) & 0xFF).astype(np.uint8))


class EarlyCallee(asyncio.DatagramProtocol):
    """`async with` it; `uri` is whom to call. It plays `samples` to whoever calls until that is cancelled."""

    def __init__(self, samples: Samples) -> None:
        self._audio = _ulaw(samples)
        self._playing: asyncio.Task[None] | None = None
        self._invite = b""

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._sip, _ = await loop.create_datagram_endpoint(lambda: self, ("127.0.0.1", 0))
        self._rtp, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, ("127.0.0.1", 0))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._playing is not None:
            self._playing.cancel()
        self._sip.close()
        self._rtp.close()

    @property
    def uri(self) -> str:
        return f"sip:early@127.0.0.1:{self._sip.get_extra_info('sockname')[1]}"

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        method = data.split(b" ", 1)[0]
        if method == b"INVITE" and not self._invite:
            self._invite = data
            port = self._rtp.get_extra_info("sockname")[1]
            sdp = (
                "v=0\r\no=early 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
                f"m=audio {port} RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n"
            )
            self._answer(data, addr, b"183 Session Progress", sdp.encode())
            offered = re.search(rb"m=audio (\d+)", data)
            assert offered is not None
            self._playing = asyncio.create_task(self._play(("127.0.0.1", int(offered[1]))))
        elif method == b"CANCEL":
            self._answer(data, addr, b"200 OK")
            self._answer(self._invite, addr, b"487 Request Terminated")

    def _answer(self, request: bytes, to: tuple[str, int], status: bytes, body: bytes = b"") -> None:
        kept = (b"via:", b"from:", b"call-id:", b"cseq:")
        lines = [line for line in request.split(b"\r\n\r\n")[0].split(b"\r\n") if line.lower().startswith(kept)]
        lines += [line + b";tag=early" for line in request.split(b"\r\n") if line.lower().startswith(b"to:")]
        lines += [b"Contact: <" + self.uri.encode() + b">", b"Content-Length: %d" % len(body)]
        if body:
            lines.append(b"Content-Type: application/sdp")
        self._sip.sendto(b"\r\n".join([b"SIP/2.0 " + status, *lines, b"", body]), to)

    async def _play(self, to: tuple[str, int]) -> None:
        loop = asyncio.get_running_loop()
        begun = loop.time()
        for number in range(len(self._audio) // 160):
            header = struct.pack("!BBHII", 0x80, 0, number, number * 160, 7)
            self._rtp.sendto(header + self._audio[number * 160 :][:160], to)
            await asyncio.sleep(max(0.0, begun + 0.02 * (number + 1) - loop.time()))
