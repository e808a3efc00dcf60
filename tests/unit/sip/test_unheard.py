"""A call whose INVITE meets silence is told of as such, to whoever wants to know. In virtual time."""

from tests.unit.sip.sip_pair import Party, Wire, answers_at_once, pair

from longline.sip.events import Failed, IncomingCall, Unheard
from longline.sip.exchange import SILENCE_T1


def silent() -> tuple[Wire, Party]:
    wire = Wire()
    return wire, Party(wire, "192.0.2.1")


def unheard(party: Party) -> int:
    return sum(isinstance(event, Unheard) for event in party.events)


def test_nothing_at_all_is_told_after_four_seconds_and_once() -> None:
    wire, alice = silent()
    alice.invite("192.0.2.9", tells_silence=True)
    wire.run(SILENCE_T1 * 0.5 - 0.1)
    assert unheard(alice) == 0
    wire.run(0.2)
    assert unheard(alice) == 1
    wire.run(60)
    assert unheard(alice) == 1 and isinstance(alice.events[-1], Failed)


def test_silence_is_not_told_to_who_did_not_ask() -> None:
    wire, alice = silent()
    alice.invite("192.0.2.9")
    wire.run(60)
    assert unheard(alice) == 0


def test_a_provisional_response_is_no_silence() -> None:
    wire, alice, bob = pair()
    alice.invite("192.0.2.2", tells_silence=True)
    wire.run(20)  # Bob has said 100 and rings nobody yet
    assert isinstance(bob.events[0], IncomingCall) and unheard(alice) == 0


def test_further_servers_of_a_name_come_first() -> None:
    wire, alice = silent()
    wire.names["carrier.example"] = ["192.0.2.8", "192.0.2.9"]
    alice.invite("carrier.example", tells_silence=True)
    wire.run(6)
    assert unheard(alice) == 0
    wire.run(4)
    assert unheard(alice) == 1


def test_a_silent_call_that_is_cancelled_and_answered_all_the_same_is_ended() -> None:
    wire, alice, bob = pair()
    lost = [True]
    wire.drop = lambda sent: lost[0] and sent.sender == "192.0.2.2"
    answers_at_once(bob)
    handle = alice.invite("192.0.2.2", tells_silence=True)
    wire.run(5)
    assert unheard(alice) == 1
    alice.do("cancel", handle)
    lost[0] = False
    wire.run(60)
    assert [event.cause for event in alice.events if isinstance(event, Failed)] == ["canceled"]
    assert alice.endpoint.calls == bob.endpoint.calls == 0
