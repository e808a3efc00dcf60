"""Broken messages of the peer of a call: within its dialog, and in answer to what we ask.

Whoever is in a call with us is let in further than a stranger: here each header that a feature reads is made wrong, and
whatever it says, each request gets one answer, each call one end, and nothing is left behind.
"""

import pytest
from tests.support.mutations import WITHIN, broken, sample, write
from tests.unit.sip.sip_pair import ANSWER, OFFER, Party, Wire, established

from longline.sip.access.auth import TrunkCredential
from longline.sip.events import Ended, Reoffer, SipEvent
from longline.sip.syntax.headers import Headers
from longline.sip.syntax.message import Request, Response
from longline.sip.wire import Source

EVERY = 3
"""Of the broken messages one in so many; LONGLINE_MUTATIONS=all takes all."""
PEER = Source("UDP", "192.0.2.1", 5060)
NO_FINAL = (b"SIP/2.0 1",)


class Callee:
    """Bob, who takes what Alice's hand-made requests ask of him, for as many calls as it needs."""

    def __init__(self) -> None:
        self.count = 0
        self.renew()

    def renew(self) -> None:
        self.wire, self.alice, self.bob, self.ours, self.theirs = established()
        self.wire.run(40)
        self.bob.react = self._react
        self.wire.parties = {self.bob.host: self.bob}  # what Bob sends from now on is answered by nobody

    def _react(self, event: SipEvent) -> None:
        if isinstance(event, Reoffer):
            self.bob.endpoint.reanswer(self.wire.now, event.handle, ANSWER)

    def ask(self, method: str, fields: dict[str, str], body: bytes) -> list[bytes]:
        """Send it; what Bob answers to it."""
        self.count += 1
        branch = f"z9hG4bKmutant{self.count}"
        request = self.alice.endpoint.dialog(self.ours).request(method)
        request.headers.push("Via", f"SIP/2.0/UDP 192.0.2.1:5060;branch={branch};rport")
        data = write(f"{method} {request.uri} SIP/2.0", request.headers, fields, body)
        before = len(self.wire.sent)
        self.bob.endpoint.receive(self.wire.now, PEER, data)
        answers = []
        while True:
            while (transmit := self.bob.endpoint.poll_transmit()) is not None:
                assert transmit.data.startswith((b"SIP/2.0 ", b"BYE ", b"NOTIFY "))
                if branch.encode() in transmit.data and transmit.data.startswith(b"SIP/2.0 "):
                    answers.append(transmit.data)
            event = self.bob.endpoint.poll_event()
            if event is None:
                break
            self._react(event)
            self.bob.events.append(event)
        assert len(self.wire.sent) == before
        return answers


@pytest.mark.parametrize(("method", "fields", "body"), WITHIN, ids=[method for method, *_ in WITHIN])
def test_broken_request_of_the_peer_gets_one_answer_and_the_call_one_end(
    method: str, fields: dict[str, str], body: bytes
) -> None:
    callee = Callee()
    for name, wrong, content in sample(broken(fields, body), EVERY):
        answers = callee.ask(method, wrong, content)
        finals = [data for data in answers if not data.startswith(NO_FINAL)]
        # A line end may have cut the head short of all that could be answered; a REFER is decided upon later.
        assert len(finals) <= 1, f"{method}.{name}"
        is_accepted = method == "INVITE" and finals and finals[0].startswith(b"SIP/2.0 200 ")
        if is_accepted or callee.theirs not in callee.bob.endpoint._core.usages:
            callee.wire.run(70)  # without an ACK, or after its BYE, the call ends
            assert (callee.bob.endpoint.calls, callee.bob.endpoint.transactions) == (0, 0), f"{method}.{name}"
            assert callee.bob.endpoint.next_timeout() is None, f"{method}.{name}"
            assert sum(isinstance(event, Ended) for event in callee.bob.events) == 1, f"{method}.{name}"
            callee.renew()
    callee.wire.run(4000)
    callee.bob.drain()
    if callee.theirs in callee.bob.endpoint._core.usages:
        callee.bob.do("bye", callee.theirs)
        callee.wire.run(70)
    assert (callee.bob.endpoint.calls, callee.bob.endpoint.transactions) == (0, 0)


