"""The ladders of RFC 3665 §3: basic calls, directly and through proxies, that succeed and that fail.

Each test shows its ladder, message for message. It differs from the RFC's in that ours says 100 Trying wherever it may.
"""

import re

import pytest
from tests.unit.sip.proxies import Proxy, ladder, rungs
from tests.unit.sip.sip_pair import ANSWER, OFFER, Party, Wire, answers_at_once

from longline.sip.access.auth import TrunkCredential
from longline.sip.events import Answered, Canceled, Ended, Failed, IncomingCall, Reoffer
from longline.sip.syntax.message import Request, Response
from longline.sip.uac import Invitation

ALICE, BOB = "192.0.2.1", "192.0.2.2"
PROXY_1, PROXY_2 = "192.0.2.111", "192.0.2.222"


def credential(host: str, realm: str) -> TrunkCredential:
    return TrunkCredential(host=host, username="alice", password="zanzibar", realm=realm)


def assert_nothing_is_left(wire: Wire, *parties: Party) -> None:
    wire.run(70)
    for party in parties:
        assert (party.endpoint.calls, party.endpoint.transactions) == (0, 0)
        assert party.endpoint.next_timeout() is None


def two_proxies(**first: object) -> tuple[Wire, Party, Party, Proxy, Proxy]:
    """Alice, Bob, and a proxy before each of them; Alice knows the password that the first asks for."""
    wire = Wire()
    credentials = [credential(PROXY_1, "atlanta.example.com"), credential(PROXY_1, "biloxi.example.com")]
    alice, bob = Party(wire, ALICE, credentials=credentials), Party(wire, BOB)
    proxy1 = Proxy(wire, PROXY_1, **({"locations": {".*biloxi.*": [f"sip:bob@{PROXY_2}"]}} | first))  # type: ignore[arg-type]
    proxy2 = Proxy(wire, PROXY_2, locations={f"sip:bob@{PROXY_2}": [f"sip:bob@{BOB}"]})
    return wire, alice, bob, proxy1, proxy2


def call_biloxi(alice: Party, route: str = f"sip:{PROXY_1};lr", **more: object) -> str:
    invitation = Invitation("sip:bob@biloxi.example.com", f"sip:alice@{ALICE}", route=route, **({"sdp": OFFER} | more))  # type: ignore[arg-type]
    handle = alice.endpoint.invite(alice.wire.now, invitation)
    alice.drain()
    return handle


def test_3_1_successful_session_establishment() -> None:
    wire = Wire()
    alice, bob = Party(wire, ALICE), Party(wire, BOB)
    alice.invite(BOB)
    wire.run(0.1)
    theirs = bob.last(IncomingCall).handle
    bob.do("ring", theirs)
    wire.run(0.1)
    bob.do("answer", theirs, ANSWER)
    wire.run(1)
    bob.do("bye", theirs)
    wire.run(1)
    assert ladder(wire, alice=alice, bob=bob) == rungs("""
        alice INVITE bob
        bob 100 INVITE alice
        bob 180 INVITE alice
        bob 200 INVITE alice
        alice ACK bob
        bob BYE alice
        alice 200 BYE bob
    """)
    assert alice.last(Answered).sdp == ANSWER
    assert (bob.last(Ended).by, alice.last(Ended).by) == ("local", "remote")
    assert_nothing_is_left(wire, alice, bob)


def test_3_2_session_establishment_through_two_proxies() -> None:
    wire, alice, bob, proxy1, proxy2 = two_proxies(realm="atlanta.example.com", users={"alice": "zanzibar"})
    call_biloxi(alice)
    wire.run(0.5)
    theirs = bob.last(IncomingCall).handle
    bob.do("ring", theirs)
    wire.run(0.5)
    bob.do("answer", theirs, ANSWER)
    wire.run(1)
    bob.do("bye", theirs)
    wire.run(1)
    assert ladder(wire, alice=alice, bob=bob, proxy1=proxy1, proxy2=proxy2) == rungs("""
        alice INVITE proxy1
        proxy1 407 INVITE alice
        alice ACK proxy1
        alice INVITE proxy1
        proxy1 100 INVITE alice
        proxy1 INVITE proxy2
        proxy2 100 INVITE proxy1
        proxy2 INVITE bob
        bob 100 INVITE proxy2
        bob 180 INVITE proxy2
        proxy2 180 INVITE proxy1
        proxy1 180 INVITE alice
        bob 200 INVITE proxy2
        proxy2 200 INVITE proxy1
        proxy1 200 INVITE alice
        alice ACK proxy1
        proxy1 ACK proxy2
        proxy2 ACK bob
        bob BYE proxy2
        proxy2 BYE proxy1
        proxy1 BYE alice
        alice 200 BYE proxy1
        proxy1 200 BYE proxy2
        proxy2 200 BYE bob
    """)
    refused, accepted = (s.message for s in wire.sent if s.word == "INVITE" and s.sender == ALICE)
    assert isinstance(refused, Request) and isinstance(accepted, Request)
    assert accepted.cseq[0] == refused.cseq[0] + 1
    assert accepted.call_id == refused.call_id and accepted.from_ == refused.from_
    assert accepted.top_via.branch != refused.top_via.branch
    assert alice.names() == ["Progress", "Answered", "Ended"]
    assert_nothing_is_left(wire, alice, bob)


