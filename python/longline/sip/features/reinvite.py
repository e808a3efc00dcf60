"""The peer's changes of a session: its re-INVITEs (RFC 3261 §14.2) and UPDATEs (RFC 3311 §5.2).

An UPDATE without an offer refreshes the target and is answered at once. Leaves out: the 200 of an INVITE and its ACK
(`uas`), and what an answer says.
"""

from longline.sip import offers
from longline.sip.core import Core
from longline.sip.dialog import contact_of
from longline.sip.events import Reoffer, ReofferCanceled
from longline.sip.offers import Move
from longline.sip.origin import next_description
from longline.sip.refused import Refused
from longline.sip.syntax.body import SDP, media_type, sdp_of
from longline.sip.syntax.message import Request
from longline.sip.transaction_layer import ServerTransaction
from longline.sip.uas import ServerCore
from longline.sip.usage import InviteUsage, Reinvite, Stage


class Reinvites:
    def __init__(self, core: Core, server: ServerCore) -> None:
        self.core = core
        self.server = server
        core.within["INVITE"] = self.on_reinvite
        core.within["UPDATE"] = self.on_update

    # ---- requests

    def on_reinvite(self, now: float, usage: InviteUsage, transaction: ServerTransaction, request: Request) -> None:
        dialog = usage.dialog
        if dialog.open_invite is not None or usage.stage in (Stage.CALLING, Stage.CANCELING, Stage.ANSWERING):
            # RFC 3261 §14.2: an INVITE of ours is open already.
            raise Refused(491)
        if usage.reinvite is not None or usage.stage in (Stage.OFFERED, Stage.ACCEPTED):
            raise self._later("Earlier INVITE Pending")
        contact_of(request)
        offer = sdp_of(request)
        self._check(usage, offer)
        if offer is not None:
            offers.make(dialog, Move.THEY_OFFER)
        usage.reinvite = Reinvite(transaction, late_offer=offer is None)
        self.server.respond(now, transaction, 100)
        self.core.events.append(Reoffer(usage.handle, offer))

    def on_update(self, now: float, usage: InviteUsage, transaction: ServerTransaction, request: Request) -> None:
        dialog = usage.dialog_with(request.from_.tag)
        contact_of(request)
        offer = sdp_of(request)
        if request.body and offer is None:
            kind = media_type(request.headers.get("Content-Type") or "")
            raise Refused(415, None if kind else "No Session Description", [("Accept", SDP)])
        if usage.asked is not None:
            raise self._later("Earlier UPDATE Pending")  # RFC 3311 §5.2
        if offer is None:
            dialog.refresh_target(request)
            dialog.learn(request)
            self.server.respond(now, transaction, 200, None, self._headers(now, usage, request))
            return
        self._check(usage, offer, request.from_.tag)
        if dialog is not usage.dialog_now():
            raise self._later("Another Fork Is Negotiating")
        offers.make(dialog, Move.THEY_OFFER)
        usage.asked = transaction
        self.core.events.append(Reoffer(usage.handle, offer))

    def _check(self, usage: InviteUsage, offer: bytes | None, remote_tag: str | None = None) -> None:
        """Whether an offer may come now, or be asked for."""
        dialog = usage.dialog_with(remote_tag)
        if usage.reinvite is not None and not usage.reinvite.answered:
            raise self._later("Earlier INVITE Pending")  # it asks us for an offer
        if not dialog.open_offer:
            return
        if dialog.open_offer == "ours":
            raise Refused(491)
        raise self._later("Earlier Offer Pending")

    def _later(self, why: str) -> Refused:
        return Refused(500, why, [("Retry-After", str(self.core.retry_delay()))])

    def _headers(self, now: float, usage: InviteUsage, request: Request) -> list[tuple[str, str]]:
        dialog = usage.dialog_with(request.from_.tag)
        headers = [("Contact", f"<{dialog.contact}>"), *self.core.capabilities()]
        if request.method != "UPDATE" or not usage.is_answered:
            return headers  # RFC 4028 §7.2: a session is refreshed when there is one
        return [*headers, *self.server.sessions.accept(now, usage, dialog, request)]

    # ---- commands

    def reanswer(self, now: float, usage: InviteUsage, sdp: bytes) -> None:
        """200 for the peer's offer; nothing when it has been taken back meanwhile."""
        if usage.asked is not None:
            self._answer_asked(now, usage, usage.asked, sdp)
            return
        reinvite, dialog = usage.reinvite, usage.dialog
        if reinvite is None or reinvite.answered:
            self.core.counters["sip.stale_commands"] += 1
            return
        reinvite.answered = True
        sdp = next_description(dialog, sdp)
        dialog.refresh_target(reinvite.transaction.request)
        dialog.learn(reinvite.transaction.request)
        if reinvite.late_offer:
            offers.make(dialog, Move.WE_OFFER)
        else:
            offers.make(dialog, Move.WE_ANSWER)
            dialog.remote_sdp = sdp_of(reinvite.transaction.request)
        dialog.local_sdp = sdp
        self.server.send_ok(now, usage, reinvite.transaction, sdp)

    def _answer_asked(self, now: float, usage: InviteUsage, transaction: ServerTransaction, sdp: bytes) -> None:
        request = transaction.request
        dialog = usage.dialog_with(request.from_.tag)
        usage.asked = None
        dialog.local_sdp = sdp = next_description(dialog, sdp)
        dialog.remote_sdp = sdp_of(request)
        offers.make(dialog, Move.WE_ANSWER)
        if request.method == "UPDATE":
            dialog.refresh_target(request)
            dialog.learn(request)
        self.server.respond(now, transaction, 200, None, self._headers(now, usage, request), body=sdp)

    def reject(self, now: float, usage: InviteUsage, status: int, reason: str | None) -> None:
        """Refuse the peer's offer; the session stays as it was (RFC 3261 §14.2)."""
        if usage.asked is not None:
            transaction, usage.asked = usage.asked, None
            offers.make(usage.dialog_with(transaction.request.from_.tag), Move.REFUSE)
            self.server.respond(now, transaction, status, reason)
            return
        reinvite = usage.reinvite
        if reinvite is None or reinvite.answered:
            self.core.counters["sip.stale_commands"] += 1
            return
        self._drop(usage)
        self.server.respond(now, reinvite.transaction, status, reason)

    def cancel(self, now: float, usage: InviteUsage, transaction: ServerTransaction) -> None:
        """The peer takes its re-INVITE back."""
        self._drop(usage)
        self.server.respond(now, transaction, 487)
        self.core.events.append(ReofferCanceled(usage.handle))

    def _drop(self, usage: InviteUsage) -> None:
        if usage.reinvite is not None and not usage.reinvite.late_offer:
            offers.make(usage.dialog, Move.REFUSE)
        usage.reinvite = None
