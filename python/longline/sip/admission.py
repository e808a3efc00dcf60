"""Admission: who may begin something with us. Asked before a transaction is made for a request.

Leaves out: requests within a dialog of ours, which prove themselves by its tags.
"""

from dataclasses import dataclass
from typing import Protocol

from longline.sip.message import Request
from longline.sip.wire import Source


@dataclass(frozen=True, slots=True)
class Verdict:
    """Let in, as a known `peer` or without a name; or refused with `status` and `headers`; or, without a status,
    dropped in silence: whoever gets no answer learns nothing."""

    is_admitted: bool
    peer: str | None = None
    status: int | None = None
    headers: tuple[tuple[str, str], ...] = ()


ADMITTED = Verdict(True)
DROPPED = Verdict(False)


class Admission(Protocol):
    def judge(self, now: float, request: Request, source: Source) -> Verdict: ...


class Open:
    """Lets everybody in."""

    def judge(self, now: float, request: Request, source: Source) -> Verdict:
        return ADMITTED
