"""A request of ours goes on to its next target, and is told of once."""

import pytest
from tests.unit.sip.sip_pair import OFFER, Party, Wire, answers_at_once

from longline.sip.events import Answered, Ended, Failed, IncomingCall, Progress
from longline.sip.uac import Invitation

INVITE = "INVITE"


def farm(*addresses: str) -> tuple[Wire, Party]:
    """Alice, and a name that leads to these addresses."""
    wire = Wire(names={"farm.example.com": list(addresses)})
    return wire, Party(wire, "192.0.2.1")


def refuses(party: Party, status: int) -> None:
    party.react = lambda event: party.endpoint.reject(party.wire.now, event.handle, status)


@pytest.mark.parametrize("how", ["503", "timeout", "transport"])
def test_call_goes_on_to_the_next_target(how: str) -> None:
    wire, alice = farm("192.0.2.2", "192.0.2.3")
    if how == "503":
        refuses(Party(wire, "192.0.2.2"), 503)
    bob = Party(wire, "192.0.2.3")
    answers_at_once(bob)
    handle = alice.invite("farm.example.com")
    if how == "transport":
        key = wire.sent[0].transmit.transaction
        assert key is not None
        alice.do("transport_failed", key)
    wire.run(40)
    invites = [sent for sent in wire.sent if sent.word == INVITE]
    tried = list(dict.fromkeys(sent.transmit.target.host for sent in invites))
    assert tried == ["192.0.2.2", "192.0.2.3"]
    first, last = invites[0].message, invites[-1].message
    assert first.top_via.branch != last.top_via.branch
    assert (first.cseq, first.call_id) == (last.cseq, last.call_id)
    assert [e for e in alice.names() if e != "Progress"] == ["Answered"]
    assert alice.endpoint.counters["sip.failovers"] == 1
    alice.do("bye", handle)
    wire.run(1)
    assert bob.names()[-1] == "Ended"


@pytest.mark.parametrize("status", [404, 486, 500, 603])
def test_refusal_other_than_503_is_final(status: int) -> None:
    wire, alice = farm("192.0.2.2", "192.0.2.3")
    refuses(Party(wire, "192.0.2.2"), status)
    alice.invite("farm.example.com")
    wire.run(1)
    assert [(e.status, e.cause) for e in alice.events if isinstance(e, Failed)] == [(status, "rejected")]
    assert {sent.transmit.target.host for sent in wire.sent if sent.sender == alice.host} == {"192.0.2.2"}


def test_last_target_gives_the_outcome() -> None:
    wire, alice = farm("192.0.2.2", "192.0.2.3")
    refuses(Party(wire, "192.0.2.2"), 503)
    refuses(Party(wire, "192.0.2.3"), 503)
    alice.invite("farm.example.com")
    wire.run(1)
    assert [(e.status, e.cause) for e in alice.events if isinstance(e, Failed)] == [(503, "rejected")]
    assert (alice.endpoint.calls, len(alice.events)) == (0, 1)


def test_name_that_leads_nowhere_fails_the_call() -> None:
    wire, alice = farm()
    alice.invite("farm.example.com")
    assert [(e.status, e.cause) for e in alice.events if isinstance(e, Failed)] == [(503, "transport")]
    assert (alice.endpoint.calls, wire.sent) == (0, [])


def test_call_that_is_given_up_during_its_look_up_is_never_sent() -> None:
    wire, alice = farm("192.0.2.2")
    Party(wire, "192.0.2.2")
    handle = alice.endpoint.invite(wire.now, Invitation("sip:farm.example.com", "sip:a@b", sdp=OFFER))
    hop = alice.endpoint.poll_lookup()
    assert hop is not None and hop.host == "farm.example.com"
    alice.endpoint.cancel(wire.now, handle)
    alice.endpoint.located(wire.now, hop, wire.find(hop))
    alice.drain()
    assert wire.sent == []
    assert [(e.status, e.cause) for e in alice.events if isinstance(e, Failed)] == [(487, "canceled")]


