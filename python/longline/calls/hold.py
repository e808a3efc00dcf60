"""Putting the far end of a leg on hold, and taking it back (RFC 3264 §8.4): an offer at a time, until what is agreed on
is what is wanted.

Leaves out: the far end that holds us (`sip_leg.py`), and what it hears meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from longline.base.events import EventType
from longline.base.log import get_logger
from longline.calls.leg_media import LegMedia
from longline.sip.events import ReofferFailed

log = get_logger(__name__)


class Hold:
    """`reoffer` sends an offer of ours; `tell` publishes what came of it."""

    def __init__(
        self, media: LegMedia, reoffer: Callable[[bytes], None], tell: Callable[[EventType, dict[str, Any]], None]
    ) -> None:
        self._media = media
        self._reoffer = reoffer
        self._tell = tell
        self._wanted = False
        self._agreed = False
        self._offered: tuple[bool, bytes] | None = None

    @property
    def is_wanted(self) -> bool:
        return self._wanted

    def want(self, on: bool) -> None:
        """An offer under way has its outcome first."""
        self._wanted = on
        self._go_on()

    def settled(self) -> None:
        """An offer of ours has been answered, and the answer taken up."""
        if self._offered is None:
            return  # it was one that the far end had asked for
        self._agreed, self._offered = self._offered[0], None
        self._tell(EventType.CALL_HELD if self._agreed else EventType.CALL_RESUMED, {"by": "api"})
        self._go_on()

    def failed(self, event: ReofferFailed) -> None:
        """It came to nothing. One that the far end's own offer has overtaken is made anew."""
        if self._offered is None:
            return
        _, offer = self._offered
        self._offered = None
        self._media.withdraw(offer)
        if event.cause != "overtaken":
            log.warning("hold refused", status=event.status, reason=event.reason, cause=event.cause)
            self._wanted = self._agreed
            self._tell(EventType.CALL_HOLD_FAILED, {"status": event.status, "detail": event.reason})
        self._media.hold(self._agreed)
        self._go_on()

    def _go_on(self) -> None:
        if self._offered is not None or self._wanted == self._agreed:
            return
        self._media.hold(self._wanted)
        offer = self._media.offer()
        self._offered = (self._wanted, offer)
        self._reoffer(offer)
