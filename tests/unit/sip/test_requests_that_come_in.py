"""Requests of strangers, confused peers and attackers: the status each gets, and that nothing else changes."""

import pytest
from tests.unit.sip.sip_pair import ANSWER, OFFER, Party, Sent, Wire, answers_at_once, established, pair

from longline.sip.events import IncomingCall, InfoDigit
from longline.sip.syntax.headers import Headers
from longline.sip.syntax.message import Request, Response, parse
from longline.sip.wire import Source


def request(method: str = "INVITE", *more: str, body: bytes = b"", **replaced: str) -> bytes:
    """A request of a stranger. Keyword arguments replace headers (`call_id=…`) or leave them out (empty)."""
    fields = {
        "uri": "sip:bob@192.0.2.2",
        "via": "SIP/2.0/UDP 192.0.2.99:5060;branch=z9hG4bKstranger",
        "max_forwards": "70",
        "from": "<sip:eve@192.0.2.99>;tag=e1",
        "to": "<sip:bob@192.0.2.2>",
        "call_id": "stranger-1",
        "cseq": f"1 {method}",
        "contact": "<sip:eve@192.0.2.99>",
        "content_length": str(len(body)),
    } | {name.rstrip("_"): value for name, value in replaced.items()}
    lines = [f"{method} {fields.pop('uri')} SIP/2.0"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in fields.items() if value]
    if body:
        lines.append("Content-Type: application/sdp")
    return ("\r\n".join([*lines, *more]) + "\r\n\r\n").encode() + body


def statuses(sent: list[Sent]) -> list[int]:
    return [int(s.transmit.data.split(b" ", 2)[1]) for s in sent]


def bob() -> tuple[Wire, Party]:
    wire, _, party = pair()
    return wire, party


def methods_we_do() -> str:
    wire, party = bob()
    (sent,) = wire.inject(party, request("OPTIONS"))
    return sent.message.headers.get("Allow") or ""


ALLOW = methods_we_do()


def test_options_tells_the_methods_we_do() -> None:
    assert {"INVITE", "ACK", "CANCEL", "BYE", "OPTIONS", "INFO", "UPDATE"} <= set(ALLOW.split(", "))


@pytest.mark.parametrize(
    ("message", "status", "header"),
    [
        (request("FROBNICATE"), 501, ("Allow", ALLOW)),
        (request("INFO"), 481, None),
        (request("UPDATE"), 481, None),
        (request("PUBLISH"), 405, ("Allow", ALLOW)),
        (request("REFER"), 403, None),
        (request("SUBSCRIBE", "Event: presence"), 489, ("Allow-Events", "refer")),
        (request("NOTIFY", "Event: refer"), 481, None),
        (request("REGISTER"), 405, ("Allow", ALLOW)),
        (request("INVITE", "Require: answermode, sec-agree"), 420, ("Unsupported", "answermode, sec-agree")),
        (request("INVITE", uri="tel:+15550100"), 416, None),
        (request("INVITE", uri="sips:bob@192.0.2.2"), 416, None),
        (request("INVITE", "Content-Encoding: gzip", body=OFFER), 415, ("Accept-Encoding", "identity")),
        (request("INVITE", "Accept: text/plain"), 406, None),
        (request("BYE"), 481, None),
        (request("BYE", to="<sip:bob@192.0.2.2>;tag=none"), 481, None),
        (request("INVITE", to="<sip:bob@192.0.2.2>;tag=none"), 481, None),
        (request("CANCEL"), 481, None),
        (request("OPTIONS"), 200, ("Accept", "application/sdp")),
        (request("OPTIONS", max_forwards="0"), 200, None),
        (request("INVITE", contact="<tel:+15550100>"), 400, None),
        (request("INVITE", contact="<sip:eve@192.0.2.99;transport=sctp>"), 416, None),
        (request("INVITE", contact="*"), 400, None),
        (request("INVITE", "Record-Route: <http://192.0.2.99>"), 400, None),
    ],
)
def test_request_gets_its_status(message: bytes, status: int, header: tuple[str, str] | None) -> None:
    wire, party = bob()
    (sent,) = wire.inject(party, message)
    assert isinstance(sent.message, Response)
    assert sent.message.status == status
    assert sent.message.to.tag
    assert header is None or sent.message.headers.get(header[0]) == header[1]
    assert party.events == []
    assert party.endpoint.calls == 0


