"""The basic flows of RFC 3665 §3 between two endpoints, on good and on bad networks."""

import pytest
from tests.unit.sip.sip_pair import ANSWER, OFFER, answers_at_once, established, pair

from longline.sip.events import Acked, Answered, Canceled, Ended, Failed, IncomingCall, Progress, Reoffer
from longline.sip.syntax.message import Response


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_call_is_set_up_and_ended_by_the_caller(transport: str) -> None:
    wire, alice, bob, handle, _ = established(transport)
    assert wire.words() == ["INVITE", "100 INVITE", "180 INVITE", "200 INVITE", "ACK"]
    alice.do("bye", handle, "done talking")
    wire.run(40)
    assert wire.words()[5:] == ["BYE", "200 BYE"]
    assert alice.names() == ["Progress", "Answered", "Ended"]
    assert bob.names() == ["IncomingCall", "Acked", "Ended"]
    assert alice.last(Answered).sdp == ANSWER
    assert bob.last(Ended) == Ended(bob.events[0].handle, "remote", 'SIP;cause=200;text="done talking"')
    assert (alice.endpoint.calls, alice.endpoint.transactions) == (0, 0)
    assert (bob.endpoint.calls, bob.endpoint.transactions) == (0, 0)


def test_call_is_ended_by_the_callee() -> None:
    wire, alice, bob, _, theirs = established()
    bob.do("bye", theirs)
    wire.run(40)
    assert alice.last(Ended).by == "remote"
    assert bob.last(Ended).by == "local"
    assert (alice.endpoint.calls, bob.endpoint.calls) == (0, 0)


def test_incoming_call_tells_who_calls_whom() -> None:
    wire, alice, bob = pair()
    alice.invite("192.0.2.2", to_uri="sip:robert@example.org", headers=[("X-Case", "7")])
    wire.run(0.1)
    call = bob.last(IncomingCall)
    assert (call.from_user, call.to_user, call.to_uri) == ("alice", "bob", "sip:bob@192.0.2.2")
    assert (call.offer, call.source, call.transport) == (OFFER, "192.0.2.1:5060", "UDP")
    assert ("X-Case", "7") in call.headers


def test_early_media_comes_with_183() -> None:
    wire, alice, bob = pair()
    alice.invite("192.0.2.2")
    wire.run(0.1)
    bob.do("ring", bob.events[0].handle, ANSWER)
    wire.run(0.1)
    progress = alice.last(Progress)
    assert (progress.status, progress.sdp) == (183, ANSWER)


@pytest.mark.parametrize("status", [403, 486, 488, 503, 603])
def test_refused_call_is_acknowledged_and_told(status: int) -> None:
    wire, alice, bob = pair()
    handle = alice.invite("192.0.2.2")
    wire.run(0.1)
    bob.do("reject", bob.events[0].handle, status, "Not Today", [("Retry-After", "9")])
    wire.run(40)
    assert wire.words() == ["INVITE", "100 INVITE", f"{status} INVITE", "ACK"]
    assert alice.events == [Failed(handle, status, "Not Today", "rejected")]
    assert wire.responses(status)[0].headers.get("Retry-After") == "9"
    assert (alice.endpoint.calls, bob.endpoint.calls) == (0, 0)
    assert (alice.endpoint.transactions, bob.endpoint.transactions) == (0, 0)


def test_caller_gives_up_while_it_rings() -> None:
    wire, alice, bob = pair()
    handle = alice.invite("192.0.2.2")
    wire.run(0.1)
    bob.do("ring", bob.events[0].handle)
    wire.run(0.1)
    alice.do("cancel", handle, "changed my mind")
    wire.run(40)
    assert wire.words() == ["INVITE", "100 INVITE", "180 INVITE", "CANCEL", "200 CANCEL", "487 INVITE", "ACK"]
    assert alice.last(Failed) == Failed(handle, 487, "Request Terminated", "canceled")
    assert bob.last(Canceled).reason == 'SIP;cause=200;text="changed my mind"'
    assert (alice.endpoint.calls, bob.endpoint.calls) == (0, 0)


