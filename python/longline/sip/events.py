"""What the user agent tells its user. `handle` names the call in every command.

Each incoming call begins with IncomingCall and ends with exactly one of Canceled or Ended, or with our reject; each
outgoing call ends with exactly one of Failed or Ended. Only what becomes of a REFER may be told after that. Leaves out:
retransmissions and everything else that is the stack's own affair.
"""

from dataclasses import dataclass, field
from typing import Any, Literal

from longline.sip.syntax.diversion import Diversion, diversions_of


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
    replaces: str | None = None
    """The handle of a call of ours whose place it takes (RFC 3891). That call ends by itself, with Ended or Failed, as
    soon as this one is answered."""
    referred_by: str | None = None
    """The Referred-By value (RFC 3892): who asked the caller to call us. Nothing proves it."""

    @property
    def diversions(self) -> tuple[Diversion, ...]:
        """Whom it was for before, the latest first."""
        return diversions_of(self.headers)


@dataclass(frozen=True, slots=True)
class Progress:
    """Outgoing: a provisional response but 100. `sdp` is early media (183). `tag` tells the forks of a call apart that
    ring at once (RFC 3261 §12.1.2); each has early media of its own. `is_answer`: it came reliably, so that `sdp`
    is the answer to our offer and not a glimpse of it."""

    handle: str
    status: int
    reason: str
    sdp: bytes | None
    tag: str | None = None
    is_answer: bool = False


@dataclass(frozen=True, slots=True)
class Answered:
    """Outgoing: 200 came. ACK has been sent, unless we sent no offer: then `sdp` is the peer's offer and `answer` must
    be called; None: the session was settled before. Incoming, when the INVITE had no offer: the ACK came with the
    peer's answer."""

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
    forwards: tuple[str, ...] = ()
    """What it was redirected to at our own name, and nobody there has: numbers, which are for our user to call."""


@dataclass(frozen=True, slots=True)
class Canceled:
    """Incoming: the caller gave up before our answer; 487 has been sent. `reason` is its Reason header, if any."""

    handle: str
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Ended:
    """`by` is remote or local. `cause`: bye (remote: the Reason header, if it had one), the reason given to `bye`,
    no_ack (our 200 was never confirmed), no_prack (nor was our reliable 1xx), transport (the caller could not be
    answered any more), no_answer (we were asked for an answer in the ACK and gave none), gone (a request of ours
    within the dialog got 408, 481 or nothing at all), or session_expired (RFC 4028: nobody has refreshed it)."""

    handle: str
    by: str
    cause: str


@dataclass(frozen=True, slots=True)
class Reoffer:
    """An offer in a re-INVITE or UPDATE, or before the answer in a PRACK or (when our INVITE had none) in a reliable
    1xx: answer with `reanswer` or `reject_reoffer`. `offer` None asks us to offer."""

    handle: str
    offer: bytes | None


