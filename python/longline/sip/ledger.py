"""The ledger: what of each dialog must be stored before the message that reveals it is sent.

Whatever is sent in a dialog is looked at on its way out: when the dialog is another than the one that was stored last,
it is to be stored first. So no feature has to say that it changed something. CSeq and nonce counts alone are no reason:
they jump ahead when a dialog moves (`snapshot`). Leaves out: storing, and what waits for it (`outbox`).
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, fields
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from longline.sip.dialog import Dialog
from longline.sip.snapshot import CSEQ_SKIP, KEPT_STAGES
from longline.sip.usage import InviteUsage

if TYPE_CHECKING:
    from longline.sip.core import Core

_NO_REASON = frozenset(
    (
        *("local_cseq", "remote_cseq", "digests", "confirmed", "connection", "remote_host", "remote_port"),
        *("listener", "sent_sdp", "open_offer", "allow", "supported"),
    )
)
"""Fields of a dialog whose change need not be stored at once: they are counted ahead, found anew, or lost anyway."""
_state_of = attrgetter(*(field.name for field in fields(Dialog) if field.name not in _NO_REASON))


@dataclass(frozen=True, slots=True)
class DialogChange:
    """The dialog of this call is to be stored as it is now; or it is gone, and so may be what was stored of it."""

    handle: str
    is_gone: bool = False


class Ledger:
    """Nothing is written down unless `is_kept`."""

    def __init__(self, core: Core, is_kept: bool) -> None:
        self._core = core
        self._is_kept = is_kept
        self.changes: deque[DialogChange] = deque()

    def reveal(self, handle: str | None) -> None:
        """A message of this call is about to be sent."""
        usage = self._core.usages.get(handle) if self._is_kept and handle is not None else None
        if usage is None or usage.stage not in KEPT_STAGES:
            return
        mark = self._mark(usage)
        if mark != usage.kept:
            usage.kept = mark
            self.changes.append(DialogChange(usage.handle))

    def adopt(self, usage: InviteUsage) -> None:
        """It was restored, and so is stored."""
        if self._is_kept:
            usage.kept = self._mark(usage)

    def forget(self, usage: InviteUsage) -> None:
        """Nothing can come for this call any more."""
        if usage.kept is not None:
            usage.kept = None
            self.changes.append(DialogChange(usage.handle, is_gone=True))

    def _mark(self, usage: InviteUsage) -> tuple[Any, ...]:
        times = [self._core.timers.at(usage.handle, timer) for timer in self._core.moving_timers]
        return _state_of(usage.dialog), usage.dialog.local_cseq // (CSEQ_SKIP // 2), times
