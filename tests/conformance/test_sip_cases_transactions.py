"""Races, losses and abuse of SIP transactions: the status of each case, one end for each call, and empty tables.

Who may say what is asked of a node that is shut to strangers (`strangers.py`); the rest of two open endpoints.
"""

import pytest
from tests.unit.sip.proxies import Proxy, ladder, rungs
from tests.unit.sip.sip_pair import ANSWER, OFFER, Party, Wire, answers_at_once, established, pair
from tests.unit.sip.strangers import DOMAIN, Phone, guarded, request_text, responses

from longline.sip.access.auth import TrunkCredential
from longline.sip.dialog import Dialog
from longline.sip.events import Answered, Canceled, Ended, Failed, IncomingCall
from longline.sip.syntax.build import response_to
from longline.sip.syntax.message import Request, Response, parse
from longline.sip.wire import Source


def assert_nothing_is_left(wire: Wire, *parties: Party) -> None:
    """Every table is empty and no timer waits, at the latest when the longest timer is over."""
    wire.run(70)
    for party in parties:
        assert (party.endpoint.calls, party.endpoint.transactions) == (0, 0)
        assert party.endpoint.next_timeout() is None
        assert "sip.internal_errors" not in party.endpoint.counters


def ends_once(party: Party) -> bool:
    """Each call of the party has one end, and it is the last thing that is told of it."""
    by_handle: dict[str, list[str]] = {}
    for event in party.events:
        by_handle.setdefault(event.handle, []).append(type(event).__name__)
    last = {"Ended", "Failed", "Canceled"}
    return all(sum(n in last for n in names) == 1 and names[-1] in last for names in by_handle.values())


# ---- storms and losses


def test_storm_of_one_invite_makes_one_call_and_one_transaction() -> None:
    wire, alice, bob = pair()
    alice.invite("192.0.2.2")
    invite = wire.sent[0].transmit.data
    source = Source("UDP", "192.0.2.1", 5060)
    for _ in range(10_000):
        bob.endpoint.receive(wire.now, source, invite)
        while bob.endpoint.poll_transmit() is not None:
            pass
    bob.drain()
    assert bob.names() == ["IncomingCall"]
    assert (bob.endpoint.calls, bob.endpoint.transactions) == (1, 1)
    bob.do("reject", bob.events[0].handle, 486)
    assert_nothing_is_left(wire, alice, bob)


def test_storm_of_invites_fills_the_table_and_no_more_and_the_next_is_told_503() -> None:
    wire = Wire()
    bob = Party(wire, "192.0.2.2", max_transactions=100)
    source = Source("UDP", "198.51.100.9", 5060)
    statuses = [[r.status for r in responses(wire.inject(bob, request_text(), source))] for _ in range(1000)]
    assert statuses == [[100]] * 100 + [[503]] * 900
    assert bob.endpoint.transactions == 100
    for event in list(bob.events):
        bob.do("reject", event.handle, 486)
    assert_nothing_is_left(wire, bob)


def test_ack_lost_six_times_is_sent_again_and_the_call_lives() -> None:
    wire, alice, bob = pair()
    lost: list[object] = []

    def lose_six(sent: object) -> bool:
        if sent.word != "ACK" or len(lost) == 6:  # type: ignore[attr-defined]
            return False
        lost.append(sent)
        return True

    wire.drop = lose_six
    answers_at_once(bob)
    handle = alice.invite("192.0.2.2")
    wire.run(31)
    assert len(lost) == 6
    assert wire.words(alice).count("ACK") == 7 == wire.words(bob).count("200 INVITE")
    assert bob.names() == ["IncomingCall", "Acked"]
    alice.do("bye", handle)
    assert_nothing_is_left(wire, alice, bob)
    assert ends_once(alice) and ends_once(bob)


def test_ack_that_never_comes_ends_the_call_after_64_t1() -> None:
    wire, alice, bob = pair()
    wire.drop = lambda sent: sent.word == "ACK"
    answers_at_once(bob)
    alice.invite("192.0.2.2")
    assert_nothing_is_left(wire, alice, bob)
    assert bob.last(Ended).cause == "no_ack"
    assert alice.last(Ended).by == "remote"
    assert ends_once(alice) and ends_once(bob)


def test_ack_of_a_refusal_that_never_comes_is_given_up_after_64_t1() -> None:
    wire, alice, bob = pair()
    wire.drop = lambda sent: sent.word == "ACK"
    alice.invite("192.0.2.2")
    wire.run(0.1)
    bob.do("reject", bob.events[0].handle, 486)
    wire.run(33)
    assert wire.words(bob).count("486 INVITE") == 11  # RFC 3261 §17.2.1: timer G up to T2, until timer H
    assert_nothing_is_left(wire, alice, bob)


