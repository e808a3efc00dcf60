"""The dialogs that a node which was killed has left: restored at the next start, and ended with a BYE.

Their media died with the node, so the far end hears nothing and would hold a line for nothing. All are known again
before the first BYE leaves, so that what a far end asks meanwhile is answered in its dialog. Leaves out: going on with
them where the media lives on, and the calls they belonged to (`leftovers.py`).
"""

from __future__ import annotations

from typing import Any, Final, Protocol

from longline.base.clock import Clock
from longline.base.errors import LocalProtocolError
from longline.base.log import get_logger
from longline.calls.reason import Reason, reason_header

BYES_AT_ONCE: Final = 50
BYES_PAUSE_S: Final = 0.1
"""So many BYEs, then a pause: 500 a second, so that neither side's socket buffer overflows with them."""

log = get_logger(__name__)


class DialogSource(Protocol):
    """The part of the store that is needed here."""

    async def all(self) -> dict[str, dict[str, Any]]: ...
    async def delete(self, handle: str) -> None: ...


class Restoring(Protocol):
    """The part of the user agent that is needed here."""

    def restore(self, snapshot: dict[str, Any]) -> str: ...
    def bye(self, handle: str, reason: str | None = None) -> None: ...


class LeftoverDialogs:
    """`restore` before the first call of this run, `end` when the node is up."""

    def __init__(self, store: DialogSource, signalling: Restoring, clock: Clock) -> None:
        self._store = store
        self._signalling = signalling
        self._clock = clock
        self._handles: list[str] = []

    async def restore(self) -> int:
        """Know them again; how many there are. One that cannot be read is deleted, and told in the log."""
        for handle, snapshot in (await self._store.all()).items():
            try:
                self._handles.append(self._signalling.restore(snapshot))
            except (ValueError, LocalProtocolError) as error:
                log.warning("dialog not restored", handle=handle, why=str(error))
                await self._store.delete(handle)
        return len(self._handles)

    async def end(self) -> None:
        """BYE to each; those that the far end has ended meanwhile need none."""
        reason = reason_header(Reason.SERVER_SHUTDOWN)
        for number, handle in enumerate(self._handles, 1):
            self._signalling.bye(handle, reason)
            if number % BYES_AT_ONCE == 0:
                await self._clock.sleep(BYES_PAUSE_S)
        self._handles.clear()
