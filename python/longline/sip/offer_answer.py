"""Offer and answer (RFC 3264) for one G.711 audio stream with telephone-events.

Pure functions. An answer has as many m-lines as its offer, those we cannot use with port 0; the first audio we can use
wins, and of its codecs the one the offerer likes best. SRTP with keys in SDP is taken or asked for by policy
(`crypto.py` has the lines). Leaves out: DTLS-SRTP and the feedback profiles (refused, and said so), ICE, BUNDLE, more
than one audio stream.
"""

import ipaddress
from dataclasses import dataclass
from typing import Literal, cast

from longline.base.errors import RemoteProtocolError
from longline.sip.crypto import (
    OFFERED_SUITES,
    Crypto,
    CryptoRefused,
    SrtpKeys,
    SrtpPolicy,
    keys_of_answer,
    new_crypto,
    settle,
    usable_lines,
)
from longline.sip.sdp import Attributes, Connection, Media, Origin, RtpMap, SessionDescription

Direction = Literal["sendrecv", "sendonly", "recvonly", "inactive"]

PTIME_MS = 20
MAX_PTIME_MS = 60
"""The longest packet that the jitter buffer takes."""
"""The packet time we ask for and send."""
TELEPHONE_EVENT_PAYLOAD_TYPE = 101
"""What we offer; an answer uses the offerer's number."""
_STATIC_PAYLOAD_TYPES = {0: RtpMap("PCMU", 8000), 8: RtpMap("PCMA", 8000)}
"""RFC 3551 §6: these need no rtpmap."""
_NUMBERS = {"PCMU": 0, "PCMA": 8}
_TELEPHONE_EVENT = RtpMap("TELEPHONE-EVENT", 8000)
_PLAIN, _SECURE = "RTP/AVP", "RTP/SAVP"
_HOLD_ADDRESSES = ("0.0.0.0", "::")


class OfferRefused(RemoteProtocolError):
    """Nothing in the offer (or answer) can be used; `why` is for people, `status` for the peer."""

    def __init__(self, why: str, status: int = 488) -> None:
        super().__init__(why, status)
        self.why = why


@dataclass(frozen=True, slots=True)
class LocalMedia:
    """Our side. `session_id` and `version` are the o= line's: a changed description needs the next version."""

    address: str
    rtp_port: int
    rtcp_port: int
    codecs: tuple[str, ...] = ("PCMU", "PCMA")
    session_id: int = 1
    version: int = 1
    direction: Direction = "sendrecv"
    srtp: SrtpPolicy = "preferred"
    settled: "Negotiated | None" = None
    """What was settled before in this dialog: an encrypted call stays so in our offers, and to an offer whose key is
    that of before, so is ours."""


@dataclass(frozen=True, slots=True)
class Negotiated:
    """What both sides agreed on. `direction` is ours; `remote_rtcp` is None when RTCP shares the RTP port."""

    remote_rtp: tuple[str, int]
    remote_rtcp: tuple[str, int] | None
    codec: str
    payload_type: int
    telephone_event: int | None
    direction: Direction
    rtcp_mux: bool
    ptime_ms: int
    profile: str = _PLAIN
    srtp: SrtpKeys | None = None


@dataclass(frozen=True, slots=True)
class _Choice:
    codec: str
    payload_type: int
    telephone_event: int | None


def make_offer(local: LocalMedia) -> SessionDescription:
    """Our codecs in our order, and telephone-events; with keys when media must be, or is, encrypted."""
    maps = [(_NUMBERS[codec], RtpMap(codec, 8000)) for codec in local.codecs]
    maps.append((TELEPHONE_EVENT_PAYLOAD_TYPE, _TELEPHONE_EVENT))
    audio = _audio(local, maps, local.direction, mux=False)
    was = local.settled
    if was is not None and was.srtp is not None:
        _add_crypto(audio, was.profile, [new_crypto(n, suite) for n, suite in enumerate(OFFERED_SUITES, 1)])
    elif local.srtp == "required":
        _add_crypto(audio, _SECURE, [new_crypto(n, suite) for n, suite in enumerate(OFFERED_SUITES, 1)])
    return _describe(local, [audio], ["0 0"])


def make_answer(offer: SessionDescription, local: LocalMedia) -> tuple[SessionDescription, Negotiated]:
    """The answer to an offer, and what it settles. Raise OfferRefused when no media can be used."""
    whys: list[str] = []
    negotiated: Negotiated | None = None
    media: list[Media] = []
    for offered in offer.media:
        if negotiated is None:
            try:
                negotiated, answered = _accept(offer, offered, local)
            except OfferRefused as refusal:
                whys.append(refusal.why)
            else:
                media.append(answered)
                continue
        # RFC 3264 §6: a stream that is not accepted keeps its place, with port 0.
        media.append(Media(offered.kind, 0, offered.protocol, list(offered.formats) or ["0"]))
    if negotiated is None:
        raise OfferRefused("; ".join(dict.fromkeys(whys)) or "no media in the offer")
    # RFC 3264 §6: the t= line of an answer equals that of the offer.
    return _describe(local, media, list(offer.times)), negotiated


