"""INVITE with Replaces (RFC 3891): who may take whose place, what ends then, and the attended transfer made of it."""

import pytest
from tests.unit.sip.sip_pair import ANSWER, OFFER, Party, Wire, answers_at_once, established, pair

from longline.base.errors import LocalProtocolError, RemoteProtocolError
from longline.sip.dialog import Dialog
from longline.sip.events import Answered, Ended, Failed, IncomingCall, ReferDone, Referred
from longline.sip.features.replaces import replaces_of
from longline.sip.syntax.replaces import Replaces, parse_replaces
from longline.sip.uac import Invitation

CAROL = "192.0.2.3"


def with_carol() -> tuple[Wire, Party, Party, Party, str, str]:
    """Alice and Bob talk; Carol will answer whatever comes."""
    wire, alice, bob, ours, theirs = established()
    carol = Party(wire, CAROL)
    answers_at_once(carol)
    return wire, alice, bob, carol, ours, theirs


def place_of(dialog: Dialog) -> str:
    """What Carol tells Bob in order to take Alice's place; `dialog` is Alice's."""
    return str(replaces_of(dialog))


def replacing(party: Party, host: str, *lines: tuple[str, str]) -> str:
    return party.invite(host, headers=lines)


def status_told(party: Party) -> int | None:
    failed = [event for event in party.events if isinstance(event, Failed)]
    return failed[-1].status if failed else None


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a@b;to-tag=1;from-tag=2", Replaces("a@b", "1", "2")),
        ("a ; from-tag=2 ;early-only; to-tag=1;x=y", Replaces("a", "1", "2", early_only=True)),
    ],
)
def test_replaces_is_read(text: str, value: Replaces) -> None:
    assert parse_replaces(text) == value
    assert parse_replaces(str(value)) == value


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a",
        "a;to-tag=1",
        "a;from-tag=1",
        ";to-tag=1;from-tag=2",
        "a b;to-tag=1;from-tag=2",
        "a;to-tag=;from-tag=2",
        "a;to-tag;from-tag=2",
    ],
)
def test_replaces_that_names_no_dialog_is_refused(text: str) -> None:
    with pytest.raises(RemoteProtocolError):
        parse_replaces(text)


def test_answered_call_is_replaced() -> None:
    wire, alice, bob, carol, ours, theirs = with_carol()
    bob.events.clear()
    handle = replacing(carol, bob.host, ("Replaces", place_of(alice.endpoint.dialog(ours))), ("Require", "replaces"))
    wire.run(2)
    incoming = bob.last(IncomingCall)
    assert isinstance(incoming, IncomingCall)
    assert incoming.replaces == theirs
    assert bob.names() == ["IncomingCall", "Ended", "Acked"]
    assert bob.last(Ended) == Ended(theirs, "local", "replaced")
    assert alice.last(Ended).by == "remote"  # type: ignore[attr-defined]
    assert isinstance(carol.last(Answered), Answered)
    words = wire.words(bob)
    assert words.index("200 INVITE", 4) < words.index("BYE")
    assert (alice.endpoint.calls, bob.endpoint.calls, carol.endpoint.calls) == (0, 1, 1)
    carol.do("bye", handle)
    wire.run(1)
    assert bob.endpoint.calls == 0


def test_call_that_is_refused_replaces_nothing() -> None:
    wire, alice, bob, carol, ours, _ = with_carol()
    bob.react = lambda event: (
        bob.endpoint.reject(wire.now, event.handle, 486) if isinstance(event, IncomingCall) else None
    )
    replacing(carol, bob.host, ("Replaces", place_of(alice.endpoint.dialog(ours))))
    wire.run(2)
    assert status_told(carol) == 486
    assert (alice.endpoint.calls, bob.endpoint.calls) == (1, 1)


def test_call_that_ended_while_its_heir_rang_is_no_obstacle() -> None:
    wire, alice, bob, carol, ours, _ = with_carol()
    bob.react = lambda event: None
    replacing(carol, bob.host, ("Replaces", place_of(alice.endpoint.dialog(ours))))
    wire.run(0.1)
    alice.do("bye", ours)
    wire.run(0.1)
    bob.do("answer", bob.last(IncomingCall).handle, ANSWER)
    wire.run(1)
    assert isinstance(carol.last(Answered), Answered)
    assert bob.endpoint.counters["sip.stale_commands"] == 1
    assert bob.endpoint.calls == 1


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        ([("Replaces", "nobody;to-tag=1;from-tag=2")], 481),
        ([("Replaces", "PLACE;early-only")], 486),
        ([("Replaces", "SWAPPED")], 481),
        ([("Replaces", "PLACE"), ("Join", "x;to-tag=1;from-tag=2")], 400),
        ([("Replaces", "nonsense")], 400),
        ([("Replaces", "x" * 4000 + ";to-tag=1;from-tag=2")], 481),
    ],
)
def test_invite_that_may_replace_nothing_gets_its_status(lines: list[tuple[str, str]], status: int) -> None:
    wire, alice, bob, carol, ours, _ = with_carol()
    dialog = alice.endpoint.dialog(ours)
    swapped = f"{dialog.call_id};to-tag={dialog.local_tag};from-tag={dialog.remote_tag}"
    lines = [(name, value.replace("PLACE", place_of(dialog)).replace("SWAPPED", swapped)) for name, value in lines]
    before = len(bob.events)
    replacing(carol, bob.host, *lines)
    wire.run(2)
    assert status_told(carol) == status
    assert len(bob.events) == before
    assert (alice.endpoint.calls, bob.endpoint.calls) == (1, 1)


