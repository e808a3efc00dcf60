"""100rel and PRACK (RFC 3262), early media that is agreed on, and UPDATE before the answer (RFC 3311)."""

from itertools import pairwise

import pytest
from tests.unit.sip.sip_pair import ANSWER, OFFER, Party, Sent, Wire, pair
from tests.unit.sip.test_requests_that_come_in import request

from longline.base.errors import LocalProtocolError
from longline.sip.events import Answered, Ended, Failed, IncomingCall, Progress, Reanswered, Reoffer, ReofferFailed
from longline.sip.features.reliable import MAX_WAITING
from longline.sip.syntax.message import Request, Response

NEXT = OFFER.replace(b"4000", b"4400")
REQUIRED = [("Require", "100rel")]


def ringing(
    sdp: bytes | None = ANSWER, *, offer: bytes | None = OFFER, **more: object
) -> tuple[Wire, Party, Party, str, str]:
    """A call that Bob lets ring with this description; both handles."""
    wire, alice, bob = pair()
    ours = alice.invite(bob.host, sdp=offer, **more)
    wire.run(0.1)
    theirs = bob.events[0].handle
    bob.do("ring", theirs, sdp)
    wire.run(0.1)
    return wire, alice, bob, ours, theirs


def call_in(*more: str, sdp: bytes = OFFER) -> tuple[Wire, Party, str]:
    """Bob is called by a stranger of whom the test writes every message."""
    wire, _, bob = pair()
    wire.inject(bob, request("INVITE", *more, body=sdp))
    return wire, bob, bob.events[0].handle


def prack(
    wire: Wire, bob: Party, rack: str | None = None, *, body: bytes = b"", branch: str = "p1", cseq: int = 2
) -> list[Sent]:
    last = [r for r in wire.responses(183) + wire.responses(180) if "RSeq" in r.headers][-1]
    rack = rack or f"RAck: {last.headers.get('RSeq')} 1 INVITE"
    message = request(
        "PRACK", *([rack] if rack != "none" else []), body=body, cseq=f"{cseq} PRACK", to=last.headers.get("To"),
        via=f"SIP/2.0/UDP 192.0.2.99:5060;branch=z9hG4bK{branch}",
    )  # fmt: skip
    return wire.inject(bob, message)


# ---- both sides


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_early_media_is_agreed_on_with_183_and_prack(transport: str) -> None:
    wire, alice, bob, ours, theirs = ringing(transport=transport)
    assert wire.words() == ["INVITE", "100 INVITE", "183 INVITE", "PRACK", "200 PRACK"]
    (early,) = wire.responses(183)
    assert early.headers.get("Require") == "100rel"
    (acknowledged,) = wire.requests("PRACK")
    assert acknowledged.headers.get("RAck") == f"{early.headers.get('RSeq')} 1 INVITE"
    told = alice.last(Progress)
    assert (told.status, told.sdp, told.is_answer) == (183, ANSWER, True)
    bob.do("answer", theirs, ANSWER)
    wire.run(1)
    (ok,) = [r for r in wire.responses(200) if r.cseq[1] == "INVITE"]
    assert ok.body == b"", "the session is settled"
    assert alice.last(Answered).sdp == ANSWER
    for party, handle in ((alice, ours), (bob, theirs)):
        dialog = party.endpoint.dialog(handle)
        assert (dialog.open_offer, dialog.sessions) == ("", 1)
        assert {dialog.local_sdp, dialog.remote_sdp} == {OFFER, ANSWER}
    alice.do("bye", ours)
    wire.run(40)
    assert bob.names()[-1] == "Ended"
    assert alice.endpoint.transactions == bob.endpoint.transactions == 0


def test_ringing_without_media_is_not_reliable_unless_it_is_required() -> None:
    wire, *_ = ringing(None)
    assert "PRACK" not in wire.words()
    wire, *_ = ringing(None, headers=REQUIRED)
    assert wire.words() == ["INVITE", "100 INVITE", "180 INVITE", "PRACK", "200 PRACK"]