@pytest.mark.parametrize("seed", range(20))
def test_call_on_a_bad_network_begins_and_ends_once_for_both(seed: int) -> None:
    wire, alice, bob = pair(seed=seed, loss=0.3, duplication=0.3, jitter=1.5)
    answers_at_once(bob)
    handle = alice.invite("192.0.2.2")
    wire.run(20)
    if alice.names()[-1:] == ["Answered"]:
        alice.do("bye", handle)
    assert_nothing_is_left(wire, alice, bob)
    assert ends_once(alice) and ends_once(bob)
    assert len(bob.names()) == 0 or bob.names().count("IncomingCall") == 1


# ---- CANCEL at every state


@pytest.mark.parametrize(
    ("state", "does", "cancel", "last"),
    [
        ("trying", [], 200, "Canceled"),
        ("ringing", [("ring",)], 200, "Canceled"),
        ("early media", [("ring", ANSWER)], 200, "Canceled"),
        ("accepted", [("answer", ANSWER)], 200, "IncomingCall"),
        ("refused", [("reject", 486)], 200, "IncomingCall"),
    ],
)
def test_cancel_that_reaches_the_callee(state: str, does: list[tuple[object, ...]], cancel: int, last: str) -> None:
    wire, alice, bob = pair()
    alice.invite("192.0.2.2")
    wire.run(0.1)
    for name, *arguments in does:
        bob.do(str(name), bob.events[0].handle, *arguments)
    request = wire.sent[0].transmit.data.replace(b"INVITE sip", b"CANCEL sip").replace(b" INVITE\r\n", b" CANCEL\r\n")
    answers = responses(wire.inject(bob, request, Source("UDP", "192.0.2.1", 5060)))
    assert [(a.status, a.cseq[1]) for a in answers] == [(cancel, "CANCEL")] + [(487, "INVITE")] * (last == "Canceled")
    assert bob.names()[-1] == last, state


def test_cancel_of_nothing_gets_481() -> None:
    wire = Wire()
    bob = Party(wire, "192.0.2.2")
    (answer,) = responses(wire.inject(bob, request_text("CANCEL"), Source("UDP", "198.51.100.9", 5060)))
    assert answer.status == 481
    assert_nothing_is_left(wire, bob)


@pytest.mark.parametrize("answer", ["answer", "reject", "ring", None])
@pytest.mark.parametrize("after", [0.0, 0.01, 0.05, 0.09, 0.1, 0.11, 0.15, 0.19, 0.2, 0.21, 0.3, 0.35])
def test_cancel_that_crosses_whatever_the_callee_says_ends_both(answer: str | None, after: float) -> None:
    """The callee speaks 0.1 s after the INVITE came; the caller gives up before, meanwhile or after. 0.1 s each way."""
    wire, alice, bob = pair(delay=0.1)
    handle = alice.invite("192.0.2.2")
    speaks_at, gives_up_at = 0.2, after
    for at, who in sorted([(speaks_at, "bob"), (gives_up_at, "alice")]):
        wire.run(max(0.0, 1000 + at - wire.now))
        if who == "alice":
            alice.do("cancel", handle)
        elif bob.events and not any(isinstance(event, Canceled) for event in bob.events):
            arguments = {"answer": [ANSWER], "reject": [486]}.get(answer or "", [])
            if answer:
                bob.do(answer, bob.events[0].handle, *arguments)
    assert_nothing_is_left(wire, alice, bob)
    assert ends_once(alice)
    assert alice.names()[-1] in ("Failed", "Ended")
    if answer != "reject":
        assert ends_once(bob)


def test_cancel_of_an_invite_whose_challenge_is_being_answered_ends_it() -> None:
    wire = Wire(delay=0.1)
    alice = Party(wire, "192.0.2.1", credentials=[TrunkCredential("192.0.2.111", "alice", "zanzibar")])
    bob = Party(wire, "192.0.2.2")
    Proxy(wire, "192.0.2.111", realm="r", users={"alice": "zanzibar"}, locations={".*": ["sip:bob@192.0.2.2"]})
    handle = alice.invite("192.0.2.111")
    wire.run(0.15)  # the 407 is on its way
    alice.do("cancel", handle)
    assert_nothing_is_left(wire, alice, bob)
    assert alice.names() == ["Failed"]
    assert alice.last(Failed).cause == "canceled"


# ---- BYE


