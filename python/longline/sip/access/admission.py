"""Admission: who may begin something with us, and go on with it. Asked before a transaction is made for a request.

Leaves out: the rules; those of a node are in `default_deny`.
"""

from dataclasses import dataclass
from typing import Protocol

from longline.sip.dialog import Dialog
from longline.sip.syntax.message import Request
from longline.sip.wire import Source


@dataclass(frozen=True, slots=True)
class Verdict:
    """Let in, as a known `peer` or without a name; or refused with `status` and `headers`; or, without a status,
    dropped in silence: whoever gets no answer learns nothing."""

    is_admitted: bool
    peer: str | None = None
    status: int | None = None
    headers: tuple[tuple[str, str], ...] = ()
    reason: str | None = None
    """The phrase beside the status; the usual one if not given."""


ADMITTED = Verdict(True)
DROPPED = Verdict(False)


class Admission(Protocol):
    def judge(self, now: float, request: Request, source: Source) -> Verdict:
        """A request outside of any dialog that we know, before a transaction is made for it."""
        ...

    def judge_within(self, now: float, request: Request, source: Source, dialog: Dialog) -> Verdict:
        """A request of a dialog that we know by its tags."""
        ...

    def knows(self, now: float, source: Source) -> bool:
        """Whether an address may be told anything at all, a syntax error for instance."""
        ...


class Open:
    """Lets everybody in."""

    def judge(self, now: float, request: Request, source: Source) -> Verdict:
        return ADMITTED

    def judge_within(self, now: float, request: Request, source: Source, dialog: Dialog) -> Verdict:
        return ADMITTED

    def knows(self, now: float, source: Source) -> bool:
        return True