def test_call_that_is_over_but_not_forgotten_is_declined() -> None:
    wire, alice, bob, carol, ours, theirs = with_carol()
    place = place_of(alice.endpoint.dialog(ours))
    wire.drop = lambda sent: sent.word == "200 BYE"
    bob.do("bye", theirs)
    replacing(carol, bob.host, ("Replaces", place))
    wire.run(1)
    assert status_told(carol) == 603


def test_call_of_ours_that_still_rings_is_given_up_for_its_heir() -> None:
    """Alice calls Bob, whose phone rings; Carol picks the call up (RFC 5359 §2.15)."""
    wire, alice, bob = pair()
    carol = Party(wire, CAROL)
    answers_at_once(alice)
    bob.react = lambda event: bob.endpoint.ring(wire.now, event.handle) if isinstance(event, IncomingCall) else None
    ours = alice.invite(bob.host)
    wire.run(0.5)
    dialog = bob.endpoint.dialog(bob.events[0].handle)
    replacing(carol, alice.host, ("Replaces", place_of(dialog) + ";early-only"))
    wire.run(2)
    incoming = alice.last(IncomingCall)
    assert isinstance(incoming, IncomingCall)
    assert incoming.replaces == ours
    failed = alice.last(Failed)
    assert isinstance(failed, Failed)
    assert (failed.handle, failed.status, failed.cause) == (ours, 487, "canceled")
    assert "Canceled" in bob.names()
    assert isinstance(carol.last(Answered), Answered)
    assert (alice.endpoint.calls, bob.endpoint.calls, carol.endpoint.calls) == (1, 0, 1)


def test_call_of_a_peer_that_rings_here_cannot_be_replaced() -> None:
    wire, alice, bob = pair()
    carol = Party(wire, CAROL)
    bob.react = lambda event: bob.endpoint.ring(wire.now, event.handle) if len(bob.events) == 1 else None
    alice.invite(bob.host)
    wire.run(0.5)
    (early,) = alice.endpoint._core.usages.values()
    replacing(carol, bob.host, ("Replaces", place_of(next(iter(early.early.values())))))
    wire.run(1)
    assert status_told(carol) == 481
    assert bob.names() == ["IncomingCall"]


def test_attended_transfer() -> None:
    """Alice has Bob and Carol; she hands Bob over to Carol (RFC 5589 §7.3). Bob calls Carol in her place."""
    wire, alice, bob, carol, with_bob, _ = with_carol()
    with_carol_ = alice.invite(CAROL)
    wire.run(1)

    def follow(event: object) -> None:
        if isinstance(event, Referred):
            bob.endpoint.accept_refer(wire.now, event.referral)
            bob.endpoint.invite(
                wire.now,
                Invitation(event.refer_to, f"sip:bob@{bob.host}", sdp=OFFER, headers=tuple(event.invite_headers)),
            )
        elif isinstance(event, Answered):
            referral = bob.last(Referred).referral  # type: ignore[attr-defined]
            bob.endpoint.notify_refer(wire.now, referral, 200)

    bob.react = follow
    alice.endpoint.refer(wire.now, with_bob, replaces=with_carol_)
    alice.drain()
    wire.run(2)
    referred = bob.last(Referred)
    assert isinstance(referred, Referred)
    assert referred.refer_to == f"sip:bob@{CAROL}:5060"  # the Contact of Carol's phone, not her name
    assert referred.replaced is None
    assert alice.last(ReferDone).status == 200  # type: ignore[attr-defined]
    assert alice.last(Ended).handle == with_carol_
    invite = next(invite for invite in wire.requests("INVITE") if "Replaces" in invite.headers)
    assert invite.headers.get("Referred-By") == f"<sip:alice@{alice.host}>"
    assert invite.headers.get_list("Require") == ["replaces"]
    told = [event for event in carol.events if isinstance(event, IncomingCall)][-1]
    assert told.referred_by == f"<sip:alice@{alice.host}>"
    alice.do("bye", with_bob)
    wire.run(1)
    assert (alice.endpoint.calls, bob.endpoint.calls, carol.endpoint.calls) == (0, 1, 1)


def test_transferee_is_told_when_the_call_to_replace_is_its_own() -> None:
    """Alice has two calls with Bob (a B2BUA) and joins them: nobody needs to be called."""
    wire, alice, bob, first, _ = established()
    second = alice.invite(bob.host)
    wire.run(1)
    theirs = bob.last(IncomingCall).handle
    bob.react = lambda event: None
    alice.endpoint.refer(wire.now, first, replaces=second)
    alice.drain()
    wire.run(1)
    referred = bob.last(Referred)
    assert isinstance(referred, Referred)
    assert referred.replaced == theirs


def test_only_an_answered_call_is_handed_over() -> None:
    wire, alice, bob, first, _ = established()
    bob.react = lambda event: None
    ringing = alice.invite(bob.host)
    with pytest.raises(LocalProtocolError):
        alice.endpoint.refer(wire.now, first, replaces=ringing)
    with pytest.raises(LocalProtocolError):
        alice.endpoint.refer(wire.now, first)
    assert alice.endpoint._core.timed == {}


def test_replaces_of_a_call_id_with_every_character_comes_through_a_refer() -> None:
    """RFC 3261 §25.1: a Call-ID may hold much that a URI header must escape."""
    wire, alice, bob, first, _ = established()
    second = alice.invite(bob.host)
    wire.run(1)
    alice.endpoint.dialog(second).call_id = """a%b"c<d>:e[f]?{g}~'`!*_+(.)\\-@h/i"""
    bob.react = lambda event: None
    alice.endpoint.refer(wire.now, first, replaces=second)
    alice.drain()
    wire.run(1)
    referred = bob.last(Referred)
    assert isinstance(referred, Referred)
    assert referred.replaces == str(replaces_of(alice.endpoint.dialog(second)))