@pytest.mark.parametrize("what", ["Call-ID", "From", "To"])
def test_bye_with_a_wrong_tag_or_call_id_gets_481_and_the_call_lives(what: str) -> None:
    wire, alice, bob, ours, theirs = established()
    bye = alice.endpoint.dialog(ours).request("BYE")
    bye.headers.push("Via", "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKguess")
    bye.headers.set(what, "guess" if what == "Call-ID" else f"<sip:{what}@192.0.2.1>;tag=guess")
    (answer,) = responses(wire.inject(bob, bye.encode(), Source("UDP", "192.0.2.1", 5060)))
    assert answer.status == 481
    assert bob.names() == ["IncomingCall", "Acked"]
    bob.do("bye", theirs)
    assert_nothing_is_left(wire, alice, bob)


def test_byes_that_cross_end_the_call_once_for_each() -> None:
    wire, alice, bob, ours, theirs = established(delay=0.1)
    alice.do("bye", ours)
    bob.do("bye", theirs)
    assert_nothing_is_left(wire, alice, bob)
    assert (alice.last(Ended).by, bob.last(Ended).by) == ("local", "local")
    assert ends_once(alice) and ends_once(bob)


def test_bye_that_nobody_answers_is_given_up_after_64_t1() -> None:
    wire, alice, _, ours, _ = established()
    wire.drop = lambda sent: True
    alice.do("bye", ours)
    wire.run(31.9)
    assert alice.endpoint.calls == 1
    wire.run(0.2)
    assert (alice.endpoint.calls, alice.endpoint.transactions) == (0, 0)


def in_dialog(dialog: Dialog, method: str, number: int, body: bytes = b"") -> bytes:
    request = dialog.request(method, body=body)
    request.headers.push("Via", f"SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK{method}{number}")
    request.headers.add("Contact", "<sip:alice@192.0.2.1>")
    return request.encode()


def test_bye_during_a_reinvite_ends_both() -> None:
    wire, alice, bob, ours, _ = established()
    bob.react = lambda event: None
    source = Source("UDP", "192.0.2.1", 5060)
    wire.inject(bob, in_dialog(alice.endpoint.dialog(ours), "INVITE", 1, OFFER), source)
    answers = responses(wire.inject(bob, in_dialog(alice.endpoint.dialog(ours), "BYE", 2), source))
    assert sorted((a.status, a.cseq[1]) for a in answers) == [(200, "BYE"), (487, "INVITE")]
    assert isinstance(bob.events[-1], Ended)
    wire.run(70)
    assert (bob.endpoint.calls, bob.endpoint.transactions) == (0, 0)


def test_bye_from_another_address_is_not_answered_and_the_call_lives() -> None:
    wire, node = guarded()
    answers_at_once(node, ANSWER)
    wire.inject(node, request_text(), Source("UDP", "192.0.2.1", 5060))
    (call,) = node.events
    dialog = node.endpoint.dialog(call.handle)
    bye = Request("BYE", "sip:service@here.example", dialog.request("BYE").headers)
    bye.headers.set("From", f"<sip:alice@{DOMAIN}>;tag={dialog.remote_tag}")
    bye.headers.set("To", f"<sip:service@{DOMAIN}>;tag={dialog.local_tag}")
    bye.headers.set("CSeq", "99 BYE")
    bye.headers.push("Via", "SIP/2.0/UDP 203.0.113.66;branch=z9hG4bKspoof")
    assert wire.inject(node, bye.encode(), Source("UDP", "203.0.113.66", 5060)) == []
    assert not any(isinstance(event, Ended) for event in node.events)
    (answer,) = responses(wire.inject(node, bye.encode(), Source("UDP", "192.0.2.1", 5060)))
    assert answer.status == 200


# ---- forks


def test_second_2xx_of_a_forked_invite_is_acknowledged_and_ended() -> None:
    """RFC 3261 §13.2.2.4. Both phones answer before the proxy's CANCEL can reach either."""
    wire = Wire(delay=0.02)
    alice, bob, carol = (Party(wire, f"192.0.2.{n}") for n in (1, 2, 3))
    proxy = Proxy(wire, "192.0.2.111", locations={".*": ["sip:bob@192.0.2.2", "sip:carol@192.0.2.3"]})
    alice.invite("192.0.2.111")
    wire.run(0.1)
    before = len(wire.sent)
    bob.do("answer", bob.events[0].handle, ANSWER)
    carol.do("answer", carol.events[0].handle, ANSWER)
    wire.run(1)
    said = ladder(wire, alice=alice, bob=bob, carol=carol, proxy=proxy)[before:]
    assert [rung for rung in said if rung.startswith("alice")] == rungs("""
        alice ACK proxy
        alice ACK proxy
        alice BYE proxy
    """)
    assert [rung for rung in said if "ACK" in rung and rung.startswith("proxy")] == ["proxy ACK bob", "proxy ACK carol"]
    assert alice.names() == ["Answered"]
    assert isinstance(carol.events[-1], Ended)
    assert "Ended" not in bob.names()
    alice.do("bye", alice.last(Answered).handle)
    assert_nothing_is_left(wire, alice, bob, carol)