def test_cancelled_call_does_not_go_on_to_the_next_target() -> None:
    wire, alice = farm("192.0.2.2", "192.0.2.3")
    bob, carol = Party(wire, "192.0.2.2"), Party(wire, "192.0.2.3")
    bob.react = lambda event: bob.endpoint.ring(wire.now, event.handle) if bob.names() == ["IncomingCall"] else None
    handle = alice.invite("farm.example.com")
    wire.run(1)
    assert isinstance(alice.events[-1], Progress)
    alice.do("cancel", handle)
    wire.run(40)
    assert [(e.status, e.cause) for e in alice.events if isinstance(e, Failed)] == [(487, "canceled")]
    assert carol.events == []


def test_late_answer_of_a_target_that_was_given_up_is_acknowledged_and_ended() -> None:
    wire, alice = farm("192.0.2.2", "192.0.2.3")
    slow, quick = Party(wire, "192.0.2.2"), Party(wire, "192.0.2.3")
    answers_at_once(quick)
    wire.drop = lambda sent: sent.sender == slow.host and wire.now < 1032.5
    answers_at_once(slow)
    alice.invite("farm.example.com")
    wire.run(120)
    assert [e for e in alice.names() if e != "Progress"] == ["Answered"]
    assert isinstance(alice.last(Answered), Answered)
    # The slow one repeats its 200 until it is acknowledged, and is then told goodbye.
    assert [e.by for e in slow.events if isinstance(e, Ended)] in (["remote"], ["local"])


# ---- requests that are too large for UDP (RFC 3261 §18.1.1)

LARGE = OFFER + b"a=x:" + b"y" * 1200 + b"\r\n"


def bare(sent: object) -> str:
    return f"{sent.transmit.target.transport} {sent.word}"  # type: ignore[attr-defined]


def test_large_request_goes_over_tcp_and_what_follows_where_the_answer_says() -> None:
    wire = Wire()
    alice, bob = Party(wire, "192.0.2.1"), Party(wire, "192.0.2.2")
    answers_at_once(bob)
    handle = alice.invite(bob.host, sdp=LARGE)
    wire.run(1)
    alice.do("bye", handle)
    wire.run(1)
    assert [bare(sent) for sent in wire.sent if sent.sender == alice.host] == ["TCP INVITE", "TCP ACK", "TCP BYE"]
    invite = next(sent.message for sent in wire.sent if sent.word == INVITE)
    assert invite.top_via.transport == "TCP"
    assert "transport" not in (invite.headers.get("Contact") or "")
    assert bob.names()[-1] == "Ended"


def test_large_request_goes_by_udp_where_there_is_no_tcp_and_the_next_one_at_once() -> None:
    wire = Wire()
    alice, bob = Party(wire, "192.0.2.1"), Party(wire, "192.0.2.2")
    answers_at_once(bob)
    for _ in range(2):
        alice.invite(bob.host, sdp=LARGE)
        last = wire.sent[-1]
        if last.transmit.target.transport == "TCP":
            assert last.transmit.transaction is not None
            wire.drop_all()
            alice.do("transport_failed", last.transmit.transaction)
        wire.run(1)
    invites = [bare(sent) for sent in wire.sent if sent.word == INVITE]
    assert invites == ["TCP INVITE", "UDP INVITE", "UDP INVITE"]
    assert [name for name in alice.names() if name != "Progress"] == ["Answered", "Answered"]
    assert alice.endpoint.counters["sip.tcp_fallbacks"] == 1


def test_next_target_after_udp_has_failed_too() -> None:
    wire, alice = farm("192.0.2.2", "192.0.2.3")
    bob = Party(wire, "192.0.2.3")
    answers_at_once(bob)
    alice.invite("farm.example.com", sdp=LARGE)
    for _ in range(2):
        key = wire.sent[-1].transmit.transaction
        assert key is not None
        wire.drop_all()
        alice.do("transport_failed", key)
    wire.run(1)
    tried = [(bare(sent), sent.transmit.target.host) for sent in wire.sent if sent.word == INVITE]
    assert tried == [("TCP INVITE", "192.0.2.2"), ("UDP INVITE", "192.0.2.2"), ("TCP INVITE", "192.0.2.3")]
    assert "Answered" in alice.names()


def test_size_limit_may_be_lifted() -> None:
    wire = Wire()
    alice, bob = Party(wire, "192.0.2.1", udp_max_bytes=0), Party(wire, "192.0.2.2")
    answers_at_once(bob)
    alice.invite(bob.host, sdp=LARGE)
    wire.run(1)
    assert {sent.transmit.target.transport for sent in wire.sent} == {"UDP"}


