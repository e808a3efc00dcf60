"""Why a call ended, and how each reason is told in SIP.

`FACTS` is the table in one direction (our reason, the status or Reason header the far end gets), `reason_of_status` in
the other (the far end's final response, our reason). Q.850 causes are those of RFC 3326 and ITU-T Q.850.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Reason(StrEnum):
    """Why a call ended."""

    NORMAL_CLEARING = "normal_clearing"  # the far end hung up after the answer
    COMPLETED = "completed"  # the flow or the API ended it after the answer
    BUSY = "busy"
    NO_ANSWER = "no_answer"
    REJECTED = "rejected"
    CANCELED = "canceled"  # by whoever called, before the answer
    CARRIER_ERROR = "carrier_error"  # 5xx, transport failure, or media that could not be agreed on
    FLOW_UNREACHABLE = "flow_unreachable"
    FLOW_INVALID = "flow_invalid"
    FLOW_TIMEOUT = "flow_timeout"
    STREAM_FAILED = "stream_failed"
    SPEECH_FAILED = "speech_failed"  # what a flow says could not be spoken
    MEDIA_SERVER_DIED = "media_server_died"
    SERVER_SHUTDOWN = "server_shutdown"
    FAR_END_LOST = "far_end_lost"  # it knows the call no more, or stopped saying that it does (RFC 3262, 4028)
    INTERNAL_ERROR = "internal_error"  # a fault of ours; the log has it


@dataclass(frozen=True, slots=True)
class SipFacts:
    """`status` answers an INVITE that is still open; `cause` (Q.850) goes into the Reason header of a BYE."""

    status: int
    cause: int


FACTS: dict[Reason, SipFacts] = {
    Reason.NORMAL_CLEARING: SipFacts(603, 16),
    Reason.COMPLETED: SipFacts(603, 16),
    Reason.BUSY: SipFacts(486, 17),
    Reason.NO_ANSWER: SipFacts(480, 19),
    Reason.REJECTED: SipFacts(603, 21),
    Reason.CANCELED: SipFacts(603, 16),
    Reason.CARRIER_ERROR: SipFacts(500, 127),
    Reason.FLOW_UNREACHABLE: SipFacts(503, 38),
    Reason.FLOW_INVALID: SipFacts(500, 111),
    Reason.FLOW_TIMEOUT: SipFacts(503, 102),
    Reason.STREAM_FAILED: SipFacts(503, 38),
    Reason.SPEECH_FAILED: SipFacts(503, 38),
    Reason.MEDIA_SERVER_DIED: SipFacts(503, 41),
    Reason.SERVER_SHUTDOWN: SipFacts(503, 41),
    Reason.FAR_END_LOST: SipFacts(480, 102),
    Reason.INTERNAL_ERROR: SipFacts(500, 41),
}

_STATUS_REASONS: dict[int, Reason] = {
    408: Reason.NO_ANSWER,
    480: Reason.NO_ANSWER,
    486: Reason.BUSY,
    487: Reason.CANCELED,
    600: Reason.BUSY,
    603: Reason.REJECTED,
}


def reason_of_status(status: int, cause: str) -> Reason:
    """Why an outgoing call failed. `cause` is the user agent's: "rejected", "timeout", "transport" or "canceled"."""
    if cause == "transport":
        return Reason.CARRIER_ERROR
    if status in _STATUS_REASONS:
        return _STATUS_REASONS[status]
    return Reason.CARRIER_ERROR if status >= 500 and status < 600 else Reason.REJECTED


def reason_header(reason: Reason) -> str:
    """The value of the Reason header (RFC 3326) of a BYE."""
    return f'Q.850;cause={FACTS[reason].cause};text="{reason}"'
