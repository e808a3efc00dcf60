"""Offer and answer: what phones, carriers and browsers offer, and what becomes of it."""

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longline.base.config import CodecName, Config
from longline.sip.sdp.codecs import CODECS, DEFAULT_CODECS, OpusParameters
from longline.sip.sdp.description import SdpError, SessionDescription
from longline.sip.sdp.offer_answer import (
    LocalMedia,
    Negotiated,
    OfferRefused,
    TelephoneEvent,
    family_of_media,
    make_answer,
    make_offer,
    read_answer,
)

LOCAL = LocalMedia("198.51.100.1", 20000, 20001, session_id=77, version=3)


def offer(*lines: str, c: str = "IN IP4 192.0.2.1", session: str = "") -> SessionDescription:
    text = f"v=0\r\no=phone 5 9 IN IP4 192.0.2.1\r\ns=-\r\n{f'c={c}' if c else 's=-'}\r\nt=0 0\r\n{session}"
    return SessionDescription.parse((text + "".join(f"{line}\r\n" for line in lines)).encode())


def agreed(*lines: str, local: LocalMedia = LOCAL, **more: str) -> Negotiated:
    answer, negotiated = make_answer(offer(*lines, **more), local)
    assert SessionDescription.parse(answer.serialize()) == answer
    return negotiated


def audio(negotiated: Negotiated) -> list[tuple[int, str]]:
    return [(number, codec.name) for number, codec in negotiated.audio]


def refused(*lines: str, **more: str) -> str:
    with pytest.raises(OfferRefused) as caught:
        make_answer(offer(*lines, **more), LOCAL)
    assert caught.value.status == 488
    return caught.value.why


@pytest.mark.parametrize(
    ("formats", "maps", "expected"),
    [
        ("0 8", [], [(0, "PCMU"), (8, "PCMA")]),
        ("8 0", [], [(8, "PCMA"), (0, "PCMU")]),
        ("9 18 8", [], [(9, "G722"), (8, "PCMA")]),
        ("96 97", ["96 opus/48000/2", "97 pcma/8000"], [(96, "opus"), (97, "PCMA")]),
        ("8 96", ["96 OPUS/48000"], [(8, "PCMA"), (96, "opus")]),
        ("0 8", ["0 L16/44100"], [(8, "PCMA")]),
        ("96 0", ["96 PCMU/16000"], [(0, "PCMU")]),
        ("96 0", ["96 PCMU/8000/2"], [(0, "PCMU")]),
        ("96 0", ["96 L16/16000"], [(0, "PCMU")]),
        (" ".join(map(str, range(1, 101))), [], [(8, "PCMA"), (9, "G722")]),
    ],
)
def test_our_codecs_are_taken_in_the_offerers_order(
    formats: str, maps: list[str], expected: list[tuple[int, str]]
) -> None:
    negotiated = agreed(f"m=audio 4000 RTP/AVP {formats}", *(f"a=rtpmap:{m}" for m in maps))
    assert audio(negotiated) == expected


def test_linear_samples_are_taken_at_the_rates_that_are_configured() -> None:
    local = LocalMedia("198.51.100.1", 20000, 20001, codecs=("PCMU", "L16/16000"))
    lines = ("m=audio 4000 RTP/AVP 96 97 0", "a=rtpmap:96 L16/8000", "a=rtpmap:97 L16/16000/1")
    answer, negotiated = make_answer(offer(*lines), local)
    assert audio(negotiated) == [(97, "L16/16000"), (0, "PCMU")]
    assert ("rtpmap", "97 L16/16000") in answer.media[0].attributes


def test_opus_is_answered_with_two_channels_and_what_we_can_repair() -> None:
    lines = ("m=audio 4000 RTP/AVP 96", "a=rtpmap:96 opus/48000/2", "a=fmtp:96 useinbandfec=1; stereo=1")
    answer, negotiated = make_answer(offer(*lines), LOCAL)
    assert ("rtpmap", "96 opus/48000/2") in answer.media[0].attributes
    assert ("fmtp", "96 minptime=10;useinbandfec=1") in answer.media[0].attributes
    assert negotiated.opus == OpusParameters(fec=True)


@pytest.mark.parametrize(
    ("fmtp", "expected"),
    [
        ("", OpusParameters(32_000, fec=False, dtx=False)),
        ("useinbandfec=1;usedtx=1", OpusParameters(32_000, fec=True, dtx=True)),
        ("maxaveragebitrate=20000; useinbandfec=0", OpusParameters(20_000)),
        ("maxaveragebitrate=510000", OpusParameters(32_000)),
        ("maxaveragebitrate=1", OpusParameters(6_000)),
        ("MaxAverageBitrate=16000 ;x;=;usedtx=11", OpusParameters(16_000)),
        ("maxaveragebitrate=99999999999999;usedtx", OpusParameters(32_000)),
    ],
)
def test_opus_is_sent_as_the_far_end_wants_it_within_our_bounds(fmtp: str, expected: OpusParameters) -> None:
    lines = ("m=audio 4000 RTP/AVP 96", "a=rtpmap:96 opus/48000/2", f"a=fmtp:96 {fmtp}")
    assert agreed(*lines).opus == expected


