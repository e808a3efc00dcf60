"""What the parts of a node count, as metrics: the names under which each is shown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from longline.base.bus import Bus
from longline.observe.metrics import Metrics


class Counting(Protocol):
    @property
    def counters(self) -> Mapping[str, int]: ...


class Calls(Counting, Protocol):
    def live_by_state(self) -> Mapping[str, int]: ...


class Signalling(Counting, Protocol):
    @property
    def calls(self) -> int: ...

    @property
    def transactions(self) -> int: ...


class Media(Counting, Protocol):
    @property
    def is_available(self) -> bool: ...

    @property
    def latest_stats(self) -> dict[str, Any]: ...


def add_sources(
    metrics: Metrics, bus: Bus, calls: Calls, sip: Signalling, media: Media, store: Counting, webhooks: Counting
) -> None:
    """Have `metrics` show what these count."""
    metrics.add_counts("events", "Events of calls and trunks, by type.", lambda: bus.published, "type")
    metrics.add_counts("event_faults", "Observers that failed at an event, by its type.", lambda: bus.failures, "type")
    metrics.add_counts("calls", "Calls: how they ended, and what was refused.", lambda: calls.counters)
    metrics.add_gauges("calls_live", "Calls that have not ended.", calls.live_by_state, "state")
    metrics.add_counts("sip", "What the SIP stack has counted.", lambda: _without_prefix("sip.", sip.counters))
    metrics.add_gauges("sip_transactions", "SIP transactions in the table.", lambda: {"": sip.transactions})
    metrics.add_gauges("sip_dialogs", "Calls in the table of the SIP stack.", lambda: {"": sip.calls})
    metrics.add_counts("media", "What the client of the media server has counted.", lambda: media.counters)
    metrics.add_gauges("media_up", "Whether the media server is there.", lambda: {"": float(media.is_available)})
    metrics.add_gauges("media_server", "What the media server says of itself.", lambda: _media(media), "quantity")
    metrics.add_counts("store", "What the writer of the store has counted.", lambda: store.counters)
    metrics.add_counts("webhooks", "What the outbox and its deliveries have counted.", lambda: webhooks.counters)


def _without_prefix(prefix: str, counts: Mapping[str, int]) -> dict[str, int]:
    return {name.removeprefix(prefix): count for name, count in counts.items()}


def _media(media: Media) -> dict[str, float]:
    """The numbers that the media server's statistics have, those of its workers added up; none while it is away."""
    if not media.is_available:
        return {}
    stats = media.latest_stats
    found = {name: float(value) for name, value in stats.items() if _is_number(value)}
    for worker in stats.get("workers", []):
        for name, value in worker.items():
            if _is_number(value):
                found[name] = found.get(name, 0.0) + value
    return found


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
