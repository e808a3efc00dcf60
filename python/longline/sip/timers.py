"""The timers of RFC 3261 (Appendix A table 4), RFC 6026 and of the user agent core, and the queue they wait in.

Time is an input: float seconds of a monotonic clock. Leaves out: whoever sleeps.
"""

import heapq
from dataclasses import dataclass
from enum import Enum


class Timer(Enum):
    """Which clock runs out."""

    A = "INVITE request retransmission, UDP only"
    B = "INVITE transaction time-out"
    D = "wait for retransmitted final responses to an INVITE"
    E = "non-INVITE request retransmission, UDP only"
    F = "non-INVITE transaction time-out"
    G = "INVITE final response retransmission, UDP only"
    H = "wait for the ACK of a final response to an INVITE"
    I = "wait for retransmitted ACKs"  # noqa: E741
    J = "wait for retransmitted non-INVITE requests"
    K = "wait for retransmitted responses to a non-INVITE"
    L = "wait for INVITE retransmissions after a 2xx was sent (RFC 6026)"
    M = "wait for retransmitted 2xx after one was received (RFC 6026)"
    RETRANSMIT_2XX = "2xx retransmission by the core until the ACK comes (RFC 3261 §13.3.1.4)"
    AWAIT_ACK = "wait for the ACK of a 2xx; then BYE (RFC 3261 §13.3.1.4)"
    RING_REFRESH = "repeat 1xx so that proxies keep the INVITE (RFC 3261 §13.3.1.1)"
    SESSION_REFRESH = "half of the session interval: our refresh (RFC 4028 §7.2)"
    SESSION_EXPIRY = "no refresh has come: BYE shortly before the session expires (RFC 4028 §10)"
    RETRANSMIT_1XX = "reliable 1xx retransmission until the PRACK comes (RFC 3262 §3)"
    AWAIT_PRACK = "wait for the PRACK of a reliable 1xx; then 504 (RFC 3262 §3)"
    REOFFER = "wait before our offer is made again: after a 491, or while the dialog is busy (RFC 3261 §14.1)"
    REOFFERED = "wait for the final response to our re-INVITE after a provisional one"
    REFER_UNDECIDED = "wait for our user to say what becomes of a REFER"
    SUBSCRIPTION = "the end of a subscription that a REFER made, or of the wait for its first NOTIFY (RFC 6665)"
    KEEP_ALIVE = "the next of the phones behind NATs are sent something, so that their way stays open"
    NEXT_WAY = "how long one of several phones of a callee rings before the next is called"
    SILENCE = "a target of a request says nothing, and there are others (RFC 3263 §4.3)"
    CANCELED = "wait for the final response of a cancelled INVITE (RFC 3261 §9.1)"
    UNHEARD = "wait for any response to an INVITE, where its owner knows another way"
    REGISTER = "the next REGISTER of a registration of ours is due"
    ASK_TARGET = "the next OPTIONS to a target of a peer is due"
    AWAIT_TARGET = "wait for the answer of a target to our OPTIONS"


@dataclass(frozen=True, slots=True)
class Durations:
    """T1, T2 and T4 of RFC 3261 §17.1.1.1, in seconds, and what follows from them."""

    t1: float = 0.5
    t2: float = 4.0
    t4: float = 5.0
    d: float = 32.0
    ring_refresh: float = 60.0
    next_way: float = 15.0

    @property
    def timeout(self) -> float:
        """64*T1."""
        return 64 * self.t1

    def of(self, timer: Timer, reliable: bool) -> float:
        """How long a timer runs when its state is entered. The waits for retransmissions are 0 on TCP."""
        if timer in (Timer.A, Timer.E, Timer.G, Timer.RETRANSMIT_2XX):
            return self.t1
        if timer in (Timer.D, Timer.I, Timer.J, Timer.K) and reliable:
            return 0.0
        if timer in (Timer.I, Timer.K):
            return self.t4
        if timer is Timer.D:
            return self.d
        return self.ring_refresh if timer is Timer.RING_REFRESH else self.timeout


class TimerQueue:
    """Armed timers by (owner, timer). Disarmed entries leave the heap lazily; it never holds twice what is armed."""

    __slots__ = ("_armed", "_count", "_heap", "_sequence")

    def __init__(self) -> None:
        self._armed: dict[str, dict[Timer, float]] = {}
        self._heap: list[tuple[float, int, str, Timer]] = []
        self._sequence = 0
        self._count = 0

    def arm(self, owner: str, timer: Timer, at: float) -> None:
        timers = self._armed.setdefault(owner, {})
        if timer not in timers:
            self._count += 1
        timers[timer] = at
        self._sequence += 1
        heapq.heappush(self._heap, (at, self._sequence, owner, timer))
        if len(self._heap) > 2 * self._count + 64:
            self._compact()

    def is_armed(self, owner: str, timer: Timer) -> bool:
        return timer in self._armed.get(owner, ())

    def at(self, owner: str, timer: Timer) -> float | None:
        """When it is due, if it is armed."""
        return self._armed.get(owner, {}).get(timer)

    def of(self, owner: str) -> tuple[Timer, ...]:
        """The timers an owner has armed."""
        return tuple(self._armed.get(owner, ()))

    def disarm(self, owner: str, *timers: Timer) -> None:
        """Disarm these timers of an owner, or all when none is named."""
        armed = self._armed.get(owner)
        if armed is None:
            return
        for timer in timers or tuple(armed):
            if armed.pop(timer, None) is not None:
                self._count -= 1
        if not armed:
            del self._armed[owner]

    def next(self) -> float | None:
        """When the next timer is due, or None."""
        while self._heap:
            at, _, owner, timer = self._heap[0]
            if self._armed.get(owner, {}).get(timer) == at:
                return at
            heapq.heappop(self._heap)
        return None

    def pop_due(self, now: float) -> tuple[str, Timer] | None:
        """Disarm and return one timer that is due, the earliest first."""
        at = self.next()
        if at is None or at > now:
            return None
        _, _, owner, timer = heapq.heappop(self._heap)
        self.disarm(owner, timer)
        return owner, timer

    def __len__(self) -> int:
        return self._count

    def _compact(self) -> None:
        self._heap = [entry for entry in self._heap if self._armed.get(entry[2], {}).get(entry[3]) == entry[0]]
        heapq.heapify(self._heap)
