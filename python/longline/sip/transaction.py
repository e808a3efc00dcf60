"""The four transaction machines of RFC 3261 §17 with RFC 6026, as tables {(state, input): (next state, action)}.

A pair that is not in a table changes nothing. `ALIVE` says which timers run in which state. `Transaction` holds one
machine's state; `transaction_layer` performs the actions. Print everything with `describe()`.
Leaves out: matching, sending and clocks.
"""

from dataclasses import dataclass
from enum import Enum

from longline.sip.syntax.message import Request
from longline.sip.timers import Durations, Timer


class Kind(Enum):
    INVITE_CLIENT = "INVITE client"
    CLIENT = "non-INVITE client"
    INVITE_SERVER = "INVITE server"
    SERVER = "non-INVITE server"


class State(Enum):
    CALLING = "Calling"
    TRYING = "Trying"
    PROCEEDING = "Proceeding"
    COMPLETED = "Completed"
    CONFIRMED = "Confirmed"
    ACCEPTED = "Accepted"
    TERMINATED = "Terminated"


class Input(Enum):
    """What happens to a transaction besides its timers. PROVISIONAL, SUCCESS and FAILURE are responses: received by a
    client transaction, sent through a server transaction."""

    REQUEST = "request"
    ACK = "ACK"
    PROVISIONAL = "1xx"
    SUCCESS = "2xx"
    FAILURE = "300-699"
    TRANSPORT_ERROR = "transport error"


class Action(Enum):
    NONE = "-"
    SEND = "send the response"
    DELIVER = "pass to the user"
    RESEND_REQUEST = "send the request again"
    RESEND_RESPONSE = "send the last response again"
    ACK = "send ACK"
    ACK_AND_DELIVER = "send ACK, pass to the user"
    TIMED_OUT = "tell the user: time-out"
    TRANSPORT_FAILED = "tell the user: transport error"


Table = dict[tuple[State, Input | Timer], tuple[State, Action]]

_CALLING, _TRYING, _PROCEEDING = State.CALLING, State.TRYING, State.PROCEEDING
_COMPLETED, _CONFIRMED, _ACCEPTED, _TERMINATED = State.COMPLETED, State.CONFIRMED, State.ACCEPTED, State.TERMINATED

# RFC 3261 figure 5 with RFC 6026 figure 3.
INVITE_CLIENT: Table = {
    (_CALLING, Timer.A): (_CALLING, Action.RESEND_REQUEST),
    (_CALLING, Timer.B): (_TERMINATED, Action.TIMED_OUT),
    (_CALLING, Input.TRANSPORT_ERROR): (_TERMINATED, Action.TRANSPORT_FAILED),
    (_CALLING, Input.PROVISIONAL): (_PROCEEDING, Action.DELIVER),
    (_CALLING, Input.SUCCESS): (_ACCEPTED, Action.DELIVER),
    (_CALLING, Input.FAILURE): (_COMPLETED, Action.ACK_AND_DELIVER),
    (_PROCEEDING, Input.PROVISIONAL): (_PROCEEDING, Action.DELIVER),
    (_PROCEEDING, Input.SUCCESS): (_ACCEPTED, Action.DELIVER),
    (_PROCEEDING, Input.FAILURE): (_COMPLETED, Action.ACK_AND_DELIVER),
    (_PROCEEDING, Input.TRANSPORT_ERROR): (_TERMINATED, Action.TRANSPORT_FAILED),
    (_COMPLETED, Input.FAILURE): (_COMPLETED, Action.ACK),
    (_COMPLETED, Input.TRANSPORT_ERROR): (_TERMINATED, Action.NONE),
    (_COMPLETED, Timer.D): (_TERMINATED, Action.NONE),
    (_ACCEPTED, Input.SUCCESS): (_ACCEPTED, Action.DELIVER),
    (_ACCEPTED, Timer.M): (_TERMINATED, Action.NONE),
}

