"""One INVITE, several who ring or answer: each fork has a dialog of its own, and one of them becomes the call."""

from tests.unit.sip.sip_pair import ANSWER, Party, Wire, pair

from longline.sip.events import Answered, Ended, Failed, Progress
from longline.sip.syntax.build import response_to
from longline.sip.syntax.message import Request
from longline.sip.usage import MAX_FORKS

RECORD_ROUTE = "<sip:192.0.2.50;lr>"


def calling() -> tuple[Wire, Party, str, Request]:
    """Alice's INVITE is under way to a proxy that forks; what it answers is made by `fork`."""
    wire, alice, bob = pair()
    del wire.parties[bob.host]
    handle = alice.invite("192.0.2.2")
    return wire, alice, handle, wire.requests("INVITE")[0]


def fork(
    wire: Wire, alice: Party, invite: Request, status: int, tag: str, body: bytes = b"", host: str = "192.0.2.60"
) -> None:
    """A response of the fork `tag`, whose phone is at `host`."""
    headers = [("Record-Route", RECORD_ROUTE), ("Contact", f"<sip:{tag}@{host}>")]
    wire.inject(alice, response_to(invite, status, to_tag=tag, headers=headers, body=body).encode())


def in_dialog(invite: Request, method: str, tag: str, cseq: int = 1) -> bytes:
    """A request of the fork `tag` within its early dialog."""
    return (
        f"{method} sip:alice@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.60;branch=z9hG4bK{tag}{method}{cseq}\r\n"
        f"From: <sip:bob@192.0.2.2>;tag={tag}\r\nTo: {invite.headers.get('From')}\r\nCall-ID: {invite.call_id}\r\n"
        f"CSeq: {cseq} {method}\r\nContact: <sip:{tag}@192.0.2.60>\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
    ).encode()


def statuses(sent: list[object]) -> list[int]:
    return [s.message.status for s in sent]  # type: ignore[attr-defined]


def test_each_fork_that_rings_has_early_media_of_its_own() -> None:
    wire, alice, _, invite = calling()
    fork(wire, alice, invite, 180, "one")
    fork(wire, alice, invite, 183, "two", ANSWER)
    told = [(e.status, e.tag, e.sdp) for e in alice.events if isinstance(e, Progress)]
    assert told == [(180, "one", None), (183, "two", ANSWER)]


def test_answer_that_came_with_the_early_media_of_the_fork_that_answers_counts() -> None:
    wire, alice, _, invite = calling()
    other = ANSWER.replace(b"5000", b"6000")
    fork(wire, alice, invite, 183, "one", ANSWER)
    fork(wire, alice, invite, 183, "two", other)
    fork(wire, alice, invite, 200, "one")
    answered = alice.last(Answered)
    assert isinstance(answered, Answered)
    assert answered.sdp == ANSWER


def test_requests_of_each_early_dialog_are_counted_apart() -> None:
    wire, alice, _, invite = calling()
    fork(wire, alice, invite, 180, "one")
    fork(wire, alice, invite, 180, "two")
    assert statuses(wire.inject(alice, in_dialog(invite, "OPTIONS", "one", 7))) == [200]
    assert statuses(wire.inject(alice, in_dialog(invite, "OPTIONS", "two", 3))) == [200]
    assert statuses(wire.inject(alice, in_dialog(invite, "OPTIONS", "one", 3))) == [500]
    assert statuses(wire.inject(alice, in_dialog(invite, "OPTIONS", "three"))) == [481]


def test_fork_that_did_not_answer_is_no_dialog_any_more() -> None:
    wire, alice, _, invite = calling()
    fork(wire, alice, invite, 180, "one")
    fork(wire, alice, invite, 180, "two")
    fork(wire, alice, invite, 200, "two", ANSWER)
    assert statuses(wire.inject(alice, in_dialog(invite, "OPTIONS", "one"))) == [481]
    assert statuses(wire.inject(alice, in_dialog(invite, "OPTIONS", "two"))) == [200]


def test_call_goes_on_in_the_dialog_of_the_fork_that_answered() -> None:
    wire, alice, handle, invite = calling()
    fork(wire, alice, invite, 180, "one", host="192.0.2.61")
    fork(wire, alice, invite, 180, "two", host="192.0.2.62")
    fork(wire, alice, invite, 200, "two", ANSWER, host="192.0.2.62")
    alice.do("bye", handle)
    (ack,), (bye,) = wire.requests("ACK"), wire.requests("BYE")
    for request in (ack, bye):
        assert (request.uri, request.to.tag) == ("sip:two@192.0.2.62", "two")
        assert request.headers.get("Route") == RECORD_ROUTE
    assert bye.cseq[0] == invite.cseq[0] + 1


def test_every_further_fork_that_answers_is_acknowledged_and_ended() -> None:
    wire, alice, handle, invite = calling()
    for tag in ("one", "two", "three"):
        fork(wire, alice, invite, 180, tag)
    for tag in ("two", "one", "three", "one"):
        fork(wire, alice, invite, 200, tag, ANSWER)
    assert [ack.to.tag for ack in wire.requests("ACK")] == ["two", "one", "three", "one"]
    assert [bye.to.tag for bye in wire.requests("BYE")] == ["one", "three"]
    assert alice.names().count("Answered") == 1
    assert "Ended" not in alice.names()
    alice.do("bye", handle)
    assert isinstance(alice.last(Ended), Ended)


def test_callee_may_not_end_an_early_dialog() -> None:
    wire, alice, _, invite = calling()
    fork(wire, alice, invite, 180, "one")
    assert statuses(wire.inject(alice, in_dialog(invite, "BYE", "one"))) == [403]
    fork(wire, alice, invite, 200, "two", ANSWER)
    assert alice.names()[-1] == "Answered"


def test_refused_call_has_no_early_dialogs_left() -> None:
    wire, alice, _, invite = calling()
    fork(wire, alice, invite, 180, "one")
    fork(wire, alice, invite, 486, "one")
    assert isinstance(alice.events[-1], Failed)
    assert statuses(wire.inject(alice, in_dialog(invite, "OPTIONS", "one"))) == [481]


def test_early_dialogs_are_bounded() -> None:
    wire, alice, _, invite = calling()
    for number in range(MAX_FORKS + 3):
        fork(wire, alice, invite, 180, f"t{number}")
    assert alice.endpoint.counters["sip.forks_dropped"] == 3
    assert statuses(wire.inject(alice, in_dialog(invite, "OPTIONS", f"t{MAX_FORKS - 1}"))) == [200]
    assert statuses(wire.inject(alice, in_dialog(invite, "OPTIONS", f"t{MAX_FORKS}"))) == [481]
    fork(wire, alice, invite, 200, f"t{MAX_FORKS}", ANSWER)  # and still it can become the call
    assert alice.names()[-1] == "Answered"