def test_what_may_be_configured_is_what_there_is() -> None:
    assert set(get_args(CodecName)) == set(CODECS)
    assert tuple(Config().codecs) == DEFAULT_CODECS
    numbers = [codec.payload_type for codec in CODECS.values()]
    assert len(set(numbers)) == len(numbers)


def test_telephone_events_take_the_offerers_number() -> None:
    answer, negotiated = make_answer(offer("m=audio 4000 RTP/AVP 0 96", "a=rtpmap:96 telephone-event/8000"), LOCAL)
    assert negotiated.telephone_event == TelephoneEvent(96, 8000)
    assert ("fmtp", "96 0-15") in answer.media[0].attributes
    assert answer.media[0].formats == ["0", "96"]


@pytest.mark.parametrize("rtpmap", ["96 telephone-event/48000", "96 x/8000", "97 telephone-event/8000"])
def test_telephone_events_are_off_unless_they_are_offered_at_our_clock(rtpmap: str) -> None:
    assert agreed("m=audio 4000 RTP/AVP 0 96", f"a=rtpmap:{rtpmap}").telephone_event is None


@pytest.mark.parametrize(
    ("formats", "expected"),
    [
        ("96 0 100 101", TelephoneEvent(101, 48000)),
        ("0 96 101 100", TelephoneEvent(100, 8000)),
        ("96 100", TelephoneEvent(100, 8000)),
        ("96", None),
    ],
)
def test_telephone_events_run_on_the_clock_of_what_we_send(formats: str, expected: TelephoneEvent | None) -> None:
    maps = ("96 opus/48000/2", "100 telephone-event/8000", "101 telephone-event/48000")
    negotiated = agreed(f"m=audio 4000 RTP/AVP {formats}", *(f"a=rtpmap:{m}" for m in maps))
    assert negotiated.telephone_event == expected


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [("sendrecv", "sendrecv"), ("sendonly", "recvonly"), ("recvonly", "sendonly"), ("inactive", "inactive")],
)
@pytest.mark.parametrize("level", ["session", "media"])
def test_direction_is_mirrored(theirs: str, ours: str, level: str) -> None:
    if level == "media":
        negotiated = agreed("m=audio 4000 RTP/AVP 0", f"a={theirs}", session="a=inactive\r\n")
    else:
        negotiated = agreed("m=audio 4000 RTP/AVP 0", session=f"a={theirs}\r\n")
    assert negotiated.direction == ours


def test_old_hold_by_address_zero_stops_our_sending() -> None:
    answer, negotiated = make_answer(offer("m=audio 4000 RTP/AVP 0", c="IN IP4 0.0.0.0"), LOCAL)
    assert negotiated.direction == "recvonly"
    assert answer.direction_of(answer.media[0]) == "recvonly"


def test_our_own_wish_narrows_the_direction() -> None:
    local = LocalMedia("198.51.100.1", 20000, 20001, direction="recvonly")
    assert agreed("m=audio 4000 RTP/AVP 0", "a=recvonly", local=local).direction == "inactive"


def test_answer_keeps_the_number_of_media_and_refuses_what_we_do_not_do() -> None:
    lines = ("m=video 5000 RTP/AVP 31", "m=audio 4000 RTP/SAVP 0", "m=audio 4002 RTP/AVP 8", "m=audio 4004 RTP/AVP 0")
    answer, negotiated = make_answer(offer(*lines, "m=image 6000 udptl t38"), LOCAL)
    assert [(m.kind, m.port, m.protocol) for m in answer.media] == [
        ("video", 0, "RTP/AVP"),
        ("audio", 0, "RTP/SAVP"),
        ("audio", 20000, "RTP/AVP"),
        ("audio", 0, "RTP/AVP"),
        ("image", 0, "udptl"),
    ]
    assert negotiated.remote_rtp == ("192.0.2.1", 4002)