@dataclass(frozen=True, slots=True)
class Reanswered:
    """The peer's answer to an offer of ours in mid-call: to one that we made (`reoffer`), or to the one that it asked
    for with a re-INVITE without an offer. `is_refresh`: nothing was to change, the session was refreshed with what had
    been agreed on (RFC 4028 §7.4), and yet the peer says something new."""

    handle: str
    sdp: bytes
    is_refresh: bool = False


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
    `Endpoint.restore_bindings` takes back, with `expires_s` less by the time that has passed. The 200 waits for
    `bindings_kept(ticket)` where the settings say so (`keeps_bindings`). No call is meant."""

    account: str
    bindings: tuple[dict[str, Any], ...]
    ticket: str = ""
    handle: str = ""


@dataclass(frozen=True, slots=True)
class Redirected:
    """Outgoing: after this 3xx the call goes on to these targets, one after the other until one answers. Whoever rang
    rings no more."""

    handle: str
    status: int
    targets: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Referred:
    """The peer asks us to call somebody (RFC 3515): answer with `accept_refer` or `reject_refer` within seconds (else
    480 is sent), then tell by `notify_refer` how that call goes, up to its final status. This goes on after the end of
    the call it came in: whoever transfers a call may hang up at once."""

    handle: str
    referral: str
    """Names it in the commands."""
    refer_to: str
    """Whom to call: a sip:, sips: or tel: URI."""
    referred_by: str | None = None
    """A Referred-By value."""
    replaces: str | None = None
    """A Replaces value: the call that the new one is to take the place of (attended transfer)."""
    replaced: str | None = None
    """The handle of that call, when it is one of ours: nobody needs to be called then."""

    @property
    def invite_headers(self) -> list[tuple[str, str]]:
        """What the INVITE that follows carries (RFC 3892 §2.3, RFC 3891 §4)."""
        headers = [("Referred-By", self.referred_by)] if self.referred_by else []
        return headers + ([("Replaces", self.replaces), ("Require", "replaces")] if self.replaces else [])


@dataclass(frozen=True, slots=True)
class ReferAccepted:
    """The peer will call whom our `refer` named."""

    handle: str
    referral: str


@dataclass(frozen=True, slots=True)
class ReferProgress:
    """The peer tells how its call goes; `status` is from 100 to 199."""

    handle: str
    referral: str
    status: int
    reason: str


@dataclass(frozen=True, slots=True)
class ReferDone:
    """The last word about a `refer` that was accepted: the final status of the call that came of it, None when the peer
    does not tell. It may come after the call itself has ended."""

    handle: str
    referral: str
    status: int | None
    reason: str


@dataclass(frozen=True, slots=True)
class ReferRefused:
    """The peer will not call whom our `refer` named; nothing more follows about it. `status` is its own, or 408 or 503
    when it gave none, 481 when the call had ended."""

    handle: str
    referral: str
    status: int
    reason: str


@dataclass(frozen=True, slots=True)
class Unheard:
    """Outgoing, told to whoever asked for it (`Invitation.tells_silence`): not even 100 has come for four seconds. The
    INVITE goes on; whoever knows another way cancels it."""

    handle: str


@dataclass(frozen=True, slots=True)
class TargetChanged:
    """A target of a peer has stopped to answer our OPTIONS, or answers again. No call is meant."""

    peer: str
    uri: str
    is_up: bool
    reason: str | None = None
    handle: str = ""


@dataclass(frozen=True, slots=True)
class RegistrationChanged:
    """We are registered at a peer for `expires_s`, or are not: `reason` says why, and a further try follows in
    `retry_in_s`; `unregistered` is our own wish. A refresh is told too. No call is meant."""

    peer: str
    state: Literal["registered", "failed", "unregistered"]
    expires_s: int = 0
    reason: str | None = None
    retry_in_s: float | None = None
    handle: str = ""


@dataclass(frozen=True, slots=True)
class LockedOut:
    """Somebody is not answered any more. `why`: address (wrong passwords from it), account (wrong passwords for it),
    pair (both), scan (challenges that nobody answered); `whom` is the address, the account, or account@address."""

    why: str
    whom: str
    handle: str = ""


@dataclass(frozen=True, slots=True)
class Unanswered:
    """`count` requests were left without an answer since this was told last; `why` and `source` (an address) are those
    of the latest. `why` is one of the counters `sip.dropped_…`."""

    why: str
    source: str
    count: int
    handle: str = ""


@dataclass(frozen=True, slots=True)
class InfoAnswered:
    """Our INFO has been answered: 2xx, or why it was not taken."""

    handle: str
    status: int
    reason: str


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
    | InfoAnswered
    | Redirected
    | Referred
    | ReferAccepted
    | ReferProgress
    | ReferDone
    | ReferRefused
    | BindingsChanged
    | LockedOut
    | Unanswered
    | Unheard
    | TargetChanged
    | RegistrationChanged
)