def test_3_3_session_with_multiple_proxy_authentication() -> None:
    wire, alice, bob, proxy1, _ = two_proxies(realm="atlanta.example.com", users={"alice": "zanzibar"})
    proxy2 = Proxy(
        wire, PROXY_2, locations={f"sip:bob@{PROXY_2}": [f"sip:bob@{BOB}"]},
        realm="biloxi.example.com", users={"alice": "zanzibar"},
    )  # fmt: skip
    answers_at_once(bob)
    handle = call_biloxi(alice)
    wire.run(2)
    alice.do("bye", handle)
    wire.run(1)
    assert ladder(wire, alice=alice, bob=bob, proxy1=proxy1, proxy2=proxy2) == rungs("""
        alice INVITE proxy1
        proxy1 407 INVITE alice
        alice ACK proxy1
        alice INVITE proxy1
        proxy1 100 INVITE alice
        proxy1 INVITE proxy2
        proxy2 407 INVITE proxy1
        proxy1 ACK proxy2
        proxy1 407 INVITE alice
        alice ACK proxy1
        alice INVITE proxy1
        proxy1 100 INVITE alice
        proxy1 INVITE proxy2
        proxy2 100 INVITE proxy1
        proxy2 INVITE bob
        bob 100 INVITE proxy2
        bob 180 INVITE proxy2
        bob 200 INVITE proxy2
        proxy2 180 INVITE proxy1
        proxy2 200 INVITE proxy1
        proxy1 180 INVITE alice
        proxy1 200 INVITE alice
        alice ACK proxy1
        proxy1 ACK proxy2
        proxy2 ACK bob
        alice BYE proxy1
        proxy1 BYE proxy2
        proxy2 BYE bob
        bob 200 BYE proxy2
        proxy2 200 BYE proxy1
        proxy1 200 BYE alice
    """)
    last = [s.message for s in wire.sent if s.word == "INVITE" and s.sender == ALICE][-1]
    credentials = last.headers.get_all("Proxy-Authorization")
    assert [re.findall('realm="([^"]*)"', value) for value in credentials] == [
        ["atlanta.example.com"],
        ["biloxi.example.com"],
    ]
    assert_nothing_is_left(wire, alice, bob)


def test_3_4_successful_session_with_proxy_failure() -> None:
    """Proxy 1 does not answer; the next address of the same name does."""
    wire, alice, bob, proxy1, _ = two_proxies()
    wire.names = {"proxy.example": [PROXY_1, PROXY_2]}
    proxy2 = Proxy(wire, PROXY_2, name="proxy.example", locations={".*": [f"sip:bob@{BOB}"]})
    wire.drop = lambda sent: sent.transmit.target.host == PROXY_1
    answers_at_once(bob)
    handle = call_biloxi(alice, route="sip:proxy.example;lr")
    wire.run(40)
    assert "Failed" not in alice.names()
    alice.do("bye", handle)
    wire.run(1)
    names = {"alice": alice, "bob": bob, "proxy1": proxy1, "proxy2": proxy2}
    assert ladder(wire, **names) == ["alice INVITE proxy1"] * 4 + rungs("""
        alice INVITE proxy2
        proxy2 100 INVITE alice
        proxy2 INVITE bob
        bob 100 INVITE proxy2
        bob 180 INVITE proxy2
        bob 200 INVITE proxy2
        proxy2 180 INVITE alice
        proxy2 200 INVITE alice
        alice ACK proxy2
        proxy2 ACK bob
        alice BYE proxy2
        proxy2 BYE bob
        bob 200 BYE proxy2
        proxy2 200 BYE alice
    """)
    assert_nothing_is_left(wire, alice, bob)


