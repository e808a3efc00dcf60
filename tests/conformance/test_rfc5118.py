"""The IPv6 messages of RFC 5118: what the RFC says an element should make of each, and what ours does.

The bodies of §4.6, §4.8 and §4.9 are cut to what a call of ours needs; the addresses are those of the RFC.
"""

import pytest

from longline.sip.core import EndpointSettings
from longline.sip.endpoint import Endpoint
from longline.sip.events import IncomingCall
from longline.sip.sdp.description import SessionDescription
from longline.sip.sdp.offer_answer import LocalMedia, make_answer
from longline.sip.syntax.message import MalformedMessage, Request, parse
from longline.sip.syntax.uri import parse_uri
from longline.sip.wire import Source

SOURCE = Source("UDP", "2001:db8::9:1", 5060)


def message(start: str, *lines: str, body: str = "") -> bytes:
    text = "\r\n".join([f"{start} SIP/2.0", "Max-Forwards: 70", *lines])
    content = "Content-Type: application/sdp\r\n" if body else ""
    return f"{text}\r\n{content}Content-Length: {len(body)}\r\n\r\n{body}".encode()


def register(uri: str) -> bytes:
    return message(
        f"REGISTER {uri}",
        "To: sip:user@example.com",
        "From: sip:user@example.com;tag=81x2",
        "Via: SIP/2.0/UDP [2001:db8::9:1];branch=z9hG4bKas3-111",
        "Call-ID: SSG9559905523997077@hlau_4100",
        'Contact: "Caller" <sip:caller@[2001:db8::1]>',
        "CSeq: 98176 REGISTER",
    )


def in_brackets(received: str, branch: str) -> bytes:
    return message(
        "OPTIONS sip:[2001:db8::10]",
        "To: sip:user@example.com",
        "From: sip:user@example.com;tag=81x2",
        f"Via: SIP/2.0/UDP [2001:db8::9:1];received={received};branch={branch}",
        "Call-ID: SSG95523997077@hlau_4100",
        'Contact: "Caller" <sip:caller@[2001:db8::9:1]>',
        "CSeq: 921 OPTIONS",
    )


def invite(uri: str, via: str, contact: str, body: str) -> bytes:
    return message(
        f"INVITE {uri}",
        f"To: <{uri}>",
        "From: sip:user@example.com;tag=81x2",
        *via.splitlines(),
        "Call-ID: SSG9559905523997077@hlau_4100",
        f"Contact: {contact}",
        "CSeq: 8612 INVITE",
        body=body,
    )


def colons(reference: str) -> bytes:
    return message(
        f"OPTIONS sip:user@{reference}",
        f"To: sip:user@{reference}",
        "From: sip:user@example.com;tag=810x2",
        "Via: SIP/2.0/UDP lab1.east.example.com;branch=z9hG4bKas3-111",
        "Call-ID: G9559905523997077@hlau_4100",
        "CSeq: 689 OPTIONS",
    )


SDP_V6 = (
    "v=0\r\no=assistant 971731711378798081 0 IN IP6 2001:db8::20\r\ns=Live video feed\r\nc=IN IP6 2001:db8::20\r\n"
    "t=3338481189 3370017201\r\nm=audio 6000 RTP/AVP 2\r\na=rtpmap:2 G726-32/8000\r\nm=audio 6002 RTP/AVP 0\r\n"
)
SDP_BOTH = (
    "v=0\r\no=bob 280744730 28977631 IN IP4 host.example.com\r\ns=-\r\nt=0 0\r\nm=audio 22334 RTP/AVP 0\r\n"
    "c=IN IP4 192.0.2.1\r\nm=video 6024 RTP/AVP 107\r\nc=IN IP6 2001:db8::1\r\na=rtpmap:107 H263-1998/90000\r\n"
)
SDP_MAPPED = (
    "v=0\r\no=bob 280744730 28977631 IN IP6 ::ffff:192.0.2.2\r\ns=-\r\nc=IN IP6 ::ffff:192.0.2.2\r\nt=0 0\r\n"
    "m=audio 22334 RTP/AVP 0\r\n"
)

MESSAGES: dict[str, bytes] = {
    "4.1 valid message with an IPv6 reference": register("sip:[2001:db8::10]"),
    "4.2 invalid message: a reference without its delimiters": register("sip:2001:db8::10"),
    "4.3 port ambiguous in a URI": register("sip:[2001:db8::10:5070]"),
    "4.4 port unambiguous in a URI": register("sip:[2001:db8::10]:5070"),
    "4.5 received in brackets": in_brackets("[2001:db8::9:255]", "z9hG4bKas3-111"),
    "4.5 received without brackets": in_brackets("2001:db8::9:255", "z9hG4bKas3"),
    "4.6 IPv6 addresses in a session description": invite(
        "sip:user@[2001:db8::10]",
        "Via: SIP/2.0/UDP [2001:db8::20];branch=z9hG4bKas3-111",
        '"Caller" <sip:caller@[2001:db8::20]>',
        SDP_V6,
    ),
    "4.7 addresses of both families in headers": message(
        "BYE sip:user@host.example.net",
        "Via: SIP/2.0/UDP [2001:db8::9:1]:6050;branch=z9hG4bKas3-111",
        "Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKjhja8781hjuaij65144",
        "Via: SIP/2.0/TCP [2001:db8::9:255];branch=z9hG4bK451jj;received=192.0.2.200",
        "Call-ID: 997077@lau_4100",
        "CSeq: 89187 BYE",
        "To: sip:user@example.net;tag=9817--94",
        "From: sip:user@example.com;tag=81x2",
    ),
    "4.8 addresses of both families in a session description": invite(
        "sip:user@[2001:db8::10]",
        "Via: SIP/2.0/UDP [2001:db8::9:1];branch=z9hG4bKas3-111",
        '"Caller" <sip:caller@[2001:db8::9:1]>',
        SDP_BOTH,
    ),
    "4.9 IPv4-mapped IPv6 addresses": invite(
        "sip:user@example.com",
        "Via: SIP/2.0/UDP [::ffff:192.0.2.10]:19823;branch=z9hG4bKbh19\n"
        "Via: SIP/2.0/UDP [::ffff:192.0.2.2];branch=z9hG4bKas3-111",
        '"T. desk phone" <sip:ted@[::ffff:192.0.2.2]>',
        SDP_MAPPED,
    ),
    "4.10 three colons, as the grammar of RFC 3261 has it": colons("[2001:db8:::192.0.2.1]"),
    "4.10 two colons, as RFC 4291 has it": colons("[2001:db8::192.0.2.1]"),
}