def read_answer(offer: SessionDescription, answer: SessionDescription) -> Negotiated:
    """What an answer to our offer settles. Raise OfferRefused when it settles on nothing usable."""
    if len(answer.media) != len(offer.media):
        raise OfferRefused("the answer has another number of media than the offer")
    ours, theirs = offer.media[0], answer.media[0]
    if theirs.kind != "audio" or theirs.port == 0:
        raise OfferRefused("the answer refuses our audio")
    keys = _read_keys(ours, theirs)
    offered = {(m.encoding, m.rate_hz) for m in _codec_maps(ours).values()}
    codecs = tuple(codec for codec in _NUMBERS if (codec, 8000) in offered)
    choice = _choose(theirs, codecs)
    # Once both sides have agreed, each sends what the other's description says, within what we offered ourselves.
    direction = _intersect(offer.direction_of(ours), _mirror(answer.direction_of(theirs)))
    mux = ours.attribute("rtcp-mux") is not None and theirs.attribute("rtcp-mux") is not None
    return _negotiated(answer, theirs, choice, direction, mux, keys)


def _accept(offer: SessionDescription, offered: Media, local: LocalMedia) -> tuple[Negotiated, Media]:
    if offered.kind != "audio":
        raise OfferRefused(f"{_plain(offered.kind)} is not supported")
    if offered.port == 0:
        raise OfferRefused("the offer's audio has port 0")
    ours, keys = _agree_keys(offered, local)
    choice = _choose(offered, local.codecs)
    direction = _intersect(local.direction, _mirror(offer.direction_of(offered)))
    mux = offered.attribute("rtcp-mux") is not None
    negotiated = _negotiated(offer, offered, choice, direction, mux, keys)
    family = "IP6" if ":" in local.address else "IP4"
    if (":" in negotiated.remote_rtp[0]) != (family == "IP6"):
        raise OfferRefused(f"the media address is not of our family ({family})")
    if negotiated.remote_rtp == (local.address, local.rtp_port):
        raise OfferRefused("the offer's media address is our own")
    maps = [(choice.payload_type, RtpMap(choice.codec, 8000))]
    if choice.telephone_event is not None:
        maps.append((choice.telephone_event, _TELEPHONE_EVENT))
    answered = _audio(local, maps, negotiated.direction, mux)
    _add_crypto(answered, negotiated.profile, [ours] if ours else [])
    return negotiated, answered


def _agree_keys(offered: Media, local: LocalMedia) -> tuple[Crypto | None, SrtpKeys | None]:
    """Our crypto line and the keys that an offer and our policy settle on; None for plain RTP."""
    profile = _profile(offered)
    if local.srtp == "off":
        if profile == _SECURE:
            raise OfferRefused("the offer is for SRTP, which is switched off here")
        return None, None
    lines, whys = usable_lines(offered)
    if not lines and profile == _SECURE:
        raise OfferRefused(
            "; ".join(dict.fromkeys(whys)) or "RTP/SAVP has no crypto line, and DTLS-SRTP is not supported"
        )
    if not lines and local.srtp == "required":
        raise OfferRefused("; ".join(["media must be encrypted here (RTP/SAVP with a=crypto)", *dict.fromkeys(whys)]))
    if not lines:
        return None, None  # phones that offer both ways write RTP/AVP: without a line we can use it is plain
    theirs, was = lines[0], local.settled.srtp if local.settled else None
    if was is not None and (was.suite, was.receive_key) == (theirs.suite, theirs.key):
        ours = Crypto(theirs.tag, theirs.suite, was.send_key)  # RFC 4568 §7.1.4: a new key would be a new stream
    else:
        ours = new_crypto(theirs.tag, theirs.suite)
    try:
        return ours, settle(ours, theirs)
    except CryptoRefused as refusal:
        raise OfferRefused(refusal.why) from None


def _read_keys(ours: Media, theirs: Media) -> SrtpKeys | None:
    """The keys that the answer to our offer settles on; None for plain RTP."""
    offered, _ = usable_lines(ours)
    if _profile(theirs) != ours.protocol:
        raise OfferRefused(f"the answer has the profile {_plain(theirs.protocol)}, not {ours.protocol}")
    if not offered:
        return None  # what was offered encrypted is not taken plain: that is an error below
    try:
        return keys_of_answer(offered, theirs)
    except CryptoRefused as refusal:
        raise OfferRefused(refusal.why) from None


def _add_crypto(media: Media, profile: str, lines: list[Crypto]) -> None:
    media.protocol = profile
    media.attributes += [("crypto", str(line)) for line in lines]


def _profile(media: Media) -> str:
    profile = media.protocol.upper()
    if profile not in (_PLAIN, _SECURE):
        raise OfferRefused(f"the profile {_plain(media.protocol)} is not supported, only RTP/AVP and RTP/SAVP")
    return profile


