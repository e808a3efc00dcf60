"""Our changes of a session: re-INVITE (RFC 3261 §14.1) and UPDATE (RFC 3311 §5.1), from the wish to its outcome.

One at a time for a call. While the dialog is busy, and after a 491, the offer waits for a random time and is made again
(§14.1); one that the peer's own offer has overtaken meanwhile is given up, for it describes a session that is no more.
Before the call is answered only UPDATE can change it, where the offer of the INVITE has its answer already. Leaves out:
re-INVITEs without an offer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from longline.base.errors import LocalProtocolError, RemoteProtocolError
from longline.sip import offers
from longline.sip.core import Core
from longline.sip.events import Reanswered, ReofferFailed
from longline.sip.exchange import Exchange, Owner
from longline.sip.offers import Move
from longline.sip.origin import next_description
from longline.sip.syntax.body import sdp_of
from longline.sip.syntax.build import cancel_of
from longline.sip.syntax.message import Response
from longline.sip.timers import Timer
from longline.sip.usage import Change, InviteUsage, Stage

if TYPE_CHECKING:
    from longline.sip.uac import ClientCore

MAX_TRIES = 8
"""How often one offer is made, when the dialog is busy or the peer's offer crosses it; then it has failed."""
MAX_RETRY_AFTER_S = 10
"""The longest Retry-After of a 500 that is waited for (RFC 3311 §5.2 has 0 to 10 s)."""
_GONE = (408, 481)
_NOT_DONE = (405, 501)