@pytest.mark.parametrize("lost", [1, 2, 3])
def test_lost_183_comes_again_at_doubling_intervals_and_is_told_once(lost: int) -> None:
    wire, alice, bob = pair()
    seen: list[float] = []

    def lose(sent: Sent) -> bool:
        if sent.word != "183 INVITE":
            return False
        seen.append(sent.at)
        return len(seen) <= lost

    wire.drop = lose
    alice.invite(bob.host)
    wire.run(0.1)
    bob.do("ring", bob.events[0].handle, ANSWER)
    wire.run(20)
    assert len(seen) == lost + 1
    assert [round(b - a, 3) for a, b in pairwise(seen)] == [0.5 * 2**n for n in range(lost)]
    assert alice.names().count("Progress") == 1
    assert len({r.cseq for r in wire.requests("PRACK")}) == 1


def test_lost_prack_is_sent_again_by_its_transaction_and_a_repeated_183_is_told_once() -> None:
    wire, alice, bob = pair()
    pracks: list[Sent] = []

    def lose(sent: Sent) -> bool:
        if sent.word == "PRACK":
            pracks.append(sent)
        return sent.word == "PRACK" and len(pracks) < 3

    wire.drop = lose
    alice.invite(bob.host)
    wire.run(0.1)
    bob.do("ring", bob.events[0].handle, ANSWER)
    wire.run(20)
    assert len({sent.transmit.data for sent in pracks}) == 1
    assert alice.names().count("Progress") == 1
    assert bob.endpoint._core.usages[bob.events[0].handle].unpracked.is_acknowledged


def test_answer_waits_for_the_prack_of_the_183() -> None:
    wire, alice, bob = pair()
    wire.drop = lambda sent: sent.word == "PRACK" and wire.now < 1003
    alice.invite(bob.host)
    wire.run(0.1)
    theirs = bob.events[0].handle
    bob.do("ring", theirs, ANSWER)
    bob.do("answer", theirs, ANSWER)
    wire.run(1)
    assert "200 INVITE" not in wire.words()
    with pytest.raises(LocalProtocolError):
        bob.endpoint.answer(wire.now, theirs, ANSWER)
    wire.run(10)
    assert wire.words().count("200 INVITE") == 1
    assert bob.names()[-1] == "Acked"


def test_answer_does_not_wait_for_the_prack_of_a_180() -> None:
    wire, alice, bob = pair()
    wire.drop = lambda sent: sent.word == "PRACK"
    alice.invite(bob.host, headers=REQUIRED)
    wire.run(0.1)
    theirs = bob.events[0].handle
    bob.do("ring", theirs)
    bob.do("answer", theirs, ANSWER)
    wire.run(1)
    assert bob.names()[-1] == "Acked"
    wire.run(40)
    assert "Ended" not in bob.names() + alice.names()
    assert wire.words().count("180 INVITE") == 1


def test_call_without_a_prack_is_refused_after_64_t1() -> None:
    wire, bob, handle = call_in("Supported: 100rel")
    bob.do("ring", handle, ANSWER)
    wire.run(31.9)
    assert bob.endpoint.calls == 1
    assert wire.words(bob).count("183 INVITE") == 7
    wire.run(1)
    assert bob.events[-1] == Ended(handle, "local", "no_prack")
    assert "504 INVITE" in wire.words(bob)
    assert bob.endpoint.calls == 0


def test_hang_up_while_the_answer_waits_refuses_the_call() -> None:
    wire, bob, handle = call_in("Supported: 100rel")
    bob.do("ring", handle, ANSWER)
    bob.do("answer", handle, ANSWER)
    bob.do("bye", handle, "enough")
    assert bob.events[-1] == Ended(handle, "local", "enough")
    assert wire.words(bob)[-1] == "480 INVITE"
    wire.run(40)
    assert bob.endpoint.transactions == 0


# ---- the called side


@pytest.mark.parametrize("rack", ["RAck: 1 1 INVITE", "RAck: RSEQ 2 INVITE", "RAck: RSEQ 1 UPDATE"])
def test_prack_that_fits_nothing_gets_481_and_the_183_goes_on(rack: str) -> None:
    wire, bob, handle = call_in("Supported: 100rel")
    bob.do("ring", handle, ANSWER)
    rseq = wire.responses(183)[0].headers.get("RSeq") or ""
    assert [s.word for s in prack(wire, bob, rack.replace("RSEQ", rseq))] == ["481 PRACK"]
    wire.run(0.6)
    assert wire.words(bob).count("183 INVITE") == 2