def _plain(text: str) -> str:
    """A word of the peer's for our explanation."""
    return "".join(c for c in text[:32] if c.isascii() and c.isprintable())


def _codec_maps(media: Media) -> dict[int, RtpMap]:
    """What each payload type in the m= line stands for, in its order."""
    mapped = media.rtpmaps()
    maps: dict[int, RtpMap] = {}
    for text in media.formats:
        number = int(text) if text.isascii() and text.isdigit() and len(text) <= 3 else -1
        found = mapped.get(number) or _STATIC_PAYLOAD_TYPES.get(number)
        if found is not None:
            maps.setdefault(number, found)
    return maps


def _choose(media: Media, codecs: tuple[str, ...]) -> _Choice:
    """RFC 3264 §6.1: the offerer lists its codecs in order of preference, and we follow it."""
    maps = _codec_maps(media)
    events = [number for number, found in maps.items() if found == _TELEPHONE_EVENT]
    for number, found in maps.items():
        if found.encoding in codecs and found.rate_hz == 8000 and found.channels == 1:
            return _Choice(found.encoding, number, events[0] if events else None)
    raise OfferRefused(f"no common codec: only {' and '.join(codecs)} at 8000 Hz")


def _negotiated(
    description: SessionDescription,
    media: Media,
    choice: _Choice,
    direction: Direction,
    mux: bool,
    keys: SrtpKeys | None,
) -> Negotiated:
    connection = description.connection_of(media)
    if connection is None:
        raise OfferRefused("no c= line for the audio")
    address = _address(connection)
    if address in _HOLD_ADDRESSES:
        # RFC 3264 §8.4, the old way to hold: nothing is to be sent there.
        direction = _intersect(direction, "recvonly")
    return Negotiated(
        remote_rtp=(address, media.port),
        remote_rtcp=None if mux else _rtcp(media, address),
        codec=choice.codec,
        payload_type=choice.payload_type,
        telephone_event=choice.telephone_event,
        direction=direction,
        rtcp_mux=mux,
        ptime_ms=_ptime(media),
        profile=_profile(media),
        srtp=keys,
    )


def _address(connection: Connection) -> str:
    try:
        address = ipaddress.ip_address(connection.address)
    except ValueError:
        raise OfferRefused("the media address is not an IP address") from None
    if address.is_multicast or address == ipaddress.ip_address("255.255.255.255"):
        raise OfferRefused("the media address is not a unicast address")
    return str(address)


def _rtcp(media: Media, address: str) -> tuple[str, int] | None:
    """RFC 3605: where the peer wants RTCP; the next port when it does not say."""
    words = (media.attribute("rtcp") or "").split()
    if words and words[0].isascii() and words[0].isdigit() and 0 < int(words[0][:6]) <= 65535:
        # Another host than the media's would let an offer aim our RTCP at a third party: only the port is taken.
        return address, int(words[0])
    return (address, media.port + 1) if media.port < 65535 else None


def _ptime(media: Media) -> int:
    text = media.attribute("ptime") or ""
    if text.isascii() and text.isdigit() and 10 <= int(text[:6]) <= 200:
        return int(text)
    return PTIME_MS


def _mirror(direction: str) -> Direction:
    """The same from the other side."""
    mirrored = {"sendonly": "recvonly", "recvonly": "sendonly"}.get(direction, direction)
    return cast(Direction, mirrored)


def _intersect(one: str, other: str) -> Direction:
    send = one in ("sendrecv", "sendonly") and other in ("sendrecv", "sendonly")
    receive = one in ("sendrecv", "recvonly") and other in ("sendrecv", "recvonly")
    if send:
        return "sendrecv" if receive else "sendonly"
    return "recvonly" if receive else "inactive"


def _audio(local: LocalMedia, maps: list[tuple[int, RtpMap]], direction: Direction, mux: bool) -> Media:
    attributes: Attributes = []
    for number, found in maps:
        encoding = "telephone-event" if found == _TELEPHONE_EVENT else found.encoding
        attributes.append(("rtpmap", f"{number} {encoding}/{found.rate_hz}"))
        if found == _TELEPHONE_EVENT:
            attributes.append(("fmtp", f"{number} 0-15"))
    attributes += [("ptime", str(PTIME_MS)), ("maxptime", str(MAX_PTIME_MS)), (direction, None)]
    if mux:
        attributes.append(("rtcp-mux", None))
    elif local.rtcp_port != local.rtp_port + 1:
        attributes.append(("rtcp", str(local.rtcp_port)))
    return Media("audio", local.rtp_port, _PLAIN, [str(number) for number, _ in maps], attributes=attributes)


def _describe(local: LocalMedia, media: list[Media], times: list[str]) -> SessionDescription:
    family = "IP6" if ":" in local.address else "IP4"
    origin = Origin("-", str(local.session_id), str(local.version), family, local.address)
    return SessionDescription(origin, "-", Connection(local.address, family), [], times, [], media)