class Reoffers(Owner):
    """The owner of our re-INVITEs and UPDATEs."""

    def __init__(self, core: Core, client: ClientCore) -> None:
        self.core = core
        self.client = client
        core.usage_timers[Timer.REOFFER] = self._again
        core.usage_timers[Timer.SESSION_REFRESH] = self.refresh
        core.usage_timers[Timer.SESSION_EXPIRY] = self._expire

    # ---- commands

    def reoffer(self, now: float, usage: InviteUsage, sdp: bytes, method: str | None = None) -> None:
        """Offer another session description. Reanswered or ReofferFailed follows, or the end of the call."""
        under_way = usage.change
        if usage.next_change is not None or (under_way is not None and not under_way.is_refresh):
            raise LocalProtocolError(f"call {usage.handle}: an offer of ours is under way already")
        dialog = usage.dialog_now()
        is_early = usage.stage in (Stage.CALLING, Stage.OFFERED)
        if method is None:
            # RFC 3311 §5.1: an UPDATE must be answered at once, so a re-INVITE is better where there can be one.
            method = "UPDATE" if is_early else "INVITE"
        if is_early and (method != "UPDATE" or not dialog.takes("UPDATE") or not dialog.sessions):
            raise LocalProtocolError(f"call {usage.handle}: the session cannot be changed before the answer")
        change = Change(sdp, method, dialog, dialog.sessions)
        if under_way is not None:
            usage.next_change = change
        else:
            usage.change = change
            self._start(now, usage)

    def refresh(self, now: float, usage: InviteUsage) -> None:
        """RFC 4028 §7.4: tell the peer that we are there: an UPDATE, or where it takes none the same offer again."""
        if usage.change is not None or usage.stage is not Stage.CONFIRMED:
            self.client.sessions.refresh_later(now, usage)
            return
        dialog = usage.dialog
        method = "UPDATE" if dialog.takes("UPDATE") or not dialog.local_sdp else "INVITE"
        usage.change = Change(b"", method, dialog, dialog.sessions, is_refresh=True)
        self._start(now, usage)

    # ---- tries

    def _start(self, now: float, usage: InviteUsage) -> None:
        """Make the offer, or wait while something else is going on in the dialog."""
        change = usage.change
        if change is None:
            return
        dialog = change.dialog
        if not self._is_free(usage, change):
            self._wait(now, usage, change, 491, "Request Pending")
            return
        body = self._description(change)
        request = dialog.request(change.method, body=body)
        request.headers.add("Contact", f"<{dialog.contact}>")
        for name, value in self.core.capabilities():
            request.headers.add(name, value)
        self.client.sessions.ask(request, dialog)
        if body:
            offers.make(dialog, Move.WE_OFFER)
        change.sent, change.is_canceled = body, False
        try:
            change.exchange = self.core.exchanges.send_within(now, request, self, dialog, usage.handle)
        except RemoteProtocolError:
            self.core.counters["sip.unroutable"] += 1
            self._refuse(change)
            self._fail(now, usage, 503, "Service Unavailable", "transport")

    def _description(self, change: Change) -> bytes:
        if not change.is_refresh:
            return next_description(change.dialog, change.sdp)
        if change.method == "UPDATE":
            return b""
        return next_description(change.dialog, change.dialog.local_sdp or b"")

    def _refuse(self, change: Change) -> None:
        if change.sent:
            offers.make(change.dialog, Move.REFUSE)

    def _is_free(self, usage: InviteUsage, change: Change) -> bool:
        dialog = change.dialog
        if change.is_refresh and change.method == "UPDATE":
            return True
        if usage.stage is Stage.ACCEPTED or usage.open_pracks:
            return False  # our request might overtake the 200 and find no dialog, or a PRACK, which is then too late
        waiting, reinvite = usage.unpracked, usage.reinvite
        if reinvite is not None and reinvite.late_offer:
            return False  # it asks us for another offer
        if not offers.allows(dialog, Move.WE_OFFER) or (waiting is not None and not waiting.is_acknowledged):
            return False
        # RFC 3261 §14.1: no new INVITE while one is in progress in either direction.
        return change.method != "INVITE" or (
            usage.stage is Stage.CONFIRMED and usage.reinvite is None and dialog.open_invite is None
        )

    def _wait(
        self,
        now: float,
        usage: InviteUsage,
        change: Change,
        status: int,
        reason: str,
        seconds: float | None = None,
    ) -> None:
        change.tries += 1
        change.exchange = None
        if change.tries >= MAX_TRIES:
            self._fail(now, usage, status, reason, "rejected")
            return
        if seconds is None:
            # RFC 3261 §14.1: 2.1 to 4 s for who made the Call-ID, else 0 to 2 s, in steps of 10 ms.
            low, high = (210, 400) if change.dialog.role == "caller" else (0, 200)
            seconds = (low + int(self.core.fraction() * (high - low + 1))) / 100
        self.core.timers.arm(usage.handle, Timer.REOFFER, now + seconds)

    def _again(self, now: float, usage: InviteUsage) -> None:
        change = usage.change
        if change is not None and self._is_overtaken(usage, change):
            # Of a refresh nothing is lost: the peer's offer has refreshed the session.
            self._fail(now, usage, 491, "Request Pending", "overtaken")
        else:
            self._start(now, usage)

    def _is_overtaken(self, usage: InviteUsage, change: Change) -> bool:
        return change.sessions != change.dialog.sessions or change.dialog is not usage.dialog_now()

    # ---- what comes of it

    def on_response(self, now: float, exchange: Exchange, response: Response) -> None:
        usage = self.core.usages.get(exchange.handle or "")
        if response.status >= 200:
            self._stop_waiting(exchange)
        elif exchange.plain.method == "INVITE":
            self._be_patient(now, exchange)
        if usage is None or response.status < 200:
            return
        if response.status < 300 and exchange.plain.method == "INVITE":
            self._acknowledge(now, usage, exchange)
        change = usage.change
        if change is not None and change.exchange is exchange and usage.stage is not Stage.ENDED:
            self._finish(now, usage, change, response)

    def _acknowledge(self, now: float, usage: InviteUsage, exchange: Exchange) -> None:
        """RFC 3261 §13.2.2.4: every 2xx is acknowledged, whatever became of the call meanwhile."""
        cseq = exchange.request.cseq[0]
        acknowledged = usage.acks.get((usage.dialog.remote_tag or "", cseq))
        if acknowledged is not None:
            self.core.layer.send(*acknowledged, usage.handle)
            self.core.counters["sip.retransmissions_received"] += 1
            return
        usage.acks = {key: ack for key, ack in usage.acks.items() if key[1] == usage.answer_cseq}
        self.client.send_ack(now, usage, usage.dialog, exchange.request, b"")

    def on_failure(self, now: float, exchange: Exchange, cause: str) -> None:
        self._stop_waiting(exchange)
        usage = self.core.usages.get(exchange.handle or "")
        if usage is None or usage.stage is Stage.ENDED or usage.change is None or usage.change.exchange is not exchange:
            return
        self._refuse(usage.change)
        if cause == "timeout":
            self._gone(now, usage)
        else:
            self._fail(now, usage, 503, "Service Unavailable", cause)

    def _finish(self, now: float, usage: InviteUsage, change: Change, response: Response) -> None:
        status = response.status
        if status < 300:
            self._accepted(now, usage, change, response)
            return
        self._refuse(change)
        retry_after = _retry_after(response)
        if status in _GONE:
            self._gone(now, usage)
        elif status == 422 and self.client.sessions.raise_interval(change.dialog, response):
            self._start(now, usage)  # RFC 4028 §7.3
        elif status == 491:
            self._wait(now, usage, change, status, response.reason)
        elif status == 500 and retry_after is not None:
            self._wait(now, usage, change, status, response.reason, retry_after)
        elif status in _NOT_DONE and self._by_invite(usage, change):
            self._start(now, usage)
        else:
            self._fail(now, usage, status, response.reason, "rejected")

    # ---- a re-INVITE that is never answered would forbid every other one, so it is cancelled

    def _be_patient(self, now: float, exchange: Exchange) -> None:
        owner = _owner(exchange)
        if owner is not None and owner not in self.core.timed:
            self.core.timed[owner] = lambda now, timer: self._lose_patience(now, exchange)
            self.core.timers.arm(owner, Timer.REOFFERED, now + self.core.settings.durations.ring_refresh)

    def _stop_waiting(self, exchange: Exchange) -> None:
        owner = _owner(exchange)
        if owner is not None and self.core.timed.pop(owner, None) is not None:
            self.core.timers.disarm(owner)

    def _lose_patience(self, now: float, exchange: Exchange) -> None:
        owner, sent = _owner(exchange), exchange.sent
        if owner is None or sent is None:
            return
        usage = self.core.usages.get(exchange.handle or "")
        change = usage.change if usage is not None and usage.stage is not Stage.ENDED else None
        if usage is None or change is None or change.exchange is not exchange or change.is_canceled:
            self._stop_waiting(exchange)
            self.core.layer.forget(sent)
            self.core.counters["sip.reinvites_unanswered"] += 1
            self.on_failure(now, exchange, "timeout")
            return
        change.is_canceled = True
        self.core.layer.send_request(now, cancel_of(sent.request, None), sent.target)
        self.core.timers.arm(owner, Timer.REOFFERED, now + self.core.settings.durations.timeout)

    # ---- outcomes

    def _accepted(self, now: float, usage: InviteUsage, change: Change, response: Response) -> None:
        dialog = change.dialog
        try:
            dialog.refresh_target(response)
            if usage.is_answered:
                self.client.sessions.settle(now, usage, dialog, response)
        except RemoteProtocolError:
            self.core.counters["sip.malformed"] += 1
        dialog.learn(response)
        sdp = sdp_of(response)
        if change.sent and sdp is None:
            self._refuse(change)
            self._fail(now, usage, response.status, response.reason, "protocol")
            return
        if change.sent and sdp is not None:
            offers.make(dialog, Move.THEY_ANSWER)
            is_news = not change.is_refresh or sdp != dialog.remote_sdp
            dialog.local_sdp, dialog.remote_sdp = change.sent, sdp
            if dialog is not usage.dialog_now():  # another fork has come to the fore
                self._fail(now, usage, 491, "Request Pending", "overtaken")
                return
            if is_news:
                self.core.events.append(Reanswered(usage.handle, sdp, change.is_refresh))
        self._over(now, usage)

    def _by_invite(self, usage: InviteUsage, change: Change) -> bool:
        """The peer does no UPDATE after all: a re-INVITE does as well, once there can be one."""
        if change.method != "UPDATE":
            return False
        change.dialog.allow = [method for method in change.dialog.allow if method != "UPDATE"]
        change.method = "INVITE"
        return usage.stage is Stage.CONFIRMED

    def _fail(self, now: float, usage: InviteUsage, status: int, reason: str, cause: str) -> None:
        change = usage.change
        self.core.timers.disarm(usage.handle, Timer.REOFFER)
        if change is None or not change.is_refresh:
            self.core.events.append(ReofferFailed(usage.handle, status, reason, cause))
        elif cause != "overtaken":
            self.core.counters["sip.refreshes_failed"] += 1
            self.client.sessions.refresh_later(now, usage)
        self._over(now, usage)

    def _over(self, now: float, usage: InviteUsage) -> None:
        """On to what was asked for meanwhile."""
        usage.change, usage.next_change = usage.next_change, None
        self._start(now, usage)

    def _expire(self, now: float, usage: InviteUsage) -> None:
        """RFC 4028 §10: nobody has refreshed the session."""
        self.core.counters["sip.sessions_expired"] += 1
        self.client.bye(now, usage, 'SIP;cause=408;text="Session expired"', "session_expired")

    def _gone(self, now: float, usage: InviteUsage) -> None:
        """RFC 3261 §12.2.1.2: 408, 481 or no response at all: the dialog is over at the other end."""
        if usage.stage in (Stage.CALLING, Stage.OFFERED):
            self._fail(now, usage, 481, "Call/Transaction Does Not Exist", "rejected")  # the INVITE has its own outcome
            return
        usage.change = usage.next_change = None
        self.client.bye(now, usage, None, "gone")


def _owner(exchange: Exchange) -> str | None:
    """The name that the timer of a re-INVITE goes by; it outlives the call."""
    return f"r|{exchange.sent.key}" if exchange.sent is not None else None


def _retry_after(response: Response) -> float | None:
    """Seconds; None when it names none, or more than we would wait."""
    text = (response.headers.get("Retry-After") or "").split(";")[0].split("(")[0].strip()
    if not (text.isascii() and text.isdigit()) or len(text) > 4 or int(text) > MAX_RETRY_AFTER_S:
        return None
    return float(text)
