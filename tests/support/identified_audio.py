"""Audio that says what it is: each 20 ms of µ-law carries whose it is, which way it goes, its number, and a checksum.

Sixteen code words that survive decoding and encoding are the digits; what was concealed, mixed or shifted is not read.
"""

import zlib
from dataclasses import dataclass

FRAME_BYTES = 160
DIGITS = bytes(0x80 + 7 * number for number in range(16))
"""Of one sign, no two neighbours: no zero among them, which has two codes."""
_VALUES = {code: number for number, code in enumerate(DIGITS)}
_MAGIC = bytes([DIGITS[0xA], DIGITS[0x5]])
_FIELDS = 13
_SYMBOLS = 2 * _FIELDS
TOWARD_APPLICATION, TOWARD_CALLER = 1, 2


@dataclass(frozen=True, slots=True)
class Identity:
    """What a frame says of itself."""

    call: int
    direction: int
    number: int


def write(identity: Identity) -> bytes:
    """The frame."""
    head = bytes([0xA5, identity.direction]) + identity.call.to_bytes(2, "big") + identity.number.to_bytes(5, "big")
    body = head + zlib.crc32(head).to_bytes(4, "big")
    symbols = bytes(DIGITS[nibble] for byte in body for nibble in (byte >> 4, byte & 15))
    return (symbols * (FRAME_BYTES // _SYMBOLS + 1))[:FRAME_BYTES]


def read(frame: bytes) -> Identity | None:
    """Who it is; None for silence, and for whatever is not a frame of ours in whole."""
    symbols = frame[:_SYMBOLS]
    identity = _parse(symbols)
    if identity is None or frame != (symbols * (FRAME_BYTES // _SYMBOLS + 1))[:FRAME_BYTES]:
        return None
    return identity


def parts(frame: bytes) -> set[Identity]:
    """Whose parts are in it, wherever they begin: a jitter buffer that stretches time shifts them."""
    found = set()
    for at in range(len(frame) - _SYMBOLS + 1):
        if frame[at : at + 2] == _MAGIC and (identity := _parse(frame[at : at + _SYMBOLS])) is not None:
            found.add(identity)
    return found


def _parse(symbols: bytes) -> Identity | None:
    try:
        body = bytes(_VALUES[high] << 4 | _VALUES[low] for high, low in zip(symbols[::2], symbols[1::2], strict=True))
    except (KeyError, ValueError):
        return None
    if len(body) < _FIELDS or body[0] != 0xA5 or zlib.crc32(body[:9]).to_bytes(4, "big") != body[9:]:
        return None
    return Identity(int.from_bytes(body[2:4], "big"), body[1], int.from_bytes(body[4:9], "big"))


def frames(payload: bytes) -> list[bytes]:
    """A longer piece, in frames."""
    return [payload[at : at + FRAME_BYTES] for at in range(0, len(payload), FRAME_BYTES)]