def test_answer_tells_our_own_origin_and_the_offers_time() -> None:
    sdp = offer("m=audio 4000 RTP/AVP 0")
    sdp.times = ["3149328700 0"]
    answer, _ = make_answer(sdp, LOCAL)
    assert (answer.origin.session_id, answer.origin.version, answer.origin.address) == ("77", "3", "198.51.100.1")
    assert answer.times == ["3149328700 0"]


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        ((), "no media in the offer"),
        (("m=video 4000 RTP/AVP 31",), "video is not supported"),
        (("m=image 4000 udptl t38",), "image is not supported"),
        (("m=audio 0 RTP/AVP 0",), "the offer's audio has port 0"),
        (("m=audio 4000 RTP/AVP 4 18",), "no common codec: ours are opus, G722, PCMU, PCMA"),
        (("m=audio 4000 RTP/AVP 101", "a=rtpmap:101 telephone-event/8000"), "no common codec"),
        (("m=audio 4000 RTP/AVP",), "no common codec"),
        (("m=audio 4000 RTP/SAVP 0",), "RTP/SAVP has no crypto line"),
        (("m=audio 4000 UDP/TLS/RTP/SAVPF 0",), "the profile UDP/TLS/RTP/SAVPF is not supported, only RTP/AVP"),
        (("m=audio 4000 RTP/AVPF 0",), "the profile RTP/AVPF is not supported, only RTP/AVP"),
        (("m=audio 4000 RTP/AVP 0", "c=IN IP4 media.example.com"), "the media address is not an IP address"),
        (("m=audio 4000 RTP/AVP 0", "c=IN IP4 224.1.2.3/127"), "the media address is not an IP address"),
        (("m=audio 4000 RTP/AVP 0", "c=IN IP4 224.1.2.3"), "the media address is not a unicast address"),
        (("m=audio 4000 RTP/AVP 0", "c=IN IP4 255.255.255.255"), "the media address is not a unicast address"),
        (("m=audio 20000 RTP/AVP 0", "c=IN IP4 198.51.100.1"), "the offer's media address is our own"),
        (("m=audio 4000 RTP/AVP 0", "c=IN IP6 2001:db8::1"), "the media address is not of our family (IP4)"),
    ],
)
def test_offer_without_usable_media_is_refused_and_told_why(lines: tuple[str, ...], why: str) -> None:
    assert refused(*lines).startswith(why)


def test_offer_without_a_connection_address_is_refused() -> None:
    assert refused("m=audio 4000 RTP/AVP 0", c="") == "no c= line for the audio"


@pytest.mark.parametrize(
    ("attribute", "rtcp", "mux"),
    [
        ("a=x", ("192.0.2.1", 4001), False),
        ("a=rtcp:5555", ("192.0.2.1", 5555), False),
        ("a=rtcp:5555 IN IP4 203.0.113.9", ("192.0.2.1", 5555), False),
        ("a=rtcp:99999", ("192.0.2.1", 4001), False),
        ("a=rtcp-mux", None, True),
    ],
)
def test_rtcp_goes_where_the_offer_says_but_never_to_another_host(
    attribute: str, rtcp: tuple[str, int] | None, mux: bool
) -> None:
    answer, negotiated = make_answer(offer("m=audio 4000 RTP/AVP 0", attribute), LOCAL)
    assert (negotiated.remote_rtcp, negotiated.rtcp_mux) == (rtcp, mux)
    assert (answer.media[0].attribute("rtcp-mux") is not None) == mux


@pytest.mark.parametrize(
    ("text", "ptime"), [("30", 30), ("10", 10), ("200", 60), ("0", 20), ("1", 20), ("1000", 20), ("x", 20), ("", 20)]
)
def test_packet_time_is_believed_within_reason(text: str, ptime: int) -> None:
    assert agreed("m=audio 4000 RTP/AVP 0", f"a=ptime:{text}").ptime_ms == ptime


def test_packets_are_no_longer_than_the_far_end_takes() -> None:
    assert agreed("m=audio 4000 RTP/AVP 0", "a=ptime:60", "a=maxptime:40").ptime_ms == 40
    assert agreed("m=audio 4000 RTP/AVP 0", "a=maxptime:10").ptime_ms == 10
    assert agreed("m=audio 4000 RTP/AVP 0", "a=maxptime:0").ptime_ms == 20


def test_an_answer_may_number_a_codec_otherwise_than_our_offer() -> None:
    lines = ("m=audio 4000 RTP/AVP 97 0 98", "a=rtpmap:97 opus/48000/2", "a=rtpmap:98 telephone-event/48000")
    negotiated = read_answer(make_offer(LOCAL), offer(*lines, "a=fmtp:97 usedtx=1"))
    # We send with 97, and are sent 111 by a peer that keeps RFC 3264, 97 by one that does not.
    assert audio(negotiated) == [(97, "opus"), (0, "PCMU"), (111, "opus")]
    assert negotiated.telephone_event == TelephoneEvent(98, 48000)
    assert negotiated.opus.dtx


