"""Offer and answer (RFC 3264) for one audio stream with telephone-events.

Pure functions. An answer has as many m-lines as its offer, those we cannot use with port 0; the first audio we can use
wins. It takes every codec of the offer that is ours, in the offerer's order: the first is what we send with, and the
far end may change between them in mid-call. SRTP with keys in SDP is taken or asked for by policy (`crypto.py` has the
lines). Leaves out: DTLS-SRTP and the feedback profiles (refused, and said so), ICE, BUNDLE, more than one audio stream.
"""

import ipaddress
from dataclasses import dataclass, field
from typing import Literal, cast

from longline.base.errors import RemoteProtocolError
from longline.sip.sdp.codecs import (
    CODECS,
    DEFAULT_CODECS,
    EVENT_PAYLOAD_TYPES,
    STATIC_PAYLOAD_TYPES,
    Codec,
    OpusParameters,
    find_codec,
)
from longline.sip.sdp.crypto import (
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
from longline.sip.sdp.description import Attributes, Connection, Media, Origin, RtpMap, SdpError, SessionDescription

Direction = Literal["sendrecv", "sendonly", "recvonly", "inactive"]

PTIME_MS = 20
"""The packet time we ask for, and send unless the far end asks for another."""
MIN_PTIME_MS = 10
MAX_PTIME_MS = 60
"""The longest packet that we take and send."""
MAX_CODECS = 4
"""Payload types of audio that are agreed on; of more than these, the offerer's first count."""
_TELEPHONE_EVENT = "TELEPHONE-EVENT"
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
    codecs: tuple[str, ...] = DEFAULT_CODECS
    session_id: int = 1
    version: int = 1
    direction: Direction = "sendrecv"
    srtp: SrtpPolicy = "preferred"
    settled: "Negotiated | None" = None
    """What was settled before in this dialog: an encrypted call stays so in our offers, and to an offer whose key is
    that of before, so is ours."""


@dataclass(frozen=True, slots=True)
class TelephoneEvent:
    """The payload type of telephone-events and the clock of their durations."""

    payload_type: int
    clock_hz: int


@dataclass(frozen=True, slots=True)
class Negotiated:
    """What both sides agreed on. `direction` is ours; `remote_rtcp` is None when RTCP shares the RTP port.

    Of `audio` (payload types and their codecs) the first is what we send with; all are received.
    """

    remote_rtp: tuple[str, int]
    remote_rtcp: tuple[str, int] | None
    audio: tuple[tuple[int, Codec], ...]
    telephone_event: TelephoneEvent | None
    direction: Direction
    rtcp_mux: bool
    ptime_ms: int
    profile: str = _PLAIN
    srtp: SrtpKeys | None = None
    opus: OpusParameters = field(default_factory=OpusParameters)


@dataclass(frozen=True, slots=True)
class _Choice:
    audio: tuple[tuple[int, Codec], ...]
    telephone_event: TelephoneEvent | None


def make_offer(local: LocalMedia) -> SessionDescription:
    """Our codecs in our order, and telephone-events; with keys when media must be, or is, encrypted."""
    codecs = [CODECS[name] for name in local.codecs]
    payload_types = tuple((codec.payload_type, codec) for codec in codecs)
    # RFC 4733 §2.1: events have the clock of the audio they interrupt.
    clocks = dict.fromkeys(codec.clock_hz for codec in codecs)
    events = [TelephoneEvent(EVENT_PAYLOAD_TYPES[clock_hz], clock_hz) for clock_hz in clocks]
    audio = _audio(local, payload_types, events, local.direction, mux=False)
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
    offered = _payload_types(ours)
    choice = _choose(theirs, tuple(codec.name for _, codec in _audio_codecs(offered, tuple(CODECS))))
    # RFC 3264 §5.1: what they send bears our numbers, what we send theirs, which need not be the same.
    numbers = {number for number, _ in choice.audio}
    agreed = {codec for _, codec in choice.audio}
    receive = [
        (number, codec)
        for number, codec in _audio_codecs(offered, tuple(CODECS))
        if number not in numbers and codec in agreed
    ]
    choice = _Choice((*choice.audio, *receive), choice.telephone_event)
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
    events = [] if choice.telephone_event is None else [choice.telephone_event]
    answered = _audio(local, choice.audio, events, negotiated.direction, mux)
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


def _payload_types(media: Media) -> dict[int, RtpMap]:
    """What each payload type in the m= line stands for, in its order."""
    mapped = media.rtpmaps()
    maps: dict[int, RtpMap] = {}
    for text in media.formats:
        number = int(text) if text.isascii() and text.isdigit() and len(text) <= 3 else -1
        found = mapped.get(number) or STATIC_PAYLOAD_TYPES.get(number)
        if found is not None:
            maps.setdefault(number, found)
    return maps


def _choose(media: Media, codecs: tuple[str, ...]) -> _Choice:
    """RFC 3264 §6.1: the offerer lists its codecs in order of preference, and we follow it."""
    maps = _payload_types(media)
    audio = _audio_codecs(maps, codecs)[:MAX_CODECS]
    if not audio:
        raise OfferRefused(f"no common codec: ours are {', '.join(codecs)}")
    return _Choice(audio, _choose_events(maps, audio[0][1].clock_hz))


def _audio_codecs(maps: dict[int, RtpMap], codecs: tuple[str, ...]) -> tuple[tuple[int, Codec], ...]:
    found = ((number, find_codec(rtpmap, codecs)) for number, rtpmap in maps.items())
    return tuple((number, codec) for number, codec in found if codec is not None)


def _choose_events(maps: dict[int, RtpMap], clock_hz: int) -> TelephoneEvent | None:
    """RFC 4733 §2.1: the events with the clock of what we send; else those of 8 kHz, which some always use."""
    events = {
        rtpmap.rate_hz: number
        for number, rtpmap in reversed(maps.items())
        if rtpmap.encoding == _TELEPHONE_EVENT and rtpmap.rate_hz in EVENT_PAYLOAD_TYPES
    }
    for rate_hz in (clock_hz, 8_000):
        if rate_hz in events:
            return TelephoneEvent(events[rate_hz], rate_hz)
    return None


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
        audio=choice.audio,
        telephone_event=choice.telephone_event,
        direction=direction,
        rtcp_mux=mux,
        ptime_ms=_ptime(media),
        profile=_profile(media),
        srtp=keys,
        opus=_opus(media, choice),
    )


