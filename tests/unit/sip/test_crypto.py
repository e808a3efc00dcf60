"""SRTP keys in SDP: what is taken, what is refused and why, and that no key is ever shown."""

import base64
import io
import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longline.base.log import get_logger, set_up_logging
from longline.sip.sdp.crypto import OFFERED_SUITES, SUITES, Crypto, CryptoRefused, SrtpPolicy, new_crypto, parse_crypto
from longline.sip.sdp.description import Media, SessionDescription
from longline.sip.sdp.offer_answer import LocalMedia, Negotiated, OfferRefused, make_answer, make_offer, read_answer

KEY = base64.b64encode(bytes(range(30))).decode()
LINE = f"1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}"


def local(srtp: SrtpPolicy = "preferred", settled: Negotiated | None = None) -> LocalMedia:
    return LocalMedia("198.51.100.1", 20000, 20001, srtp=srtp, settled=settled)


def offer(profile: str, *lines: str) -> SessionDescription:
    text = f"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 {profile} 0\r\n"
    return SessionDescription.parse((text + "".join(f"a=crypto:{line}\r\n" for line in lines)).encode())


def cryptos(description: SessionDescription) -> list[Crypto]:
    return [parse_crypto(value or "") for name, value in description.media[0].attributes if name == "crypto"]


@pytest.mark.parametrize("suite", SUITES)
def test_a_line_is_read_as_it_is_written(suite: str) -> None:
    crypto = new_crypto(7, suite)
    assert parse_crypto(str(crypto)) == crypto
    assert len(crypto.key) == SUITES[suite]
    assert new_crypto(7, suite).key != crypto.key


@pytest.mark.parametrize("more", ["", "|2^20", "|2^31", "|2^48", "|1048576", " WSH=64", "|2^31 WSH=128"])
def test_a_lifetime_and_a_window_size_are_no_obstacle(more: str) -> None:
    assert parse_crypto(LINE + more).key == bytes(range(30))


def test_padding_that_is_left_out_is_put_back() -> None:
    key = base64.b64encode(bytes(28)).decode()
    assert key.endswith("=")
    assert parse_crypto(f"1 AEAD_AES_128_GCM inline:{key.rstrip('=')}").key == bytes(28)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("", "not tag, suite and key"),
        (f"x AES_CM_128_HMAC_SHA1_80 inline:{KEY}", "not tag, suite and key"),
        (f"1 F8_128_HMAC_SHA1_80 inline:{KEY}", "crypto suite F8_128_HMAC_SHA1_80 is not supported"),
        (f"1 {KEY} inline:x", "the crypto suite is not supported"),
        (f"1 AES_CM_128_HMAC_SHA1_80 outline:{KEY}", "no inline key"),
        ("1 AES_CM_128_HMAC_SHA1_80 inline:", "no inline key"),
        ("1 AES_CM_128_HMAC_SHA1_80 inline:!!!!", "not base64"),
        (f"1 AES_CM_128_HMAC_SHA1_80 inline:{KEY[:-4]}", "length"),
        (f"1 AEAD_AES_256_GCM inline:{KEY}", "length"),
        (LINE + "|2^20|1:4", "MKI"),
        (LINE + "|1:4", "MKI"),
        (LINE + f";inline:{KEY}", "more than one key"),
        (LINE + "|2^3", "lifetime"),
        (LINE + "|2^49", "lifetime"),
        (LINE + "|2^99", "lifetime"),
        (LINE + "|soon", "lifetime"),
        (LINE + "|1000", "lifetime"),
        (LINE + " UNENCRYPTED_SRTP", "session parameter UNENCRYPTED_SRTP"),
        (LINE + " UNENCRYPTED_SRTCP", "session parameter UNENCRYPTED_SRTCP"),
        (LINE + " UNAUTHENTICATED_SRTP", "session parameter UNAUTHENTICATED_SRTP"),
        (LINE + " KDR=1", "session parameter KDR"),
        (LINE + " WSH=64 FEC_ORDER=FEC_SRTP", "session parameter FEC_ORDER"),
    ],
)
def test_a_line_that_says_more_than_we_can_keep_is_refused_and_told_why(line: str, why: str) -> None:
    with pytest.raises(CryptoRefused, match=why.replace("(", r"\(")) as caught:
        parse_crypto(line)
    assert caught.value.status == 488
    assert KEY[:8] not in str(caught.value)