@pytest.mark.parametrize(
    "rack", ["none", "RAck: 1 INVITE", "RAck: x 1 INVITE", "RAck: 99999999999 1 INVITE", "RAck: -1 1 INVITE"]
)
def test_prack_that_cannot_be_read_gets_400(rack: str) -> None:
    wire, bob, handle = call_in("Supported: 100rel")
    bob.do("ring", handle, ANSWER)
    assert [s.word for s in prack(wire, bob, rack)] == ["400 PRACK"]
    assert bob.endpoint.calls == 1


def test_second_prack_for_the_same_response_gets_481() -> None:
    wire, bob, handle = call_in("Supported: 100rel")
    bob.do("ring", handle, ANSWER)
    assert [s.word for s in prack(wire, bob)] == ["200 PRACK"]
    assert [s.word for s in prack(wire, bob, branch="p2", cseq=3)] == ["481 PRACK"]


def test_next_response_waits_for_the_prack_of_the_first_and_counts_up() -> None:
    wire, bob, handle = call_in("Require: 100rel")
    bob.do("ring", handle)
    bob.do("ring", handle, ANSWER)
    for _ in range(MAX_WAITING + 3):
        bob.do("ring", handle)
    assert wire.words(bob).count("183 INVITE") == 0
    assert bob.endpoint.counters["sip.provisionals_dropped"] == 4
    prack(wire, bob)
    assert wire.words(bob).count("183 INVITE") == 1
    first, second = (int(r.headers.get("RSeq") or 0) for r in wire.responses(180)[:1] + wire.responses(183))
    assert second == first + 1
    assert 1 <= first < 2**31


def test_description_goes_into_one_reliable_response_only() -> None:
    wire, bob, handle = call_in("Supported: 100rel")
    bob.do("ring", handle, ANSWER)
    prack(wire, bob)
    bob.do("ring", handle, ANSWER)
    assert [bool(r.body) for r in wire.responses(183)] == [True]
    assert wire.responses(180)[-1].body == b""


def test_ringing_is_refreshed_with_a_new_number() -> None:
    wire, bob, handle = call_in("Require: 100rel")
    bob.do("ring", handle)
    prack(wire, bob)
    wire.run(61)
    rings = [int(r.headers.get("RSeq") or 0) for r in wire.responses(180)]
    assert rings[1] == rings[0] + 1


def test_offer_of_ours_in_a_183_is_answered_in_the_prack() -> None:
    wire, bob, handle = call_in("Supported: 100rel", sdp=b"")
    bob.do("ring", handle, OFFER)
    assert wire.responses(183)[0].body == OFFER
    assert [s.word for s in prack(wire, bob)] == ["400 PRACK"], "it must bring the answer"
    assert [s.word for s in prack(wire, bob, body=ANSWER, branch="p2", cseq=3)] == ["200 PRACK"]
    assert bob.events[-1] == Reanswered(handle, ANSWER)
    bob.do("answer", handle, OFFER)
    ok = [r for r in wire.responses(200) if r.cseq[1] == "INVITE"]
    assert [r.body for r in ok] == [b""]


def test_late_offer_gets_no_early_media_from_a_caller_without_100rel() -> None:
    _, bob, handle = call_in(sdp=b"")
    with pytest.raises(LocalProtocolError):
        bob.endpoint.ring(1000, handle, OFFER)


def test_offer_in_a_prack_is_answered_in_its_200() -> None:
    wire, bob, handle = call_in("Supported: 100rel")
    bob.do("ring", handle, ANSWER)
    assert prack(wire, bob, body=NEXT) == []
    assert bob.events[-1] == Reoffer(handle, NEXT)
    bob.do("reanswer", handle, ANSWER.replace(b"5000", b"5500"))
    assert wire.words(bob)[-1] == "200 PRACK"
    assert b"5500" in wire.sent[-1].message.body
    assert bob.endpoint.dialog(handle).remote_sdp == NEXT