def test_3_5_session_through_a_sip_alg() -> None:
    """A gateway at the border writes its own addresses into Contact and session description."""
    wire = Wire()
    alice, bob = Party(wire, ALICE), Party(wire, BOB)
    alg_media = OFFER.replace(b"192.0.2.1", b"192.0.2.128").replace(b"4000", b"2000")

    def hide_alice(message: Request | Response) -> None:
        if isinstance(message, Request) and message.body == OFFER:
            message.body = alg_media

    alg = Proxy(wire, "192.0.2.128", locations={".*biloxi.*": [f"sip:bob@{BOB}"]}, rewrite=hide_alice)
    answers_at_once(bob)
    handle = call_biloxi(alice, route="sip:192.0.2.128;lr")
    wire.run(1)
    alice.do("bye", handle)
    wire.run(1)
    assert bob.last(IncomingCall).offer == alg_media
    assert ladder(wire, alice=alice, bob=bob, alg=alg) == rungs("""
        alice INVITE alg
        alg 100 INVITE alice
        alg INVITE bob
        bob 100 INVITE alg
        bob 180 INVITE alg
        bob 200 INVITE alg
        alg 180 INVITE alice
        alg 200 INVITE alice
        alice ACK alg
        alg ACK bob
        alice BYE alg
        alg BYE bob
        bob 200 BYE alg
        alg 200 BYE alice
    """)
    assert_nothing_is_left(wire, alice, bob)


def test_3_8_unsuccessful_no_answer() -> None:
    """Alice gives up while it rings."""
    wire, alice, bob, proxy1, proxy2 = two_proxies()
    handle = call_biloxi(alice)
    wire.run(0.5)
    bob.do("ring", bob.last(IncomingCall).handle)
    wire.run(0.5)
    before = len(wire.sent)
    alice.do("cancel", handle)
    wire.run(1)
    names = {"alice": alice, "bob": bob, "proxy1": proxy1, "proxy2": proxy2}
    assert ladder(wire, **names)[before:] == rungs("""
        alice CANCEL proxy1
        proxy1 200 CANCEL alice
        proxy1 CANCEL proxy2
        proxy2 200 CANCEL proxy1
        proxy2 CANCEL bob
        bob 200 CANCEL proxy2
        bob 487 INVITE proxy2
        proxy2 ACK bob
        proxy2 487 INVITE proxy1
        proxy1 ACK proxy2
        proxy1 487 INVITE alice
        alice ACK proxy1
    """)
    assert alice.last(Failed) == Failed(handle, 487, "Request Terminated", "canceled")
    assert [type(event) for event in bob.events] == [IncomingCall, Canceled]
    assert_nothing_is_left(wire, alice, bob)


@pytest.mark.parametrize(("section", "status"), [("3.9", 486), ("3.11", 480)])
def test_3_9_and_3_11_unsuccessful_busy_or_temporarily_unavailable(section: str, status: int) -> None:
    wire, alice, bob, proxy1, proxy2 = two_proxies()
    handle = call_biloxi(alice)
    wire.run(0.5)
    theirs = bob.last(IncomingCall).handle
    if section == "3.11":
        bob.do("ring", theirs)
        wire.run(0.5)
    before = len(wire.sent)
    bob.do("reject", theirs, status)
    wire.run(1)
    names = {"alice": alice, "bob": bob, "proxy1": proxy1, "proxy2": proxy2}
    assert ladder(wire, **names)[before:] == rungs(f"""
        bob {status} INVITE proxy2
        proxy2 ACK bob
        proxy2 {status} INVITE proxy1
        proxy1 ACK proxy2
        proxy1 {status} INVITE alice
        alice ACK proxy1
    """)
    assert (alice.last(Failed).status, alice.last(Failed).cause) == (status, "rejected")
    assert ("Progress" in alice.names()) == (section == "3.11")
    assert alice.last(Failed).handle == handle
    assert_nothing_is_left(wire, alice, bob)


