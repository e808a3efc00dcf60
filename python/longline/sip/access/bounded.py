"""A table of bounded size: when it is full, the entry that was touched longest ago goes, and that is counted.

What strangers can make grow (rates, failures) is kept in these. Leaves out: time.
"""

from collections import Counter, OrderedDict
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class BoundedTable(Generic[K, V]):
    """`name` is the counter that tells how many entries had to go."""

    __slots__ = ("_counters", "_entries", "_maximum", "_name")

    def __init__(self, maximum: int, counters: Counter[str], name: str) -> None:
        self._maximum = maximum
        self._counters = counters
        self._name = name
        self._entries: OrderedDict[K, V] = OrderedDict()

    def get(self, key: K) -> V | None:
        """Look at an entry without touching it."""
        return self._entries.get(key)

    def put(self, key: K, value: V) -> None:
        """Insert or replace, and touch."""
        self._entries[key] = value
        self._entries.move_to_end(key)
        while len(self._entries) > self._maximum:
            self._entries.popitem(last=False)
            self._counters[self._name] += 1

    def pop(self, key: K) -> V | None:
        return self._entries.pop(key, None)

    def __contains__(self, key: K) -> bool:
        return key in self._entries

    def __len__(self) -> int:
        return len(self._entries)
