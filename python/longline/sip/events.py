"""What the user agent tells its user. `handle` names the call in every command.

Each incoming call begins with IncomingCall and ends with exactly one of Canceled or Ended, or with our reject; each
outgoing call ends with exactly one of Failed or Ended. Leaves out: retransmissions and everything else that is the
stack's own affair.
"""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class IncomingCall:
    """An INVITE; 100 Trying has been sent. `to_uri` is the Request-URI: whom the network wants to reach."""

    handle: str
    call_id: str
    from_uri: str
    from_user: str
    to_uri: str
    to_user: str
    offer: bytes | None
    """The SDP offer; None asks us to offer in our answer."""
    source: str
    """`host:port` the INVITE came from."""
    headers: tuple[tuple[str, str], ...]
    transport: str = "UDP"
    peer: str | None = None
    """The peer it came from; None for a source that is let in without being one."""


@dataclass(frozen=True, slots=True)
class Progress:
    """Outgoing: a provisional response but 100. `sdp` is early media (183). `tag` tells the forks of a call apart that
    ring at once (RFC 3261 §12.1.2); each has early media of its own."""

    handle: str
    status: int
    reason: str
    sdp: bytes | None
    tag: str | None = None


@dataclass(frozen=True, slots=True)
class Answered:
    """Outgoing: 200 came. ACK has been sent, unless we sent no offer: then `sdp` is the peer's offer and `answer` must
    be called. Incoming, when the INVITE had no offer: the ACK came with the peer's answer."""

    handle: str
    sdp: bytes | None


@dataclass(frozen=True, slots=True)
class Acked:
    """Incoming: the caller has confirmed our 200."""

    handle: str


@dataclass(frozen=True, slots=True)
class Failed:
    """Outgoing: no call came of it. `cause` is rejected, timeout, transport, canceled, unauthorized, overload or
    protocol. `status` is the peer's, or the one RFC 3261 §8.1.3.1 gives the cause: 408, 503; 487 for canceled."""

    handle: str
    status: int
    reason: str
    cause: str


@dataclass(frozen=True, slots=True)
class Canceled:
    """Incoming: the caller gave up before our answer; 487 has been sent. `reason` is its Reason header, if any."""

    handle: str
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Ended:
    """`by` is remote or local. `cause`: bye (remote: the Reason header, if it had one), the reason given to `bye`,
    no_ack (our 200 was never confirmed), transport (the caller could not be answered any more), no_answer (we were
    asked for an answer in the ACK and gave none), or gone (a request of ours within the dialog got 408, 481 or nothing
    at all)."""

    handle: str
    by: str
    cause: str


@dataclass(frozen=True, slots=True)
class Reoffer:
    """A re-INVITE or UPDATE: answer with `reanswer` or `reject_reoffer`. `offer` None asks us to offer."""

    handle: str
    offer: bytes | None


@dataclass(frozen=True, slots=True)
class Reanswered:
    """The peer's answer to an offer of ours in mid-call: to one that we made (`reoffer`), or to the one that it asked
    for with a re-INVITE without an offer."""

    handle: str
    sdp: bytes


@dataclass(frozen=True, slots=True)
class ReofferFailed:
    """Our `reoffer` came to nothing; the session stays as it was. `cause` is rejected (`status` is the peer's),
    transport, protocol (a 2xx without an answer), or overtaken: the peer's offer was answered first, and ours, made
    before it, is out of date."""

    handle: str
    status: int
    reason: str
    cause: str


@dataclass(frozen=True, slots=True)
class ReofferCanceled:
    """The peer took its re-INVITE back before it was answered; the session stays as it was."""

    handle: str


@dataclass(frozen=True, slots=True)
class InfoDigit:
    """An INFO told of a key; 200 has been sent. `duration_ms` is None when it did not say. It does not show in a
    `repr`."""

    handle: str
    digit: str = field(repr=False)
    duration_ms: int | None


@dataclass(frozen=True, slots=True)
class BindingsChanged:
    """A phone, or a trunk that logs in, has registered, or gone. `bindings` are all it has now, as JSON types: what
    `Endpoint.restore_bindings` takes back, with `expires_s` less by the time that has passed. No call is meant."""

    account: str
    bindings: tuple[dict[str, Any], ...]
    handle: str = ""


SipEvent = (
    IncomingCall
    | Progress
    | Answered
    | Acked
    | Failed
    | Canceled
    | Ended
    | Reoffer
    | Reanswered
    | ReofferFailed
    | ReofferCanceled
    | InfoDigit
    | BindingsChanged
)