INITIAL = {
    "Contact": "<sip:alice@192.0.2.1>", "Record-Route": "<sip:192.0.2.9;lr>", "Supported": "100rel, timer, replaces",
    "Require": "100rel", "Session-Expires": "1800;refresher=uac", "Min-SE": "90", "Allow": "INVITE, UPDATE, PRACK",
    "Replaces": "x;to-tag=1;from-tag=2", "Referred-By": "<sip:dave@192.0.2.4>", "Content-Type": "application/sdp",
    "Accept": "application/sdp", "Expires": "60", "Diversion": "<sip:d@x.example>;reason=busy",
    "History-Info": "<sip:d@x.example>;index=1", "P-Asserted-Identity": "<sip:d@x.example>",
}  # fmt: skip


@pytest.mark.parametrize("early", [False, True], ids=["answered", "early_media"])
def test_broken_invite_that_is_taken_can_be_answered_and_ends_once(early: bool) -> None:
    plain = INITIAL | {"Supported": "timer", "Require": "timer"}
    taken = 0
    for name, wrong, content in sample(broken(INITIAL if early else plain, OFFER), EVERY):
        if "Replaces" not in name:
            wrong = {key: value for key, value in wrong.items() if key != "Replaces"}
        wire = Wire()
        bob = Party(wire, "192.0.2.2")
        head = [
            ("Via", "SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKmutant"), ("From", "<sip:alice@192.0.2.1>;tag=a"),
            ("To", "<sip:bob@192.0.2.2>"), ("Call-ID", "mutant"), ("CSeq", "1 INVITE"), ("Max-Forwards", "70"),
        ]  # fmt: skip
        bob.endpoint.receive(wire.now, PEER, write("INVITE sip:bob@192.0.2.2 SIP/2.0", Headers(head), wrong, content))
        drain(bob)
        if not bob.events:
            assert (bob.endpoint.calls, bob.endpoint.next_timeout() is None) == (0, bob.endpoint.transactions == 0), (
                name
            )
            continue
        taken += 1
        handle = bob.events[0].handle
        late = bob.events[0].offer is None  # type: ignore[union-attr]
        bob.endpoint.ring(wire.now, handle, ANSWER if early and not late else None)
        drain(bob)
        bob.endpoint.answer(wire.now, handle, ANSWER)
        drain(bob)
        assert_ends_once(bob, handle, name)
    assert taken > 500 / EVERY


_COPIED = ("Via", "From", "To", "Call-ID", "CSeq")

ANSWERED_WITH: list[tuple[int, dict[str, str], bytes]] = [
    (183, {"Require": "100rel", "RSeq": "1", "Contact": "<sip:bob@192.0.2.2>", "Record-Route": "<sip:192.0.2.9;lr>",
           "To": "<sip:bob@192.0.2.2>;tag=b", "Content-Type": "application/sdp"}, ANSWER),
    (200, {"Contact": "<sip:bob@192.0.2.2>", "Record-Route": "<sip:192.0.2.9;lr>", "To": "<sip:bob@192.0.2.2>;tag=b",
           "Session-Expires": "1800;refresher=uas", "Require": "timer", "Supported": "timer", "Allow": "UPDATE, INVITE",
           "Content-Type": "application/sdp", "From": "<sip:alice@192.0.2.1>;tag=x", "CSeq": "1 INVITE",
           "Call-ID": "x"}, ANSWER),
    (302, {"Contact": "<sip:carol@192.0.2.3>;q=0.7", "Diversion": "<sip:bob@192.0.2.2>;reason=unconditional"}, b""),
    (401, {"WWW-Authenticate": 'Digest realm="r",nonce="n",qop="auth",algorithm=MD5,stale=FALSE,opaque="o"'}, b""),
    (407, {"Proxy-Authenticate": 'Digest realm="r",nonce="n",qop="auth",algorithm=SHA-256'}, b""),
    (420, {"Unsupported": "timer"}, b""),
    (422, {"Min-SE": "3600"}, b""),
    (491, {"Retry-After": "1"}, b""),
    (503, {"Retry-After": "3 (in a moment);duration=60", "Warning": '399 x "y"', "Reason": "SIP;cause=503"}, b""),
]  # fmt: skip
"""Responses to an INVITE of ours, with the headers that are made wrong one by one."""


