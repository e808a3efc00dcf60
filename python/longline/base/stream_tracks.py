"""The words for what a stream hears: whose sound (`docs/reference/longline-v1.md`, §4), how several come
together, and which way the stream goes. What goes with what is `calls/dialects.py`."""

from typing import Final, Literal

TrackName = Literal["all", "inbound", "outbound", "said"]
"""All parties, mixed; what the call's first party says; what it is sent; what streams and playbacks say."""
Together = Literal["apart", "mixed", "stereo"]
"""Each in messages of its own; in one, summed; two in one, left and right."""
ListenerName = Literal["all", "inbound"]
"""Who is to hear something: all parties, or the call's first."""
StreamDirection = Literal["both", "listen"]

ALL: Final = 0
INBOUND: Final = 1
SAID: Final = 128
OUTBOUND: Final = SAID + INBOUND
MAX_PARTY: Final = 127
MAX_TRACK: Final = 255
MAX_TRACKS: Final = 34
"""Of one stream, as the media server has it: the mix, what is said, and both ways of 16 legs."""

TRACKS: Final[dict[TrackName, int]] = {"all": ALL, "inbound": INBOUND, "outbound": OUTBOUND, "said": SAID}


def is_sent(track: int) -> bool:
    """Of what is said to the parties, not by them: outbound, as dialects with two tracks have it."""
    return track >= SAID
