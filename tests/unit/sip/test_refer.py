"""REFER and its NOTIFYs between two endpoints, and with peers that do not keep to the rules."""

from dataclasses import replace

import pytest
from tests.unit.sip.sip_pair import OFFER, Party, Sent, Wire, answers_at_once, established, pair

from longline.base.errors import LocalProtocolError
from longline.sip.events import Ended, ReferAccepted, ReferDone, ReferProgress, Referred, ReferRefused, SipEvent
from longline.sip.features.refer_server import DECISION_S, LIFETIME_S, MAX_REFERRALS
from longline.sip.syntax.message import Request

CAROL = "sip:carol@192.0.2.3"
FRAGMENT = "message/sipfrag;version=2.0"


def referred(outcome: int | None = 200, *progress: int) -> tuple[Wire, Party, Party, str, str]:
    """Alice asks Bob to call Carol: he accepts, and tells this progress and this outcome."""
    wire, alice, bob, ours, _ = established()

    def react(event: object) -> None:
        if isinstance(event, Referred):
            bob.endpoint.accept_refer(wire.now, event.referral)
            for status in progress:
                bob.endpoint.notify_refer(wire.now, event.referral, status)
            if outcome is not None:
                bob.endpoint.notify_refer(wire.now, event.referral, outcome)

    bob.react = react
    reference = alice.endpoint.refer(wire.now, ours, CAROL)
    alice.drain()
    wire.run(1)
    return wire, alice, bob, ours, reference


def told(party: Party) -> list[tuple[str, int | None]]:
    """What became of a reference, in order."""
    kinds = (ReferAccepted, ReferProgress, ReferDone, ReferRefused)
    return [(type(e).__name__, getattr(e, "status", None)) for e in party.events if isinstance(e, kinds)]


def within(wire: Wire, party: Party, handle: str, method: str, *lines: str, body: bytes = b"") -> list[Sent]:
    """A request that the far end of `handle` makes by hand; returns what the other one says to it."""
    other = next(p for p in wire.parties.values() if p is not party)
    request = party.endpoint.dialog(handle).request(method, body=body)
    request.headers.push("Via", f"SIP/2.0/UDP {party.host};branch=z9hG4bK{len(wire.sent)}")
    for line in lines:
        name, _, value = line.partition(": ")
        request.headers.set(name, value)
    return wire.inject(other, request.encode(), source=None)


def status_of(sent: list[Sent]) -> int:
    return sent[0].message.status  # type: ignore[union-attr]


def test_reference_is_accepted_and_its_outcome_told() -> None:
    wire, alice, bob, ours, reference = referred()
    event = bob.last(Referred)
    assert isinstance(event, Referred)
    assert (event.refer_to, event.referred_by, event.replaces) == (CAROL, "<sip:alice@192.0.2.1>", None)
    assert event.invite_headers == [("Referred-By", "<sip:alice@192.0.2.1>")]
    assert told(alice) == [("ReferAccepted", None), ("ReferProgress", 100), ("ReferDone", 200)]
    assert alice.last(ReferDone) == ReferDone(ours, reference, 200, "OK")
    first, last = wire.requests("NOTIFY")
    assert (first.body, last.body) == (b"SIP/2.0 100 Trying\r\n", b"SIP/2.0 200 OK\r\n")
    assert first.headers.get("Subscription-State") == f"active;expires={LIFETIME_S}"
    assert last.headers.get("Subscription-State") == "terminated;reason=noresource"
    for notify in (first, last):
        assert notify.headers.get("Event") == "refer"
        assert notify.headers.get("Content-Type") == FRAGMENT
        assert notify.headers.get("Contact")


def test_nothing_is_left_of_a_reference_when_both_calls_are_over() -> None:
    wire, alice, bob, ours, _ = referred()
    alice.do("bye", ours)
    wire.run(60)
    for party in (alice, bob):
        core = party.endpoint._core
        assert (core.usages, core.dialogs, core.timed, len(core.timers)) == ({}, {}, {}, 0)


def test_progress_is_told_once_each() -> None:
    wire, alice, bob, _, _ = referred(None)
    referral = bob.last(Referred).referral  # type: ignore[attr-defined]
    for status in (180, 180, 183, 486):
        bob.do("notify_refer", referral, status)
        wire.run(0.5)
    assert told(alice)[2:] == [("ReferProgress", 180), ("ReferProgress", 183), ("ReferDone", 486)]
    assert len(wire.requests("NOTIFY")) == 4