@pytest.mark.parametrize(("status", "fields", "body"), ANSWERED_WITH, ids=[f"{status}" for status, *_ in ANSWERED_WITH])
def test_broken_response_to_our_invite_ends_the_call_once(status: int, fields: dict[str, str], body: bytes) -> None:
    for name, wrong, content in sample(broken(fields, body), EVERY):
        wire = Wire()
        alice = Party(wire, "192.0.2.1", credentials=[TrunkCredential("192.0.2.2", "alice", "zanzibar")])
        handle = alice.invite("192.0.2.2", may_follow=lambda uri: True)
        answer(alice, wire.sent[0].message, status, wrong, content)
        assert_ends_once(alice, handle, f"{status}.{name}")


WITHIN_ANSWERED_WITH: list[tuple[str, int, dict[str, str], bytes]] = [
    ("reoffer", 200, {"Contact": "<sip:bob@192.0.2.2>", "Session-Expires": "1800;refresher=uas", "Require": "timer",
                      "Content-Type": "application/sdp", "Allow": "UPDATE", "Supported": "timer",
                      "Record-Route": "<sip:192.0.2.9;lr>"}, ANSWER),
    ("reoffer", 422, {"Min-SE": "3600"}, b""),
    ("reoffer", 491, {"Retry-After": "1"}, b""),
    ("update", 200, {"Contact": "<sip:bob@192.0.2.2>", "Session-Expires": "1800;refresher=uas",
                     "Content-Type": "application/sdp"}, ANSWER),
    ("update", 500, {"Retry-After": "1"}, b""),
    ("refer", 202, {"Contact": "<sip:bob@192.0.2.2>", "Refer-Sub": "false", "Expires": "60", "Supported": "x"}, b""),
    ("bye", 401, {"WWW-Authenticate": 'Digest realm="r",nonce="n",qop="auth"', "Contact": "<sip:b@192.0.2.2>"}, b""),
]  # fmt: skip
"""Responses to what we ask within a call."""


@pytest.mark.parametrize(
    ("command", "status", "fields", "body"), WITHIN_ANSWERED_WITH, ids=[f"{c}-{s}" for c, s, *_ in WITHIN_ANSWERED_WITH]
)
def test_broken_response_within_a_call_ends_it_at_most_once(
    command: str, status: int, fields: dict[str, str], body: bytes
) -> None:
    for name, wrong, content in sample(broken(fields, body), EVERY):
        wire, alice, _, handle, _ = established()
        wire.parties = {alice.host: alice}
        if command in ("reoffer", "update"):
            alice.endpoint.reoffer(wire.now, handle, OFFER, "INVITE" if command == "reoffer" else "UPDATE")
        elif command == "refer":
            alice.endpoint.refer(wire.now, handle, "sip:carol@192.0.2.3")
        else:
            alice.endpoint.bye(wire.now, handle)
        alice.drain()
        answer(alice, wire.sent[-1].message, status, wrong, content)
        assert_ends_once(alice, handle, f"{command}.{status}.{name}")


def answer(party: Party, request: Request | Response, status: int, fields: dict[str, str], body: bytes) -> None:
    """Give the party a response to its request, made by hand."""
    plain = Headers([(name, value) for name, value in request.headers if name in _COPIED])
    data = write(f"SIP/2.0 {status} x", plain, fields, body)
    party.endpoint.receive(party.wire.now, Source("UDP", "192.0.2.2", 5060), data)
    drain(party)


def assert_ends_once(party: Party, handle: str, name: str) -> None:
    """Hang up if need be; then nobody answers any more, and only timers go on."""
    if not {"Failed", "Ended"} & set(party.names()):
        party.endpoint.bye(party.wire.now, handle)  # or CANCEL, when it does not stand yet
        drain(party)
    for _ in range(400):
        at = party.endpoint.next_timeout()
        if at is None:
            break
        party.wire.now = at
        party.endpoint.handle_timeout(at)
        drain(party)
    assert party.endpoint.next_timeout() is None, name
    assert (party.endpoint.calls, party.endpoint.transactions) == (0, 0), name
    told = [event for event in party.names() if not event.startswith("Refer")]
    assert sum(event in ("Failed", "Ended") for event in told) == 1, f"{name}: {told}"
    assert told[-1] in ("Failed", "Ended"), f"{name}: {told}"


def drain(party: Party) -> None:
    """Take what it sends and tells; look-ups find nothing."""
    while True:
        while party.endpoint.poll_transmit() is not None:
            pass
        if (hop := party.endpoint.poll_lookup()) is not None:
            party.endpoint.located(party.wire.now, hop, [])
            continue
        event = party.endpoint.poll_event()
        if event is None:
            return
        party.events.append(event)