@given(st.text(max_size=200))
def test_no_line_is_an_accident(text: str) -> None:
    for value in (text, LINE + text, f"1 AES_CM_128_HMAC_SHA1_80 inline:{text}"):
        try:
            parse_crypto(value)
        except CryptoRefused:
            continue


@pytest.mark.parametrize("profile", ["RTP/SAVP", "RTP/AVP"])
@pytest.mark.parametrize("policy", ["preferred", "required"])
def test_keys_that_are_offered_are_answered_in_the_offers_profile(profile: str, policy: SrtpPolicy) -> None:
    answer, agreed = make_answer(offer(profile, LINE), local(policy))
    assert answer.media[0].protocol == profile
    (line,) = cryptos(answer)
    assert agreed.srtp is not None
    assert (line.tag, line.suite, line.key) == (1, agreed.srtp.suite, agreed.srtp.send_key)
    assert agreed.srtp.receive_key == bytes(range(30))
    assert SessionDescription.parse(answer.serialize()) == answer


def test_of_several_lines_the_first_that_can_be_used_is_taken() -> None:
    gcm = base64.b64encode(bytes(44)).decode()
    lines = (
        f"1 F8_128_HMAC_SHA1_80 inline:{KEY}",
        f"2 AEAD_AES_256_GCM inline:{gcm}|1:4",
        f"9 AEAD_AES_256_GCM inline:{gcm}",
    )
    answer, agreed = make_answer(offer("RTP/SAVP", *lines, LINE), local())
    assert [(line.tag, line.suite) for line in cryptos(answer)] == [(9, "AEAD_AES_256_GCM")]
    assert agreed.srtp is not None and agreed.srtp.suite == "AEAD_AES_256_GCM"


@pytest.mark.parametrize(
    ("policy", "profile", "lines", "why"),
    [
        ("off", "RTP/SAVP", (LINE,), "the offer is for SRTP, which is switched off here"),
        ("preferred", "RTP/SAVP", (), "RTP/SAVP has no crypto line, and DTLS-SRTP is not supported"),
        ("preferred", "RTP/SAVP", (LINE + " KDR=1",), "the SRTP session parameter KDR is not supported"),
        ("required", "RTP/AVP", (), "media must be encrypted here (RTP/SAVP with a=crypto)"),
        ("required", "RTP/AVP", (LINE + "|1:4",), "media must be encrypted here"),
        ("preferred", "UDP/TLS/RTP/SAVP", (LINE,), "the profile UDP/TLS/RTP/SAVP is not supported"),
        ("preferred", "RTP/SAVPF", (LINE,), "the profile RTP/SAVPF is not supported"),
    ],
)
def test_what_cannot_be_agreed_is_a_488_that_says_why(
    policy: SrtpPolicy, profile: str, lines: tuple[str, ...], why: str
) -> None:
    with pytest.raises(OfferRefused) as caught:
        make_answer(offer(profile, *lines), local(policy))
    assert caught.value.status == 488
    assert caught.value.why.startswith(why)


@pytest.mark.parametrize(("policy", "lines"), [("off", (LINE,)), ("preferred", ()), ("preferred", (LINE + " KDR=1",))])
def test_plain_rtp_stays_plain(policy: SrtpPolicy, lines: tuple[str, ...]) -> None:
    answer, agreed = make_answer(offer("RTP/AVP", *lines), local(policy))
    assert agreed.srtp is None
    assert answer.media[0].protocol == "RTP/AVP"
    assert cryptos(answer) == []


def test_only_required_offers_keys() -> None:
    for policy in ("off", "preferred"):
        description = make_offer(local(policy))
        assert (description.media[0].protocol, cryptos(description)) == ("RTP/AVP", [])
    description = make_offer(local("required"))
    assert description.media[0].protocol == "RTP/SAVP"
    assert [line.suite for line in cryptos(description)] == list(OFFERED_SUITES)
    assert len({line.key for line in cryptos(description)}) == len(OFFERED_SUITES)


