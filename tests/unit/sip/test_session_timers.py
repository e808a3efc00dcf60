"""Session timers (RFC 4028): who refreshes, how, and what happens when nobody does."""

import pytest
from tests.unit.sip.sip_pair import ANSWER, OFFER, Party, Sent, Wire, answers_at_once
from tests.unit.sip.test_requests_that_come_in import request

from longline.sip.events import Ended, Failed, Reanswered, Reoffer
from longline.sip.syntax.message import Response

ALICE, BOB = "192.0.2.1", "192.0.2.2"


def call(alice_s: int = 1800, bob_s: int = 1800, **bob: int) -> tuple[Wire, Party, Party, str, str]:
    """An answered call between two who want these intervals; 0: none."""
    wire = Wire()
    alice = Party(wire, ALICE, session_expires_s=alice_s)
    other = Party(wire, BOB, session_expires_s=bob_s, **bob)
    answers_at_once(alice, ANSWER)
    answers_at_once(other)
    ours = alice.invite(BOB)
    wire.run(1)
    return wire, alice, other, ours, other.events[0].handle


def role(party: Party, handle: str) -> tuple[int, str]:
    dialog = party.endpoint.dialog(handle)
    return dialog.session_interval, dialog.session_refresher


def called(*more: str) -> tuple[Wire, Party, list[Sent]]:
    """Bob answers an INVITE that the test wrote; and what he sent."""
    wire = Wire()
    bob = Party(wire, BOB)
    answers_at_once(bob)
    return wire, bob, wire.inject(bob, request("INVITE", *more, body=OFFER))


def session_of(sent: list[Sent]) -> tuple[str | None, bool]:
    """Session-Expires of the final response, and whether it requires the extension."""
    message = sent[-1].message
    return message.headers.get("Session-Expires"), "timer" in message.headers.get_list("Require")


# ---- what is agreed on


def test_callee_refreshes_when_the_caller_does_not_say() -> None:
    wire, alice, bob, ours, theirs = call()
    assert wire.requests("INVITE")[0].headers.get("Session-Expires") == "1800"
    assert "timer" in wire.requests("INVITE")[0].headers.get_list("Supported")
    assert (role(alice, ours), role(bob, theirs)) == ((1800, "theirs"), (1800, "ours"))


@pytest.mark.parametrize(
    ("alice_s", "bob_s", "agreed"), [(1800, 600, 600), (600, 1800, 600), (0, 600, 600), (600, 0, 600), (0, 0, 0)]
)
def test_shorter_interval_wins_and_either_side_can_want_one(alice_s: int, bob_s: int, agreed: int) -> None:
    _, alice, bob, ours, theirs = call(alice_s, bob_s)
    assert (role(alice, ours)[0], role(bob, theirs)[0]) == (agreed, agreed)


@pytest.mark.parametrize(
    ("headers", "answered", "required"),
    [
        # RFC 4028 table 2, and what we want ourselves.
        (["Session-Expires: 300"], "300;refresher=uas", False),
        (["Session-Expires: 300", "Supported: timer"], "300;refresher=uas", False),
        (["Session-Expires: 300;refresher=uac", "Supported: timer"], "300;refresher=uac", True),
        (["Session-Expires: 300;refresher=uas", "Supported: timer"], "300;refresher=uas", False),
        (["x: 300;refresher=uac", "k: timer"], "300;refresher=uac", True),
        (["Session-Expires: 300;refresher=nobody", "Supported: timer"], "300;refresher=uas", False),
        (["Session-Expires: 5000", "Supported: timer"], "1800;refresher=uas", False),
        (["Session-Expires: 5000", "Min-SE: 2000", "Supported: timer"], "2000;refresher=uas", False),
        (["Supported: timer"], "1800;refresher=uas", False),
        ([], "1800;refresher=uas", False),
        (["Min-SE: 4000"], "4000;refresher=uas", False),
        (["Session-Expires: 30"], None, False),  # too short, and who sent it could not be told
    ],
)
def test_answer_says_who_refreshes(headers: list[str], answered: str | None, required: bool) -> None:
    _, _, sent = called(*headers)
    assert session_of(sent) == (answered, required)


