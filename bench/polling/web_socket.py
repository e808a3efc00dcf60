"""RFC 6455 as far as the bench needs it, with no library: neither transport shall pay for a framework.

Text messages of up to 64 KiB, whole in one frame; the client masks. Leaves out: fragments, pings, closing.
"""

import asyncio
import base64
import hashlib
import os
import struct
from collections.abc import Callable
from typing import Final, cast

_KEY_SUFFIX: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_TEXT: Final = 0x81
_MASKED: Final = 0x80
_LONG: Final = 126


class WebSocket(asyncio.Protocol):
    """Either end. `on_open` when the handshake is done, `on_message` for each message."""

    def __init__(
        self, is_client: bool, on_open: Callable[["WebSocket"], None], on_message: Callable[[bytes], None]
    ) -> None:
        self._is_client, self._on_open, self._on_message = is_client, on_open, on_message
        self._buffer = bytearray()
        self._is_open = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        if self._is_client:
            key = base64.b64encode(os.urandom(16))
            self.transport.write(
                b"GET /stream HTTP/1.1\r\nHost: application\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + key + b"\r\n\r\n"
            )

    def send(self, message: bytes) -> None:
        length = len(message)
        mask_bit = _MASKED if self._is_client else 0
        if length < _LONG:
            head = bytes((_TEXT, mask_bit | length))
        else:
            head = struct.pack("!BBH", _TEXT, mask_bit | _LONG, length)
        if self._is_client:
            mask = os.urandom(4)
            head, message = head + mask, _xor(message, mask)
        self.transport.write(head + message)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if not self._is_open and not self._shake_hands():
            return
        buffer = self._buffer
        while len(buffer) >= 2:
            length, at = buffer[1] & 0x7F, 2
            if length == _LONG:
                if len(buffer) < 4:
                    return
                length, at = int.from_bytes(buffer[2:4]), 4
            is_masked = buffer[1] & _MASKED
            end = at + (4 if is_masked else 0) + length
            if len(buffer) < end:
                return
            message = bytes(buffer[end - length : end])
            if is_masked:
                message = _xor(message, bytes(buffer[at : at + 4]))
            del buffer[:end]
            self._on_message(message)

    def _shake_hands(self) -> bool:
        head, separator, rest = bytes(self._buffer).partition(b"\r\n\r\n")
        if not separator:
            return False
        self._buffer = bytearray(rest)
        self._is_open = True
        if not self._is_client:
            lines = dict(line.split(b": ", 1) for line in head.split(b"\r\n")[1:])
            accept = base64.b64encode(hashlib.sha1(lines[b"Sec-WebSocket-Key"] + _KEY_SUFFIX).digest())
            self.transport.write(
                b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
            )
        self._on_open(self)
        return True


def _xor(message: bytes, mask: bytes) -> bytes:
    length = len(message)
    pad = (mask * (length // 4 + 1))[:length]
    return (int.from_bytes(message) ^ int.from_bytes(pad)).to_bytes(length)