def test_one_notify_at_a_time_and_the_newest_word_wins() -> None:
    """A NOTIFY that overtook another would be refused for its CSeq."""
    wire, alice, _, _, _ = referred(200, 180, 181, 183)
    assert [notify.body.split()[1] for notify in wire.requests("NOTIFY")] == [b"100", b"200"]
    assert told(alice)[-1] == ("ReferDone", 200)


@pytest.mark.parametrize("status", [403, 480, 603])
def test_reference_is_refused(status: int) -> None:
    wire, alice, bob, ours, _ = established()
    bob.react = lambda event: (
        bob.endpoint.reject_refer(wire.now, event.referral, status) if isinstance(event, Referred) else None
    )
    alice.do("refer", ours, CAROL)
    wire.run(1)
    assert told(alice) == [("ReferRefused", status)]
    assert wire.requests("NOTIFY") == []
    assert alice.endpoint.calls == 1


def test_reference_that_nobody_decides_on_is_refused_in_time() -> None:
    wire, alice, bob, ours, _ = established()
    bob.react = lambda event: None
    alice.do("refer", ours, CAROL)
    wire.run(DECISION_S + 1)
    assert told(alice) == [("ReferRefused", 480)]
    bob.do("accept_refer", bob.last(Referred).referral)  # type: ignore[attr-defined]
    assert bob.endpoint.counters["sip.stale_commands"] == 1


def test_outcome_is_told_after_the_referring_call_has_ended() -> None:
    """Blind transfer: whoever transfers hangs up when the REFER is accepted (RFC 5589 §6.1)."""
    wire, alice, bob, ours, _ = referred(None)
    alice.do("bye", ours)
    wire.run(2)
    assert isinstance(bob.events[-1], Ended)
    assert (alice.endpoint.calls, bob.endpoint.calls) == (0, 0)
    bob.do("notify_refer", bob.last(Referred).referral, 200)  # type: ignore[attr-defined]
    wire.run(1)
    assert told(alice)[-1] == ("ReferDone", 200)
    assert wire.words(bob)[-1] == "NOTIFY"
    assert wire.words(alice)[-1] == "200 NOTIFY"
    wire.run(60)
    for party in (alice, bob):
        core = party.endpoint._core
        assert (core.dialogs, core.timed, len(core.timers)) == ({}, {}, 0)


def test_subscription_can_be_given_up_after_the_referring_call_has_ended() -> None:
    wire, alice, bob, ours, _ = referred(None)
    dialog = alice.endpoint.dialog(ours)
    alice.do("bye", ours)
    wire.run(1)
    request = dialog.request("SUBSCRIBE")
    request.headers.push("Via", f"SIP/2.0/UDP {alice.host};branch=z9hG4bKlate")
    for name, value in (("Event", "refer"), ("Expires", "0")):
        request.headers.add(name, value)
    assert status_of(wire.inject(bob, request.encode())) == 200
    wire.run(1)
    assert told(alice)[-1] == ("ReferDone", None)


def test_peer_that_forgot_its_reference_is_told_no_more() -> None:
    wire, alice, bob, _, _ = referred(None)
    alice.endpoint._refer_client._refers.clear()  # as after a restart
    referral = bob.last(Referred).referral  # type: ignore[attr-defined]
    bob.do("notify_refer", referral, 180)
    wire.run(1)
    assert [response.status for response in wire.responses(481)] == [481]
    bob.do("notify_refer", referral, 200)
    assert len(wire.requests("NOTIFY")) == 2
    assert bob.endpoint.counters["sip.stale_commands"] == 1


def test_silence_after_the_time_the_peer_named_ends_the_wait() -> None:
    wire, alice, bob, _, _ = referred(None)
    handle = bob.events[0].handle
    lines = ("Event: refer", f"Content-Type: {FRAGMENT}", "Subscription-State: active;expires=5")
    within(wire, bob, handle, "NOTIFY", *lines, body=b"SIP/2.0 180 Ringing\r\n")
    wire.run(4)
    assert told(alice)[-1] == ("ReferProgress", 180)
    wire.run(2)
    assert told(alice)[-1] == ("ReferDone", None)


def test_what_is_told_after_the_outcome_is_acknowledged_and_no_more() -> None:
    wire, alice, bob, _, _ = referred(None)
    handle = bob.events[0].handle
    lines = ("Event: refer", f"Content-Type: {FRAGMENT}", "Subscription-State: active;expires=60")
    for line in (b"SIP/2.0 200 OK\r\n", b"SIP/2.0 180 Ringing\r\n", b"SIP/2.0 486 Busy Here\r\n"):
        assert status_of(within(wire, bob, handle, "NOTIFY", *lines, body=line)) == 200
    assert told(alice)[2:] == [("ReferDone", 200)]


