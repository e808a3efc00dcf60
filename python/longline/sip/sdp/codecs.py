"""The audio codecs that a description may name: their rtpmap, their payload types, and the parameters of Opus.

RFC 3551 §6 (static payload types), RFC 7587 (Opus), RFC 4733 §2.1 (telephone-events run on the clock of the audio).
"""

import re
from dataclasses import dataclass
from functools import lru_cache

from longline.sip.sdp.description import RtpMap

MAX_OPUS_BITRATE_BPS = 32_000
"""What we send Opus with, unless the far end wants less: full band speech (RFC 7587 §3.1.1)."""
MIN_OPUS_BITRATE_BPS = 6_000


@dataclass(frozen=True, slots=True)
class Codec:
    """`name` as settings have it, `kind` and `sample_rate_hz` (L16 alone) as the media server's commands have it.

    `payload_type` is what we offer; an answer uses the offerer's number. `rtpmap` is what we write; what we read need
    not say the channels of Opus.
    """

    name: str
    kind: str
    payload_type: int
    rtpmap: RtpMap
    sample_rate_hz: int | None = None
    fmtp: str | None = None

    @property
    def clock_hz(self) -> int:
        return self.rtpmap.rate_hz

    def matches(self, other: RtpMap) -> bool:
        """Whether an rtpmap of the peer's means this codec."""
        return (other.encoding, other.rate_hz) == (self.rtpmap.encoding, self.rtpmap.rate_hz) and (
            other.channels == 1 or self.kind == "opus"
        )


def _linear(rate_hz: int, payload_type: int) -> Codec:
    return Codec(f"L16/{rate_hz}", "L16", payload_type, RtpMap("L16", rate_hz), rate_hz)


CODECS: dict[str, Codec] = {
    codec.name: codec
    for codec in (
        # RFC 7587 §7: the rtpmap always says two channels. What is decoded and sent is one.
        Codec("opus", "opus", 111, RtpMap("OPUS", 48_000, 2), fmtp="minptime=10;useinbandfec=1"),
        # RFC 3551 §4.5.2: the clock of G.722 is 8 kHz, by an old error; its sound is of 16 kHz.
        Codec("G722", "G722", 9, RtpMap("G722", 8_000)),
        Codec("PCMU", "PCMU", 0, RtpMap("PCMU", 8_000)),
        Codec("PCMA", "PCMA", 8, RtpMap("PCMA", 8_000)),
        _linear(8_000, 112),
        _linear(16_000, 113),
        _linear(24_000, 114),
        _linear(48_000, 115),
    )
}
DEFAULT_CODECS = ("opus", "G722", "PCMU", "PCMA")
STATIC_PAYLOAD_TYPES = {codec.payload_type: codec.rtpmap for codec in CODECS.values() if codec.payload_type < 96}
"""These need no rtpmap."""
EVENT_PAYLOAD_TYPES = {8_000: 101, 16_000: 102, 24_000: 103, 48_000: 110}
"""What we offer telephone-events with, by their clock."""


@lru_cache(maxsize=256)
def find_codec(rtpmap: RtpMap, names: tuple[str, ...]) -> Codec | None:
    """The one of these codecs that an rtpmap means."""
    return next((codec for name in names if (codec := CODECS[name]).matches(rtpmap)), None)


@dataclass(frozen=True, slots=True)
class OpusParameters:
    """How we are to send Opus: what the far end's fmtp asks for (RFC 7587 §6.1), within our bounds."""

    bitrate_bps: int = MAX_OPUS_BITRATE_BPS
    fec: bool = False
    dtx: bool = False

    @classmethod
    def parse(cls, fmtp: str) -> "OpusParameters":
        """What is malformed or unknown does not count."""
        given = dict(re.findall(r"([a-z0-9-]+)\s*=\s*([0-9]{1,7})(?=\s*(?:;|$))", fmtp.lower()))
        wanted = int(given.get("maxaveragebitrate", MAX_OPUS_BITRATE_BPS))
        return cls(
            bitrate_bps=min(max(wanted, MIN_OPUS_BITRATE_BPS), MAX_OPUS_BITRATE_BPS),
            fec=given.get("useinbandfec") == "1",
            dtx=given.get("usedtx") == "1",
        )
