"""A session is changed in mid-call, by re-INVITE and by UPDATE, from either side and from both at once."""

import pytest
from tests.unit.sip.sip_pair import ANSWER, OFFER, Party, Sent, Wire, answers_at_once, established, pair

from longline.base.errors import LocalProtocolError
from longline.sip.dialog import Dialog
from longline.sip.events import Ended, Reanswered, Reoffer, ReofferCanceled, ReofferFailed
from longline.sip.offers import MOVES, Move, allows, make
from longline.sip.origin import next_description
from longline.sip.syntax.message import Request, Response
from longline.sip.uas import Refused

HOLD = OFFER + b"a=sendonly\r\n"
HOLD_ANSWER = ANSWER + b"a=recvonly\r\n"


def version(sdp: bytes) -> int:
    return int(sdp.split(b"o=")[1].split()[2])


def without_version(sdp: bytes) -> bytes:
    return b"\r\n".join(line for line in sdp.split(b"\r\n") if not line.startswith(b"o="))


def body(sent: Sent) -> bytes:
    return sent.message.body


def of(wire: Wire, word: str, sender: Party) -> list[Sent]:
    return [sent for sent in wire.sent if sent.word == word and sent.sender == sender.host]


def party_of(side: str, transport: str = "udp") -> tuple[Wire, Party, Party, str, str]:
    """An established call: the wire, who changes it, his peer, and both handles."""
    wire, alice, bob, ours, theirs = established(transport)
    answers_at_once(alice, ANSWER)
    return (wire, alice, bob, ours, theirs) if side == "caller" else (wire, bob, alice, theirs, ours)


# ---- our offers


@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
@pytest.mark.parametrize("side", ["caller", "callee"])
@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_offer_in_mid_call_is_answered_and_told_on_both_sides(method: str, side: str, transport: str) -> None:
    wire, us, peer, handle, _ = party_of(side, transport)
    before = len(wire.sent)
    us.do("reoffer", handle, HOLD, method)
    wire.run(1)
    ladder = ["INVITE", "100 INVITE", "200 INVITE", "ACK"] if method == "INVITE" else ["UPDATE", "200 UPDATE"]
    assert [sent.word for sent in wire.sent[before:]] == ladder
    assert without_version(peer.last(Reoffer).offer) == without_version(HOLD)
    assert us.names()[-1] == "Reanswered"
    dialog = us.endpoint.dialog(handle)
    assert without_version(dialog.local_sdp) == without_version(HOLD)
    assert (dialog.remote_sdp, dialog.open_offer) == (us.last(Reanswered).sdp, "")


def test_a_call_is_changed_by_reinvite_unless_update_is_wanted() -> None:
    wire, us, _, handle, _ = party_of("caller")
    us.do("reoffer", handle, HOLD)
    wire.run(1)
    assert len(wire.requests("INVITE")) == 2
    assert wire.requests("UPDATE") == []


def test_second_offer_waits_for_the_outcome_of_the_first() -> None:
    _, us, _, handle, _ = party_of("caller")
    us.do("reoffer", handle, HOLD)
    with pytest.raises(LocalProtocolError):
        us.endpoint.reoffer(us.wire.now, handle, OFFER)


def test_reinvite_whose_ack_is_lost_is_acknowledged_again_with_the_same_ack() -> None:
    wire, us, peer, handle, _ = party_of("caller")
    us.do("reoffer", handle, HOLD)
    acks: list[bytes] = []

    def lose_the_first_ack(sent: Sent) -> bool:
        if sent.word != "ACK":
            return False
        acks.append(sent.transmit.data)
        return len(acks) < 3

    wire.drop = lose_the_first_ack
    wire.run(10)
    assert len(acks) == 3
    assert len(set(acks)) == 1
    assert us.names().count("Reanswered") == 1
    assert "Ended" not in us.names() + peer.names()


@pytest.mark.parametrize("status", [488, 403, 500, 503, 603])
@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
def test_refused_offer_leaves_the_session_as_it_was(status: int, method: str) -> None:
    wire, us, peer, handle, theirs = party_of("caller")
    peer.react = lambda event: (
        peer.endpoint.reject_reoffer(wire.now, theirs, status) if isinstance(event, Reoffer) else None
    )
    before = us.endpoint.dialog(handle).local_sdp
    us.do("reoffer", handle, HOLD, method)
    wire.run(40)
    failed = us.last(ReofferFailed)
    assert (failed.status, failed.cause) == (status, "rejected")
    dialog = us.endpoint.dialog(handle)
    assert (dialog.local_sdp, dialog.open_offer) == (before, "")
    assert peer.endpoint.dialog(theirs).open_offer == ""
    answers_at_once(peer)
    us.do("reoffer", handle, HOLD)
    wire.run(1)
    assert us.names()[-1] == "Reanswered", "the dialog is free for the next offer"