# ---- the calling side


def provisional(wire: Wire, alice: Party, status: str, *more: str, tag: str = "t1", body: bytes = b"") -> list[Sent]:
    """A provisional response to Alice's INVITE, written by the test."""
    invite = wire.requests("INVITE")[0]
    lines = [f"SIP/2.0 {status}", f"Via: {invite.headers.get('Via')}", f"From: {invite.headers.get('From')}"]
    lines += [f"To: {invite.headers.get('To')};tag={tag}", f"Call-ID: {invite.call_id}", "CSeq: 1 INVITE"]
    lines += ["Contact: <sip:bob@192.0.2.2>", f"Content-Length: {len(body)}", *more]
    if body:
        lines.append("Content-Type: application/sdp")
    return wire.inject(alice, ("\r\n".join(lines) + "\r\n\r\n").encode() + body)


def calling(sdp: bytes | None = OFFER) -> tuple[Wire, Party, str]:
    wire = Wire()
    alice = Party(wire, "192.0.2.1")
    handle = alice.invite("192.0.2.2", sdp=sdp)
    wire.run(0.1)
    return wire, alice, handle


def test_responses_are_acknowledged_in_their_order() -> None:
    wire, alice, _ = calling()
    reliable = "Require: 100rel"
    assert [s.word for s in provisional(wire, alice, "180 Ringing", reliable, "RSeq: 100")] == ["PRACK"]
    assert provisional(wire, alice, "180 Ringing", reliable, "RSeq: 100") == [], "a retransmission"
    assert provisional(wire, alice, "183 Later", reliable, "RSeq: 102") == [], "101 is missing"
    assert [s.word for s in provisional(wire, alice, "183 Now", reliable, "RSeq: 101")] == ["PRACK"]
    assert [r.headers.get("RAck") for r in wire.requests("PRACK")[-1:]] == ["101 1 INVITE"]
    assert alice.names() == ["Progress", "Progress"]
    assert alice.endpoint.counters["sip.provisionals_out_of_order"] == 2


def test_each_fork_is_acknowledged_in_its_own_order() -> None:
    wire, alice, _ = calling()
    for tag, rseq in (("t1", 7), ("t2", 500)):
        (sent,) = provisional(wire, alice, "180 Ringing", "Require: 100rel", f"RSeq: {rseq}", tag=tag)
        assert (sent.message.to.tag, sent.message.headers.get("RAck")) == (tag, f"{rseq} 1 INVITE")


@pytest.mark.parametrize("rseq", ["", "RSeq: x", "RSeq: 0", "RSeq: 4294967296", "RSeq: -1"])
def test_reliable_response_without_a_number_is_dropped(rseq: str) -> None:
    wire, alice, _ = calling()
    assert provisional(wire, alice, "180 Ringing", "Require: 100rel", *([rseq] if rseq else [])) == []
    assert alice.events == []


def test_offer_in_a_183_is_answered_in_its_prack() -> None:
    wire, alice, handle = calling(None)
    assert provisional(wire, alice, "183 Early", "Require: 100rel", "RSeq: 5", body=ANSWER) == []
    assert Reoffer(handle, ANSWER) in alice.events
    alice.do("reanswer", handle, OFFER)
    (sent,) = wire.requests("PRACK")
    assert (sent.body, sent.headers.get("RAck")) == (OFFER, "5 1 INVITE")


def test_offer_in_a_183_that_cannot_be_taken_ends_the_call() -> None:
    wire, alice, handle = calling(None)
    provisional(wire, alice, "183 Early", "Require: 100rel", "RSeq: 5", body=ANSWER)
    alice.do("reject_reoffer", handle)
    assert wire.words(alice)[-1] == "CANCEL"


def test_answer_in_the_200_counts_for_nothing_after_a_reliable_one() -> None:
    wire, alice, _ = calling()
    provisional(wire, alice, "183 Early", "Require: 100rel", "RSeq: 5", body=ANSWER)
    provisional(wire, alice, "200 OK", body=ANSWER.replace(b"5000", b"5999"))
    assert alice.last(Answered).sdp == ANSWER


