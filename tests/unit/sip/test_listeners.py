"""Several listeners: what is written of them into messages, and which one a message leaves from. Without sockets."""

import itertools

import pytest
from tests.unit.sip.sip_pair import ANSWER, OFFER

from longline.sip.core import EndpointSettings
from longline.sip.endpoint import Endpoint
from longline.sip.events import IncomingCall
from longline.sip.syntax.message import Request, Response, parse
from longline.sip.transaction_layer import quoted_transaction
from longline.sip.uac import Invitation
from longline.sip.wire import Listener, Source, Target, Transmit

LISTENERS = (
    Listener("UDP", 4, "192.0.2.1", 5060),
    Listener("TCP", 4, "192.0.2.1", 5060),
    Listener("UDP", 4, "198.51.100.1", 5070),
    Listener("TLS", 4, "sip.example.com", 5061),
    Listener("UDP", 6, "2001:db8::1", 5060),
)
INVITE = (
    b"INVITE sip:x@198.51.100.1 SIP/2.0\r\nVia: SIP/2.0/UDP 203.0.113.9;branch=z9hG4bK1;rport\r\n"
    b"From: <sip:e@x>;tag=1\r\nTo: <sip:x@y>\r\nCall-ID: c\r\nCSeq: 1 INVITE\r\nContact: <sip:e@203.0.113.9>\r\n"
    b"Content-Type: application/sdp\r\nContent-Length: %d\r\n\r\n%s" % (len(OFFER), OFFER)
)


def endpoint(route: int | None = None) -> Endpoint:
    numbers = itertools.count(1)
    settings = EndpointSettings(
        listeners=LISTENERS, transports=frozenset(("UDP", "TCP", "TLS")), route=lambda transport, host: route
    )
    return Endpoint(settings, lambda: f"t{next(numbers)}")


def sent(of: Endpoint) -> tuple[Transmit, Request | Response]:
    transmit = of.poll_transmit()
    assert transmit is not None
    return transmit, parse(transmit.data)


def call(target: str, route: int | None = None) -> tuple[Target, str, str]:
    """Where the INVITE leaves from, and its Via and Contact."""
    caller = endpoint(route)
    caller.invite(0.0, Invitation(target, "sip:a@longline.example", sdp=OFFER))
    hop = caller.poll_lookup()
    if hop is not None:
        caller.located(0.0, hop, [Target("TLS", "203.0.113.5", 5061, server_name=hop.host)])
    transmit, message = sent(caller)
    via = message.headers.get("Via") or ""
    return transmit.target, via.partition(";")[0], message.headers.get("Contact") or ""


@pytest.mark.parametrize(
    ("target", "route", "listener", "via", "contact"),
    [
        ("sip:x@203.0.113.5", None, 0, "SIP/2.0/UDP 192.0.2.1:5060", "<sip:a@192.0.2.1:5060>"),
        ("sip:x@203.0.113.5", 2, 2, "SIP/2.0/UDP 198.51.100.1:5070", "<sip:a@198.51.100.1:5070>"),
        ("sip:x@203.0.113.5", 4, 0, "SIP/2.0/UDP 192.0.2.1:5060", "<sip:a@192.0.2.1:5060>"),
        ("sip:x@203.0.113.5;transport=tcp", None, 1, "SIP/2.0/TCP 192.0.2.1:5060",
         "<sip:a@192.0.2.1:5060;transport=tcp>"),
        ("sip:x@[2001:db8::5]", None, 4, "SIP/2.0/UDP [2001:db8::1]:5060", "<sip:a@[2001:db8::1]:5060>"),
        ("sip:x@carrier.example;transport=tls", None, 3, "SIP/2.0/TLS sip.example.com:5061",
         "<sip:a@sip.example.com:5061;transport=tls>"),
        ("sips:x@carrier.example", None, 3, "SIP/2.0/TLS sip.example.com:5061", "<sips:a@sip.example.com:5061>"),
    ],
)  # fmt: skip
def test_call_names_the_listener_that_it_leaves_from(
    target: str, route: int | None, listener: int, via: str, contact: str
) -> None:
    leaves, top_via, of_contact = call(target, route)
    assert (leaves.listener, top_via, of_contact) == (listener, via, contact)


def test_family_that_no_listener_has_is_left_to_the_shell_to_refuse() -> None:
    target, _, _ = call("sip:x@[2001:db8::5];transport=tcp")
    assert target.listener is None


def test_everything_of_a_call_leaves_from_where_it_came_in() -> None:
    callee = endpoint(route=0)
    callee.receive(0.0, Source("UDP", "203.0.113.9", 5060, None, 2), INVITE)
    incoming = callee.poll_event()
    assert isinstance(incoming, IncomingCall)
    callee.answer(0.0, incoming.handle, ANSWER)
    responses = [sent(callee) for _ in range(2)]
    assert {transmit.target.listener for transmit, _ in responses} == {2}
    ok = responses[-1][1]
    assert ok.headers.get("Contact") == "<sip:x@198.51.100.1:5070>"
    ack = INVITE.replace(b"INVITE", b"ACK").replace(b"To: <sip:x@y>", b"To: " + (ok.headers.get("To") or "").encode())
    callee.receive(0.1, Source("UDP", "203.0.113.9", 5060, None, 2), ack.replace(b"bK1", b"bK2"))
    callee.bye(0.2, incoming.handle)
    transmit, bye = sent(callee)
    assert (bye.method, transmit.target.listener) == ("BYE", 2)  # type: ignore[union-attr]
    assert (bye.headers.get("Via") or "").startswith("SIP/2.0/UDP 198.51.100.1:5070;")


def test_request_that_icmp_quotes_is_found_by_its_branch() -> None:
    caller = endpoint()
    caller.invite(0.0, Invitation("sip:x@203.0.113.5", "sip:a@longline.example", sdp=OFFER))
    transmit, _ = sent(caller)
    assert quoted_transaction(transmit.data[:520]) == transmit.transaction


@pytest.mark.parametrize(
    "quote",
    [
        b"",
        b"INVITE sip:x@203.0.113.5 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4b",  # cut off within the branch
        b"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1;rport\r\n",
        b"\x00\xff" * 200,
        b"INVITE " * 300,
    ],
)
def test_quote_that_tells_too_little_fails_nobody(quote: bytes) -> None:
    assert quoted_transaction(quote) is None
