"""How many requests a key and an account may send: a token bucket for each, so that none starves the others.

A bucket holds `BURST_S` seconds' worth of requests. The account's is asked before its key's, and gets back what the key
refuses: a key that sends too much takes nothing from the other keys of its account beyond its own share. Leaves out
strangers, who have no account: what they cost is one look-up of a key.
"""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from longline.api.callers import Caller

BURST_S: Final = 2.0
"""So many seconds' worth of requests may come at once."""
BUCKETS_MAX: Final = 8192
"""Keys and accounts whose rate is known. Rule when full: the one that asked longest ago is forgotten, as if it had been
silent."""


@dataclass(slots=True)
class _Bucket:
    tokens: float
    at: float


class RequestRates:
    """`key_per_s` and `account_per_s` are of those that have no limit of their own; 0 is none. Counters: refused_key,
    refused_account."""

    def __init__(self, key_per_s: float, account_per_s: float) -> None:
        self._key_per_s = key_per_s
        self._account_per_s = account_per_s
        self._buckets: OrderedDict[UUID | None, _Bucket] = OrderedDict()
        self.counters = {"refused_key": 0, "refused_account": 0}

    def take(self, caller: Caller, now: float) -> float:
        """Count one request at this time (monotonic seconds): 0 if it may be, else in how many seconds it may."""
        account_per_s = _chosen(caller.account_requests_per_s, self._account_per_s)
        wait_s = self._take(caller.account_id, account_per_s, now)
        if wait_s > 0:
            self.counters["refused_account"] += 1
            return wait_s
        wait_s = self._take(caller.key_id, _chosen(caller.key_requests_per_s, self._key_per_s), now)
        if wait_s > 0:
            self.counters["refused_key"] += 1
            self._give_back(caller.account_id)
        return wait_s

    def _take(self, whose: UUID | None, per_s: float, now: float) -> float:
        if per_s <= 0:
            return 0.0
        room = max(1.0, per_s * BURST_S)
        bucket = self._buckets.get(whose)
        if bucket is None:
            bucket = self._buckets[whose] = _Bucket(room, now)
            if len(self._buckets) > BUCKETS_MAX:
                self._buckets.popitem(last=False)
        else:
            self._buckets.move_to_end(whose)
            bucket.tokens = min(room, bucket.tokens + max(0.0, now - bucket.at) * per_s)
            bucket.at = now
        if bucket.tokens >= 1.0:
            bucket.tokens -= 1.0
            return 0.0
        return (1.0 - bucket.tokens) / per_s

    def _give_back(self, whose: UUID) -> None:
        bucket = self._buckets.get(whose)
        if bucket is not None:
            bucket.tokens += 1.0


def _chosen(own: float | None, default: float) -> float:
    return default if own is None else own
