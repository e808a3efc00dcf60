"""A phone that is always busy: 486 for each INVITE (RFC 3261 §8.2.6), so that a call that is placed soon ends."""

import asyncio
from typing import Final, cast

_COPIED: Final = (b"via:", b"from:", b"call-id:", b"cseq:")


class BusyPhone(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.rejected = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        if not data.startswith(b"INVITE "):
            return
        self.rejected += 1
        lines = [b"SIP/2.0 486 Busy Here"]
        for line in data.split(b"\r\n\r\n", 1)[0].split(b"\r\n"):
            name = line[:8].lower()
            if name.startswith(_COPIED):
                lines.append(line)
            elif name.startswith(b"to:"):
                lines.append(line + b";tag=busy")
        self._transport.sendto(b"\r\n".join([*lines, b"Content-Length: 0", b"", b""]), address)


async def open_busy_phone() -> tuple[BusyPhone, asyncio.DatagramTransport, int]:
    loop = asyncio.get_running_loop()
    transport, phone = await loop.create_datagram_endpoint(BusyPhone, local_addr=("127.0.0.1", 0))
    return phone, transport, transport.get_extra_info("sockname")[1]
