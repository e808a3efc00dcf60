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
from longline.sip.body import sdp_of
from longline.sip.build import cancel_of
from longline.sip.core import Core
from longline.sip.events import Reanswered, ReofferFailed
from longline.sip.exchange import Exchange, Owner
from longline.sip.message import Response
from longline.sip.offers import Move
from longline.sip.origin import next_description
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

    # ---- commands

    def reoffer(self, now: float, usage: InviteUsage, sdp: bytes, method: str | None = None) -> None:
        """Offer another session description. Reanswered or ReofferFailed follows, or the end of the call."""
        if usage.change is not None:
            raise LocalProtocolError(f"call {usage.handle}: an offer of ours is under way already")
        dialog = usage.dialog_now()
        is_early = usage.stage in (Stage.CALLING, Stage.OFFERED)
        if method is None:
            # RFC 3311 §5.1: an UPDATE must be answered at once, so a re-INVITE is better where there can be one.
            method = "UPDATE" if is_early else "INVITE"
        if is_early and (method != "UPDATE" or not dialog.takes("UPDATE") or not dialog.sessions):
            raise LocalProtocolError(f"call {usage.handle}: the session cannot be changed before the answer")
        usage.change = Change(sdp, method, dialog, dialog.sessions)
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
        body = next_description(dialog, change.sdp)
        request = dialog.request(change.method, body=body)
        request.headers.add("Contact", f"<{dialog.contact}>")
        for name, value in self.core.capabilities():
            request.headers.add(name, value)
        offers.make(dialog, Move.WE_OFFER)
        change.sent, change.is_canceled = body, False
        try:
            change.exchange = self.core.exchanges.send_within(now, request, self, dialog, usage.handle)
        except RemoteProtocolError:
            self.core.counters["sip.unroutable"] += 1
            offers.make(dialog, Move.REFUSE)
            self._fail(usage, 503, "Service Unavailable", "transport")

    def _is_free(self, usage: InviteUsage, change: Change) -> bool:
        dialog = change.dialog
        waiting = usage.unpracked
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
            self._fail(usage, status, reason, "rejected")
            return
        if seconds is None:
            # RFC 3261 §14.1: 2.1 to 4 s for who made the Call-ID, else 0 to 2 s, in steps of 10 ms.
            low, high = (210, 400) if change.dialog.role == "caller" else (0, 200)
            seconds = (low + int(self.core.fraction() * (high - low + 1))) / 100
        self.core.timers.arm(usage.handle, Timer.REOFFER, now + seconds)

    def _again(self, now: float, usage: InviteUsage) -> None:
        change = usage.change
        if change is not None and self._is_overtaken(usage, change):
            self._fail(usage, 491, "Request Pending", "overtaken")
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
            self.core.layer.send(*acknowledged)
            self.core.counters["sip.retransmissions_received"] += 1
            return
        usage.acks = {key: ack for key, ack in usage.acks.items() if key[1] == usage.answer_cseq}
        self.client.send_ack(now, usage, usage.dialog, exchange.request, b"")

    def on_failure(self, now: float, exchange: Exchange, cause: str) -> None:
        self._stop_waiting(exchange)
        usage = self.core.usages.get(exchange.handle or "")
        if usage is None or usage.stage is Stage.ENDED or usage.change is None or usage.change.exchange is not exchange:
            return
        offers.make(usage.change.dialog, Move.REFUSE)
        if cause == "timeout":
            self._gone(now, usage)
        else:
            self._fail(usage, 503, "Service Unavailable", cause)

    def _finish(self, now: float, usage: InviteUsage, change: Change, response: Response) -> None:
        status, dialog = response.status, change.dialog
        if status < 300:
            self._accepted(usage, change, response)
            return
        offers.make(dialog, Move.REFUSE)
        retry_after = _retry_after(response)
        if status in _GONE:
            self._gone(now, usage)
        elif status == 491:
            self._wait(now, usage, change, status, response.reason)
        elif status == 500 and retry_after is not None:
            self._wait(now, usage, change, status, response.reason, retry_after)
        elif status in _NOT_DONE and self._by_invite(usage, change):
            self._start(now, usage)
        else:
            self._fail(usage, status, response.reason, "rejected")

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

    def _accepted(self, usage: InviteUsage, change: Change, response: Response) -> None:
        dialog = change.dialog
        try:
            dialog.refresh_target(response)
        except RemoteProtocolError:
            self.core.counters["sip.malformed"] += 1
        dialog.learn(response)
        sdp = sdp_of(response)
        if sdp is None:
            offers.make(dialog, Move.REFUSE)
            self._fail(usage, response.status, response.reason, "protocol")
            return
        offers.make(dialog, Move.THEY_ANSWER)
        dialog.local_sdp, dialog.remote_sdp = change.sent, sdp
        usage.change = None
        self.core.events.append(Reanswered(usage.handle, sdp))

    def _by_invite(self, usage: InviteUsage, change: Change) -> bool:
        """The peer does no UPDATE after all: a re-INVITE does as well, once there can be one."""
        if change.method != "UPDATE":
            return False
        change.dialog.allow = [method for method in change.dialog.allow if method != "UPDATE"]
        change.method = "INVITE"
        return usage.stage is Stage.CONFIRMED

    def _fail(self, usage: InviteUsage, status: int, reason: str, cause: str) -> None:
        usage.change = None
        self.core.timers.disarm(usage.handle, Timer.REOFFER)
        self.core.events.append(ReofferFailed(usage.handle, status, reason, cause))

    def _gone(self, now: float, usage: InviteUsage) -> None:
        """RFC 3261 §12.2.1.2: 408, 481 or no response at all: the dialog is over at the other end."""
        if usage.stage in (Stage.CALLING, Stage.OFFERED):
            self._fail(usage, 481, "Call/Transaction Does Not Exist", "rejected")  # the INVITE has its own outcome
            return
        usage.change = None
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
