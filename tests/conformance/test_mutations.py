"""Every broken message of `tests/support/mutations.py` into an endpoint with a call in progress, in virtual time."""

from tests.support.mutations import ANOMALIES, PLAN, cases
from tests.unit.sip.sip_pair import established

from longline.sip.events import IncomingCall
from longline.sip.wire import Source

MAX_DATAGRAM = 65_507


def test_no_broken_message_breaks_the_endpoint_leaks_or_disturbs_a_call() -> None:
    wire, alice, bob, ours, _ = established()
    wire.run(40)
    before = (bob.endpoint.calls, bob.endpoint.transactions, len(bob.endpoint._core.timers))
    bob.events.clear()
    answers: dict[int, int] = {}
    for case in cases():
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
        if case.number % 1000 == 0:
            wire.run(40)
    wire.run(40)
    assert (bob.endpoint.calls, bob.endpoint.transactions, len(bob.endpoint._core.timers)) == before
    assert set(answers) <= {100, 200, 400, 405, 415, 416, 420, 481, 482, 488, 500, 501, 505, 513}, answers
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