def test_refusals_of_a_forked_invite_are_one_refusal() -> None:
    wire = Wire()
    alice, bob, carol = (Party(wire, f"192.0.2.{n}") for n in (1, 2, 3))
    Proxy(wire, "192.0.2.111", locations={".*": ["sip:bob@192.0.2.2", "sip:carol@192.0.2.3"]})
    handle = alice.invite("192.0.2.111")
    wire.run(0.1)
    bob.do("reject", bob.events[0].handle, 486)
    wire.run(0.1)
    assert alice.events == []
    carol.do("reject", carol.events[0].handle, 603)
    wire.run(0.1)
    assert alice.events == [Failed(handle, 603, "Decline", "rejected")]
    assert_nothing_is_left(wire, alice, bob, carol)


# ---- digests


def test_stale_nonce_is_told_as_stale_and_the_same_password_is_good_with_a_fresh_one() -> None:
    wire, node = guarded()
    alice = Phone(wire, node, "alice")
    first = alice.send("INVITE", f"sip:service@{DOMAIN}")
    assert isinstance(first, Response)
    challenge = first.headers.get_all("WWW-Authenticate")[-1]
    wire.run(3600)
    late = alice.send("INVITE", f"sip:service@{DOMAIN}", challenge=challenge)
    assert isinstance(late, Response)
    assert late.status == 401
    assert "stale=true" in str(late.headers.get("WWW-Authenticate")).lower()
    assert node.events == []
    alice.send("INVITE", f"sip:service@{DOMAIN}", challenge=late.headers.get_all("WWW-Authenticate")[-1])
    assert [type(event) for event in node.events] == [IncomingCall]


def test_nonce_count_that_was_used_is_refused() -> None:
    wire, node = guarded()
    alice = Phone(wire, node, "alice")
    alice.ask("INVITE")
    replayed = alice.send("INVITE", f"sip:service@{DOMAIN}", extra=alice.digest)
    assert isinstance(replayed, Response) and replayed.status == 401
    assert node.endpoint.counters["sip.replayed_credentials"] == 1
    assert len(node.events) == 1


def test_challenge_without_end_is_answered_so_often_and_then_the_call_fails() -> None:
    """A proxy that never believes us; each time it says that our nonce was stale."""
    wire = Wire()
    alice = Party(wire, "192.0.2.1", credentials=[TrunkCredential("192.0.2.111", "alice", "zanzibar")])
    alice.invite("192.0.2.111")
    for number in range(20):
        invite = parse([s for s in wire.sent if s.word == "INVITE"][-1].transmit.data)
        assert isinstance(invite, Request)
        challenge = f'Digest realm="r",nonce="n{number}",stale=true,qop="auth"'
        refusal = response_to(invite, 407, to_tag="t", headers=[("Proxy-Authenticate", challenge)])
        wire.inject(alice, refusal.encode(), Source("UDP", "192.0.2.111", 5060))
    assert wire.words(alice).count("INVITE") == 4
    assert alice.names() == ["Failed"]
    assert alice.last(Failed).cause == "unauthorized"
    assert_nothing_is_left(wire, alice)


# ---- loops


def test_call_that_comes_back_to_us_is_a_call_like_any_other() -> None:
    """Out through a proxy and in again (RFC 3261 §16.3 calls it a spiral): two calls, with one Call-ID."""
    wire = Wire()
    alice = Party(wire, "192.0.2.1")
    Proxy(wire, "192.0.2.111", locations={".*": ["sip:service@192.0.2.1"]})
    answers_at_once(alice)
    handle = alice.invite("192.0.2.111")
    wire.run(1)
    call = alice.last(IncomingCall)
    assert call.handle != handle and alice.names().count("Answered") == alice.names().count("Acked") == 1
    assert alice.endpoint.calls == 2
    alice.do("bye", handle)
    assert_nothing_is_left(wire, alice)
    assert ends_once(alice)


def test_call_that_comes_back_for_ever_ends_where_max_forwards_does() -> None:
    """A proxy sends a call to itself: with Max-Forwards 0 it says 483, and we pass that on."""
    wire = Wire()
    alice = Party(wire, "192.0.2.1")
    proxy = Proxy(wire, "192.0.2.111", locations={".*": ["sip:bob@192.0.2.111"]}, record_route=False)
    handle = alice.invite("192.0.2.111")
    wire.run(10)
    assert alice.last(Failed) == Failed(handle, 483, "Too Many Hops", "rejected")
    assert sum(s.word == "INVITE" and s.sender == proxy.host for s in wire.sent) == 70
    assert_nothing_is_left(wire, alice)
