"""The four machines of RFC 3261 §17 with RFC 6026, read as tables."""

import itertools

import pytest

from longline.sip.syntax.headers import Headers
from longline.sip.syntax.message import Request
from longline.sip.timers import Durations, Timer, TimerQueue
from longline.sip.transaction import ALIVE, INITIAL, TABLES, Action, Input, Kind, State, Transaction, describe

DURATIONS = Durations()


def transaction(kind: Kind, state: State | None = None, reliable: bool = False) -> Transaction:
    return Transaction(kind, "key", Request("INVITE", "sip:x@y", Headers()), reliable, state or INITIAL[kind], 0.5)


def walk(kind: Kind, *inputs: Input | Timer) -> tuple[State, list[Action | None]]:
    machine = transaction(kind)
    actions = [machine.feed(what) for what in inputs]
    return machine.state, actions


@pytest.mark.parametrize("kind", Kind)
def test_every_state_is_reached_and_every_state_can_end(kind: Kind) -> None:
    table = TABLES[kind]
    reached = {INITIAL[kind]} | {after for after, _ in table.values()}
    assert {state for state, _ in table} == reached - {State.TERMINATED}
    ending = {State.TERMINATED}
    for _ in State:
        ending |= {state for (state, _), (after, _) in table.items() if after in ending}
    assert ending == reached | {State.TERMINATED}


@pytest.mark.parametrize("kind", Kind)
def test_every_timer_that_runs_has_a_row_and_every_timer_with_a_row_runs(kind: Kind) -> None:
    rows = {(state, what) for state, what in TABLES[kind] if isinstance(what, Timer)}
    runs = {(state, timer) for (k, state), timers in ALIVE.items() if k is kind for timer in timers}
    assert rows == runs


@pytest.mark.parametrize(("kind", "what"), list(itertools.product(Kind, [*Input, *Timer])))
def test_nothing_moves_a_terminated_transaction(kind: Kind, what: Input | Timer) -> None:
    machine = transaction(kind, State.TERMINATED)
    assert machine.feed(what) is None
    assert machine.state is State.TERMINATED


@pytest.mark.parametrize(
    ("kind", "inputs", "state", "last"),
    [
        (Kind.INVITE_CLIENT, [Timer.A], State.CALLING, Action.RESEND_REQUEST),
        (Kind.INVITE_CLIENT, [Timer.B], State.TERMINATED, Action.TIMED_OUT),
        (Kind.INVITE_CLIENT, [Input.PROVISIONAL, Timer.A], State.PROCEEDING, None),
        (Kind.INVITE_CLIENT, [Input.FAILURE], State.COMPLETED, Action.ACK_AND_DELIVER),
        (Kind.INVITE_CLIENT, [Input.FAILURE, Input.FAILURE], State.COMPLETED, Action.ACK),
        (Kind.INVITE_CLIENT, [Input.FAILURE, Input.SUCCESS], State.COMPLETED, None),
        (Kind.INVITE_CLIENT, [Input.SUCCESS, Input.SUCCESS], State.ACCEPTED, Action.DELIVER),
        (Kind.INVITE_CLIENT, [Input.SUCCESS, Timer.M], State.TERMINATED, Action.NONE),
        (Kind.CLIENT, [Input.PROVISIONAL, Timer.E], State.PROCEEDING, Action.RESEND_REQUEST),
        (Kind.CLIENT, [Input.SUCCESS, Input.SUCCESS], State.COMPLETED, None),
        (Kind.CLIENT, [Input.FAILURE, Timer.K], State.TERMINATED, Action.NONE),
        (Kind.INVITE_SERVER, [Input.PROVISIONAL, Input.REQUEST], State.PROCEEDING, Action.RESEND_RESPONSE),
        (Kind.INVITE_SERVER, [Input.SUCCESS, Input.REQUEST], State.ACCEPTED, None),
        (Kind.INVITE_SERVER, [Input.SUCCESS, Input.SUCCESS], State.ACCEPTED, Action.SEND),
        (Kind.INVITE_SERVER, [Input.FAILURE, Timer.G], State.COMPLETED, Action.RESEND_RESPONSE),
        (Kind.INVITE_SERVER, [Input.FAILURE, Timer.H], State.TERMINATED, Action.TIMED_OUT),
        (Kind.INVITE_SERVER, [Input.FAILURE, Input.ACK, Input.ACK], State.CONFIRMED, None),
        (Kind.INVITE_SERVER, [Input.FAILURE, Input.SUCCESS], State.COMPLETED, None),
        (Kind.SERVER, [Input.REQUEST], State.TRYING, None),
        (Kind.SERVER, [Input.SUCCESS, Input.REQUEST], State.COMPLETED, Action.RESEND_RESPONSE),
        (Kind.SERVER, [Input.SUCCESS, Input.FAILURE], State.COMPLETED, None),
    ],
)
def test_machine_moves_as_its_figure_shows(
    kind: Kind, inputs: list[Input | Timer], state: State, last: Action | None
) -> None:
    reached, actions = walk(kind, *inputs)
    assert (reached, actions[-1]) == (state, last)


def test_retransmission_timers_never_run_on_tcp() -> None:
    for kind, state in ALIVE:
        assert not transaction(kind, state, reliable=True).alive_timers() & {Timer.A, Timer.E, Timer.G}


def test_waits_for_retransmissions_are_zero_on_tcp_only() -> None:
    for timer in (Timer.D, Timer.I, Timer.J, Timer.K):
        assert DURATIONS.of(timer, reliable=True) == 0
        assert DURATIONS.of(timer, reliable=False) > 0


@pytest.mark.parametrize(
    ("kind", "state", "timer", "intervals"),
    [
        (Kind.INVITE_CLIENT, State.CALLING, Timer.A, [1, 2, 4, 8, 16, 32]),
        (Kind.CLIENT, State.TRYING, Timer.E, [1, 2, 4, 4, 4]),
        (Kind.CLIENT, State.PROCEEDING, Timer.E, [4, 4]),
        (Kind.INVITE_SERVER, State.COMPLETED, Timer.G, [1, 2, 4, 4]),
    ],
)
def test_intervals_grow_as_the_rfc_says(kind: Kind, state: State, timer: Timer, intervals: list[float]) -> None:
    machine = transaction(kind, state)
    assert [machine.next_interval(DURATIONS, timer) for _ in intervals] == intervals


def test_tables_can_be_printed() -> None:
    text = describe()
    assert text.count("\n") + 1 == sum(len(table) for table in TABLES.values()) + len(Kind)
    assert "Calling" in text and "timer A" in text


def test_timer_queue_gives_the_earliest_first_and_forgets_what_was_disarmed() -> None:
    queue = TimerQueue()
    queue.arm("one", Timer.A, 3.0)
    queue.arm("one", Timer.B, 1.0)
    queue.arm("two", Timer.A, 2.0)
    queue.disarm("one", Timer.B)
    assert queue.next() == 2.0
    assert queue.pop_due(1.9) is None
    assert queue.pop_due(5.0) == ("two", Timer.A)
    queue.arm("one", Timer.A, 9.0)
    assert queue.pop_due(5.0) is None
    assert (queue.next(), len(queue)) == (9.0, 1)


def test_timer_queue_does_not_grow_with_rearming() -> None:
    queue = TimerQueue()
    for number in range(10_000):
        queue.arm("one", Timer.A, float(number))
    assert len(queue._heap) < 100
    assert queue.next() == 9999.0
