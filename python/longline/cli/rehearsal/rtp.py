"""A caller's end of an RTP stream (RFC 3550, PCMU) with keys (RFC 4733): packets as bytes, and what they say."""

from __future__ import annotations

import secrets
import struct
from dataclasses import dataclass
from typing import Final

from longline.agentkit import mulaw

RATE_HZ: Final = 8_000
SAMPLES: Final = 160
SILENCE: Final = b"\xff" * SAMPLES
KEYS: Final = "0123456789*#ABCD"
KEY_PACKETS: Final = 5
"""100 ms; the last is sent three times (RFC 4733 §2.5.1.4)."""
_VOLUME: Final = 10
MAX_JUMP: Final = 10 * RATE_HZ
"""A timestamp that is further off than this begins anew."""


class Sender:
    """Gives the packets of one stream, 20 ms each."""

    def __init__(self, event_payload_type: int | None) -> None:
        self._event_payload_type = event_payload_type
        self._sequence = secrets.randbits(15)
        self._timestamp = secrets.randbits(31)
        self._ssrc = secrets.randbits(32)
        self._is_first = True
        self.packets = 0

    @property
    def has_keys(self) -> bool:
        return self._event_payload_type is not None

    def audio(self, codes: bytes = SILENCE) -> bytes:
        packet = self._header(0, self._timestamp, self._is_first) + codes
        self._timestamp += SAMPLES
        self._is_first = False
        return packet

    def key(self, digit: str) -> list[bytes]:
        """All packets of one key, to be sent one after the other in 20 ms each."""
        assert self._event_payload_type is not None
        begun, packets = self._timestamp, list[bytes]()
        for number in range(KEY_PACKETS + 2):
            is_end = number >= KEY_PACKETS - 1
            duration = SAMPLES * min(number + 1, KEY_PACKETS)
            header = self._header(self._event_payload_type, begun, number == 0)
            packets.append(header + struct.pack("!BBH", KEYS.index(digit), is_end << 7 | _VOLUME, duration))
        self._timestamp += SAMPLES * len(packets)
        return packets

    def _header(self, payload_type: int, timestamp: int, marker: bool) -> bytes:
        self._sequence = self._sequence + 1 & 0xFFFF
        self.packets += 1
        second = payload_type | marker << 7
        return struct.pack("!BBHII", 0x80, second, self._sequence, timestamp & 0xFFFFFFFF, self._ssrc)


@dataclass(frozen=True, slots=True)
class Heard:
    """One packet of audio; `offset` is where its first sample stands in the stream, in samples."""

    pcm: bytes
    offset: int


class Receiver:
    """Takes datagrams in any order; what is no RTP of ours is counted and None."""

    def __init__(self) -> None:
        self.packets = 0
        self.refused = 0
        self.lost = 0
        self._ssrc: int | None = None
        self._next = 0
        self._base = 0
        self._begin = 0
        self._end = 0

    def receive(self, datagram: bytes) -> Heard | None:
        if len(datagram) < 12 or datagram[0] >> 6 != 2:
            self.refused += 1
            return None
        first, second, sequence, timestamp, ssrc = struct.unpack("!BBHII", datagram[:12])
        begin = 12 + 4 * (first & 0x0F)
        if first & 0x10:  # RFC 3550 §5.3.1: a header extension
            if len(datagram) < begin + 4:
                self.refused += 1
                return None
            begin += 4 + 4 * struct.unpack("!H", datagram[begin + 2 : begin + 4])[0]
        payload = datagram[begin : len(datagram) - (datagram[-1] if first & 0x20 else 0)]
        if second & 0x7F != 0 or not payload:
            return None
        offset = self._offset(ssrc, timestamp)
        missing = sequence - self._next & 0xFFFF
        if self.packets and missing < 0x8000:
            self.lost += missing
        elif self.packets:
            self.lost = max(0, self.lost - 1)  # it was late
        if not self.packets or missing < 0x8000:
            self._next = sequence + 1 & 0xFFFF
        self.packets += 1
        self._end = max(self._end, offset + len(payload))
        return Heard(mulaw.to_linear(payload), offset)

    def _offset(self, ssrc: int, timestamp: int) -> int:
        ahead = timestamp - self._base + 0x8000_0000 & 0xFFFF_FFFF
        offset = self._begin + ahead - 0x8000_0000
        if ssrc != self._ssrc or not self._begin <= offset <= self._end + MAX_JUMP:
            self._ssrc, self._base, self._begin = ssrc, timestamp, self._end
            return self._end
        return offset