def test_peer_without_update_is_sent_a_reinvite_instead() -> None:
    wire, us, peer, handle, _ = party_of("caller")
    del peer.endpoint._core.within["UPDATE"]
    us.do("reoffer", handle, HOLD, "UPDATE")
    wire.run(1)
    assert of(wire, "405 UPDATE", peer)
    assert us.names()[-1] == "Reanswered"
    assert len(wire.requests("INVITE")) == 2


@pytest.mark.parametrize("status", [408, 481])
@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
def test_dialog_that_is_gone_at_the_other_end_ends_the_call(status: int, method: str) -> None:
    wire, us, peer, handle, theirs = party_of("caller")
    peer.react = lambda event: (
        peer.endpoint.reject_reoffer(wire.now, theirs, status) if isinstance(event, Reoffer) else None
    )
    us.do("reoffer", handle, HOLD, method)
    wire.run(1)
    assert us.events[-1] == Ended(handle, "local", "gone")
    assert "BYE" in wire.words(us)


@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
def test_silence_to_an_offer_ends_the_call_after_64_t1(method: str) -> None:
    wire, us, _, handle, _ = party_of("caller")
    wire.drop = lambda sent: sent.sender == us.host
    us.do("reoffer", handle, HOLD, method)
    wire.run(31.9)
    assert us.names()[-1] != "Ended"
    wire.run(0.2)
    assert us.events[-1] == Ended(handle, "local", "gone")


def test_reinvite_that_stays_unanswered_is_cancelled_and_the_call_goes_on() -> None:
    wire, us, peer, handle, theirs = party_of("caller")
    peer.react = lambda event: None
    us.do("reoffer", handle, HOLD)
    wire.run(61)
    assert wire.words(us).count("CANCEL") == 1
    assert (us.last(ReofferFailed).status, us.last(ReofferFailed).cause) == (487, "rejected")
    assert peer.events[-1] == ReofferCanceled(theirs)
    wire.run(120)
    assert "Ended" not in us.names()
    assert us.endpoint.transactions == peer.endpoint.transactions == 0


def test_reinvite_open_when_the_call_ends_leaves_nothing_behind() -> None:
    wire, us, peer, handle, _ = party_of("caller")
    peer.react = lambda event: None
    us.do("reoffer", handle, HOLD)
    wire.run(1)
    us.do("bye", handle)
    wire.run(120)
    assert (us.endpoint.transactions, peer.endpoint.transactions) == (0, 0)
    assert (us.endpoint.calls, peer.endpoint.calls) == (0, 0)
    assert "ReofferFailed" not in us.names(), "Ended is the last event"


@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
def test_offer_of_the_peer_that_is_open_when_we_hang_up_gets_487(method: str) -> None:
    wire, us, peer, handle, theirs = party_of("caller")
    peer.react = lambda event: None
    us.do("reoffer", handle, HOLD, method)
    wire.run(1)
    peer.do("bye", theirs)
    wire.run(120)
    assert of(wire, f"487 {method}", peer)
    assert (us.endpoint.transactions, peer.endpoint.transactions) == (0, 0)


def test_200_without_an_answer_leaves_the_session_as_it_was() -> None:
    wire, us, peer, handle, theirs = party_of("caller")
    peer.react = lambda event: peer.endpoint.reanswer(wire.now, theirs, b"") if isinstance(event, Reoffer) else None
    before = us.endpoint.dialog(handle).local_sdp
    us.do("reoffer", handle, HOLD)
    wire.run(1)
    assert (us.last(ReofferFailed).cause, us.endpoint.dialog(handle).local_sdp) == ("protocol", before)
    assert wire.words(us)[-1] == "ACK"


# ---- glare (RFC 3261 §14.1, §14.2)


def test_reinvites_that_cross_are_both_refused_and_who_answered_the_call_offers_first() -> None:
    for seed in range(20):
        wire, alice, bob, ours, theirs = established(seed=seed, jitter=0.01)
        answers_at_once(alice, ANSWER)
        for _ in range(seed):  # other random waits
            alice.endpoint._core.token()
            bob.endpoint._core.token()
        start = wire.now
        alice.do("reoffer", ours, HOLD)
        bob.do("reoffer", theirs, HOLD_ANSWER)
        wire.run(10)
        assert len(wire.responses(491)) == 2
        again = {s.sender: s.at - start for s in wire.sent if s.word == "INVITE" and s.at > start + 0.05}
        assert 0 <= again[bob.host] <= 2.1
        assert bob.names().count("Reanswered") == 1
        if alice.host in again:
            assert 2.1 <= again[alice.host] <= 4.1, "who made the Call-ID waits longer"
        assert alice.names()[-1] == "ReofferFailed", "the peer's offer was answered first: ours is out of date"
        assert alice.last(ReofferFailed).cause == "overtaken"
        assert "Ended" not in alice.names() + bob.names()


