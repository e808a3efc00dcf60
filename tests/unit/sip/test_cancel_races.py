"""A caller gives up at any moment of any ladder: both sides then agree that there is no call, and nothing is left.

The moment moves through the whole ladder in small steps, so that the CANCEL meets every message on its way.
"""

from collections.abc import Callable

import pytest
from tests.unit.sip.sip_pair import ANSWER, Party, Wire, pair

from longline.sip.access.auth import TrunkCredential
from longline.sip.events import Canceled, Ended, Failed, IncomingCall

LAST_WORDS = (Failed, Ended)
Callee = Callable[[Party, IncomingCall], None]
CHALLENGE = ("Proxy-Authenticate", 'Digest realm="192.0.2.2", nonce="n", algorithm=MD5')
ELSEWHERE = ("Contact", "<sip:bob2@192.0.2.2>")


def says_nothing(bob: Party, call: IncomingCall) -> None:
    pass


def rings(bob: Party, call: IncomingCall) -> None:
    bob.endpoint.ring(bob.wire.now, call.handle)


def plays_early_media(bob: Party, call: IncomingCall) -> None:
    bob.endpoint.ring(bob.wire.now, call.handle, ANSWER)


def answers(bob: Party, call: IncomingCall) -> None:
    bob.endpoint.ring(bob.wire.now, call.handle)
    bob.endpoint.answer(bob.wire.now, call.handle, ANSWER)


def plays_and_answers(bob: Party, call: IncomingCall) -> None:
    bob.endpoint.ring(bob.wire.now, call.handle, ANSWER)
    bob.endpoint.answer(bob.wire.now, call.handle, ANSWER)


def is_busy(bob: Party, call: IncomingCall) -> None:
    bob.endpoint.reject(bob.wire.now, call.handle, 486)


def challenges(bob: Party, call: IncomingCall) -> None:
    if "Proxy-Authorization" in dict(call.headers):
        answers(bob, call)
    else:
        bob.endpoint.reject(bob.wire.now, call.handle, 407, None, [CHALLENGE])


def redirects(bob: Party, call: IncomingCall) -> None:
    if call.to_user == "bob2":
        answers(bob, call)
    else:
        bob.endpoint.reject(bob.wire.now, call.handle, 302, None, [ELSEWHERE])


def answers_and_hangs_up(bob: Party, call: IncomingCall) -> None:
    answers(bob, call)
    bob.endpoint.bye(bob.wire.now, call.handle)


CALLEES = [
    *(says_nothing, rings, plays_early_media, answers, plays_and_answers),
    *(is_busy, challenges, redirects, answers_and_hangs_up),
]


def race(
    callee: Callee, moment: float, again: float | None = None, **wire_settings: float
) -> tuple[Wire, Party, Party]:
    """Alice calls, and gives up after `moment` seconds (and `again` later once more); then all comes to rest."""
    wire, alice, bob = pair(**wire_settings)
    alice.endpoint._core.settings = type(alice.endpoint._core.settings)(
        host=alice.host, credentials=(TrunkCredential("192.0.2.2", "alice", "secret"),)
    )
    bob.react = lambda event: callee(bob, event) if isinstance(event, IncomingCall) else None
    handle = alice.invite("192.0.2.2", may_follow=lambda uri: True)
    wire.run(moment)
    alice.do("cancel", handle, "changed my mind")
    if again is not None:
        wire.run(again)
        alice.do("cancel", handle)
    wire.run(300)
    return wire, alice, bob


def check_that_nothing_is_left(*parties: Party) -> None:
    for party in parties:
        core = party.endpoint._core
        assert (core.usages, core.dialogs, len(core.timers)) == ({}, {}, 0)
        assert (core.layer.clients, core.layer.servers, core.layer.merging) == ({}, {}, {})


def check_last_words(alice: Party, bob: Party) -> None:
    """Alice is told once how it ended, and Bob once for each call that he was told of and did not refuse himself."""
    assert sum(isinstance(event, LAST_WORDS) for event in alice.events) == 1
    ends = [event.handle for event in bob.events if isinstance(event, Canceled | Ended)]
    assert len(ends) == len(set(ends)) <= sum(isinstance(event, IncomingCall) for event in bob.events)


@pytest.mark.parametrize("callee", CALLEES)
def test_cancel_at_every_moment_ends_the_call_on_both_sides(callee: Callee) -> None:
    outcomes = set()
    for step in range(40):
        wire, alice, bob = race(callee, step * 0.005)
        check_last_words(alice, bob)
        check_that_nothing_is_left(alice, bob)
        last = next(event for event in reversed(alice.events) if isinstance(event, LAST_WORDS))
        outcomes.add(type(last).__name__)
        if callee in (says_nothing, rings, plays_early_media):
            assert isinstance(last, Failed)
            assert (last.status, last.cause) == (487, "canceled")
            if bob.events:
                assert type(bob.events[-1]) is Canceled
        if "ACK" in wire.words(alice) and "200 INVITE" in wire.words(bob):
            assert {"BYE"} & set(wire.words())  # what was answered is ended, not left
    assert outcomes == (
        {"Failed", "Ended"} if callee in (answers, plays_and_answers, challenges, redirects) else outcomes
    )


@pytest.mark.parametrize("callee", CALLEES)
@pytest.mark.parametrize("seed", range(6))
def test_cancel_on_a_bad_network_ends_the_call_on_both_sides(callee: Callee, seed: int) -> None:
    for step in range(12):
        _, alice, bob = race(callee, 0.01 + step * 0.08, seed=seed * 100 + step, loss=0.3, duplication=0.2, jitter=0.3)
        check_last_words(alice, bob)
        check_that_nothing_is_left(alice, bob)


@pytest.mark.parametrize("callee", [rings, answers, is_busy])
def test_second_cancel_changes_nothing(callee: Callee) -> None:
    for step in range(20):
        wire, alice, bob = race(callee, step * 0.007, again=0.013)
        assert wire.words(alice).count("CANCEL") <= 1
        check_last_words(alice, bob)
        check_that_nothing_is_left(alice, bob)


def test_reason_of_a_cancel_comes_to_the_callee() -> None:
    _, _, bob = race(rings, 0.2)
    assert bob.events[-1] == Canceled(bob.events[0].handle, 'SIP;cause=200;text="changed my mind"')