def _opus(media: Media, choice: _Choice) -> OpusParameters:
    """What the far end says of the Opus it wants to be sent."""
    payload_type = next((number for number, codec in choice.audio if codec.kind == "opus"), None)
    return OpusParameters() if payload_type is None else OpusParameters.parse(media.fmtp(payload_type))


def family_of_media(offer: bytes) -> int | None:
    """The address family, 4 or 6, of the audio that an offer describes. None when it has none, or is no offer."""
    try:
        description = SessionDescription.parse(offer)
        audio = next((media for media in description.media if media.kind == "audio"), None)
        connection = description.connection_of(audio) if audio is not None else None
        return None if connection is None else 6 if ":" in _address(connection) else 4
    except (OfferRefused, SdpError):
        return None


def _address(connection: Connection) -> str:
    try:
        address = ipaddress.ip_address(connection.address)
    except ValueError:
        raise OfferRefused("the media address is not an IP address") from None
    if isinstance(address, ipaddress.IPv6Address):
        if address.scope_id is not None:
            raise OfferRefused("the media address has a zone, which means something on its own host only")
        address = address.ipv4_mapped or address  # RFC 5118 §4.9
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
    """RFC 8866 §6.4: what the far end would have in a packet of ours, as far as we can."""
    longest = _millis(media, "maxptime") or MAX_PTIME_MS
    wanted = _millis(media, "ptime") or PTIME_MS
    return min(max(min(wanted, longest), MIN_PTIME_MS), MAX_PTIME_MS)


def _millis(media: Media, name: str) -> int | None:
    """An attribute in milliseconds; one beyond reason does not count."""
    text = media.attribute(name) or ""
    return int(text) if text.isascii() and text.isdigit() and 10 <= int(text[:6]) <= 200 else None


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


def _audio(
    local: LocalMedia,
    audio: tuple[tuple[int, Codec], ...],
    events: list[TelephoneEvent],
    direction: Direction,
    mux: bool,
) -> Media:
    attributes: Attributes = []
    for number, codec in audio:
        channels = "" if codec.rtpmap.channels == 1 else f"/{codec.rtpmap.channels}"
        attributes.append(("rtpmap", f"{number} {codec.kind}/{codec.clock_hz}{channels}"))
        if codec.fmtp is not None:
            attributes.append(("fmtp", f"{number} {codec.fmtp}"))
    for event in events:
        attributes.append(("rtpmap", f"{event.payload_type} telephone-event/{event.clock_hz}"))
        attributes.append(("fmtp", f"{event.payload_type} 0-15"))
    numbers = [number for number, _ in audio] + [event.payload_type for event in events]
    attributes += [("ptime", str(PTIME_MS)), ("maxptime", str(MAX_PTIME_MS)), (direction, None)]
    if mux:
        attributes.append(("rtcp-mux", None))
    elif local.rtcp_port != local.rtp_port + 1:
        attributes.append(("rtcp", str(local.rtcp_port)))
    return Media("audio", local.rtp_port, _PLAIN, [str(number) for number in numbers], attributes=attributes)


def _describe(local: LocalMedia, media: list[Media], times: list[str]) -> SessionDescription:
    family = "IP6" if ":" in local.address else "IP4"
    origin = Origin("-", str(local.session_id), str(local.version), family, local.address)
    return SessionDescription(origin, "-", Connection(local.address, family), [], times, [], media)
