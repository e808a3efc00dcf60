"""The bus on which everything that merely observes a call hangs.

Publishing is synchronous: when `publish` returns, every subscriber has been told, in the order of subscription. A
subscriber must not block; one that raises is logged and counted, and costs nobody else anything.
"""

from collections import Counter
from collections.abc import Callable, Collection

from longline.base.events import Event
from longline.base.log import get_logger

Subscriber = Callable[[Event], None]

log = get_logger(__name__)


class Bus:
    """Tells events to subscribers. `published` and `failures` count by event type."""

    def __init__(self) -> None:
        self._subscribers: list[tuple[Subscriber, frozenset[str] | None]] = []
        self.published: Counter[str] = Counter()
        self.failures: Counter[str] = Counter()

    def subscribe(self, subscriber: Subscriber, types: Collection[str] | None = None) -> Callable[[], None]:
        """Tell `subscriber` every event, or those of `types`. Returns the function that ends the subscription."""
        entry = (subscriber, None if types is None else frozenset(types))
        self._subscribers.append(entry)

        def unsubscribe() -> None:
            if entry in self._subscribers:
                self._subscribers.remove(entry)

        return unsubscribe

    def publish(self, event: Event) -> None:
        """Tell every subscriber; never raises."""
        self.published[event.type] += 1
        for subscriber, types in list(self._subscribers):
            if types is not None and event.type not in types:
                continue
            try:
                subscriber(event)
            except Exception:
                self.failures[event.type] += 1
                log.exception("subscriber failed", event_type=event.type, call_id=str(event.call_id))
