"""INFO requests of ours."""

import pytest
from tests.unit.sip.sip_pair import established, pair

from longline.base.errors import LocalProtocolError
from longline.sip.events import Ended, InfoAnswered, InfoDigit
from longline.sip.features.info_client import MAX_OPEN_INFOS
from longline.sip.syntax.info import DTMF_RELAY

FIVE = b"Signal=5\r\nDuration=160\r\n"


@pytest.mark.parametrize("side", ["caller", "callee"])
def test_digit_by_info_arrives_and_is_answered(side: str) -> None:
    wire, alice, bob, ours, theirs = established()
    us, peer, handle, other = (alice, bob, ours, theirs) if side == "caller" else (bob, alice, theirs, ours)
    us.do("info", handle, DTMF_RELAY, FIVE)
    wire.run(1)
    assert peer.events[-1] == InfoDigit(other, "5", 160)
    assert us.events[-1] == InfoAnswered(handle, 200, "OK")


def test_info_that_is_not_understood_is_told_and_the_call_goes_on() -> None:
    wire, alice, bob, ours, _ = established()
    alice.do("info", ours, "application/media_control+xml", b"<x/>")
    wire.run(1)
    assert alice.events[-1] == InfoAnswered(ours, 415, "Unsupported Media Type")
    assert bob.names() == ["IncomingCall", "Acked"]


@pytest.mark.parametrize("how", ["481", "silence"])
def test_info_that_finds_no_call_ends_it(how: str) -> None:
    wire, alice, bob, ours, theirs = established()
    if how == "481":
        bob.endpoint._core.remove(bob.endpoint._core.usages[theirs])
    else:
        wire.drop = lambda sent: True
    alice.do("info", ours, DTMF_RELAY, FIVE)
    wire.run(33)
    assert alice.events[-1] == Ended(ours, "local", "gone")


def test_infos_that_nobody_answers_do_not_pile_up() -> None:
    wire, alice, _, ours, _ = established()
    wire.drop = lambda sent: True
    for _ in range(MAX_OPEN_INFOS + 2):
        alice.do("info", ours, DTMF_RELAY, FIVE)
    assert alice.events[-2:] == [InfoAnswered(ours, 503, "Service Unavailable")] * 2
    assert len(wire.requests("INFO")) == MAX_OPEN_INFOS


def test_info_needs_a_call() -> None:
    wire, alice, bob = pair()
    handle = alice.invite(bob.host)
    with pytest.raises(LocalProtocolError):
        alice.endpoint.info(wire.now, handle, DTMF_RELAY, FIVE)
    alice.endpoint.info(wire.now, "nobody", DTMF_RELAY, FIVE)
    assert alice.endpoint.counters["sip.stale_commands"] == 1
