"""REFER of our own (RFC 3515, 5589; RFC 6665 §4.1 as the subscriber): the peer is asked to call somebody, and tells how
it goes.

The NOTIFYs come within the call's dialog, before the 202 even, and after the call has ended. Leaves out: ending the
call once the peer has gone over; that is our user's.
"""

from __future__ import annotations

from dataclasses import dataclass

from longline.base.errors import LocalProtocolError, RemoteProtocolError
from longline.sip.core import Core
from longline.sip.events import ReferAccepted, ReferDone, ReferProgress, ReferRefused
from longline.sip.exchange import Exchange, Owner
from longline.sip.features.replaces import replaces_of
from longline.sip.refused import Refused
from longline.sip.syntax.body import media_type
from longline.sip.syntax.build import reason_phrase
from longline.sip.syntax.headers import parse_name_addr
from longline.sip.syntax.message import Request, Response
from longline.sip.syntax.refer_to import ReferTo
from longline.sip.syntax.sipfrag import SIPFRAG, parse_sipfrag
from longline.sip.syntax.subscription import MAX_EXPIRES_S, event_id, parse_subscription_state
from longline.sip.syntax.uri import parse_uri, scheme_of
from longline.sip.timers import Timer
from longline.sip.transaction_layer import ServerTransaction
from longline.sip.uas import ServerCore
from longline.sip.usage import InviteUsage, Stage

MAX_REFERS = 4
"""REFERs of ours in one call whose outcome is not told yet; one more is a LocalProtocolError. Of all calls together
there are as many as calls may be; one more is told as refused with 503 (`sip.overload`)."""
_FAILURES = {"timeout": 408, "transport": 503}


@dataclass(slots=True, eq=False)
class Refer:
    id: str
    usage: InviteUsage
    exchange: Exchange | None = None
    is_accepted: bool = False
    is_told: bool = False
    """ReferDone has been told; the subscription may go on for a while."""
    last: tuple[int, str] | None = None

    @property
    def number(self) -> int:
        """The CSeq of the REFER as last sent, its name in Event."""
        return self.exchange.request.cseq[0] if self.exchange is not None else 0


