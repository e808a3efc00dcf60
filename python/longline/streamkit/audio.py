"""Audio on the wire of longline.v1 (docs/reference/longline-v1.md §2): the header of 16 bytes, and the same in JSON.

All numbers are little-endian. Leaves out: what the samples mean.
"""

from __future__ import annotations

import base64
import binascii
import json
import struct
from dataclasses import dataclass
from typing import Any, Final

from longline.base.errors import RemoteProtocolError

HEADER: Final = struct.Struct("<BBHIQ")
VERSION_AND_KIND: Final = 0x10
"""Version 1, kind 0: audio."""
REPLAY: Final = 1
"""Flag: from the ring (of Longline), or sent again (by the application)."""
GAP: Final = 2
"""Flag: the frame before it in this track was never sent."""
KNOWN_FLAGS: Final = 0xFF03
SEQUENCES: Final = 1 << 32
"""A sequence is counted modulo this."""
MAX_AUDIO_BYTES: Final = 24 << 10
"""Samples that one message of ours carries at most: in base64, half of what a text message may be."""


class BadAudio(RemoteProtocolError):
    """A message that should be audio and is not."""


@dataclass(frozen=True, slots=True)
class Audio:
    """One audio message, of either side."""

    track: int
    sequence: int
    payload: bytes
    timestamp: int = 0
    flags: int = 0

    @property
    def is_replay(self) -> bool:
        return bool(self.flags & REPLAY)

    @property
    def is_after_gap(self) -> bool:
        return bool(self.flags & GAP)

    @property
    def generation(self) -> int:
        """Modulo 256; of the application's audio."""
        return self.flags >> 8

    def to_binary(self) -> bytes:
        head = HEADER.pack(VERSION_AND_KIND, self.track, self.flags, self.sequence, self.timestamp)
        return head + self.payload

    def to_text(self) -> str:
        return json.dumps(
            {
                "type": "audio",
                "track": self.track,
                "flags": self.flags,
                "sequence": self.sequence,
                "timestamp": self.timestamp,
                "audio": base64.b64encode(self.payload).decode(),
            }
        )


def from_binary(message: bytes) -> Audio:
    """Raises BadAudio when it is too short, or of another version or kind."""
    if len(message) < HEADER.size:
        raise BadAudio(f"audio has a header of {HEADER.size} bytes, this message has {len(message)}")
    kind, track, flags, sequence, timestamp = HEADER.unpack_from(message)
    if kind != VERSION_AND_KIND:
        raise BadAudio(f"the first byte of audio is {VERSION_AND_KIND:#x}, not {kind:#x}")
    return Audio(track, sequence, message[HEADER.size :], timestamp, flags)


def from_fields(fields: dict[str, Any]) -> Audio:
    """From the JSON object of `"type": "audio"`. Raises BadAudio."""
    flags = _number(fields, "flags", 0xFFFF, 0)
    generation = fields.get("generation")
    if isinstance(generation, int):
        flags = flags & 0xFF | (generation & 0xFF) << 8
    try:
        payload = base64.b64decode(fields["audio"], validate=True)
    except (KeyError, TypeError, ValueError, binascii.Error) as error:
        raise BadAudio(f"audio: no base64 ({error!r})") from None
    track = _number(fields, "track", 0xFF, 0)
    sequence = _number(fields, "sequence", SEQUENCES - 1, None)
    return Audio(track, sequence, payload, _number(fields, "timestamp", (1 << 64) - 1, 0), flags)


def ahead(sequence: int, last: int) -> int:
    """How far `sequence` is after `last` (−1: none yet), modulo 2³²; zero or less: not after it."""
    distance = (sequence - last) % SEQUENCES
    return distance if distance < SEQUENCES // 2 else distance - SEQUENCES


def _number(fields: dict[str, Any], name: str, most: int, default: int | None) -> int:
    value = fields.get(name, default)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
        raise BadAudio(f"{name} of audio is a number from 0 to {most}")
    return value