def test_peer_that_tells_progress_and_then_refuses_has_refused() -> None:
    wire, alice, bob, ours, _ = established()
    bob.react = lambda event: None
    alice.do("refer", ours, CAROL)
    wire.run(0.1)
    lines = ("Event: refer", f"Content-Type: {FRAGMENT}", "Subscription-State: active;expires=60")
    within(wire, bob, bob.events[0].handle, "NOTIFY", *lines, body=b"SIP/2.0 100 Trying\r\n")
    bob.do("reject_refer", bob.last(Referred).referral, 603)  # type: ignore[attr-defined]
    wire.run(1)
    assert told(alice) == [("ReferAccepted", None), ("ReferProgress", 100), ("ReferDone", 603)]


def test_notify_that_nobody_asked_for_gets_481() -> None:
    wire, _, bob, _, theirs = established()
    sent = within(wire, bob, theirs, "NOTIFY", "Event: refer", "Subscription-State: active", "Content-Type: x/y")
    assert status_of(sent) == 481


@pytest.mark.parametrize(
    ("lines", "body", "status"),
    [
        (("Event: presence",), b"SIP/2.0 100 Trying\r\n", 489),
        (("Event: refer;id=99",), b"SIP/2.0 100 Trying\r\n", 481),
        (("Event: refer;id=x",), b"SIP/2.0 100 Trying\r\n", 481),
        (("Event: refer",), b"hello", 400),
        (("Event: refer", "Content-Type: text/plain"), b"SIP/2.0 100 Trying\r\n", 415),
        (("Event: refer", "Subscription-State: ;x"), b"SIP/2.0 100 Trying\r\n", 400),
        (("Event: refer",), b"SIP/2.0 199 " + b"x" * 4000, 200),
        (("Event: refer",), b"SIP/2.0 180 \xff\xfe\r\n", 200),
        (("Event: refer",), b"", 200),
    ],
)
def test_notify_that_is_odd_gets_its_status(lines: tuple[str, ...], body: bytes, status: int) -> None:
    wire, alice, bob, _, _ = referred(None)
    handle = bob.events[0].handle
    before = len(alice.events)
    sent = within(wire, bob, handle, "NOTIFY", f"Content-Type: {FRAGMENT}", *lines, body=body)
    assert status_of(sent) == status
    assert len(alice.events) - before == (1 if status == 200 and body else 0)
    bob.do("notify_refer", bob.last(Referred).referral, 200)  # type: ignore[attr-defined]
    wire.run(1)
    assert told(alice)[-1] == ("ReferDone", 200)


def test_notify_that_comes_before_the_202_counts() -> None:
    wire, alice, bob, _, _ = established()
    wire.drop = lambda sent: sent.word == "202 REFER" and wire.now < 1003
    bob.react = lambda event: (
        bob.endpoint.accept_refer(wire.now, event.referral) if isinstance(event, Referred) else None
    )
    alice.do("refer", alice.events[-1].handle, CAROL)
    wire.run(0.3)
    assert told(alice) == [("ReferAccepted", None), ("ReferProgress", 100)]
    wire.run(5)
    assert told(alice) == [("ReferAccepted", None), ("ReferProgress", 100)]


def test_peer_that_accepts_and_tells_nothing_is_waited_for_no_longer_than_a_transaction() -> None:
    wire, alice, bob, ours, _ = established()
    wire.drop = lambda sent: sent.word == "NOTIFY"
    bob.react = lambda event: (
        bob.endpoint.accept_refer(wire.now, event.referral) if isinstance(event, Referred) else None
    )
    alice.do("refer", ours, CAROL)
    wire.run(33)
    assert told(alice) == [("ReferAccepted", None), ("ReferDone", None)]
    wire.run(10)
    referral = bob.last(Referred).referral  # type: ignore[attr-defined]
    bob.do("notify_refer", referral, 200)  # its NOTIFY timed out: there is nobody to tell any more
    assert bob.endpoint.counters["sip.stale_commands"] == 1
    assert (alice.endpoint.calls, bob.endpoint.calls) == (1, 1)


def test_outcome_that_never_comes_ends_the_subscription() -> None:
    wire, alice, bob, _, _ = referred(None, 180)
    wire.run(LIFETIME_S + 10)
    assert told(alice)[-1] == ("ReferDone", None)
    assert wire.requests("NOTIFY")[-1].headers.get("Subscription-State") == "terminated;reason=timeout"
    assert bob.endpoint._core.timed == {}


