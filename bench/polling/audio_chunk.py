"""A chunk: 20 ms of audio as the Teler dialect writes it (L16 at 8 kHz in base64), with the time of its birth in it.

Both ends build and read it in full, as an application that uses the audio does, and alike on every transport.
"""

import base64
import json
import struct
import time
from typing import Any, Final

INTERVAL_S: Final = 0.02
_STAMP: Final = struct.Struct("<q")
_REST: Final = bytes(range(256)) + bytes(56)


def new_chunk(number: int) -> bytes:
    audio = _STAMP.pack(time.monotonic_ns()) + _REST
    text = base64.b64encode(audio).decode()
    return b'{"type":"audio","stream_id":"ms_01","message_id":%d,"data":{"audio_b64":"%s"}}' % (number, text.encode())


def born_at(message: dict[str, Any]) -> float:
    """When this chunk was made, in seconds of the machine's monotonic clock."""
    audio = base64.b64decode(message["data"]["audio_b64"])
    return float(_STAMP.unpack_from(audio)[0]) / 1e9


def read_chunk(text: bytes) -> float:
    return born_at(json.loads(text))


def read_chunks(text: bytes) -> list[float]:
    """Those of a body: it holds all that waited, so that no transport pays for a request for each of them."""
    return [born_at(message) for message in json.loads(text)]


def body_of(chunks: list[bytes]) -> bytes:
    return b"[" + b",".join(chunks) + b"]"