@pytest.mark.parametrize("value", ["x", "", "-1", "99999999999", "1.5"])
def test_interval_that_is_no_number_gets_400(value: str) -> None:
    _, bob, sent = called(f"Session-Expires: {value}", "Supported: timer")
    assert sent[-1].word == "400 INVITE"
    assert bob.events == []


def test_interval_that_is_too_short_is_refused_with_the_one_that_is_not() -> None:
    _, bob, sent = called("Session-Expires: 89", "Supported: timer")
    assert sent[-1].word == "422 INVITE"
    assert sent[-1].message.headers.get("Min-SE") == "90"
    assert bob.endpoint.calls == 0


def test_caller_asks_again_for_the_longer_interval() -> None:
    wire, alice, _, ours, _ = call(600, 1800, min_session_expires_s=1000)
    first, second = wire.requests("INVITE")
    assert (first.headers.get("Session-Expires"), second.headers.get("Session-Expires")) == ("600", "1000")
    assert second.headers.get("Min-SE") == "1000"
    assert (second.call_id, second.cseq[0]) == (first.call_id, first.cseq[0] + 1)
    assert alice.names()[-1] == "Answered"
    assert role(alice, ours)[0] == 1000


def test_422_that_never_ends_is_a_refusal() -> None:
    wire = Wire()
    alice, bob = Party(wire, ALICE), Party(wire, BOB)
    wanted = iter(range(2000, 90_000, 1000))
    bob.react = lambda event: bob.endpoint.reject(wire.now, event.handle, 422, None, [("Min-SE", str(next(wanted)))])
    alice.invite(BOB)
    wire.run(10)
    assert (alice.last(Failed).status, alice.last(Failed).cause) == (422, "rejected")
    assert len(wire.requests("INVITE")) == 5
    assert alice.endpoint.calls == 0


@pytest.mark.parametrize("min_se", [None, "x", "10"])
def test_422_that_asks_for_nothing_is_a_refusal(min_se: str | None) -> None:
    wire = Wire()
    alice, bob = Party(wire, ALICE), Party(wire, BOB)
    headers = [("Min-SE", min_se)] if min_se else []
    bob.react = lambda event: bob.endpoint.reject(wire.now, event.handle, 422, None, headers)
    alice.invite(BOB)
    wire.run(1)
    assert alice.last(Failed).status == 422


# ---- refreshing


def without_update(party: Party) -> None:
    """A peer that does no UPDATE."""
    del party.endpoint._core.within["UPDATE"]


def test_session_is_refreshed_at_half_its_interval_for_hours() -> None:
    wire, alice, bob, _, theirs = call(600, 600)
    wire.run(3600 * 2)
    updates = wire.requests("UPDATE")
    assert len(updates) == 24
    assert updates[0].body == b""
    assert updates[0].headers.get("Session-Expires") == "600;refresher=uac"
    assert "Ended" not in alice.names() + bob.names()
    assert "Reoffer" not in alice.names(), "the user is not bothered"
    assert role(bob, theirs) == (600, "ours")


def test_caller_refreshes_when_the_callee_says_so() -> None:
    wire, bob, _ = called("Session-Expires: 300;refresher=uac", "Supported: timer")
    handle = bob.events[0].handle
    assert role(bob, handle) == (300, "theirs")
    wire.run(200)
    assert "UPDATE" not in wire.words(bob)


