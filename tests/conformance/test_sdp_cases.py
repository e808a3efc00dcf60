"""Session descriptions that are odd, broken or hostile: each is taken for what it says, or refused and told why."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longline.sip.sdp.description import MAX_FORMATS, MAX_MEDIA, SdpError, SessionDescription
from longline.sip.sdp.offer_answer import (
    LocalMedia,
    Negotiated,
    OfferRefused,
    make_answer,
    make_offer,
    read_answer,
)

LOCAL = LocalMedia("198.51.100.1", 20_000, 20_001, session_id=77)
LOCAL_V6 = LocalMedia("2001:db8::1", 20_000, 20_001)
KEY_30, KEY_44 = (base64.b64encode(bytes(range(length))).decode() for length in (30, 44))


def description(*media: str, c: str = "IN IP4 192.0.2.1", o: str = "phone 5 9 IN IP4 192.0.2.1") -> bytes:
    lines = ["v=0", f"o={o}", "s=-", *([f"c={c}"] if c else []), "t=0 0", *media]
    return ("\r\n".join(lines) + "\r\n").encode("utf-8", "surrogateescape")


def negotiate(data: bytes, local: LocalMedia = LOCAL) -> Negotiated:
    """What our answer settles. The answer is sound: it can be read, and answers each m-line."""
    offer = SessionDescription.parse(data)
    answer, negotiated = make_answer(offer, local)
    assert SessionDescription.parse(answer.serialize()) == answer
    assert [media.kind for media in answer.media] == [media.kind for media in offer.media]
    return negotiated


AUDIO = "m=audio 4000 RTP/AVP 0"

REFUSED: dict[str, tuple[str, bytes]] = {
    # --- no SDP at all, or one of another time
    "empty": ("does not begin with v=", b""),
    "nul": ("does not begin with v=", b"\0" * 100),
    "v_1": ("unknown SDP version", description(AUDIO).replace(b"v=0", b"v=1")),
    "lines_without_equals": ("not type=value", description("nonsense", AUDIO)),
    "o_of_three_words": ("bad o= line", description(AUDIO, o="a b c")),
    "longer_than_8_kb": ("too long", description(AUDIO, "a=" + "x" * 9_000)),
    "600_lines": ("too many lines", description(AUDIO, *["a=x"] * 600)),
    # --- media
    "no_m": ("no media in the offer", description()),
    "m_without_anything": ("bad m= line", description("m=")),
    "m_of_a_negative_port": ("bad m= line", description("m=audio -1 RTP/AVP 0")),
    "m_of_port_65536": ("bad port", description("m=audio 65536 RTP/AVP 0")),
    "m_of_port_2_to_the_64": ("bad m= line", description(f"m=audio {2**64} RTP/AVP 0")),
    "m_of_port_0": ("port 0", description("m=audio 0 RTP/AVP 0")),
    "m_without_formats": ("no common codec", description("m=audio 4000 RTP/AVP")),
    "m_of_words_for_formats": ("no common codec", description("m=audio 4000 RTP/AVP PCMU -1 0x0 +0 \u0660")),
    "m_of_numbers_beyond_127": ("no common codec", description("m=audio 4000 RTP/AVP 128 256 65536 4294967296")),
    "one_m_too_many": ("too many media", description(*[AUDIO] * (MAX_MEDIA + 1))),
    "one_format_too_many": (
        "too many formats",
        description("m=audio 4000 RTP/AVP" + " 0" * (MAX_FORMATS + 1)),
    ),
    "video_alone": ("video is not supported", description("m=video 4000 RTP/AVP 31")),
    "fax_alone": ("image is not supported", description("m=image 4000 udptl t38", "a=T38FaxVersion:0")),
    "application_alone": ("application is not supported", description("m=application 9 UDP/DTLS/SCTP x")),
    "msrp_alone": ("message is not supported", description("m=message 2855 TCP/MSRP *")),
    # --- addresses
    "no_c": ("no c= line", description(AUDIO, c="")),
    "c_of_two_words": ("bad c= line", description(AUDIO, c="IN IP4")),
    "c_of_another_network": ("bad c= line", description(AUDIO, c="ATM NSAP 47")),
    "c_of_a_name": ("not an IP address", description(AUDIO, c="IN IP4 media.example.com")),
    "c_of_a_number": ("not an IP address", description(AUDIO, c="IN IP4 3221225985")),
    "c_of_octets_beyond_255": ("not an IP address", description(AUDIO, c="IN IP4 192.0.2.256")),
    "c_of_octal_octets": ("not an IP address", description(AUDIO, c="IN IP4 0300.0.2.1")),
    "c_multicast": ("not an IP address", description(AUDIO, c="IN IP4 224.2.1.1/127/3")),
    "c_multicast_without_ttl": ("not a unicast address", description(AUDIO, c="IN IP4 224.2.1.1")),
    "c_broadcast": ("not a unicast address", description(AUDIO, c="IN IP4 255.255.255.255")),
    "c_multicast_by_ipv6": ("not a unicast address", description(AUDIO, c="IN IP6 ff02::1")),
    "c_with_a_zone": ("has a zone", description(AUDIO, c="IN IP6 fe80::1%eth0")),
    "c_of_another_family": ("not of our family", description(AUDIO, c="IN IP6 2001:db8::9")),
    "c_our_own": ("our own", description("m=audio 20000 RTP/AVP 0", c="IN IP4 198.51.100.1")),
    "c_our_own_mapped": ("our own", description("m=audio 20000 RTP/AVP 0", c="IN IP6 ::ffff:198.51.100.1")),
    # --- codecs
    "100_codecs_of_which_none_is_ours": (
        "no common codec",
        description("m=audio 4000 RTP/AVP " + " ".join(str(n) for n in range(20, 120))),
    ),
    "rtpmap_rate_0": ("no common codec", description("m=audio 4000 RTP/AVP 96", "a=rtpmap:96 PCMU/0")),
    "rtpmap_rate_2_to_the_32": ("no common codec", description("m=audio 4000 RTP/AVP 96", f"a=rtpmap:96 PCMU/{2**32}")),
    "rtpmap_without_rate": ("no common codec", description("m=audio 4000 RTP/AVP 96", "a=rtpmap:96 PCMU")),
    "rtpmap_empty": ("no common codec", description("m=audio 4000 RTP/AVP 96", "a=rtpmap:", "a=rtpmap")),
    "rtpmap_of_two_channels": ("no common codec", description("m=audio 4000 RTP/AVP 96", "a=rtpmap:96 PCMA/8000/2")),
    "rtpmap_makes_0_something_else": ("no common codec", description(AUDIO, "a=rtpmap:0 G729/8000")),
    # --- keys
    "savp_without_keys": ("no crypto line", description("m=audio 4000 RTP/SAVP 0")),
    **{
        f"crypto_{name}": (why, description("m=audio 4000 RTP/SAVP 0", f"a=crypto:{line}"))
        for name, why, line in (
            ("empty", "not tag, suite and key", ""),
            ("without_key", "not tag, suite and key", "1 AES_CM_128_HMAC_SHA1_80"),
            ("not_base64", "not base64", "1 AES_CM_128_HMAC_SHA1_80 inline:!!!!"),
            ("short_key", "length", f"1 AES_CM_128_HMAC_SHA1_80 inline:{KEY_30[:-8]}"),
            ("long_key", "length", f"1 AES_CM_128_HMAC_SHA1_80 inline:{KEY_44}"),
            ("short_gcm_key", "length", f"1 AEAD_AES_256_GCM inline:{KEY_30}"),
            ("unknown_suite", "not supported", f"1 ROT13_80 inline:{KEY_30}"),
            ("negative_tag", "not tag, suite and key", f"-1 AES_CM_128_HMAC_SHA1_80 inline:{KEY_30}"),
            ("two_keys", "more than one key", f"1 AES_CM_128_HMAC_SHA1_80 inline:{KEY_30};inline:{KEY_30}"),
            ("key_identifier", "MKI", f"1 AES_CM_128_HMAC_SHA1_80 inline:{KEY_30}|2^20|1:4"),
            ("lifetime_0", "lifetime", f"1 AES_CM_128_HMAC_SHA1_80 inline:{KEY_30}|0"),
            ("lifetime_2_to_the_99", "lifetime", f"1 AES_CM_128_HMAC_SHA1_80 inline:{KEY_30}|2^99"),
            ("unencrypted", "UNENCRYPTED_SRTP", f"1 AES_CM_128_HMAC_SHA1_80 inline:{KEY_30} UNENCRYPTED_SRTP"),
        )
    },
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_unusable_description_is_refused_and_told_why(name: str) -> None:
    why, data = REFUSED[name]
    with pytest.raises((SdpError, OfferRefused)) as caught:
        negotiate(data)
    assert caught.value.status == 488
    assert why in str(caught.value)
    assert KEY_30[:20] not in str(caught.value)


def codecs(data: bytes, local: LocalMedia = LOCAL) -> list[tuple[int, str]]:
    return [(number, codec.name) for number, codec in negotiate(data, local).audio]


TAKEN: dict[str, tuple[list[tuple[int, str]], bytes]] = {
    "100_codecs": (
        [(0, "PCMU"), (8, "PCMA"), (9, "G722"), (99, "PCMU")],
        description("m=audio 4000 RTP/AVP " + " ".join(map(str, range(100))), "a=rtpmap:99 PCMU/8000"),
    ),
    "one_number_twice_in_m": ([(0, "PCMU")], description("m=audio 4000 RTP/AVP 0 0 0")),
    "one_number_for_two_codecs": (
        [(96, "PCMA")],
        description("m=audio 4000 RTP/AVP 96", "a=rtpmap:96 PCMA/8000", "a=rtpmap:96 opus/48000/2"),
    ),
    "one_number_for_audio_and_events": (
        [(0, "PCMU")],
        description("m=audio 4000 RTP/AVP 0 101", "a=rtpmap:101 telephone-event/8000", "a=rtpmap:101 PCMA/8000"),
    ),
    "static_number_remapped": ([(8, "PCMU")], description("m=audio 4000 RTP/AVP 8", "a=rtpmap:8 PCMU/8000")),
    "rtpmap_of_numbers_that_are_not_in_m": ([(0, "PCMU")], description(AUDIO, "a=rtpmap:8 PCMA/8000")),
    "fmtp_without_value": ([(0, "PCMU")], description(AUDIO, "a=fmtp", "a=fmtp:", "a=fmtp: ", "a=fmtp:0")),
    "fmtp_of_a_word": ([(0, "PCMU")], description(AUDIO, "a=fmtp:x y=z", "a=fmtp:-1 x", f"a=fmtp:{2**64} x")),
    "fmtp_of_4_kb": ([(96, "opus")], description("m=audio 4000 RTP/AVP 96", "a=rtpmap:96 opus/48000/2",
                                                 "a=fmtp:96 " + "maxaveragebitrate=1;" * 200)),
    "fmtp_of_format_strings": ([(0, "PCMU")], description(AUDIO, "a=fmtp:0 %s%n%x=%d")),
    "attributes_without_names": ([(0, "PCMU")], description(AUDIO, "a=", "a=:", "a=:x")),
    "no_utf8": ([(0, "PCMU")], description(AUDIO, "a=x:\udcff\udcfe", "i=\udc80")),
    "video_beside_audio": ([(0, "PCMU")], description("m=video 4002 RTP/AVP 31", AUDIO)),
    "fax_beside_audio": ([(0, "PCMU")], description(AUDIO, "m=image 4002 udptl t38")),
    "refused_audio_before_audio": ([(8, "PCMA")], description("m=audio 0 RTP/AVP 0", "m=audio 4000 RTP/AVP 8")),
    "c_private": ([(0, "PCMU")], description(AUDIO, c="IN IP4 10.0.0.1")),
    "c_of_the_media_wins": ([(0, "PCMU")], description(AUDIO, "c=IN IP4 192.0.2.7", c="IN IP4 224.0.0.1")),
    "o_of_no_numbers": ([(0, "PCMU")], description(AUDIO, o="- x -1 IN IP4 host.example")),
    "o_of_great_numbers": ([(0, "PCMU")], description(AUDIO, o=f"- {2**64} {2**128} IN IP4 192.0.2.1")),
    "bandwidth_of_nonsense": ([(0, "PCMU")], description("b=AS:-1", "b=x", AUDIO, f"b=TIAS:{2**64}")),
    "avp_with_keys_that_cannot_be_used": ([(0, "PCMU")], description(AUDIO, "a=crypto:1 ROT13 inline:x")),
}  # fmt: skip


@pytest.mark.parametrize("name", TAKEN)
def test_odd_description_is_taken_for_what_it_says(name: str) -> None:
    expected, data = TAKEN[name]
    assert codecs(data) == expected


@pytest.mark.parametrize(
    ("c", "local", "direction"),
    [
        ("IN IP4 0.0.0.0", LOCAL, "recvonly"),
        ("IN IP6 ::", LOCAL_V6, "recvonly"),
        ("IN IP4 192.0.2.1", LOCAL, "sendrecv"),
        ("IN IP6 2001:db8::9", LOCAL_V6, "sendrecv"),
    ],
)
def test_address_zero_is_a_hold(c: str, local: LocalMedia, direction: str) -> None:
    assert negotiate(description(AUDIO, c=c), local).direction == direction


@pytest.mark.parametrize("text", ["0", "1", "1000", "-20", "20.5", "", "x", str(2**64), "20 20"])
def test_packet_time_beyond_reason_is_ours(text: str) -> None:
    assert negotiate(description(AUDIO, f"a=ptime:{text}")).ptime_ms == 20
    assert negotiate(description(AUDIO, f"a=maxptime:{text}")).ptime_ms == 20


@pytest.mark.parametrize("text", ["0", "-1", "65536", str(2**64), "", "x", "IN IP4 192.0.2.9"])
def test_rtcp_port_beyond_reason_is_the_one_after_rtp(text: str) -> None:
    assert negotiate(description(AUDIO, f"a=rtcp:{text}")).remote_rtcp == ("192.0.2.1", 4001)


def test_no_rtcp_goes_to_port_65536() -> None:
    assert negotiate(description("m=audio 65535 RTP/AVP 0")).remote_rtcp is None


def test_version_that_goes_backwards_is_a_new_description_like_any_other() -> None:
    """RFC 3264 §8 has it count up; a phone that was restarted does not, and its caller should not suffer for it."""
    for version in (9, 10, 3, 0):
        data = description(AUDIO, o=f"phone 5 {version} IN IP4 192.0.2.1")
        assert negotiate(data).remote_rtp == ("192.0.2.1", 4000)


def test_a_thousand_holds_and_resumes_settle_on_what_they_say() -> None:
    settled: Negotiated | None = None
    for number in range(1000):
        theirs = ("sendonly", "sendrecv", "inactive", "recvonly")[number % 4]
        local = LocalMedia("198.51.100.1", 20_000, 20_001, version=number + 1, settled=settled)
        settled = negotiate(description(AUDIO, f"a={theirs}"), local)
        assert settled.direction == ("recvonly", "sendrecv", "inactive", "sendonly")[number % 4]


ANSWERS: dict[str, bytes] = {
    "no_media": description(),
    "more_media_than_were_offered": description(AUDIO, AUDIO),
    "port_0": description("m=audio 0 RTP/AVP 0"),
    "another_kind": description("m=video 4000 RTP/AVP 31"),
    "a_codec_that_was_not_offered": description("m=audio 4000 RTP/AVP 18"),
    "another_profile": description("m=audio 4000 RTP/SAVP 0", f"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{KEY_30}"),
    "no_address": description(AUDIO, c=""),
    "a_multicast_address": description(AUDIO, c="IN IP4 224.2.1.1"),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_answer_that_answers_nothing_is_refused(name: str) -> None:
    with pytest.raises(OfferRefused):
        read_answer(make_offer(LOCAL), SessionDescription.parse(ANSWERS[name]))


SOUND = description(
    "m=audio 4000 RTP/AVP 96 0 101", "a=rtpmap:96 opus/48000/2", "a=rtpmap:101 telephone-event/8000",
    "a=fmtp:96 useinbandfec=1", "a=ptime:20", "a=rtcp:4001", "a=sendrecv",
    f"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{KEY_30}",
)  # fmt: skip


@given(st.integers(0, len(SOUND) - 1), st.binary(max_size=3), st.integers(0, 8))
def test_no_change_of_a_few_bytes_breaks_the_answerer(position: int, instead: bytes, cut: int) -> None:
    data = SOUND[:position] + instead + SOUND[position + cut :]
    try:
        negotiate(data)
    except (SdpError, OfferRefused) as error:
        assert error.status == 488