def test_referrer_that_gives_the_subscription_up_is_told_no_more() -> None:
    wire, alice, bob, ours, _ = referred(None)
    sent = within(wire, alice, ours, "SUBSCRIBE", "Event: refer", "Expires: 0")
    assert status_of(sent) == 200
    assert wire.requests("NOTIFY")[-1].headers.get("Subscription-State") == "terminated;reason=timeout"
    wire.run(1)
    bob.do("notify_refer", bob.last(Referred).referral, 200)  # type: ignore[attr-defined]
    wire.run(1)
    assert told(alice)[-1] == ("ReferDone", None)


@pytest.mark.parametrize(
    ("line", "expires", "status"),
    [
        ("Event: refer", "60", 200),
        ("Event: dialog", "60", 489),
        ("Event: refer;id=9", "60", 481),
        ("Event: refer", "x", 400),
    ],
)
def test_subscription_is_refreshed_within_the_dialog(line: str, expires: str, status: int) -> None:
    wire, alice, _, ours, _ = referred(None)
    sent = within(wire, alice, ours, "SUBSCRIBE", line, f"Expires: {expires}")
    assert status_of(sent) == status
    states = [notify.headers.get("Subscription-State") for notify in wire.requests("NOTIFY")]
    assert states == [f"active;expires={LIFETIME_S}", *(["active;expires=60"] if status == 200 else [])]


def test_peer_that_wants_no_notify_gets_none() -> None:
    """RFC 4488."""
    wire, alice, bob, ours, _ = established()
    bob.react = lambda event: None
    within(wire, alice, ours, "REFER", f"Refer-To: <{CAROL}>", "Refer-Sub: false")
    referral = bob.last(Referred).referral  # type: ignore[attr-defined]
    bob.do("accept_refer", referral)
    (accepted,) = wire.responses(202)
    assert accepted.headers.get("Refer-Sub") == "false"
    bob.do("notify_refer", referral, 180)
    bob.do("notify_refer", referral, 200)
    assert wire.requests("NOTIFY") == []
    assert bob.endpoint._core.timed == {}


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        ((), 400),
        (("Refer-To: ",), 400),
        ((f"Refer-To: <{CAROL}>, <{CAROL}>",), 400),
        (("Refer-To: <http://192.0.2.3/>",), 416),
        (("Refer-To: nobody",), 400),
        (("Refer-To: <sip:carol@[192.0.2.3>",), 400),
        (("Refer-To: <sip:carol@192.0.2.3;method=BYE>",), 403),
        (("Refer-To: <sip:carol@192.0.2.3?Replaces=x>",), 400),
        (("Refer-To: <sip:carol@192.0.2.3?Replaces=a%3Bto-tag%3D1>",), 400),
        (("Refer-To: <sip:c@192.0.2.3?Replaces=a%3Bto-tag%3D1%3Bfrom-tag%3D2&replaces=b>",), 400),
        ((f"Refer-To: <{CAROL}>", "Referred-By: nobody"), 400),
    ],
)
def test_refer_that_names_nobody_is_refused(lines: tuple[str, ...], status: int) -> None:
    wire, alice, bob, ours, _ = established()
    assert status_of(within(wire, alice, ours, "REFER", *lines)) == status
    assert "Referred" not in bob.names()
    assert bob.endpoint.calls == 1


@pytest.mark.parametrize(
    ("value", "uri"),
    [
        ("tel:+15550100", "tel:+15550100"),
        ("sip:carol@192.0.2.3;transport=tcp", "sip:carol@192.0.2.3"),
        ("<sip:carol@192.0.2.3;transport=tcp>;x=1", "sip:carol@192.0.2.3;transport=tcp"),
        ('"Carol, C" <sip:carol@192.0.2.3;method=INVITE?Subject=hi>', "sip:carol@192.0.2.3"),
        ("<sips:carol@[2001:db8::3]:5071>", "sips:carol@[2001:db8::3]:5071"),
    ],
)
def test_whom_a_refer_names(value: str, uri: str) -> None:
    wire, alice, bob, ours, _ = established()
    bob.react = lambda event: None
    within(wire, alice, ours, "REFER", f"Refer-To: {value}")
    event = bob.last(Referred)
    assert isinstance(event, Referred)
    assert event.refer_to == uri