def test_cancel_waits_for_a_provisional_response() -> None:
    wire, alice, _ = pair(delay=0.2)
    handle = alice.invite("192.0.2.2")
    alice.do("cancel", handle)
    wire.run(0.3)
    assert "CANCEL" not in wire.words()
    wire.run(5)
    assert wire.words(alice).count("CANCEL") == 1
    assert alice.last(Failed).cause == "canceled"


def test_cancel_that_crosses_the_200_ends_with_bye() -> None:
    wire, alice, bob = pair(delay=0.1)
    handle = alice.invite("192.0.2.2")
    wire.run(0.25)
    bob.do("answer", bob.events[0].handle, ANSWER)
    alice.do("cancel", handle)
    wire.run(70)
    assert [word for word in wire.words(alice) if word in ("ACK", "BYE")] == ["ACK", "BYE"]
    assert alice.names() == ["Failed"]
    assert alice.last(Failed).cause == "canceled"
    assert bob.names() == ["IncomingCall", "Acked", "Ended"]
    assert (alice.endpoint.calls, bob.endpoint.calls) == (0, 0)


def test_cancelled_invite_without_a_final_response_is_given_up_after_64_t1() -> None:
    wire, alice, _ = pair()
    wire.drop = lambda sent: sent.word == "487 INVITE"
    handle = alice.invite("192.0.2.2")
    wire.run(0.1)
    alice.do("cancel", handle)
    wire.run(31)
    assert alice.names() == []
    wire.run(2)
    assert alice.last(Failed).cause == "canceled"
    assert alice.endpoint.calls == 0


def test_unreachable_callee_times_out_after_64_t1() -> None:
    wire, alice, _ = pair()
    handle = alice.invite("192.0.2.77")
    wire.run(31.9)
    assert alice.events == []
    wire.run(0.2)
    assert alice.events == [Failed(handle, 408, "Request Timeout", "timeout")]
    at = [round(sent.at - 1000, 1) for sent in wire.sent]
    assert at == [0.0, 0.5, 1.5, 3.5, 7.5, 15.5, 31.5]


def test_tcp_requests_are_not_retransmitted() -> None:
    wire, alice, _ = pair()
    alice.invite("192.0.2.77", transport="tcp")
    wire.run(40)
    assert wire.words() == ["INVITE"]
    assert alice.last(Failed).cause == "timeout"


def test_late_offer_is_answered_in_the_ack() -> None:
    wire, alice, bob = pair()
    answers_at_once(bob, OFFER)
    handle = alice.invite("192.0.2.2", sdp=None)
    wire.run(1)
    assert bob.events[0].offer is None
    assert alice.last(Answered).sdp == OFFER
    assert "ACK" not in wire.words()
    alice.do("answer", handle, ANSWER)
    wire.run(1)
    assert wire.requests("ACK")[0].body == ANSWER
    assert bob.names() == ["IncomingCall", "Answered", "Acked"]
    assert bob.last(Answered).sdp == ANSWER


def test_late_offer_nobody_answers_ends_the_call() -> None:
    wire, alice, bob = pair()
    answers_at_once(bob, OFFER)
    wire.drop = lambda sent: sent.sender == bob.host and sent.word == "BYE"
    alice.invite("192.0.2.2", sdp=None)
    wire.run(70)
    assert alice.last(Ended).cause == "no_answer"
    assert (alice.endpoint.calls, bob.endpoint.calls) == (0, 0)


def test_200_is_repeated_until_the_ack_comes_and_each_is_acknowledged() -> None:
    wire, alice, bob = pair()
    answers_at_once(bob)
    lost = iter([True, True, True])
    wire.drop = lambda sent: sent.word == "ACK" and next(lost, False)
    alice.invite("192.0.2.2")
    wire.run(10)
    assert wire.words(bob).count("200 INVITE") == 4
    assert wire.words(alice).count("ACK") == 4
    assert bob.names() == ["IncomingCall", "Acked"]
    assert alice.names() == ["Progress", "Answered"]


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_call_whose_ack_never_comes_is_ended_after_64_t1(transport: str) -> None:
    wire, alice, bob = pair()
    answers_at_once(bob)
    wire.drop = lambda sent: sent.word == "ACK"
    alice.invite("192.0.2.2", transport=transport)
    wire.run(31)
    assert bob.names() == ["IncomingCall"]
    wire.run(10)
    assert bob.last(Ended) == Ended(bob.events[0].handle, "local", "no_ack")
    assert alice.last(Ended).by == "remote"


