"""Reliable provisional responses (RFC 3262): 100rel and PRACK, both ways.

As the called side 1xx are reliable when the caller requires it, and when they bring a session description and the
caller supports it: then early media is agreed on, and UPDATE can change it before the answer. The next one, and a 200
after one with a description, wait for the PRACK (§3). As the calling side each is acknowledged in its order (§4); one
that offers is acknowledged with our answer (§5). Leaves out: offers of ours in a PRACK.
"""

from __future__ import annotations

from longline.base.errors import RemoteProtocolError
from longline.sip import offers
from longline.sip.core import Core
from longline.sip.dialog import Dialog
from longline.sip.events import Ended, Reanswered, Reoffer
from longline.sip.exchange import Exchange, Owner
from longline.sip.offers import Move
from longline.sip.origin import next_description
from longline.sip.refused import Refused
from longline.sip.syntax.body import sdp_of
from longline.sip.syntax.build import response_to
from longline.sip.syntax.headers import parse_number
from longline.sip.syntax.message import Request, Response
from longline.sip.timers import Timer
from longline.sip.transaction_layer import ServerTransaction
from longline.sip.uas import ServerCore
from longline.sip.usage import InviteUsage, Stage, Step, Unpracked

MAX_WAITING = 4
"""Provisional responses that wait for the PRACK of an earlier one; more are dropped (`sip.provisionals_dropped`)."""
MAX_FIRST_RSEQ = 2**31 - 1
MAX_RSEQ = 2**32 - 1
_OPTION = "100rel"


class CalledReliably:
    """The called side."""

    def __init__(self, core: Core, server: ServerCore) -> None:
        self.core = core
        self.server = server
        server.reliable = self
        core.option_tags.append(_OPTION)
        core.within["PRACK"] = self.on_prack
        core.usage_timers[Timer.RETRANSMIT_1XX] = self._retransmit
        core.usage_timers[Timer.AWAIT_PRACK] = self._prack_missing

    def wants(self, usage: InviteUsage, sdp: bytes | None) -> bool:
        """Whether a provisional response is to be reliable."""
        invite = usage.invite
        if invite is None:
            return False
        if _OPTION in (tag.lower() for tag in invite.headers.get_tokens("Require")):
            return True
        return bool(sdp) and self.is_supported(usage)

    def is_supported(self, usage: InviteUsage) -> bool:
        invite = usage.invite
        if invite is None:
            return False
        tags = (*invite.headers.get_tokens("Require"), *invite.headers.get_tokens("Supported"))
        return _OPTION in (tag.lower() for tag in tags)

    def ring(self, now: float, usage: InviteUsage, sdp: bytes | None) -> None:
        """180, or 183 with a session description, until its PRACK comes."""
        transaction, dialog = usage.server, usage.dialog
        if transaction is None:
            return
        if usage.unpracked is not None and not usage.unpracked.is_acknowledged:
            if len(usage.rings) >= MAX_WAITING:
                self.core.counters["sip.provisionals_dropped"] += 1
            else:
                usage.rings.append(sdp)
            return
        sdp = self._describe(dialog, sdp, usage.late_offer) if sdp else None
        rseq = dialog.rseq + 1 if dialog.rseq else 1 + int(self.core.fraction() * MAX_FIRST_RSEQ)
        dialog.rseq = rseq
        headers = [*self.server.dialog_headers(usage), ("Require", _OPTION), ("RSeq", str(rseq))]
        response = response_to(
            transaction.request,
            183 if sdp else 180,
            to_tag=dialog.local_tag,
            headers=[*headers, *self.core.capabilities()],
            body=sdp or b"",
        )
        self.core.layer.respond(now, transaction, response)
        durations = self.core.settings.durations
        usage.unpracked = Unpracked(rseq, transaction.last_response, bool(sdp), durations.t1)
        self.core.timers.arm(usage.handle, Timer.RETRANSMIT_1XX, now + durations.t1)
        self.core.timers.arm(usage.handle, Timer.AWAIT_PRACK, now + durations.timeout)

    def _describe(self, dialog: Dialog, sdp: bytes, late_offer: bool) -> bytes | None:
        """What may go into this response (§5): the answer, or our offer when the INVITE had none; once."""
        if dialog.sessions or dialog.open_offer == "ours":
            return None
        dialog.local_sdp = next_description(dialog, sdp)
        offers.make(dialog, Move.WE_OFFER if late_offer else Move.WE_ANSWER)
        return dialog.local_sdp

    def must_wait(self, usage: InviteUsage) -> bool:
        """§3: no 2xx before the PRACK of a response with a session description."""
        waiting = usage.unpracked
        return waiting is not None and waiting.has_sdp and not waiting.is_acknowledged

    def stop(self, usage: InviteUsage) -> None:
        """A final response is sent: no provisional one is repeated any more."""
        usage.rings.clear()
        self.core.timers.disarm(usage.handle, Timer.RETRANSMIT_1XX, Timer.AWAIT_PRACK)

    def on_prack(self, now: float, usage: InviteUsage, transaction: ServerTransaction, request: Request) -> None:
        waiting, server = usage.unpracked, usage.server
        rseq, cseq, method = _rack(request)
        matches = waiting is not None and server is not None and server.request.cseq == (cseq, method)
        if waiting is None or not matches or waiting.rseq != rseq or waiting.is_acknowledged:
            raise Refused(481)  # §3
        dialog, sdp = usage.dialog, sdp_of(request)
        if request.body and sdp is None:
            raise Refused(415, headers=[("Accept", "application/sdp")])
        if dialog.open_offer == "ours" and waiting.has_sdp and sdp is None:
            raise Refused(400, "Answer Missing")  # §5
        waiting.is_acknowledged = True
        self.core.timers.disarm(usage.handle, Timer.RETRANSMIT_1XX, Timer.AWAIT_PRACK)
        if sdp is not None and offers.make(dialog, Move.THEY_ANSWER):
            dialog.remote_sdp = sdp
            usage.late_offer = False
            self.core.events.append(Reanswered(usage.handle, sdp))
        elif sdp is not None:
            if not offers.make(dialog, Move.THEY_OFFER):
                raise Refused(491)
            usage.asked = transaction
            self.core.events.append(Reoffer(usage.handle, sdp))
        if usage.asked is not transaction:
            self.server.respond(now, transaction, 200)
        self._go_on(now, usage)

    def _go_on(self, now: float, usage: InviteUsage) -> None:
        """What waited for the PRACK."""
        if usage.stage is not Stage.OFFERED:
            return
        if usage.answer_waits is not None:
            sdp, usage.answer_waits = usage.answer_waits, None
            self.server.answer(now, usage, sdp)
        elif usage.rings:
            self.server.ring(now, usage, usage.rings.pop(0))

    def _retransmit(self, now: float, usage: InviteUsage) -> None:
        waiting, transaction = usage.unpracked, usage.server
        if waiting is None or transaction is None or usage.stage is not Stage.OFFERED:
            return
        waiting.interval *= 2  # §3: T1, doubled with each; it is not capped at T2
        self.core.timers.arm(usage.handle, Timer.RETRANSMIT_1XX, now + waiting.interval)
        self.core.layer.send(waiting.data, transaction.target)
        self.core.counters["sip.retransmissions_sent"] += 1

    def _prack_missing(self, now: float, usage: InviteUsage) -> None:
        """§3: no PRACK for 64*T1: the INVITE is refused."""
        if usage.stage is not Stage.OFFERED or usage.server is None:
            return
        self.core.counters["sip.pracks_missing"] += 1
        usage.step(Step.END)
        self.core.refuse_pending(now, usage)
        self.server.respond(now, usage.server, 504, to_tag=usage.dialog.local_tag)
        self.core.events.append(Ended(usage.handle, "local", "no_prack"))
        self.core.remove(usage)


