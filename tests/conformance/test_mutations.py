"""The broken messages of `tests/support/mutations.py` into endpoints, in virtual time.

Of each kind as many as a minute allows; LONGLINE_MUTATIONS=all takes every one.
"""

import ipaddress

from tests.support.mutations import ANOMALIES, PLAN, cases, sample
from tests.unit.sip.sip_pair import established
from tests.unit.sip.strangers import guarded

from longline.sip.events import IncomingCall, LockedOut, Unanswered
from longline.sip.wire import Source

MAX_DATAGRAM = 65_507


def test_no_broken_message_breaks_the_endpoint_leaks_or_disturbs_a_call() -> None:
    wire, alice, bob, ours, _ = established()
    wire.run(40)
    before = (bob.endpoint.calls, bob.endpoint.transactions, len(bob.endpoint._core.timers))
    bob.events.clear()
    answers: dict[int, int] = {}
    for case in sample(cases(), 2):
        if len(case.data) > MAX_DATAGRAM:
            continue
        bob.endpoint.receive(wire.now, Source("UDP", "192.0.2.99", 5060), case.data)
        for event in iter(bob.endpoint.poll_event, None):
            assert isinstance(event, IncomingCall), case.name
            bob.endpoint.reject(wire.now, event.handle, 488)
        for transmit in iter(bob.endpoint.poll_transmit, None):
            assert transmit.target.host == "192.0.2.99", case.name
            assert transmit.data.startswith(b"SIP/2.0 "), case.name
            assert len(transmit.data) <= len(case.data) + 400, f"{case.name}: we are no amplifier"
            status = int(transmit.data[8:11])
            answers[status] = answers.get(status, 0) + 1
        if case.number % 1000 < 2:
            wire.run(40)
    wire.run(40)
    assert (bob.endpoint.calls, bob.endpoint.transactions, len(bob.endpoint._core.timers)) == before
    assert set(answers) <= {100, 200, 400, 403, 405, 415, 416, 420, 481, 482, 488, 500, 501, 505, 513}, answers
    assert answers[200] > 1000 and answers[400] > 1000, "some are taken and some refused"
    alice.do("bye", ours)
    wire.run(1)
    assert bob.names() == ["Ended"]


def test_there_are_enough_of_them_and_each_is_itself() -> None:
    every = list(cases())
    assert len(every) >= 4_500
    assert len({case.name for case in every}) == len(every) == len(ANOMALIES) * sum(len(names) for *_, names in PLAN)
    assert [case.data for case in cases()] == [case.data for case in every]
    sound = sum(case.data.count(b"\r\n\r\n") == 1 for case in every)
    assert sound > len(every) / 2


def test_stranger_gets_no_more_octets_than_he_sends_and_no_memory() -> None:
    """A node that is shut, each case from an address of its own: silence or a challenge, never a call."""
    wire, node = guarded(domains=("127.0.0.1",))
    answers: dict[int, int] = {}
    for case in sample(cases(), 4):
        if len(case.data) > MAX_DATAGRAM:
            continue
        source = Source("UDP", str(ipaddress.IPv4Address(0x0B000000 + case.number)), 5060)
        node.endpoint.receive(wire.now, source, case.data)
        for transmit in iter(node.endpoint.poll_transmit, None):
            assert transmit.target.host == source.host, case.name
            assert len(transmit.data) <= len(case.data), case.name
            status = int(transmit.data[8:11])
            answers[status] = answers.get(status, 0) + 1
        assert not any(isinstance(event, IncomingCall) for event in iter(node.endpoint.poll_event, None)), case.name
    assert set(answers) == {401}
    assert (node.endpoint.calls, node.endpoint.transactions, node.endpoint.next_timeout()) == (0, 0, None)


def test_trunk_that_sends_broken_messages_is_told_so_and_nothing_is_left() -> None:
    wire, node = guarded()
    answers: dict[int, int] = {}
    for case in sample(cases(), 7):
        if len(case.data) > MAX_DATAGRAM:
            continue
        node.endpoint.receive(wire.now, Source("UDP", "192.0.2.7", 5060), case.data)
        for event in iter(node.endpoint.poll_event, None):
            if isinstance(event, IncomingCall):
                node.endpoint.reject(wire.now, event.handle, 488)
            else:
                assert isinstance(event, Unanswered | LockedOut), case.name
        for transmit in iter(node.endpoint.poll_transmit, None):
            status = int(transmit.data[8:11])
            answers[status] = answers.get(status, 0) + 1
        if case.number % 1000 < 7:
            wire.run(40)
    wire.run(40)
    assert {100, 200, 400} <= set(answers)
    assert (node.endpoint.calls, node.endpoint.transactions, node.endpoint.next_timeout()) == (0, 0, None)