# RFC 3261 figure 6.
CLIENT: Table = {
    (_TRYING, Timer.E): (_TRYING, Action.RESEND_REQUEST),
    (_TRYING, Timer.F): (_TERMINATED, Action.TIMED_OUT),
    (_TRYING, Input.TRANSPORT_ERROR): (_TERMINATED, Action.TRANSPORT_FAILED),
    (_TRYING, Input.PROVISIONAL): (_PROCEEDING, Action.DELIVER),
    (_TRYING, Input.SUCCESS): (_COMPLETED, Action.DELIVER),
    (_TRYING, Input.FAILURE): (_COMPLETED, Action.DELIVER),
    (_PROCEEDING, Timer.E): (_PROCEEDING, Action.RESEND_REQUEST),
    (_PROCEEDING, Timer.F): (_TERMINATED, Action.TIMED_OUT),
    (_PROCEEDING, Input.TRANSPORT_ERROR): (_TERMINATED, Action.TRANSPORT_FAILED),
    (_PROCEEDING, Input.PROVISIONAL): (_PROCEEDING, Action.DELIVER),
    (_PROCEEDING, Input.SUCCESS): (_COMPLETED, Action.DELIVER),
    (_PROCEEDING, Input.FAILURE): (_COMPLETED, Action.DELIVER),
    (_COMPLETED, Timer.K): (_TERMINATED, Action.NONE),
}

# RFC 3261 figure 7 with RFC 6026 figure 5.
INVITE_SERVER: Table = {
    (_PROCEEDING, Input.REQUEST): (_PROCEEDING, Action.RESEND_RESPONSE),
    (_PROCEEDING, Input.PROVISIONAL): (_PROCEEDING, Action.SEND),
    (_PROCEEDING, Input.SUCCESS): (_ACCEPTED, Action.SEND),
    (_PROCEEDING, Input.FAILURE): (_COMPLETED, Action.SEND),
    (_PROCEEDING, Input.TRANSPORT_ERROR): (_TERMINATED, Action.TRANSPORT_FAILED),
    (_COMPLETED, Input.REQUEST): (_COMPLETED, Action.RESEND_RESPONSE),
    (_COMPLETED, Timer.G): (_COMPLETED, Action.RESEND_RESPONSE),
    (_COMPLETED, Timer.H): (_TERMINATED, Action.TIMED_OUT),
    (_COMPLETED, Input.TRANSPORT_ERROR): (_TERMINATED, Action.TRANSPORT_FAILED),
    (_COMPLETED, Input.ACK): (_CONFIRMED, Action.NONE),
    (_CONFIRMED, Timer.I): (_TERMINATED, Action.NONE),
    (_ACCEPTED, Input.SUCCESS): (_ACCEPTED, Action.SEND),
    (_ACCEPTED, Input.ACK): (_ACCEPTED, Action.DELIVER),
    (_ACCEPTED, Input.TRANSPORT_ERROR): (_ACCEPTED, Action.TRANSPORT_FAILED),
    (_ACCEPTED, Timer.L): (_TERMINATED, Action.NONE),
}

# RFC 3261 figure 8.
SERVER: Table = {
    (_TRYING, Input.PROVISIONAL): (_PROCEEDING, Action.SEND),
    (_TRYING, Input.SUCCESS): (_COMPLETED, Action.SEND),
    (_TRYING, Input.FAILURE): (_COMPLETED, Action.SEND),
    (_TRYING, Input.TRANSPORT_ERROR): (_TERMINATED, Action.TRANSPORT_FAILED),
    (_PROCEEDING, Input.REQUEST): (_PROCEEDING, Action.RESEND_RESPONSE),
    (_PROCEEDING, Input.PROVISIONAL): (_PROCEEDING, Action.SEND),
    (_PROCEEDING, Input.SUCCESS): (_COMPLETED, Action.SEND),
    (_PROCEEDING, Input.FAILURE): (_COMPLETED, Action.SEND),
    (_PROCEEDING, Input.TRANSPORT_ERROR): (_TERMINATED, Action.TRANSPORT_FAILED),
    (_COMPLETED, Input.REQUEST): (_COMPLETED, Action.RESEND_RESPONSE),
    (_COMPLETED, Input.TRANSPORT_ERROR): (_TERMINATED, Action.TRANSPORT_FAILED),
    (_COMPLETED, Timer.J): (_TERMINATED, Action.NONE),
}