def test_the_key_of_the_line_that_was_chosen_is_used() -> None:
    offered = make_offer(local("required"))
    answer, theirs = make_answer(offered, LocalMedia("192.0.2.1", 4000, 4001))
    ours = read_answer(offered, answer)
    assert ours.srtp is not None and theirs.srtp is not None
    assert (ours.srtp.send_key, ours.srtp.receive_key) == (theirs.srtp.receive_key, theirs.srtp.send_key)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda media, ours: setattr(media, "protocol", "RTP/AVP"), "the answer has the profile RTP/AVP, not RTP/SAVP"),
        (lambda media, ours: media.attributes.clear(), "the answer has 0 crypto lines, not one"),
        (lambda media, ours: media.attributes.append(("crypto", str(new_crypto(2, ours.suite)))), "the answer has 2"),
        (lambda media, ours: replace_crypto(media, new_crypto(5, ours.suite)), "the answer has a crypto line that was"),
        (lambda media, ours: replace_crypto(media, new_crypto(1, "AEAD_AES_256_GCM")), "the answer has a crypto line"),
        (lambda media, ours: replace_crypto(media, ours), "the far end uses our SRTP key as its own"),
    ],
)
def test_an_answer_that_settles_on_no_key_is_refused(change, why: str) -> None:  # type: ignore[no-untyped-def]
    offered = make_offer(local("required"))
    answer, _ = make_answer(offered, LocalMedia("192.0.2.1", 4000, 4001))
    change(answer.media[0], cryptos(offered)[0])
    with pytest.raises(OfferRefused) as caught:
        read_answer(offered, answer)
    assert caught.value.why.startswith(why)


def replace_crypto(media: Media, line: Crypto) -> None:
    media.attributes[:] = [(name, value) for name, value in media.attributes if name != "crypto"]
    media.attributes.append(("crypto", str(line)))


def test_an_offer_with_the_same_key_is_answered_with_ours_of_before_and_one_with_a_new_key_with_a_new_one() -> None:
    _, first = make_answer(offer("RTP/SAVP", LINE), local())
    _, again = make_answer(offer("RTP/SAVP", LINE), local(settled=first))
    assert again.srtp == first.srtp
    fresh = f"1 AES_CM_128_HMAC_SHA1_80 inline:{base64.b64encode(bytes(30)).decode()}"
    _, renewed = make_answer(offer("RTP/SAVP", fresh), local(settled=first))
    assert renewed.srtp is not None and first.srtp is not None
    assert renewed.srtp.send_key != first.srtp.send_key


def test_an_encrypted_call_stays_encrypted_in_our_offers() -> None:
    _, settled = make_answer(offer("RTP/AVP", LINE), local())
    offered = make_offer(local(settled=settled))
    assert offered.media[0].protocol == "RTP/AVP"
    assert len(cryptos(offered)) == len(OFFERED_SUITES)
    plain, _ = make_answer(offered, LocalMedia("192.0.2.1", 4000, 4001, srtp="off"))
    with pytest.raises(OfferRefused, match="0 crypto lines"):
        read_answer(offered, plain)


def test_no_key_shows_in_what_may_be_logged() -> None:
    answer, agreed = make_answer(offer("RTP/SAVP", LINE), local())
    assert agreed.srtp is not None
    secrets = [KEY, base64.b64encode(agreed.srtp.send_key).decode(), repr(agreed.srtp.send_key)]
    output = io.StringIO()
    set_up_logging("debug", log_format="json", output=output)
    try:
        log = get_logger("test")
        # What nobody should log: the second net holds it all the same.
        log.info("settled", agreed=agreed, keys=agreed.srtp, line=parse_crypto(LINE))
        log.info("sdp", sdp=answer.serialize().decode(), description=answer, line=f"a=crypto:{LINE}")
        logging.getLogger("library").warning("INVITE with a=crypto:%s", LINE)
    finally:
        logging.getLogger().handlers.clear()
    text = output.getvalue()
    assert "RTP/SAVP" in text and "AES_CM_128_HMAC_SHA1_80" in text
    for secret in secrets:
        assert secret not in text