class ReferClient(Owner):
    """The owner of the REFERs."""

    def __init__(self, core: Core, server: ServerCore) -> None:
        self._core = core
        self._server = server
        self._refers: dict[str, Refer] = {}
        core.within["NOTIFY"] = self._notify

    # ---- commands

    def refer(
        self,
        now: float,
        usage: InviteUsage,
        refer_to: str | None,
        replaced: InviteUsage | None,
        referred_by: str | None,
    ) -> str:
        """Send REFER; returns its id. `replaced` is the call whose place the new one takes: our far end there then need
        not be named."""
        core, dialog = self._core, usage.dialog
        if usage.stage not in (Stage.ACCEPTED, Stage.CONFIRMED):
            raise LocalProtocolError("only an answered call can be referred")
        if len(self._of(usage)) >= MAX_REFERS:
            raise LocalProtocolError(f"a call has at most {MAX_REFERS} open references")
        refer = Refer("f" + core.token(), usage)
        request = dialog.request("REFER")
        request.headers.add("Refer-To", str(_refer_to(refer_to, replaced)))
        request.headers.add("Referred-By", referred_by or f"<{parse_name_addr(dialog.local).uri}>")
        request.headers.add("Contact", f"<{dialog.contact}>")
        if len(self._refers) >= core.settings.max_calls:
            core.counters["sip.overload"] += 1
            core.events.append(ReferRefused(usage.handle, refer.id, 503, reason_phrase(503)))
            return refer.id
        self._refers[refer.id] = refer
        core.subscribe(usage, refer.id)
        core.timed[refer.id] = lambda now, timer: self._ran_out(refer)
        try:
            refer.exchange = core.exchanges.send_within(now, request, self, dialog, refer.id)
        except RemoteProtocolError:
            core.counters["sip.unroutable"] += 1
            self._refuse(refer, 503, reason_phrase(503))
        except LocalProtocolError:
            self._drop(refer)
            raise
        return refer.id

    # ---- the REFER and its responses

    def on_response(self, now: float, exchange: Exchange, response: Response) -> None:
        refer = self._refers.get(exchange.handle or "")
        if refer is None or response.status < 200:
            return
        if response.status >= 300:
            self._refuse(refer, response.status, response.reason)
            return
        self._accept(refer)
        if (response.headers.get("Refer-Sub") or "").strip().lower() == "false":
            self._done(refer, None, "No Subscription")  # RFC 4488 §4: it will not tell
            self._drop(refer)
        elif not self._core.timers.is_armed(refer.id, Timer.SUBSCRIPTION):
            # RFC 6665 §4.1.2.4, timer N: the first NOTIFY must come by then.
            self._core.timers.arm(refer.id, Timer.SUBSCRIPTION, now + self._core.settings.durations.timeout)

    def on_failure(self, now: float, exchange: Exchange, cause: str) -> None:
        refer = self._refers.get(exchange.handle or "")
        if refer is not None:
            self._refuse(refer, _FAILURES[cause], reason_phrase(_FAILURES[cause]))

    # ---- NOTIFY

    def _notify(self, now: float, usage: InviteUsage, transaction: ServerTransaction, request: Request) -> None:
        refer = self._find(usage, event_id(request))
        state = parse_subscription_state(request.headers.get("Subscription-State") or "active")
        told = self._status_of(request)
        self._server.respond(now, transaction, 200, headers=[("Contact", f"<{usage.dialog.contact}>")])
        self._accept(refer)
        if told is not None and told[0] >= 200:
            self._done(refer, *told)
        elif told is not None and told != refer.last and not refer.is_told:
            self._core.events.append(ReferProgress(usage.handle, refer.id, *told))
        refer.last = told or refer.last
        if state.is_over:
            self._done(refer, None, state.reason or "")
            self._drop(refer)
        else:
            seconds = state.expires_s if state.expires_s is not None else MAX_EXPIRES_S
            self._core.timers.arm(refer.id, Timer.SUBSCRIPTION, now + seconds)

    def _of(self, usage: InviteUsage) -> list[Refer]:
        """Those of one call, the oldest first."""
        return [self._refers[one] for one in usage.subscriptions if one in self._refers]

    def _find(self, usage: InviteUsage, number: int | None) -> Refer:
        """RFC 6665 §4.1.3: 481 for a NOTIFY that no subscription of ours has asked for."""
        for refer in self._of(usage):
            if number in (None, refer.number):
                return refer
        raise Refused(481, "Subscription Does Not Exist")

    def _status_of(self, request: Request) -> tuple[int, str] | None:
        """RFC 3515 §2.4.5; only a subscription that ends may have nothing to say."""
        if not request.body:
            return None
        if media_type(request.headers.get("Content-Type") or "") != SIPFRAG:
            raise Refused(415, headers=[("Accept", SIPFRAG)])
        told = parse_sipfrag(request.body)
        if told is None:
            raise Refused(400, "No Status Line In The Fragment")
        return told

    # ---- ends

    def _ran_out(self, refer: Refer) -> None:
        self._done(refer, None, "No Notification")
        self._drop(refer)

    def _accept(self, refer: Refer) -> None:
        if not refer.is_accepted:
            refer.is_accepted = True
            self._core.events.append(ReferAccepted(refer.usage.handle, refer.id))

    def _done(self, refer: Refer, status: int | None, reason: str) -> None:
        if not refer.is_told:
            refer.is_told = True
            self._core.events.append(ReferDone(refer.usage.handle, refer.id, status, reason))

    def _refuse(self, refer: Refer, status: int, reason: str) -> None:
        if refer.is_accepted:  # a NOTIFY came, and then a refusal
            self._done(refer, status, reason)
        else:
            self._core.events.append(ReferRefused(refer.usage.handle, refer.id, status, reason))
        self._drop(refer)

    def _drop(self, refer: Refer) -> None:
        self._refers.pop(refer.id, None)
        self._core.timed.pop(refer.id, None)
        self._core.unsubscribe(refer.usage, refer.id)


def _refer_to(uri: str | None, replaced: InviteUsage | None) -> ReferTo:
    if replaced is None:
        if uri is None:
            raise LocalProtocolError("a REFER needs somebody to call")
        return ReferTo(_checked(uri))
    if replaced.stage not in (Stage.ACCEPTED, Stage.CONFIRMED):
        raise LocalProtocolError("only an answered call can be handed over")
    # RFC 5589 §7.3: the Contact of the far end leads to the very device that has the other call.
    return ReferTo(_checked(uri or replaced.dialog.remote_target), replaces_of(replaced.dialog))


def _checked(uri: str) -> str:
    try:
        if scheme_of(uri) != "tel":
            parse_uri(uri)
    except RemoteProtocolError as error:
        raise LocalProtocolError(f"nobody can be referred to this target: {error}") from error
    return uri
