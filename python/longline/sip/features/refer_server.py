"""REFER that comes in (RFC 3515, 5589; RFC 6665 §4.2 as the notifier): we are asked to call somebody, and tell how that
goes.

A referral begins with the event Referred and ends with a refusal or with its last NOTIFY. It is taken within a call
only: a stranger's REFER is refused. One NOTIFY is under way at a time, so that none overtakes another; what happens
meanwhile is told by the next. Leaves out: making the call; that is our user's.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from longline.base.errors import LocalProtocolError, RemoteProtocolError
from longline.sip.core import RETRY_AFTER_S, Core
from longline.sip.events import Referred
from longline.sip.exchange import Exchange, Owner
from longline.sip.features.replaces import find_dialog
from longline.sip.refused import Refused
from longline.sip.syntax.build import reason_phrase
from longline.sip.syntax.headers import parse_number
from longline.sip.syntax.message import Request, Response
from longline.sip.syntax.refer_to import parse_refer_to, referred_by_of
from longline.sip.syntax.sipfrag import CONTENT_TYPE, encode_sipfrag
from longline.sip.syntax.subscription import EVENT, MAX_EXPIRES_S, SubscriptionState, event_id
from longline.sip.timers import Timer
from longline.sip.transaction_layer import ServerTransaction
from longline.sip.uas import ServerCore
from longline.sip.usage import InviteUsage, Stage

MAX_REFERRALS = 4
"""REFERs of one call whose outcome is not told yet; one more is refused with 500 and Retry-After. Of all calls together
there are as many as calls may be; one more gets 503 (`sip.overload`)."""
LIFETIME_S = 660
"""How long an outcome is waited for: longer than any call may ring. Then the subscription ends without one."""
DECISION_S = 10.0
"""How long our user may take to accept; then 480."""
_GONE = frozenset((404, 405, 408, 410, 416, 480, 481, 482, 483, 484, 485, 489, 501, 604))
"""RFC 6665 §4.2.2: answers to a NOTIFY that end the subscription."""


class ReferralStage(Enum):
    ASKED = "the REFER has no answer yet"
    ACCEPTED = "202 sent; the outcome is open"
    OUTCOME = "the outcome is known, its NOTIFY not answered yet"


@dataclass(slots=True, eq=False)
class Referral:
    id: str
    usage: InviteUsage
    transaction: ServerTransaction
    is_first: bool
    """The first REFER of its dialog needs no id in Event (RFC 3515 §2.4.6)."""
    is_quiet: bool
    """The peer wants no NOTIFY (RFC 4488)."""
    stage: ReferralStage = ReferralStage.ASKED
    status: tuple[int, str] = (100, "Trying")
    """What the call has come to."""
    expires_at: float = 0.0
    ends_because: str | None = None
    """The reason of the last NOTIFY."""
    is_notifying: bool = False
    """A NOTIFY is under way."""
    has_news: bool = False

    @property
    def number(self) -> int:
        """The CSeq of the REFER, its name in Event."""
        return self.transaction.request.cseq[0]


class ReferServer(Owner):
    """The owner of the NOTIFYs."""

    def __init__(self, core: Core, server: ServerCore) -> None:
        self._core = core
        self._server = server
        self._referrals: dict[str, Referral] = {}
        core.within["REFER"] = self._refer
        core.within["SUBSCRIBE"] = self._subscribe
        core.outside["REFER"] = self._refer_of_a_stranger
        core.outside["SUBSCRIBE"] = self._subscribe_of_a_stranger
        core.option_tags.append("norefersub")

    # ---- commands

    def accept(self, now: float, referral_id: str) -> None:
        """202, and the first NOTIFY at once (RFC 3515 §2.4.4)."""
        referral = self._find(referral_id)
        if referral is None:
            return
        self._need(referral, ReferralStage.ASKED)
        referral.stage = ReferralStage.ACCEPTED
        headers = [("Contact", f"<{referral.usage.dialog.contact}>")]
        if referral.is_quiet:
            headers.append(("Refer-Sub", "false"))
        self._server.respond(now, referral.transaction, 202, headers=headers)
        self._expire_at(referral, now + LIFETIME_S)
        self._tell(now, referral)

    def reject(self, now: float, referral_id: str, status: int, reason: str | None) -> None:
        referral = self._find(referral_id)
        if referral is None:
            return
        self._need(referral, ReferralStage.ASKED)
        self._server.respond(now, referral.transaction, status, reason)
        self._core.counters["sip.referrals_refused"] += 1
        self._drop(referral)

    def notify(self, now: float, referral_id: str, status: int, reason: str | None) -> None:
        """How the call goes; a status from 200 ends the referral."""
        referral = self._find(referral_id)
        if referral is None:
            return
        self._need(referral, ReferralStage.ACCEPTED)
        news = (status, reason or reason_phrase(status))
        encode_sipfrag(*news)  # a reason that is none is our own bug: before anything moves
        if status >= 200:
            referral.stage, referral.ends_because = ReferralStage.OUTCOME, "noresource"
        elif news == referral.status:
            return
        referral.status = news
        self._tell(now, referral)

    def _find(self, referral_id: str) -> Referral | None:
        """None (counted) when it is over: it ran out, or the peer does not listen any more."""
        referral = self._referrals.get(referral_id)
        if referral is None or referral.stage is ReferralStage.OUTCOME:
            self._core.counters["sip.stale_commands"] += 1
            return None
        return referral

    def _of(self, usage: InviteUsage) -> list[Referral]:
        """Those of one call, the oldest first."""
        return [self._referrals[one] for one in usage.subscriptions if one in self._referrals]

    def _need(self, referral: Referral, stage: ReferralStage) -> None:
        if referral.stage is not stage:
            raise LocalProtocolError(f"referral {referral.id}: not allowed now ({referral.stage.value})")

    # ---- requests

    def _refer(self, now: float, usage: InviteUsage, transaction: ServerTransaction, request: Request) -> None:
        refer_to = parse_refer_to(request)
        referred_by = referred_by_of(request)
        if usage.stage not in (Stage.ACCEPTED, Stage.CONFIRMED):
            raise Refused(403, "The Call Is Not Answered")
        if len(self._referrals) >= self._core.settings.max_calls:
            self._core.counters["sip.overload"] += 1
            raise Refused(503, headers=[("Retry-After", str(RETRY_AFTER_S))])
        if len(self._of(usage)) >= MAX_REFERRALS:
            raise Refused(500, "Too Many Referrals", [("Retry-After", str(self._core.retry_delay()))])
        wants_none = (request.headers.get("Refer-Sub") or "").partition(";")[0].strip().lower() == "false"
        referral = Referral("r" + self._core.token(), usage, transaction, not usage.was_referred, wants_none)
        usage.was_referred = True
        self._referrals[referral.id] = referral
        self._core.subscribe(usage, referral.id)
        self._core.timed[referral.id] = lambda now, timer: self._ran_out(now, referral)
        self._core.timers.arm(referral.id, Timer.REFER_UNDECIDED, now + DECISION_S)
        replaced = find_dialog(self._core, refer_to.replaces) if refer_to.replaces is not None else None
        self._core.events.append(
            Referred(
                handle=usage.handle,
                referral=referral.id,
                refer_to=refer_to.uri,
                referred_by=referred_by,
                replaces=str(refer_to.replaces) if refer_to.replaces is not None else None,
                replaced=replaced.handle if replaced is not None else None,
            )
        )

    def _refer_of_a_stranger(self, now: float, transaction: ServerTransaction, request: Request) -> None:
        """Whoever could make us call others out of nothing would make his calls at our cost."""
        raise Refused(403, "REFER Is Taken In A Call Only")

    def _subscribe_of_a_stranger(self, now: float, transaction: ServerTransaction, request: Request) -> None:
        raise Refused(489, headers=[("Allow-Events", EVENT)])

    def _subscribe(self, now: float, usage: InviteUsage, transaction: ServerTransaction, request: Request) -> None:
        """RFC 3515 §2.4.4: the subscription may be refreshed, or given up with Expires 0."""
        number = event_id(request)
        accepted = [referral for referral in self._of(usage) if referral.stage is ReferralStage.ACCEPTED]
        referral = next((one for one in accepted if number in (None, one.number)), None)
        if referral is None:
            raise Refused(481)
        wanted = parse_number((request.headers.get("Expires") or str(LIFETIME_S)).strip(), 2**32 - 1, "Expires")
        seconds = min(wanted, MAX_EXPIRES_S)
        headers = [("Expires", str(seconds)), ("Contact", f"<{usage.dialog.contact}>")]
        self._server.respond(now, transaction, 200, headers=headers)
        if seconds:
            self._expire_at(referral, now + seconds)
        else:
            referral.stage, referral.ends_because = ReferralStage.OUTCOME, "timeout"
        self._tell(now, referral)

    # ---- time

    def _expire_at(self, referral: Referral, at: float) -> None:
        referral.expires_at = at
        self._core.timers.disarm(referral.id)
        self._core.timers.arm(referral.id, Timer.SUBSCRIPTION, at)

    def _ran_out(self, now: float, referral: Referral) -> None:
        if referral.stage is ReferralStage.ASKED:
            self.reject(now, referral.id, 480, None)
        elif referral.stage is ReferralStage.ACCEPTED:
            referral.stage, referral.ends_because = ReferralStage.OUTCOME, "timeout"
            self._tell(now, referral)

    # ---- NOTIFY

    def _tell(self, now: float, referral: Referral) -> None:
        """Send what there is to say, unless the last NOTIFY has no answer yet: then after it."""
        if referral.is_quiet:
            if referral.stage is ReferralStage.OUTCOME:
                self._drop(referral)
            return
        if referral.is_notifying:
            referral.has_news = True
            return
        referral.is_notifying, referral.has_news = True, False
        request = self._notification(now, referral)
        try:
            self._core.exchanges.send_within(now, request, self, referral.usage.dialog, referral.id)
        except RemoteProtocolError:
            self._core.counters["sip.unroutable"] += 1
            self._drop(referral)

    def _notification(self, now: float, referral: Referral) -> Request:
        """RFC 3515 §2.4.5."""
        dialog = referral.usage.dialog
        request = dialog.request("NOTIFY", body=encode_sipfrag(*referral.status))
        if referral.stage is ReferralStage.OUTCOME:
            state = SubscriptionState("terminated", reason=referral.ends_because)
        else:
            state = SubscriptionState("active", max(0, int(referral.expires_at - now)))
        request.headers.set("Content-Type", CONTENT_TYPE)
        request.headers.add("Event", EVENT if referral.is_first else f"{EVENT};id={referral.number}")
        request.headers.add("Subscription-State", str(state))
        request.headers.add("Contact", f"<{dialog.contact}>")
        return request

    def on_response(self, now: float, exchange: Exchange, response: Response) -> None:
        referral = self._referrals.get(exchange.handle or "")
        if referral is None or response.status < 200:
            return
        if response.status in _GONE:
            self._drop(referral)
        else:
            self._go_on(now, referral)

    def on_failure(self, now: float, exchange: Exchange, cause: str) -> None:
        referral = self._referrals.get(exchange.handle or "")
        if referral is not None:
            self._drop(referral)

    def _go_on(self, now: float, referral: Referral) -> None:
        referral.is_notifying = False
        if referral.has_news:
            self._tell(now, referral)
        elif referral.stage is ReferralStage.OUTCOME:
            self._drop(referral)

    def _drop(self, referral: Referral) -> None:
        self._referrals.pop(referral.id, None)
        self._core.timed.pop(referral.id, None)
        self._core.unsubscribe(referral.usage, referral.id)