class CallsReliably(Owner):
    """The calling side, and the owner of PRACKs."""

    def __init__(self, core: Core) -> None:
        self.core = core

    def take(self, now: float, usage: InviteUsage, dialog: Dialog | None, response: Response) -> bool:
        """Acknowledge a provisional response, if it asks for that. False: it is none to be told of, for it came
        before, or after one that is missing (§4)."""
        if _OPTION not in (tag.lower() for tag in response.headers.get_tokens("Require")):
            return True
        try:
            rseq = parse_number((response.headers.get("RSeq") or "").strip(), MAX_RSEQ, "RSeq")
        except RemoteProtocolError:
            rseq = 0
        if dialog is None or rseq == 0:
            self.core.counters["sip.malformed"] += 1
            return False
        if dialog.remote_rseq is not None and rseq != dialog.remote_rseq + 1:
            self.core.counters["sip.provisionals_out_of_order"] += 1
            return False
        dialog.remote_rseq = rseq
        dialog.learn(response)
        sdp = sdp_of(response)
        if sdp is not None and offers.make(dialog, Move.THEY_ANSWER):
            dialog.remote_sdp = sdp
        elif sdp is not None and usage.late_offer and not dialog.sessions and offers.make(dialog, Move.THEY_OFFER):
            usage.prack_waits = (dialog, response)
            self.core.events.append(Reoffer(usage.handle, sdp))
            return True
        self._acknowledge(now, usage, dialog, response, b"")
        return True

    def answer(self, now: float, usage: InviteUsage, sdp: bytes) -> None:
        """The answer to an offer that came in a provisional response goes into its PRACK."""
        if usage.prack_waits is None:
            return
        dialog, response = usage.prack_waits
        usage.prack_waits = None
        dialog.remote_sdp = sdp_of(response)
        dialog.local_sdp = next_description(dialog, sdp)
        offers.make(dialog, Move.WE_ANSWER)
        self._acknowledge(now, usage, dialog, response, dialog.local_sdp)

    def _acknowledge(self, now: float, usage: InviteUsage, dialog: Dialog, response: Response, sdp: bytes) -> None:
        request = dialog.request("PRACK", body=sdp)
        cseq, method = response.cseq
        request.headers.add("RAck", f"{dialog.remote_rseq} {cseq} {method}")
        usage.open_pracks += 1
        try:
            self.core.exchanges.send_within(now, request, self, dialog, usage.handle)
        except RemoteProtocolError:
            usage.open_pracks -= 1
            self.core.counters["sip.unroutable"] += 1

    def on_response(self, now: float, exchange: Exchange, response: Response) -> None:
        if response.status < 200:
            return
        self._closed(exchange)
        if response.status >= 300:
            self.core.counters["sip.pracks_refused"] += 1  # the INVITE's own outcome decides

    def on_failure(self, now: float, exchange: Exchange, cause: str) -> None:
        self._closed(exchange)

    def _closed(self, exchange: Exchange) -> None:
        usage = self.core.usages.get(exchange.handle or "")
        if usage is not None:
            usage.open_pracks -= 1


def _rack(request: Request) -> tuple[int, int, str]:
    """RSeq, CSeq number and method that a PRACK names (§7.2). RemoteProtocolError (400)."""
    words = (request.headers.get("RAck") or "").split()
    if len(words) != 3:
        raise RemoteProtocolError("bad RAck")
    return parse_number(words[0], MAX_RSEQ, "RAck"), parse_number(words[1], MAX_RSEQ, "RAck"), words[2]