def test_491_is_tried_again_until_the_peer_is_free() -> None:
    wire, us, peer, handle, theirs = party_of("caller")
    answers = [491, 491, 491]
    peer.react = lambda event: (
        None
        if not isinstance(event, Reoffer)
        else peer.endpoint.reject_reoffer(wire.now, theirs, answers.pop())
        if answers
        else peer.endpoint.reanswer(wire.now, theirs, ANSWER)
    )
    us.do("reoffer", handle, HOLD)
    wire.run(20)
    assert us.names()[-1] == "Reanswered"
    offers = wire.requests("INVITE")[1:]
    assert len(offers) == 4
    assert len({version(r.body) for r in offers}) == 1, "the same offer has the same version"


def test_peer_that_is_never_free_is_given_up() -> None:
    wire, us, peer, handle, theirs = party_of("callee")
    peer.react = lambda event: (
        peer.endpoint.reject_reoffer(wire.now, theirs, 491) if isinstance(event, Reoffer) else None
    )
    us.do("reoffer", handle, HOLD)
    wire.run(60)
    assert us.last(ReofferFailed).status == 491
    assert len(of(wire, "INVITE", us)) == 8


def test_updates_that_cross_get_491_and_go_on() -> None:
    wire, alice, bob, ours, theirs = established()
    answers_at_once(alice, ANSWER)
    alice.do("reoffer", ours, HOLD, "UPDATE")
    bob.do("reoffer", theirs, HOLD_ANSWER, "UPDATE")
    wire.run(10)
    assert len(wire.responses(491)) == 2
    assert bob.names().count("Reanswered") == 1


def test_reinvite_waits_while_the_peers_own_is_in_progress() -> None:
    wire, alice, bob, ours, theirs = established()
    bob.react = lambda event: None
    alice.do("reoffer", ours, HOLD)
    wire.run(0.1)
    bob.do("reoffer", theirs, HOLD_ANSWER)
    assert wire.requests("INVITE")[-1].from_.tag != bob.endpoint.dialog(theirs).local_tag
    bob.do("reanswer", theirs, ANSWER)
    wire.run(5)
    assert alice.names()[-1] == "Reanswered"
    assert bob.last(ReofferFailed).cause == "overtaken"


def test_500_with_retry_after_is_waited_for() -> None:
    wire, us, peer, handle, _ = party_of("caller")
    within = peer.endpoint._core.within
    real = within["UPDATE"]

    def busy(*_: object) -> None:
        within["UPDATE"] = real
        raise Refused(500, headers=[("Retry-After", "7")])

    within["UPDATE"] = busy
    us.do("reoffer", handle, HOLD, "UPDATE")
    wire.run(6.9)
    assert len(wire.requests("UPDATE")) == 1
    wire.run(0.5)
    assert len(wire.requests("UPDATE")) == 2
    assert us.names()[-1] == "Reanswered"


def test_second_update_before_the_answer_to_the_first_gets_500_and_retry_after() -> None:
    wire, us, peer, handle, _ = party_of("caller")
    peer.react = lambda event: None
    us.do("reoffer", handle, HOLD, "UPDATE")
    wire.run(1)
    again = Request("UPDATE", *_plain(wire.requests("UPDATE")[-1], "z9hG4bKagain"))
    (sent,) = wire.inject(peer, again.encode())
    assert isinstance(sent.message, Response)
    assert sent.message.status == 500
    assert 0 <= int(sent.message.headers.get("Retry-After") or "-1") <= 10


def _plain(request: Request, branch: str) -> tuple[str, object, bytes]:
    headers = type(request.headers)(list(request.headers))
    headers.set("Via", f"SIP/2.0/UDP 192.0.2.1;branch={branch}")
    headers.set("CSeq", f"{request.cseq[0] + 1} UPDATE")
    return request.uri, headers, request.body


# ---- the peer's UPDATE


def test_update_without_an_offer_moves_the_target_and_is_answered_at_once() -> None:
    wire, alice, bob, ours, theirs = established()
    update = alice.endpoint.dialog(ours).request("UPDATE")
    update.headers.push("Via", "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKu")
    update.headers.add("Contact", "<sip:alice@192.0.2.1:5099>")
    (sent,) = wire.inject(bob, update.encode())
    assert isinstance(sent.message, Response)
    assert (sent.message.status, sent.message.body) == (200, b"")
    assert sent.message.headers.get("Contact")
    assert bob.endpoint.dialog(theirs).remote_target == "sip:alice@192.0.2.1:5099"
    assert "Reoffer" not in bob.names()