def test_3_10_unsuccessful_no_response_from_user_agent() -> None:
    """Bob's phone is off. The proxy before it gives up and says so."""
    wire, alice, bob, proxy1, proxy2 = two_proxies()
    wire.drop = lambda sent: sent.transmit.target.host == BOB
    handle = call_biloxi(alice)
    wire.run(32)
    (context,) = {id(c): c for c in proxy2._contexts.values()}.values()
    proxy2.give_up(context, 480)
    wire.run(1)
    assert ladder(wire, alice=alice, bob=bob, proxy1=proxy1, proxy2=proxy2) == rungs("""
        alice INVITE proxy1
        proxy1 100 INVITE alice
        proxy1 INVITE proxy2
        proxy2 100 INVITE proxy1
        proxy2 INVITE bob
        proxy2 480 INVITE proxy1
        proxy1 ACK proxy2
        proxy1 480 INVITE alice
        alice ACK proxy1
    """)
    assert alice.events == [Failed(handle, 480, "Temporarily Unavailable", "rejected")]
    assert_nothing_is_left(wire, alice, bob)


def test_3_7_session_with_reinvite_of_an_address_that_changed() -> None:
    """Bob goes on at another address, says so with a re-INVITE, and is reached there from then on."""
    wire = Wire()
    alice, bob = Party(wire, ALICE), Party(wire, BOB)
    answers_at_once(bob)
    handle = alice.invite(BOB)
    wire.run(1)
    answers_at_once(alice, OFFER)
    elsewhere = Party(wire, "192.0.2.202")
    snapshot = bob.endpoint.snapshot(wire.now, bob.last(IncomingCall).handle, 0.0)
    snapshot["dialog"]["contact"] = "sip:bob@192.0.2.202"
    moved = elsewhere.endpoint.restore(wire.now, snapshot, 0.0)
    before = len(wire.sent)
    elsewhere.do("reoffer", moved, ANSWER.replace(b"192.0.2.2", b"192.0.2.202"))
    wire.run(1)
    alice.do("bye", handle)
    wire.run(1)
    assert ladder(wire, alice=alice, elsewhere=elsewhere)[before:] == rungs("""
        elsewhere INVITE alice
        alice 100 INVITE elsewhere
        alice 200 INVITE elsewhere
        elsewhere ACK alice
        alice BYE elsewhere
        elsewhere 200 BYE alice
    """)
    assert b"c=IN IP4 192.0.2.202\r\n" in alice.last(Reoffer).offer
    bye = next(s.message for s in wire.sent if s.word == "BYE")
    assert isinstance(bye, Request) and bye.uri == "sip:bob@192.0.2.202"
    assert_nothing_is_left(wire, alice, elsewhere)


def test_3_6_session_via_redirect_and_proxy_servers_with_sdp_in_ack() -> None:
    """Alice offers nothing. She is redirected, follows, and answers Bob's offer in her ACK."""
    wire, alice, bob, _, proxy2 = two_proxies()
    redirector = Proxy(wire, "192.0.2.100", redirects=f"sip:bob@{PROXY_2}")
    answers_at_once(bob, OFFER)
    invitation = Invitation("sip:bob@192.0.2.100", f"sip:alice@{ALICE}", may_follow=lambda uri: True)
    handle = alice.endpoint.invite(wire.now, invitation)
    alice.drain()
    wire.run(0.3)
    assert alice.last(Answered).sdp == OFFER
    alice.do("answer", handle, ANSWER)
    wire.run(1)
    alice.do("bye", handle)
    wire.run(1)
    assert ladder(wire, alice=alice, bob=bob, redirector=redirector, proxy2=proxy2) == rungs("""
        alice INVITE redirector
        redirector 302 INVITE alice
        alice ACK redirector
        alice INVITE proxy2
        proxy2 100 INVITE alice
        proxy2 INVITE bob
        bob 100 INVITE proxy2
        bob 180 INVITE proxy2
        bob 200 INVITE proxy2
        proxy2 180 INVITE alice
        proxy2 200 INVITE alice
        alice ACK proxy2
        proxy2 ACK bob
        alice BYE proxy2
        proxy2 BYE bob
        bob 200 BYE proxy2
        proxy2 200 BYE alice
    """)
    (offer_less, followed) = (s.message for s in wire.sent if s.word == "INVITE" and s.sender == ALICE)
    assert offer_less.body == followed.body == b""
    assert offer_less.call_id == followed.call_id and offer_less.from_ == followed.from_
    assert next(s.message.body for s in wire.sent if s.word == "ACK" and s.sender == PROXY_2) == ANSWER
    assert bob.names() == ["IncomingCall", "Answered", "Acked", "Ended"]
    assert_nothing_is_left(wire, alice, bob)