def test_bye_of_the_callee_waits_for_the_ack() -> None:
    wire, alice, bob = pair(delay=0.2)
    answers_at_once(bob)
    alice.invite("192.0.2.2")
    wire.run(0.25)
    bob.do("bye", bob.events[0].handle, "flow over")
    assert bob.names()[-1] == "Ended"
    assert "BYE" not in wire.words()
    wire.run(40)
    assert wire.words().index("ACK") < wire.words().index("BYE")
    assert wire.requests("BYE")[0].headers.get("Reason") == 'SIP;cause=200;text="flow over"'
    assert alice.last(Ended).by == "remote"
    assert (alice.endpoint.calls, bob.endpoint.calls) == (0, 0)


def test_byes_that_cross_end_the_call_once_on_both_sides() -> None:
    wire, alice, bob, ours, theirs = established(delay=0.1)
    alice.do("bye", ours)
    bob.do("bye", theirs)
    wire.run(40)
    assert alice.names().count("Ended") == bob.names().count("Ended") == 1
    assert wire.words().count("200 BYE") == 2
    assert (alice.endpoint.calls, bob.endpoint.calls) == (0, 0)


def test_ringing_is_repeated_every_minute() -> None:
    wire, alice, bob = pair()
    alice.invite("192.0.2.2")
    wire.run(0.1)
    bob.do("ring", bob.events[0].handle)
    wire.run(125)
    assert wire.words(bob).count("180 INVITE") == 3


def test_second_branch_of_a_forked_call_is_acknowledged_and_ended() -> None:
    wire, alice, _, _, _ = established()
    first = wire.responses(200)[0]
    fork = Response(200, "OK", type(first.headers)(first.headers), first.body)
    tag = first.to.tag or ""
    fork.headers.set("To", (first.headers.get("To") or "").replace(tag, "other"))
    fork.headers.set("Contact", "<sip:carol@192.0.2.3>")
    sent = wire.inject(alice, fork.encode())
    assert [s.word for s in sent] == ["ACK", "BYE"]
    assert all(s.transmit.target.host == "192.0.2.3" and s.message.to.tag == "other" for s in sent)
    again = wire.inject(alice, fork.encode())
    assert [s.word for s in again] == ["ACK"]
    wire.run(0.5)
    assert alice.names() == ["Progress", "Answered"]


@pytest.mark.parametrize("seed", range(20))
def test_calls_survive_a_bad_network(seed: int) -> None:
    wire, alice, bob = pair(seed=seed, loss=0.25, duplication=0.2, jitter=0.4)
    answers_at_once(bob)
    handle = alice.invite("192.0.2.2")
    wire.run(30)
    assert alice.names().count("Answered") == 1
    assert bob.names().count("IncomingCall") == 1
    assert bob.names().count("Acked") == 1
    alice.do("bye", handle)
    wire.run(100)
    assert alice.names().count("Ended") == bob.names().count("Ended") == 1
    assert (alice.endpoint.calls, bob.endpoint.calls) == (0, 0)
    assert (alice.endpoint.transactions, bob.endpoint.transactions) == (0, 0)


def test_reoffer_is_answered_and_told() -> None:
    wire, alice, bob, ours, _ = established()
    reinvite = alice.endpoint.dialog(ours).request("INVITE", body=OFFER)
    reinvite.headers.push("Via", "SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKreinvite")
    reinvite.headers.add("Contact", "<sip:alice@192.0.2.1:5070>")
    wire.inject(bob, reinvite.encode())
    assert bob.last(Reoffer).offer == OFFER
    assert wire.words(bob)[-2:] == ["100 INVITE", "200 INVITE"]
    assert bob.endpoint.dialog(bob.events[0].handle).remote_target == "sip:alice@192.0.2.1:5070"
    assert Acked in {type(event) for event in bob.events}