def with_line(old: str, new: str) -> bytes:
    return request(body=OFFER).replace(old.encode(), new.encode())


MALFORMED = {
    "no_from": request(from_=""),
    "no_to": request(to=""),
    "no_call_id": request(call_id=""),
    "no_cseq": request(cseq=""),
    "cseq_of_another_method": request(cseq="1 BYE"),
    "cseq_2_to_the_31": request(cseq="2147483648 INVITE"),
    "cseq_2_to_the_32": request(cseq="4294967296 INVITE"),
    "cseq_negative": request(cseq="-1 INVITE"),
    "cseq_not_a_number": request(cseq="one INVITE"),
    "two_content_lengths": with_line("content-length", "Content-Length: 5\r\ncontent-length"),
    "content_length_negative": request(content_length="-1"),
    "content_length_huge": request(content_length="99999999999999999999"),
    "content_length_beyond_the_datagram": request(content_length="10"),
    "content_length_not_ascii": request(content_length="\u0661"),
    "nul_in_a_header": request("INVITE", "Subject: a\0b"),
    "cr_in_a_header": request("INVITE", "Subject: a\rb"),
    "header_without_colon": request("INVITE", "what is this"),
    "header_name_with_space": request("INVITE", "Sub ject: x"),
    "two_hundred_vias": request("INVITE", *["Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKx"] * 200),
    "a_hundred_params": request(from_="<sip:e@192.0.2.9>;tag=1" + "".join(f";p{n}" for n in range(100))),
    "max_forwards_256": request(max_forwards="256"),
    "unbalanced_quote": request(from_='"eve <sip:eve@192.0.2.99>;tag=1'),
    "bad_request_uri_port": request(uri="sip:bob@192.0.2.2:99999"),
    "bad_request_uri_host": request(uri="sip:bob@[192.0.2.2"),
    "bad_escape_in_request_uri": request(uri="sip:b%zzob@192.0.2.2"),
    "request_uri_without_scheme": request(uri="bob"),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_request_is_told_400_and_counted(name: str) -> None:
    wire, party = bob()
    (transmit,) = [s.transmit for s in quiet(wire, party, MALFORMED[name])]
    status, reason = transmit.data.split(b"\r\n", 1)[0].split(b" ", 2)[1:]
    assert status == b"400"
    assert reason != b"Bad Request"  # it says what is wrong
    assert len(transmit.data) <= len(MALFORMED[name]) + 60
    assert party.endpoint.counters["sip.malformed"] == 1
    assert party.events == []
    assert party.endpoint.transactions == 0


def quiet(wire: Wire, party: Party, data: bytes) -> list[Sent]:
    """Like inject, for answers that echo what cannot be parsed."""
    party.endpoint.receive(wire.now, Source("UDP", "192.0.2.99", 5060), data)
    sent = []
    while (transmit := party.endpoint.poll_transmit()) is not None:
        sent.append(Sent(wire.now, party.host, transmit, Response(0, "", Headers())))
    return sent


@pytest.mark.parametrize(
    "message",
    [
        request(body=b"x" * 8_193),
        request(body=b"x" * 66_000),
        request("INVITE", "Subject: " + "x" * 60_000),
        request("INVITE", *["X: y"] * 10_000),
    ],
    ids=["body_of_8_kb", "body_of_64_kb", "header_line_of_64_kb", "ten_thousand_headers"],
)
def test_message_that_is_too_long_is_told_513(message: bytes) -> None:
    wire, party = bob()
    assert statuses(quiet(wire, party, message)) == [513]
    assert party.events == []


UNANSWERABLE = {
    "nothing_but_noise": bytes(range(256)),
    "a_stun_packet": b"\x00\x01\x00\x00\x21\x12\xa4\x42" + b"x" * 12,
    "http": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "no_via": request(via=""),
    "malformed_ack": request("ACK", cseq="1 INVITE"),
    "headers_cut_off": request()[:100],
    "response_without_transaction": request().replace(b"INVITE sip:bob@192.0.2.2 SIP/2.0", b"SIP/2.0 200 OK"),
    "status_of_four_digits": b"SIP/2.0 2000 OK\r\n\r\n",
    "ack_of_nothing": request("ACK", to="<sip:bob@192.0.2.2>;tag=x"),
    "only_nul": b"\0" * 40,
    "empty": b"",
    "keep_alive": b"\r\n\r\n",
}


@pytest.mark.parametrize("name", UNANSWERABLE)
def test_what_cannot_be_answered_is_dropped_and_counted(name: str) -> None:
    wire, party = bob()
    assert wire.inject(party, UNANSWERABLE[name]) == []
    assert sum(party.endpoint.counters.values()) == 1
    assert party.events == []
    assert party.endpoint.transactions == 0


@pytest.mark.parametrize(
    "variant",
    [
        request(body=OFFER).removesuffix(OFFER).replace(b"\r\n", b"\n") + OFFER,
        b"\r\n\r\n" + request(body=OFFER),
        request(body=OFFER) + b"trailing octets",
        request(body=OFFER, call_id="").replace(b"\r\n\r\n", b"\r\ni : stranger-1\r\n\r\n", 1),
        request(body=OFFER, content_length=""),
        request(body=OFFER, from_='"Eve \\"E\\" \u00c9ve" <sip:eve@192.0.2.99>\r\n ;tag=e1'),
        request(body=OFFER, uri="sip:bob@[2001:db8::1]:5060;transport=udp"),
        request(body=OFFER, via="SIP/2.0/UDP [2001:db8::9]:5060;branch=z9hG4bKstranger"),
    ],
)
def test_unusual_but_sound_invite_is_taken(variant: bytes) -> None:
    wire, party = bob()
    assert statuses(wire.inject(party, variant)) == [100]
    assert party.names() == ["IncomingCall"]


def test_offer_is_found_in_a_multipart_body() -> None:
    wire, party = bob()
    parts = b"--x\r\nContent-Type: application/isup\r\n\r\n\x01\x02\r\n--x\r\nContent-Type: application/sdp\r\n\r\n"
    body = parts + OFFER + b"\r\n--x--\r\n"
    message = request(content_length=str(len(body)))[:-2] + b'Content-Type: multipart/mixed;boundary="x"\r\n\r\n' + body
    wire.inject(party, message)
    assert party.last(IncomingCall).offer == OFFER


@pytest.mark.parametrize("content_type", ["multipart/mixed", "multipart/mixed;boundary=", "multipart/mixed;;;"])
def test_multipart_without_a_session_description_is_refused(content_type: str) -> None:
    wire, party = bob()
    message = request(content_length="4")[:-2] + f"Content-Type: {content_type}\r\n\r\n--x\n".encode()
    assert statuses(wire.inject(party, message)) == [415]


def test_retransmitted_invite_gets_the_last_response_again() -> None:
    wire, party = bob()
    wire.inject(party, request(body=OFFER))
    for _ in range(50):
        assert statuses(wire.inject(party, request(body=OFFER))) == [100]
    party.do("ring", party.events[0].handle)
    assert statuses(wire.inject(party, request(body=OFFER))) == [180]
    assert party.names() == ["IncomingCall"]
    assert party.endpoint.transactions == 1


def test_merged_invite_is_refused_with_482() -> None:
    wire, party = bob()
    wire.inject(party, request(body=OFFER))
    other = request(body=OFFER, via="SIP/2.0/UDP 192.0.2.98;branch=z9hG4bKelsewhere")
    assert statuses(wire.inject(party, other)) == [482]
    assert party.names() == ["IncomingCall"]


def test_response_goes_to_the_source_and_its_port_when_rport_asks() -> None:
    wire, party = bob()
    source = Source("UDP", "192.0.2.200", 33333)
    via = "SIP/2.0/UDP 10.0.0.1:5062;branch=z9hG4bKnat;rport"
    (sent,) = wire.inject(party, request("OPTIONS", via=via), source)
    assert (sent.transmit.target.host, sent.transmit.target.port) == ("192.0.2.200", 33333)
    assert sent.message.top_via.params["received"] == "192.0.2.200"
    assert sent.message.top_via.params["rport"] == "33333"


def test_response_goes_to_the_port_of_via_without_rport_and_never_to_maddr() -> None:
    wire, party = bob()
    source = Source("UDP", "192.0.2.200", 33333)
    via = "SIP/2.0/UDP 10.0.0.1:5062;branch=z9hG4bKplain;maddr=203.0.113.5"
    (sent,) = wire.inject(party, request("OPTIONS", via=via), source)
    assert (sent.transmit.target.host, sent.transmit.target.port) == ("192.0.2.200", 5062)


@pytest.mark.parametrize("what", ["call_id", "from_tag", "to_tag"])
def test_bye_that_does_not_match_the_dialog_is_refused_and_the_call_lives(what: str) -> None:
    wire, alice, party, ours, theirs = established()
    bye = alice.endpoint.dialog(ours).request("BYE")
    bye.headers.push("Via", "SIP/2.0/UDP 192.0.2.99;branch=z9hG4bKspoofed")
    if what == "call_id":
        bye.headers.set("Call-ID", "guessed")
    elif what == "from_tag":
        bye.headers.set("From", "<sip:alice@192.0.2.1>;tag=guessed")
    else:
        bye.headers.set("To", "<sip:bob@192.0.2.2>;tag=guessed")
    assert statuses(wire.inject(party, bye.encode())) == [481]
    assert "Ended" not in party.names()
    assert party.endpoint.snapshot(wire.now, theirs, 0.0)["handle"] == theirs


def test_request_with_a_lower_cseq_is_refused_with_500() -> None:
    wire, alice, party, ours, _ = established()
    stale = alice.endpoint.dialog(ours).request("BYE", cseq=0)
    stale.headers.push("Via", "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKstale")
    assert statuses(wire.inject(party, stale.encode())) == [500]
    assert "Ended" not in party.names()


@pytest.mark.parametrize(("method", "status"), [("OPTIONS", 200), ("INFO", 200), ("UPDATE", 200), ("NOTIFY", 489)])
def test_request_in_a_dialog_leaves_the_call_alone(method: str, status: int) -> None:
    wire, alice, party, ours, _ = established()
    message = alice.endpoint.dialog(ours).request(method)
    message.headers.push("Via", "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKwithin")
    assert statuses(wire.inject(party, message.encode())) == [status]
    assert party.names() == ["IncomingCall", "Acked"]


@pytest.mark.parametrize(
    ("kind", "body", "digit", "duration_ms"),
    [
        ("application/dtmf-relay", b"Signal=5\r\nDuration=160\r\n", "5", 160),
        ("application/dtmf-relay", b"Signal= * \nDuration= 250", "*", 250),
        ("application/DTMF-Relay; x=y", b"signal=11", "#", None),
        ("application/dtmf-relay", b"Signal=d\r\nDuration=-3\r\n", "D", None),
        ("application/dtmf-relay", b"Signal=1\r\nDuration=99999999\r\n", "1", 60_000),
        ("application/dtmf", b"7", "7", None),
        ("application/dtmf", b"#\r\n", "#", None),
    ],
)
def test_digit_in_an_info_is_told_and_answered(kind: str, body: bytes, digit: str, duration_ms: int | None) -> None:
    wire, alice, party, ours, theirs = established()
    assert statuses(wire.inject(party, info(alice, ours, kind, body))) == [200]
    assert party.events[-1] == InfoDigit(theirs, digit, duration_ms)
    assert "digit=" not in repr(party.events[-1]), "digits may be credentials"


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/dtmf-relay", b"Signal=16\r\n"),
        ("application/dtmf-relay", b"Duration=160\r\n"),
        ("application/dtmf", b"55"),
        ("application/dtmf", b"\xff"),
        ("application/dtmf", b"5" + b" " * 300),
        ("application/media_control+xml", b"<x/>"),
    ],
)
def test_info_that_is_not_understood_says_what_would_be(kind: str, body: bytes) -> None:
    wire, alice, party, ours, _ = established()
    (sent,) = wire.inject(party, info(alice, ours, kind, body))
    assert isinstance(sent.message, Response)
    assert sent.message.status == 415
    assert sent.message.headers.get("Accept") == "application/dtmf-relay, application/dtmf"
    assert party.names() == ["IncomingCall", "Acked"]