def test_update_while_our_own_offer_is_open_gets_491() -> None:
    wire, alice, bob, ours, theirs = established()
    bob.do("reoffer", theirs, HOLD_ANSWER, "UPDATE")
    update = alice.endpoint.dialog(ours).request("UPDATE", body=OFFER)
    update.headers.push("Via", "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKu")
    (sent,) = wire.inject(bob, update.encode())
    assert sent.word == "491 UPDATE"


def test_reinvite_that_asks_for_an_offer_while_ours_is_open_gets_491() -> None:
    wire, alice, bob, ours, theirs = established()
    bob.do("reoffer", theirs, HOLD_ANSWER, "UPDATE")
    reinvite = alice.endpoint.dialog(ours).request("INVITE")
    reinvite.headers.push("Via", "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKlate")
    reinvite.headers.add("Contact", "<sip:alice@192.0.2.1>")
    assert [sent.word for sent in wire.inject(bob, reinvite.encode())] == ["491 INVITE"]


def test_our_update_waits_while_the_peer_asks_for_an_offer() -> None:
    wire, alice, bob, ours, theirs = established()
    bob.react = lambda event: None
    reinvite = alice.endpoint.dialog(ours).request("INVITE")
    reinvite.headers.push("Via", "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKlate")
    reinvite.headers.add("Contact", "<sip:alice@192.0.2.1>")
    wire.inject(bob, reinvite.encode())
    bob.do("reoffer", theirs, HOLD_ANSWER, "UPDATE")
    assert wire.words(bob)[-1] == "100 INVITE"


def test_update_with_another_body_than_sdp_is_told_what_would_be() -> None:
    wire, alice, bob, ours, _ = established()
    update = alice.endpoint.dialog(ours).request("UPDATE", body=b"hello")
    update.headers.push("Via", "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKu")
    update.headers.set("Content-Type", "text/plain")
    (sent,) = wire.inject(bob, update.encode())
    assert (sent.word, sent.message.headers.get("Accept")) == ("415 UPDATE", "application/sdp")


def test_offer_before_the_answer_needs_a_peer_that_takes_update() -> None:
    wire, alice, bob = pair()
    handle = alice.invite(bob.host)
    wire.run(0.1)
    bob.do("ring", bob.events[0].handle)
    wire.run(0.1)
    with pytest.raises(LocalProtocolError):
        alice.endpoint.reoffer(wire.now, handle, HOLD)


# ---- versions and the table


def test_version_rises_by_one_with_every_change_and_only_then() -> None:
    wire, us, _, handle, _ = party_of("caller")
    for round in range(20):
        us.do("reoffer", handle, HOLD if round % 2 == 0 else OFFER)
        wire.run(1)
    us.do("reoffer", handle, OFFER)
    wire.run(1)
    versions = [version(r.body) for r in wire.requests("INVITE")]
    assert versions == [*range(1, 22), 21]
    assert len({r.body.split(b"o=")[1].split()[1] for r in wire.requests("INVITE")}) == 1


def test_version_goes_on_after_a_refusal_and_on_another_node() -> None:
    wire, us, peer, handle, theirs = party_of("caller")
    peer.react = lambda event: (
        peer.endpoint.reject_reoffer(wire.now, theirs, 488) if isinstance(event, Reoffer) else None
    )
    us.do("reoffer", handle, HOLD)
    wire.run(1)
    dialog = Dialog.from_dict(us.endpoint.dialog(handle).to_dict())
    assert version(next_description(dialog, HOLD.replace(b"o=- 1 1", b"o=other 77 1"))) == 3
    assert next_description(dialog, HOLD).startswith(b"v=0\r\no=- 1 3 ")


def test_description_without_an_origin_leaves_as_it_is() -> None:
    dialog = Dialog("c", "l", "r", "a", "b", "sip:x@y", "sip:z@y", "caller")
    assert next_description(dialog, b"v=0\r\n") == b"v=0\r\n"


def test_one_offer_is_open_at_a_time() -> None:
    dialog = Dialog("c", "l", "r", "a", "b", "sip:x@y", "sip:z@y", "caller")
    assert make(dialog, Move.WE_OFFER)
    assert not allows(dialog, Move.THEY_OFFER)
    assert not make(dialog, Move.WE_ANSWER)
    assert (dialog.open_offer, dialog.sessions) == ("ours", 0)
    assert make(dialog, Move.THEY_ANSWER)
    assert (dialog.open_offer, dialog.sessions) == ("", 1)
    assert set(MOVES.values()) == {"", "ours", "theirs"}
    for (state, move), to in MOVES.items():
        dialog.open_offer = state
        assert make(dialog, move)
        assert dialog.open_offer == to