def test_references_of_one_call_are_told_apart_and_bounded() -> None:
    wire, alice, bob, ours, _ = established()
    bob.react = lambda event: (
        bob.endpoint.accept_refer(wire.now, event.referral) if isinstance(event, Referred) else None
    )
    references = []
    for number in range(MAX_REFERRALS):
        references.append(alice.endpoint.refer(wire.now, ours, f"sip:c{number}@192.0.2.3"))
        alice.drain()
        wire.run(1)
    with pytest.raises(LocalProtocolError):
        alice.endpoint.refer(wire.now, ours, CAROL)
    assert status_of(within(wire, alice, ours, "REFER", f"Refer-To: <{CAROL}>")) == 500
    referrals = [event.referral for event in bob.events if isinstance(event, Referred)]
    for index, referral in enumerate(referrals):
        bob.do("notify_refer", referral, 481 + index)
        wire.run(1)
    outcomes = {event.referral: event.status for event in alice.events if isinstance(event, ReferDone)}
    assert outcomes == {reference: 481 + index for index, reference in enumerate(references)}
    events = [notify.headers.get("Event") for notify in wire.requests("NOTIFY")]
    assert events[0] == "refer"
    assert len(set(events)) == MAX_REFERRALS


def test_refer_for_a_call_that_is_over_is_told_as_refused() -> None:
    wire, alice, _, ours, _ = established()
    alice.do("bye", ours)
    wire.run(1)
    alice.do("refer", ours, CAROL)
    assert told(alice) == [("ReferRefused", 481)]


@pytest.mark.parametrize("target", ["", "nobody", "sip:", "sip:carol@192.0.2.3\r\nX: y"])
def test_refer_to_nobody_is_our_own_bug(target: str) -> None:
    _, alice, _, ours, _ = established()
    with pytest.raises(LocalProtocolError):
        alice.endpoint.refer(1000.0, ours, target)
    assert alice.endpoint._core.timed == {}


def test_refer_that_gets_no_answer_is_told() -> None:
    wire, alice, bob, ours, _ = established()
    del wire.parties[bob.host]
    alice.do("refer", ours, CAROL)
    wire.run(33)
    assert told(alice) == [("ReferRefused", 408)]


def test_call_that_does_not_stand_yet_is_not_referred() -> None:
    wire, alice, bob, _, _ = established()
    handle = alice.invite("192.0.2.2", sdp=OFFER)
    with pytest.raises(LocalProtocolError):
        alice.endpoint.refer(wire.now, handle, CAROL)
    assert bob.endpoint.calls == 1


@pytest.mark.parametrize("seed", range(12))
def test_reference_survives_loss_duplication_and_reordering(seed: int) -> None:
    wire, alice, bob, ours, _ = established()
    wire.loss, wire.duplication, wire.jitter, wire.seed = 0.25, 0.2, 0.4, seed
    wire.__post_init__()

    def react(event: object) -> None:
        if isinstance(event, Referred):
            bob.endpoint.accept_refer(wire.now, event.referral)
            bob.endpoint.notify_refer(wire.now, event.referral, 180)
            bob.endpoint.notify_refer(wire.now, event.referral, 200)

    bob.react = react
    alice.do("refer", ours, CAROL)
    wire.run(100)
    outcomes = told(alice)
    assert outcomes[0] == ("ReferAccepted", None)
    assert outcomes[-1] == ("ReferDone", 200)
    assert [name for name, _ in outcomes].count("ReferDone") == 1
    assert isinstance(wire.requests("REFER")[0], Request)
    assert bob.endpoint._core.timed == {} == alice.endpoint._core.timed


def test_references_of_all_calls_together_are_bounded() -> None:
    """A call may end, and its reference stay: whoever calls, refers and hangs up again and again fills no table."""
    wire, alice, bob = pair()
    bob.endpoint._core.settings = replace(bob.endpoint._core.settings, max_calls=3)
    alice.endpoint._core.settings = replace(alice.endpoint._core.settings, max_calls=4)
    answers_at_once(bob)
    answer = bob.react

    def react(event: SipEvent) -> None:
        answer(event)
        if isinstance(event, Referred):
            bob.endpoint.accept_refer(wire.now, event.referral)

    bob.react = react
    for _ in range(5):
        handle = alice.invite(bob.host)
        wire.run(0.2)
        alice.do("refer", handle, CAROL)
        wire.run(0.2)
        alice.do("bye", handle)
        wire.run(0.2)
    assert [status for name, status in told(alice) if name == "ReferRefused"] == [503, 503]
    assert bob.endpoint.counters["sip.overload"] == 2
    assert bob.names().count("Referred") == 3
    wire.run(LIFETIME_S + 40)
    assert alice.endpoint._core.timed == {} == bob.endpoint._core.timed