def test_peer_without_update_gets_the_same_offer_again() -> None:
    wire = Wire()
    alice, bob = Party(wire, ALICE, session_expires_s=600), Party(wire, BOB)
    without_update(alice)
    answers_at_once(alice, OFFER)
    answers_at_once(bob)
    alice.invite(BOB)
    wire.run(3600)
    refreshes = wire.requests("INVITE")[1:]
    assert len(refreshes) == 11
    assert wire.requests("UPDATE") == []
    assert {r.body for r in refreshes} == {ANSWER}, "the version stays: nothing has changed"
    assert alice.names().count("Reoffer") == 11
    assert "Reanswered" not in bob.names()
    assert "Ended" not in alice.names() + bob.names()


def test_answer_to_a_refresh_that_says_something_new_is_told() -> None:
    wire = Wire()
    alice, bob = Party(wire, ALICE, session_expires_s=600), Party(wire, BOB)
    without_update(alice)
    answers_at_once(alice, OFFER.replace(b"4000", b"4600"))
    answers_at_once(bob)
    alice.invite(BOB)
    wire.run(320)
    told = bob.last(Reanswered)
    assert b"4600" in told.sdp
    assert told.is_refresh


def test_refresh_without_an_answer_ends_the_call() -> None:
    wire, alice, bob, ours, theirs = call(600, 600)
    wire.parties.pop(ALICE)
    wire.run(300 + 33)
    assert bob.events[-1] == Ended(theirs, "local", "gone")
    assert alice.endpoint.dialog(ours).session_refresher == "theirs"


@pytest.mark.parametrize("status", [408, 481])
def test_refresh_that_finds_no_call_ends_it(status: int) -> None:
    wire, alice, bob, _, theirs = call(600, 600)
    alice.endpoint._core.within["UPDATE"] = lambda now, usage, transaction, request: alice.endpoint._server.respond(
        now, transaction, status
    )
    wire.run(301)
    assert bob.events[-1] == Ended(theirs, "local", "gone")


def test_refresh_that_is_refused_is_tried_again_until_the_session_expires() -> None:
    wire, alice, bob, _, theirs = call(600, 600)
    alice.endpoint._core.within["UPDATE"] = lambda now, usage, transaction, request: alice.endpoint._server.respond(
        now, transaction, 503
    )
    wire.run(567)
    assert "Ended" not in bob.names()
    assert len(wire.requests("UPDATE")) > 3
    wire.run(2)
    ended = [event for event in (*bob.events, *alice.events) if isinstance(event, Ended)]
    assert Ended(theirs, "local", "session_expired") in ended


def test_session_that_is_not_refreshed_ends_32_seconds_before_it_expires() -> None:
    wire, alice, bob, ours, _ = call(600, 600)
    bob.endpoint._core.timers.disarm(bob.events[0].handle)  # a callee that has forgotten
    start = wire.now - 1
    wire.run(567 - 1)
    assert "Ended" not in alice.names()
    wire.run(2)
    assert alice.events[-1] == Ended(ours, "local", "session_expired")
    bye = next(sent for sent in wire.sent if sent.word == "BYE")
    assert bye.at - start == pytest.approx(568, abs=0.2)
    assert "408" in (bye.message.headers.get("Reason") or "")


def test_short_session_ends_a_third_before_it_expires() -> None:
    wire, bob, _ = called("Session-Expires: 90;refresher=uac", "Supported: timer")
    ack = request("ACK", cseq="1 ACK", to=wire.responses(200)[-1].headers.get("To"))
    wire.inject(bob, ack)
    wire.run(59)
    assert "Ended" not in bob.names()
    wire.run(2)
    assert bob.names()[-1] == "Ended"


def test_interval_of_a_refresh_is_raised_by_422() -> None:
    wire, alice, bob, _, theirs = call(600, 600)
    real = alice.endpoint._core.within["UPDATE"]

    def too_short(now: float, usage: object, transaction: object, request: object) -> None:
        alice.endpoint._core.within["UPDATE"] = real
        alice.endpoint._server.respond(now, transaction, 422, None, [("Min-SE", "900")])  # type: ignore[arg-type]

    alice.endpoint._core.within["UPDATE"] = too_short  # type: ignore[assignment]
    wire.run(302)
    first, second = wire.requests("UPDATE")
    assert first.headers.get("Session-Expires") == "600;refresher=uac"
    assert second.headers.get("Session-Expires") == "900;refresher=uac"
    assert second.headers.get("Min-SE") == "900"
    assert role(bob, theirs)[0] in (600, 900)