def test_unreliable_early_media_is_no_answer() -> None:
    wire, alice, _ = calling()
    provisional(wire, alice, "183 Early", body=ANSWER)
    assert alice.last(Progress) == Progress(alice.last(Progress).handle, 183, "Early", ANSWER, "t1", False)
    provisional(wire, alice, "200 OK", body=ANSWER.replace(b"5000", b"5999"))
    assert alice.last(Answered).sdp == ANSWER.replace(b"5000", b"5999")


# ---- UPDATE before the answer


@pytest.mark.parametrize("side", ["caller", "callee"])
def test_session_is_changed_before_the_answer(side: str) -> None:
    wire, alice, bob, ours, theirs = ringing()
    us, peer, handle, other = (alice, bob, ours, theirs) if side == "caller" else (bob, alice, theirs, ours)
    changed = ANSWER.replace(b"5000", b"5500")
    peer.react = lambda event: peer.endpoint.reanswer(wire.now, other, changed) if isinstance(event, Reoffer) else None
    us.do("reoffer", handle, NEXT)
    wire.run(1)
    assert wire.words(us)[-1] == "UPDATE"
    assert us.names()[-1] == "Reanswered"
    assert b"5500" in us.last(Reanswered).sdp
    bob.do("answer", theirs, ANSWER)
    wire.run(1)
    assert alice.names()[-1] == "Answered"
    assert alice.endpoint.dialog(ours).sessions == bob.endpoint.dialog(theirs).sessions == 2
    wanted = alice.endpoint.dialog(ours)
    assert b"5500" in (wanted.remote_sdp if side == "caller" else wanted.local_sdp)
    alice.do("bye", ours)
    wire.run(1)
    assert bob.names()[-1] == "Ended"


def test_answer_of_a_fork_that_is_not_the_one_any_more_is_told_as_overtaken() -> None:
    wire, alice, handle = calling()
    allow = "Allow: INVITE, ACK, BYE, PRACK, UPDATE"
    provisional(wire, alice, "183 Early", "Require: 100rel", "RSeq: 5", allow, body=ANSWER)
    wire.inject(alice, ok_to(wire.requests("PRACK")[-1]))
    alice.do("reoffer", handle, NEXT)
    provisional(wire, alice, "183 Early", "Require: 100rel", "RSeq: 9", allow, body=ANSWER, tag="t2")
    wire.inject(alice, ok_to(wire.requests("UPDATE")[-1], ANSWER))
    assert (alice.last(ReofferFailed).cause, alice.names().count("Reanswered")) == ("overtaken", 0)


def ok_to(asked: Request, body: bytes = b"") -> bytes:
    """The 200 of a request of Alice's."""
    lines = ["SIP/2.0 200 OK"]
    lines += [f"{name}: {asked.headers.get(name)}" for name in ("Via", "From", "To", "Call-ID", "CSeq")]
    lines += [f"Content-Length: {len(body)}", *(["Content-Type: application/sdp"] if body else [])]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


def test_update_before_the_first_answer_gets_500() -> None:
    wire, bob, handle = call_in("Supported: 100rel")
    bob.do("ring", handle)
    (ring,) = wire.responses(180)
    update = request(
        "UPDATE", body=NEXT, cseq="2 UPDATE", to=ring.headers.get("To"), via="SIP/2.0/UDP 192.0.2.99;branch=z9hG4bKu"
    )
    (sent,) = wire.inject(bob, update)
    assert sent.word == "500 UPDATE"
    assert isinstance(sent.message, Response)
    assert sent.message.headers.get("Retry-After")


def test_cancel_of_a_call_with_early_media_ends_it() -> None:
    wire, alice, bob, ours, _ = ringing()
    alice.do("cancel", ours)
    wire.run(40)
    assert isinstance(alice.events[-1], Failed)
    assert bob.names()[-1] == "Canceled"
    assert alice.endpoint.transactions == bob.endpoint.transactions == 0
    assert isinstance(bob.events[0], IncomingCall)