def test_an_answer_with_a_codec_that_was_not_offered_does_not_settle_on_it() -> None:
    local = LocalMedia("198.51.100.1", 20000, 20001, codecs=("PCMU", "G722"))
    negotiated = read_answer(make_offer(local), offer("m=audio 4000 RTP/AVP 8 9 0"))
    assert audio(negotiated) == [(9, "G722"), (0, "PCMU")]


def test_our_offer_names_each_codec_and_events_for_each_clock() -> None:
    (media,) = make_offer(LOCAL).media
    assert media.formats == ["111", "9", "0", "8", "110", "101"]
    assert [value for name, value in media.attributes if name == "rtpmap"] == [
        "111 opus/48000/2",
        "9 G722/8000",
        "0 PCMU/8000",
        "8 PCMA/8000",
        "110 telephone-event/48000",
        "101 telephone-event/8000",
    ]


def test_two_of_us_agree() -> None:
    theirs = LocalMedia("203.0.113.5", 30000, 30005)
    sdp = make_offer(theirs)
    answer, callee = make_answer(SessionDescription.parse(sdp.serialize()), LOCAL)
    caller = read_answer(sdp, SessionDescription.parse(answer.serialize()))
    for side in (callee, caller):
        assert audio(side) == [(111, "opus"), (9, "G722"), (0, "PCMU"), (8, "PCMA")]
        assert side.telephone_event == TelephoneEvent(110, 48000)
        assert side.opus.fec
    assert (callee.remote_rtp, callee.remote_rtcp) == (("203.0.113.5", 30000), ("203.0.113.5", 30005))
    assert (caller.remote_rtp, caller.remote_rtcp) == (("198.51.100.1", 20000), ("198.51.100.1", 20001))


@pytest.mark.parametrize(
    "answer",
    [
        offer("m=audio 0 RTP/AVP 0"),
        offer("m=audio 4000 RTP/AVP 18"),
        offer("m=audio 4000 RTP/SAVP 0"),
        offer("m=video 4000 RTP/AVP 0"),
        offer(),
        offer("m=audio 4000 RTP/AVP 0", "m=audio 4002 RTP/AVP 0"),
    ],
)
def test_answer_that_settles_on_nothing_is_refused(answer: SessionDescription) -> None:
    with pytest.raises(OfferRefused):
        read_answer(make_offer(LOCAL), answer)


def test_answer_may_hold_and_prefer_another_codec() -> None:
    negotiated = read_answer(make_offer(LOCAL), offer("m=audio 4000 RTP/AVP 8 0", "a=sendonly"))
    assert (audio(negotiated), negotiated.direction) == ([(8, "PCMA"), (0, "PCMU")], "recvonly")


def test_a_thousand_holds_and_resumes_leave_nothing_behind() -> None:
    for number in range(1000):
        held = number % 2 == 0
        negotiated = agreed("m=audio 4000 RTP/AVP 0", "a=sendonly" if held else "a=sendrecv")
        assert negotiated.direction == ("recvonly" if held else "sendrecv")


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=30), max_size=8))
def test_no_offer_breaks_the_answerer(lines: list[str]) -> None:
    data = "v=0\r\nc=IN IP4 192.0.2.1\r\nm=audio 4000 RTP/AVP 0\r\n" + "\r\n".join(f"a={line}" for line in lines)
    try:
        make_answer(SessionDescription.parse(data.encode()), LOCAL)
    except (SdpError, OfferRefused) as error:
        assert error.status == 488


@pytest.mark.parametrize(
    ("lines", "family"),
    [
        (["c=IN IP4 192.0.2.1", "m=audio 4000 RTP/AVP 0"], 4),
        (["c=IN IP6 2001:db8::1", "m=audio 4000 RTP/AVP 0"], 6),
        (["c=IN IP4 192.0.2.1", "m=audio 4000 RTP/AVP 0", "c=IN IP6 2001:db8::1"], 6),
        (["c=IN IP6 ::ffff:192.0.2.1", "m=audio 4000 RTP/AVP 0"], 4),
        (["c=IN IP4 0.0.0.0", "m=audio 4000 RTP/AVP 0"], 4),
        (["c=IN IP4 192.0.2.1", "m=video 4000 RTP/AVP 31"], None),
        (["m=audio 4000 RTP/AVP 0"], None),
        (["c=IN IP4 host.example", "m=audio 4000 RTP/AVP 0"], None),
        (["nonsense"], None),
    ],
)
def test_family_of_what_is_offered(lines: list[str], family: int | None) -> None:
    head = ["v=0", "o=- 1 1 IN IP4 192.0.2.1", "s=-"]
    where = [line for line in lines[:1] if line.startswith("c=")]
    offer = "\r\n".join([*head, *where, "t=0 0", *lines[len(where) :], ""]).encode()
    assert family_of_media(offer) == family