def test_offer_in_mid_call_refreshes_the_session_too() -> None:
    wire, alice, _, ours, _ = call(600, 600)
    wire.run(250)
    alice.do("reoffer", ours, OFFER + b"a=sendonly\r\n")
    wire.run(100)
    assert "UPDATE" not in wire.words()
    assert wire.requests("INVITE")[-1].headers.get("Session-Expires") == "600;refresher=uas"
    wire.run(210)
    assert wire.words().count("UPDATE") == 1


def test_offer_during_a_refresh_follows_it() -> None:
    wire, alice, bob, _, theirs = call(600, 600)
    wire.drop = lambda sent: sent.word == "200 UPDATE"
    wire.run(300)
    assert "UPDATE" in wire.words(bob)
    bob.do("reoffer", theirs, ANSWER + b"a=sendonly\r\n")
    assert wire.words(bob)[-1] == "UPDATE"
    wire.drop = lambda sent: False
    wire.run(5)
    assert bob.names()[-1] == "Reanswered"
    assert isinstance(alice.events[-1], Reoffer)


def test_200_without_session_expires_switches_the_timer_off() -> None:
    wire, alice, bob, ours, theirs = call(600, 600)
    bob.endpoint._sessions.accept = lambda *_: []  # type: ignore[method-assign]
    alice.do("reoffer", ours, OFFER + b"a=sendonly\r\n")
    wire.run(1)
    assert role(alice, ours) == (0, "")
    assert not alice.endpoint._core.timers.of(ours)
    assert theirs


def test_answer_with_an_interval_below_the_minimum_does_not_make_us_hurry() -> None:
    wire = Wire()
    alice = Party(wire, ALICE)
    handle = alice.invite(BOB)
    invite = wire.requests("INVITE")[0]
    ok = Response(200, "OK", type(invite.headers)(), ANSWER)
    for name in ("Via", "From", "Call-ID", "CSeq"):
        ok.headers.add(name, invite.headers.get(name) or "")
    ok.headers.add("To", f"{invite.headers.get('To')};tag=t1")
    ok.headers.add("Contact", f"<sip:bob@{BOB}>")
    ok.headers.add("Content-Type", "application/sdp")
    ok.headers.add("Session-Expires", "1;refresher=uac")
    wire.inject(alice, ok.encode())
    assert role(alice, handle) == (90, "ours")
    wire.run(44)
    assert wire.words(alice)[-1] == "ACK"


def test_no_timer_runs_for_a_call_that_is_over() -> None:
    wire, alice, bob, ours, _ = call()
    alice.do("bye", ours)
    wire.run(60)
    for party in (alice, bob):
        assert len(party.endpoint._core.timers) == 0
        assert party.endpoint.calls == 0


@pytest.mark.parametrize("side", ["refresher", "other"])
def test_timer_of_a_call_that_has_moved_runs_out_at_its_time(side: str) -> None:
    wire, alice, bob, ours, theirs = call(600, 600)
    wire.run(200)
    mover, handle = (bob, theirs) if side == "refresher" else (alice, ours)
    snapshot = mover.endpoint.snapshot(wire.now, handle, 5000.0)
    wire.parties.pop(mover.host)
    wire.run(50)
    survivor = Party(wire, mover.host)
    survivor.do("restore", snapshot, 5050.0)
    wire.run(48)
    assert "UPDATE" not in wire.words()
    wire.run(3)
    assert wire.words().count("UPDATE") == 1
    assert "200 UPDATE" in wire.words()
    assert role(survivor, handle)[0] == 600
