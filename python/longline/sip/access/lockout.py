"""Who is not listened to any more: too many wrong passwords, or too many challenges that nobody answered.

Failures are counted for an address, for an account, and for the account at the address. An address or account that is
locked stays open to the pairs of both that have logged in before: whoever shares an office, or guesses at somebody
else's password, does not lock out the phone that works; its own failures do. Unanswered challenges say nothing about an
address that somebody has logged in from: anybody can forge it in a datagram. A name nobody has is treated like any
other. Leaves out: what happens to what is sent meanwhile (it is dropped).
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from longline.sip.access.bounded import BoundedTable
from longline.sip.access.rates import source_key

MAX_SUSPECTS = 16_384
"""Addresses, accounts and pairs whose failures are remembered; when full the oldest goes (`sip.suspects_forgotten`)."""
MAX_ACCOUNT_CHARS = 64
"""What is looked at of a name: it comes from anybody."""
MAX_FRIENDS = 16_384
"""Pairs of account and address that have logged in; when full the oldest goes (counter `sip.friends_forgotten`)."""


class Suspicion(Enum):
    ADDRESS = "wrong passwords from an address, for whichever account"
    ACCOUNT = "wrong passwords for an account, from wherever"
    PAIR = "wrong passwords for an account from one address"
    SCAN = "challenges to an address that nobody answered"


@dataclass(frozen=True, slots=True)
class LockoutPolicy:
    """How many failures within `window_s` lock, and for how long."""

    per_address: int = 10
    per_account: int = 50
    unanswered: int = 60
    window_s: float = 300.0
    lock_s: float = 900.0


@dataclass(slots=True)
class _Suspect:
    since: float
    count: int = 0
    locked_until: float = 0.0


class Lockout:
    """`on_lock(why, whom, until)` is told of each lock: an address, an account, or account@address."""

    def __init__(
        self,
        policy: LockoutPolicy,
        counters: Counter[str],
        on_lock: Callable[[Suspicion, str, float], None] = lambda why, whom, until: None,
    ) -> None:
        self._on_lock = on_lock
        self._policy = policy
        self._counters = counters
        self._limits = {
            Suspicion.ADDRESS: policy.per_address,
            Suspicion.ACCOUNT: policy.per_account,
            Suspicion.PAIR: policy.per_address,
            Suspicion.SCAN: policy.unanswered,
        }
        self._suspects: BoundedTable[tuple[Suspicion, str], _Suspect] = BoundedTable(
            MAX_SUSPECTS, counters, "sip.suspects_forgotten"
        )
        self._friends: BoundedTable[tuple[str, str], bool] = BoundedTable(
            MAX_FRIENDS, counters, "sip.friends_forgotten"
        )
        self._homes: BoundedTable[str, bool] = BoundedTable(MAX_FRIENDS, counters, "sip.friends_forgotten")

    def is_locked(self, now: float, host: str, account: str) -> bool:
        """Whether what comes from this address in the name of this account is dropped."""
        address, account = source_key(host), account[:MAX_ACCOUNT_CHARS]
        if self._locked(now, Suspicion.PAIR, f"{account}@{address}"):
            return True
        if (account, address) in self._friends:
            return False
        return (
            self._locked(now, Suspicion.ADDRESS, address)
            or (address not in self._homes and self._locked(now, Suspicion.SCAN, address))
            or self._locked(now, Suspicion.ACCOUNT, account)
        )

    def challenged(self, now: float, host: str) -> None:
        """A challenge went to this address; `succeeded` takes it back."""
        self._count(now, Suspicion.SCAN, source_key(host))

    def failed(self, now: float, host: str, account: str) -> None:
        """A wrong password, or a name that nobody has."""
        address, account = source_key(host), account[:MAX_ACCOUNT_CHARS]
        if (account, address) not in self._friends:
            self._count(now, Suspicion.ADDRESS, address)
            self._count(now, Suspicion.ACCOUNT, account)
        self._count(now, Suspicion.PAIR, f"{account}@{address}")

    def succeeded(self, host: str, account: str) -> None:
        address, account = source_key(host), account[:MAX_ACCOUNT_CHARS]
        self._friends.put((account, address), True)
        self._homes.put(address, True)
        self._suspects.pop((Suspicion.PAIR, f"{account}@{address}"))
        scan = self._suspects.get((Suspicion.SCAN, address))
        if scan is not None:
            scan.count = max(0, scan.count - 1)

    def _locked(self, now: float, why: Suspicion, key: str) -> bool:
        suspect = self._suspects.get((why, key))
        return suspect is not None and now < suspect.locked_until

    def _count(self, now: float, why: Suspicion, key: str) -> None:
        suspect = self._suspects.get((why, key))
        if suspect is None or now - suspect.since > self._policy.window_s:
            suspect = _Suspect(now, 0, suspect.locked_until if suspect is not None else 0.0)
        suspect.count += 1
        if suspect.count >= self._limits[why] and now >= suspect.locked_until:
            suspect.locked_until = now + self._policy.lock_s
            suspect.count = 0
            self._counters[f"sip.locked_{why.name.lower()}"] += 1
            self._on_lock(why, key, suspect.locked_until)
        self._suspects.put((why, key), suspect)