def info(alice: Party, handle: str, kind: str, body: bytes) -> bytes:
    message = alice.endpoint.dialog(handle).request("INFO", body=body)
    message.headers.push("Via", "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKinfo")
    message.headers.set("Content-Type", kind)
    return message.encode()


def reinvite(alice: Party, handle: str, branch: str, body: bytes = OFFER) -> bytes:
    message = alice.endpoint.dialog(handle).request("INVITE", body=body)
    message.headers.push("Via", f"SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK{branch}")
    message.headers.add("Contact", "<sip:alice@192.0.2.1>")
    return message.encode()


def test_second_reinvite_while_one_is_pending_gets_500_and_retry_after() -> None:
    wire, alice, party, ours, _ = established()
    party.react = lambda event: None
    assert statuses(wire.inject(party, reinvite(alice, ours, "one"))) == [100]
    (sent,) = wire.inject(party, reinvite(alice, ours, "two"))
    assert statuses([sent]) == [500]
    assert 0 <= int(sent.message.headers.get("Retry-After") or "-1") <= 10
    assert party.names().count("Reoffer") == 1


def test_reinvite_while_our_own_offer_is_open_gets_491() -> None:
    wire, alice, party = pair()
    answers_at_once(party, OFFER)
    handle = alice.invite("192.0.2.2", sdp=None)
    wire.run(0.2)
    assert statuses(wire.inject(alice, reinvite(party, party.events[0].handle, "glare"))) == [491]
    alice.do("answer", handle, ANSWER)
    wire.run(1)
    assert party.names()[-1] == "Acked"


