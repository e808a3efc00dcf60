"""Frames: a length of 4 bytes, big-endian, and so many bytes of UTF-8 JSON, an object each. And addresses as text."""

from __future__ import annotations

import json
from typing import Any

MAX_FRAME_BYTES = 1 << 20
_LENGTH_BYTES = 4


class ProtocolError(Exception):
    """The media server sent something that is not the control protocol; the connection is of no more use."""


class FrameReader:
    """Cuts a byte stream into frames. `feed` takes what arrived and returns the whole objects it completed."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[dict[str, Any]]:
        """Raise ProtocolError for a frame over MAX_FRAME_BYTES, or one that is not a JSON object."""
        self._buffer += data
        frames = []
        while len(self._buffer) >= _LENGTH_BYTES:
            length = int.from_bytes(self._buffer[:_LENGTH_BYTES], "big")
            if length > MAX_FRAME_BYTES:
                raise ProtocolError(f"a frame of {length} bytes is over the limit of {MAX_FRAME_BYTES}")
            end = _LENGTH_BYTES + length
            if len(self._buffer) < end:
                break
            frames.append(_decode_body(bytes(self._buffer[_LENGTH_BYTES:end])))
            del self._buffer[:end]
        return frames


def _decode_body(body: bytes) -> dict[str, Any]:
    try:
        decoded = json.loads(body)
    except ValueError as error:
        raise ProtocolError(f"a frame is not JSON: {error}") from error
    if not isinstance(decoded, dict):
        raise ProtocolError(f"a frame is a JSON {type(decoded).__name__}, not an object")
    return decoded


def encode_frame(message: dict[str, Any]) -> bytes:
    """One object as a frame. Raise ValueError when it would be over MAX_FRAME_BYTES."""
    body = json.dumps(message, separators=(",", ":")).encode()
    if len(body) > MAX_FRAME_BYTES:
        raise ValueError(f"a frame of {len(body)} bytes is over the limit of {MAX_FRAME_BYTES}")
    return len(body).to_bytes(_LENGTH_BYTES, "big") + body


def format_address(address: tuple[str, int]) -> str:
    """`("127.0.0.1", 20004)` as "127.0.0.1:20004"; an IPv6 host gets its brackets."""
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def parse_address(text: str) -> tuple[str, int]:
    """The inverse of `format_address`. Raise ProtocolError when it is not an address."""
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdecimal():
        raise ProtocolError(f"{text!r} is not an address host:port")
    return host.removeprefix("[").removesuffix("]"), int(port)