ANSWERS = dict.fromkeys(MESSAGES, 200) | {
    **{name: 405 for name, data in MESSAGES.items() if data.startswith(b"REGISTER")},  # we are no registrar here
    "4.2 invalid message: a reference without its delimiters": 400,
    "4.6 IPv6 addresses in a session description": 100,
    "4.7 addresses of both families in headers": 481,
    "4.8 addresses of both families in a session description": 100,
    "4.9 IPv4-mapped IPv6 addresses": 100,
}


@pytest.mark.parametrize("name", MESSAGES)
def test_the_endpoint_answers_as_the_rfc_says(name: str) -> None:
    endpoint = Endpoint(EndpointSettings(host="2001:db8::10"), iter(f"t{n}" for n in range(99)).__next__)
    endpoint.receive(0.0, SOURCE, MESSAGES[name])
    transmit = endpoint.poll_transmit()
    assert transmit is not None
    assert int(transmit.data.split(b" ", 2)[1]) == ANSWERS[name]
    assert (endpoint.poll_event() is not None) == (ANSWERS[name] == 100)


@pytest.mark.parametrize("name", [name for name, status in ANSWERS.items() if status != 400])
def test_a_message_with_ipv6_addresses_survives_a_round_trip(name: str) -> None:
    request = parse(MESSAGES[name])
    assert parse(request.encode()) == request


def test_a_reference_without_its_delimiters_is_malformed() -> None:
    with pytest.raises(MalformedMessage):
        parse(MESSAGES["4.2 invalid message: a reference without its delimiters"])


def uri_of(name: str) -> tuple[str, int]:
    request = parse(MESSAGES[name])
    assert isinstance(request, Request)
    return parse_uri(request.uri).host_port


def test_what_is_in_the_brackets_is_address_and_what_is_behind_them_port() -> None:
    assert uri_of("4.3 port ambiguous in a URI") == ("2001:db8::10:5070", 5060)
    assert uri_of("4.4 port unambiguous in a URI") == ("2001:db8::10", 5070)


def test_the_third_colon_means_nothing() -> None:
    assert uri_of("4.10 three colons, as the grammar of RFC 3261 has it") == ("2001:db8::192.0.2.1", 5060)


def test_a_call_between_ipv6_addresses_is_taken_and_can_be_answered_and_ended() -> None:
    endpoint = Endpoint(EndpointSettings(host="2001:db8::10"), iter(f"t{n}" for n in range(99)).__next__)
    source = Source("UDP", "2001:db8::20", 5060)
    endpoint.receive(0.0, source, MESSAGES["4.6 IPv6 addresses in a session description"])
    event = endpoint.poll_event()
    assert isinstance(event, IncomingCall)
    assert (event.to_user, event.source) == ("user", "[2001:db8::20]:5060")
    assert event.offer is not None
    answer, negotiated = make_answer(
        SessionDescription.parse(event.offer), LocalMedia("2001:db8::10", 20_000, 20_001, codecs=("PCMU",))
    )
    assert negotiated.remote_rtp == ("2001:db8::20", 6002)
    endpoint.answer(0.0, event.handle, answer.serialize())
    transmits = list(iter(endpoint.poll_transmit, None))
    assert {transmit.target.host for transmit in transmits} == {"2001:db8::20"}
    assert b"\r\nContact: <sip:user@[2001:db8::10]:5060>\r\n" in transmits[-1].data


def test_media_of_the_other_family_is_refused_and_the_rest_taken() -> None:
    offer = SessionDescription.parse(SDP_BOTH.encode())
    answer, negotiated = make_answer(offer, LocalMedia("192.0.2.10", 20_000, 20_001))
    assert [media.port for media in answer.media] == [20_000, 0]
    assert negotiated.remote_rtp == ("192.0.2.1", 22_334)


def test_a_mapped_address_is_the_ipv4_address_it_stands_for() -> None:
    offer = SessionDescription.parse(SDP_MAPPED.encode())
    _, negotiated = make_answer(offer, LocalMedia("192.0.2.10", 20_000, 20_001))
    assert negotiated.remote_rtp == ("192.0.2.2", 22_334)