def test_reinvite_that_is_refused_leaves_the_call_alone() -> None:
    wire, alice, party, ours, theirs = established()
    party.react = lambda event: None
    wire.inject(party, reinvite(alice, ours, "one"))
    before = len(wire.sent)
    party.do("reject_reoffer", theirs, 488)
    assert statuses(wire.sent[before:]) == [488]
    wire.run(40)
    assert party.names()[-1] == "Ended" or party.names()[-1] == "Reoffer"
    assert "Ended" not in party.names()


def test_reinvite_taken_back_is_told_and_a_late_answer_is_harmless() -> None:
    wire, alice, party, ours, theirs = established()
    party.react = lambda event: None
    message = reinvite(alice, ours, "one")
    wire.inject(party, message)
    cancel = message.replace(b"INVITE sip", b"CANCEL sip").replace(b" INVITE\r\n", b" CANCEL\r\n")
    assert statuses(wire.inject(party, cancel)) == [200, 487]
    assert party.names()[-1] == "ReofferCanceled"
    party.do("reanswer", theirs, ANSWER)
    assert party.endpoint.counters["sip.stale_commands"] == 1


def test_reinvite_without_an_offer_gets_ours_and_the_answer_comes_in_the_ack() -> None:
    wire, alice, party, ours, _ = established()
    wire.inject(party, reinvite(alice, ours, "late", b""))
    assert party.events[-1].offer is None
    ack = alice.endpoint.dialog(ours).request("ACK", alice.endpoint.dialog(ours).local_cseq, OFFER)
    ack.headers.push("Via", "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKack")
    wire.inject(party, ack.encode())
    assert (party.names()[-1], party.events[-1].sdp) == ("Reanswered", OFFER)