# ---- targets that say nothing, and those that have failed a moment ago (RFC 3263 §4.3)


def test_silent_target_is_left_after_four_tries() -> None:
    wire, alice = farm("192.0.2.2", "192.0.2.3")
    bob = Party(wire, "192.0.2.3")
    answers_at_once(bob)
    began = wire.now
    alice.invite("farm.example.com")
    wire.run(40)
    invites = [(sent.at - began, sent.transmit.target.host) for sent in wire.sent if sent.word == INVITE]
    assert invites == [(0.0, "192.0.2.2"), (0.5, "192.0.2.2"), (1.5, "192.0.2.2"), (3.5, "192.0.2.2"), (4.0, bob.host)]
    assert alice.names()[-1] == "Answered"
    assert alice.endpoint.transactions == 0


def test_target_that_rings_is_not_left() -> None:
    wire, alice = farm("192.0.2.2", "192.0.2.3")
    slow, other = Party(wire, "192.0.2.2"), Party(wire, "192.0.2.3")
    slow.react = lambda event: slow.endpoint.ring(wire.now, event.handle)
    alice.invite("farm.example.com")
    wire.run(30)
    assert not other.events
    assert "sip.failovers" not in alice.endpoint.counters


def test_only_target_is_waited_for_until_the_time_out() -> None:
    wire, alice = farm("192.0.2.2")
    alice.invite("farm.example.com")
    wire.run(31)
    assert alice.names() == []
    wire.run(2)
    assert alice.names() == ["Failed"]


@pytest.mark.parametrize("answers", [False, True])
def test_target_that_was_left_and_wakes_up_is_cancelled(answers: bool) -> None:
    """It rings, or answers, when another one has been asked: one call is what comes of it."""
    wire, alice = farm("192.0.2.2", "192.0.2.3")
    sleeper, bob = Party(wire, "192.0.2.2"), Party(wire, "192.0.2.3")
    wire.slow[sleeper.host] = 5.0
    bob.react = lambda event: bob.endpoint.ring(wire.now, event.handle) if isinstance(event, IncomingCall) else None
    if answers:
        answers_at_once(sleeper)
    else:
        sleeper.react = lambda event: (
            sleeper.endpoint.ring(wire.now, event.handle) if isinstance(event, IncomingCall) else None
        )
    alice.invite("farm.example.com")
    wire.run(20)
    cancels = [sent.transmit.target.host for sent in wire.sent if sent.word == "CANCEL" and sent.sender == alice.host]
    if answers:
        assert "Answered" in alice.names()
        assert bob.host in cancels
        assert bob.names()[-1] == "Canceled"
        assert sleeper.endpoint.calls == 1
    else:
        assert set(cancels) == {sleeper.host}
        assert sleeper.names()[-1] == "Canceled"
        assert [type(event).__name__ for event in alice.events if not isinstance(event, Progress)] == []
    assert alice.endpoint.calls == 1


@pytest.mark.parametrize(("how", "rest_s"), [("silence", 60), ("transport", 60), ("503", 20), ("503 for a day", 300)])
def test_target_that_has_failed_is_tried_last_for_a_while(how: str, rest_s: float) -> None:
    wire, alice = farm("192.0.2.2", "192.0.2.3")
    first, bob = Party(wire, "192.0.2.2"), Party(wire, "192.0.2.3")
    answers_at_once(bob)
    wait = {"503": "20", "503 for a day": "86400 (maintenance)"}.get(how)
    if wait is not None:
        first.react = lambda event: first.endpoint.reject(wire.now, event.handle, 503, None, [("Retry-After", wait)])
    else:
        wire.drop = lambda sent: sent.transmit.target.host == first.host

    def tried() -> list[str]:
        before = len(wire.sent)
        alice.invite("farm.example.com")
        if how == "transport" and wire.sent[-1].transmit.target.host == first.host:
            key = wire.sent[-1].transmit.transaction
            assert key is not None
            alice.do("transport_failed", key)
        wire.run(5)
        hosts = [sent.transmit.target.host for sent in wire.sent[before:] if sent.word == INVITE]
        return list(dict.fromkeys(hosts))

    assert tried() == [first.host, bob.host]
    assert tried() == [bob.host]
    wire.run(rest_s - 15)
    assert tried() == [bob.host]
    wire.run(10)
    assert tried() == [first.host, bob.host]