TABLES: dict[Kind, Table] = {
    Kind.INVITE_CLIENT: INVITE_CLIENT,
    Kind.CLIENT: CLIENT,
    Kind.INVITE_SERVER: INVITE_SERVER,
    Kind.SERVER: SERVER,
}

INITIAL: dict[Kind, State] = {
    Kind.INVITE_CLIENT: _CALLING,
    Kind.CLIENT: _TRYING,
    Kind.INVITE_SERVER: _PROCEEDING,
    Kind.SERVER: _TRYING,
}

ALIVE: dict[tuple[Kind, State], frozenset[Timer]] = {
    (Kind.INVITE_CLIENT, _CALLING): frozenset((Timer.A, Timer.B)),
    (Kind.INVITE_CLIENT, _COMPLETED): frozenset((Timer.D,)),
    (Kind.INVITE_CLIENT, _ACCEPTED): frozenset((Timer.M,)),
    (Kind.CLIENT, _TRYING): frozenset((Timer.E, Timer.F)),
    (Kind.CLIENT, _PROCEEDING): frozenset((Timer.E, Timer.F)),
    (Kind.CLIENT, _COMPLETED): frozenset((Timer.K,)),
    (Kind.INVITE_SERVER, _COMPLETED): frozenset((Timer.G, Timer.H)),
    (Kind.INVITE_SERVER, _CONFIRMED): frozenset((Timer.I,)),
    (Kind.INVITE_SERVER, _ACCEPTED): frozenset((Timer.L,)),
    (Kind.SERVER, _COMPLETED): frozenset((Timer.J,)),
}

UNRELIABLE_ONLY = frozenset((Timer.A, Timer.E, Timer.G))
"""Retransmissions: never armed on TCP."""
_NO_TIMERS: frozenset[Timer] = frozenset()


@dataclass(slots=True, eq=False)
class Transaction:
    """One machine. `key` identifies it among the transactions of its endpoint."""

    kind: Kind
    key: str
    request: Request
    reliable: bool
    state: State
    interval: float = 0.0
    """The current retransmission interval of timer A, E or G."""

    def feed(self, what: Input | Timer) -> Action | None:
        """Move on; None when the input means nothing in this state."""
        row = TABLES[self.kind].get((self.state, what))
        if row is None:
            return None
        self.state, action = row
        return action

    def alive_timers(self) -> frozenset[Timer]:
        """The timers that run in the present state."""
        alive = ALIVE.get((self.kind, self.state), _NO_TIMERS)
        return alive - UNRELIABLE_ONLY if self.reliable else alive

    def next_interval(self, durations: Durations, timer: Timer) -> float:
        """RFC 3261 §17.1.1.2, §17.1.2.2, §17.2.1: A doubles without end, E and G up to T2; in Proceeding, E is T2."""
        if self.kind is Kind.CLIENT and self.state is _PROCEEDING:
            self.interval = durations.t2
        elif timer is Timer.A:
            self.interval *= 2
        else:
            self.interval = min(self.interval * 2, durations.t2)
        return self.interval


def describe() -> str:
    """All four tables, one row a line."""
    lines: list[str] = []
    for kind, table in TABLES.items():
        lines.append(f"{kind.value} (begins in {INITIAL[kind].value})")
        for (state, what), (after, action) in table.items():
            name = f"timer {what.name}" if isinstance(what, Timer) else what.value
            lines.append(f"  {state.value:<11} {name:<16} -> {after.value:<11} {action.value}")
    return "\n".join(lines)