def test_bye_during_a_reinvite_ends_both() -> None:
    wire, alice, party, ours, _ = established()
    party.react = lambda event: None
    wire.inject(party, reinvite(alice, ours, "one"))
    before = len(wire.sent)
    alice.do("bye", ours)
    wire.run(0.1)
    assert sorted(statuses([s for s in wire.sent[before:] if isinstance(s.message, Response)])) == [200, 487]
    assert party.names()[-1] == "Ended"


def test_bye_of_a_caller_that_was_never_answered_ends_its_invite() -> None:
    wire, party = bob()
    wire.inject(party, request(body=OFFER))
    party.do("ring", party.events[0].handle)
    tag = wire.responses(180)[0].to.tag
    bye = request(
        "BYE", cseq="2 BYE", to=f"<sip:bob@192.0.2.2>;tag={tag}", via="SIP/2.0/UDP 192.0.2.99;branch=z9hG4bKb"
    )
    assert statuses(wire.inject(party, bye)) == [200, 487]
    assert party.names() == ["IncomingCall", "Canceled"]
    assert party.endpoint.calls == 0


def test_cancel_after_the_answer_changes_nothing() -> None:
    wire, party = bob()
    answers_at_once(party)
    wire.inject(party, request(body=OFFER))
    cancel = request("CANCEL", cseq="1 CANCEL")
    assert statuses(wire.inject(party, cancel)) == [200]
    assert party.names() == ["IncomingCall"]
    assert party.endpoint.calls == 1


def test_full_call_table_is_told_with_503_and_retry_after() -> None:
    wire = Wire()
    party = Party(wire, "192.0.2.2", max_calls=1)
    wire.inject(party, request(body=OFFER))
    second = request(body=OFFER, call_id="second", via="SIP/2.0/UDP 192.0.2.99;branch=z9hG4bKsecond")
    (sent,) = wire.inject(party, second)
    assert statuses([sent]) == [503]
    assert sent.message.headers.get("Retry-After") == "5"
    assert party.names() == ["IncomingCall"]
    assert party.endpoint.counters["sip.overload"] == 1


def test_full_transaction_table_is_told_with_503_and_does_not_grow() -> None:
    wire = Wire()
    party = Party(wire, "192.0.2.2", max_transactions=2)
    for number in range(5):
        via = f"SIP/2.0/UDP 192.0.2.99;branch=z9hG4bK{number}"
        (sent,) = wire.inject(party, request("OPTIONS", via=via, call_id=f"c{number}"))
        assert statuses([sent]) == [200 if number < 2 else 503]
    assert party.endpoint.transactions == 2


def test_no_banner_tells_who_we_are() -> None:
    wire, alice, party, ours, _ = established()
    alice.do("bye", ours)
    wire.inject(party, request("OPTIONS"))
    for sent in wire.sent:
        assert not {name for name, _ in sent.message.headers} & {"Server", "User-Agent"}
        assert b"ongline" not in sent.transmit.data


def test_tcp_connection_that_closes_mid_invite_ends_only_what_waited_on_it() -> None:
    wire, party = bob()
    source = Source("TCP", "192.0.2.99", 40000, 9)
    via = "SIP/2.0/TCP 192.0.2.99:5060;branch=z9hG4bKtcp"
    wire.inject(party, request(body=OFFER, via=via), source)
    party.endpoint.connection_lost(wire.now, 9)
    party.drain()
    assert party.names() == ["IncomingCall"]
    party.do("ring", party.events[0].handle)
    ringing = wire.sent[-1].transmit
    assert (ringing.target.transport, ringing.target.port) == ("TCP", 5060)
    party.endpoint.transport_failed(wire.now, ringing.transaction or "")
    party.drain()
    assert party.names() == ["IncomingCall", "Ended"]
    assert (party.endpoint.calls, party.endpoint.transactions) == (0, 0)


def test_outgoing_call_whose_connection_closes_fails_at_once() -> None:
    wire, alice, _ = pair()
    handle = alice.invite("192.0.2.77", transport="tcp")
    alice.endpoint.transport_failed(wire.now, wire.sent[0].transmit.transaction or "")
    alice.drain()
    assert (alice.events[-1].handle, alice.events[-1].status, alice.events[-1].cause) == (handle, 503, "transport")


def test_message_on_a_stream_must_say_how_long_it_is() -> None:
    wire, party = bob()
    message = request("OPTIONS", content_length="")
    assert statuses(wire.inject(party, message, Source("TCP", "192.0.2.99", 40000, 9))) == [400]


def test_response_to_a_response_storm_is_silence() -> None:
    wire, party = bob()
    response = request("OPTIONS").replace(b"OPTIONS sip:bob@192.0.2.2 SIP/2.0", b"SIP/2.0 404 Not Found")
    for _ in range(100):
        assert wire.inject(party, response) == []
    assert parse(response)
    assert party.endpoint.counters == {"sip.responses_dropped": 100}


@pytest.mark.parametrize(
    ("sent_by", "goes_to"),
    [
        ("10.0.0.7:5062", ("192.0.2.99", 5060)),  # its own address, which a NAT has replaced on the way
        ("192.0.2.99:5060", ("10.0.0.7", 5062)),  # nothing on the way: the Contact is where it wants to be reached
        ("phone.example:5062", ("10.0.0.7", 5062)),  # a name tells nothing
    ],
)
def test_a_caller_behind_a_nat_is_reached_at_the_address_it_sent_from(sent_by: str, goes_to: tuple[str, int]) -> None:
    wire, party = bob()
    via = f"SIP/2.0/UDP {sent_by};branch=z9hG4bKnat;rport"
    message = request(via=via, contact="<sip:eve@10.0.0.7:5062>", body=OFFER)
    wire.inject(party, message)
    handle = party.events[0].handle
    party.do("answer", handle, ANSWER)
    ack = request("ACK", via=via, contact="", to=f"<sip:bob@192.0.2.2>;tag={party.endpoint.dialog(handle).local_tag}")
    wire.inject(party, ack)
    party.do("bye", handle)
    (bye,) = [sent for sent in wire.sent if sent.word == "BYE"]
    assert (bye.transmit.target.host, bye.transmit.target.port) == goes_to
    assert isinstance(bye.message, Request)
    assert bye.message.uri == "sip:eve@10.0.0.7:5062"
