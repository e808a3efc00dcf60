"""The user agent client core (RFC 3261 §8.1, §9.1, §13.2, §15.1.1, §22.2): calls we make, and the BYE of any call.

Leaves out: following redirects (3xx is told as Failed), re-INVITEs of our own, registration.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from longline.base.errors import LocalProtocolError, RemoteProtocolError
from longline.sip.auth import answer_challenges
from longline.sip.body import sdp_of
from longline.sip.build import ALLOW, cancel_of, reason_header
from longline.sip.core import MAX_AUTH_TRIES, Core
from longline.sip.dialog import Dialog
from longline.sip.events import Answered, Failed, Progress
from longline.sip.headers import NameAddr
from longline.sip.message import Response
from longline.sip.timers import Timer
from longline.sip.transaction_layer import ClientTransaction
from longline.sip.uri import parse_uri
from longline.sip.usage import MAX_FORKS, InviteUsage, Stage, Step

_FAILURES = {"timeout": (408, "Request Timeout"), "transport": (503, "Service Unavailable")}
"""RFC 3261 §8.1.3.1: what a failure without a response counts as."""


@dataclass(frozen=True, slots=True)
class Invitation:
    """What an outgoing call begins with. `route` is the URI of a trunk or proxy to send it through."""

    target: str
    from_uri: str
    to_uri: str | None = None
    sdp: bytes | None = None
    route: str | None = None
    from_display: str = ""
    headers: Sequence[tuple[str, str]] = ()


class ClientCore:
    def __init__(self, core: Core) -> None:
        self.core = core

    # ---- commands

    def invite(self, now: float, invitation: Invitation) -> str:
        """Send an INVITE; returns the handle. LocalProtocolError when the target cannot be called from here."""
        core = self.core
        try:
            dialog = self._new_dialog(invitation)
            target = core.target_of(dialog)
        except RemoteProtocolError as error:
            raise LocalProtocolError(f"cannot call this target: {error}") from error
        dialog.transport = target.transport
        if target.transport != "UDP":
            dialog.contact = core.contact(parse_uri(invitation.from_uri).user, target.transport)
        dialog.remote_host, dialog.remote_port = target.host, target.port
        request = dialog.request("INVITE", body=invitation.sdp or b"")
        request.headers.add("Contact", f"<{dialog.contact}>")
        request.headers.add("Allow", ALLOW)
        request.headers.add("Accept", "application/sdp")
        for name, value in invitation.headers:
            request.headers.add(name, value)
        usage = InviteUsage("o" + core.token(), Stage.CALLING, dialog, request, late_offer=not invitation.sdp)
        if core.is_full or core.layer.is_full:
            core.counters["sip.overload"] += 1
            core.events.append(Failed(usage.handle, 503, "Service Unavailable", "overload"))
            return usage.handle
        core.add_via(request, target)
        usage.client = core.layer.send_request(now, request, target, usage.handle)
        core.add(usage)
        dialog.open_invite = request.top_via.branch
        return usage.handle

    def _new_dialog(self, invitation: Invitation) -> Dialog:
        core = self.core
        target = parse_uri(invitation.target)
        from_uri = parse_uri(invitation.from_uri)
        parse_uri(invitation.to_uri or invitation.target)
        remote_target = str(replace(target, headers=None))
        # RFC 3261 §19.1.1: the transport parameter is for where a request goes, not for who somebody is.
        to_uri = invitation.to_uri or str(replace(target, headers=None, params=(), port=None))
        routes = [f"<{_loose(invitation.route)}>"] if invitation.route else []
        return Dialog(
            call_id=core.token(),
            local_tag=core.token(),
            remote_tag=None,
            local=str(NameAddr(invitation.from_uri, invitation.from_display)),
            remote=str(NameAddr(to_uri)),
            remote_target=remote_target,
            contact=core.contact(from_uri.user, "UDP"),
            role="caller",
            route_set=routes,
            local_sdp=invitation.sdp,
            trunk=core.trunk_of(invitation.route or remote_target),
        )

    def answer(self, now: float, usage: InviteUsage, sdp: bytes) -> None:
        """The answer to an offer that came in the 200: it goes into the ACK."""
        usage.step(Step.ACKNOWLEDGE)
        usage.dialog.local_sdp = sdp
        self._send_ack(usage, usage.dialog, sdp)

    def cancel(self, now: float, usage: InviteUsage, reason: str | None = None) -> None:
        """Give up an outgoing call before its answer. RFC 3261 §9.1: CANCEL waits for a provisional response."""
        if usage.stage is Stage.CANCELING:
            return
        usage.step(Step.CANCEL)
        usage.reason = reason_header(reason)
        if usage.proceeding:
            self._send_cancel(now, usage)

    def _send_cancel(self, now: float, usage: InviteUsage) -> None:
        if usage.cancel_sent or usage.client is None:
            return
        usage.cancel_sent = True
        request = cancel_of(usage.invite, usage.reason)
        self.core.layer.send_request(now, request, usage.client.target, None)
        self.core.timers.arm(usage.handle, Timer.CANCELED, now + self.core.settings.durations.timeout)

    def bye(self, now: float, usage: InviteUsage, reason: str | None, cause: str | None = None) -> None:
        """End a confirmed call. Ended follows at once; the BYE's own fate changes nothing any more."""
        if usage.stage is Stage.ANSWERING:
            # The 200 must be acknowledged before the dialog it made can be ended (RFC 3261 §13.2.2.4).
            self._send_ack(usage, usage.dialog, b"")
        usage.reason = reason_header(reason)
        self.core.end(usage, "local", cause or reason or "bye")
        self.send_bye(now, usage)

    def send_bye(self, now: float, usage: InviteUsage) -> None:
        request = usage.dialog.request("BYE")
        if usage.reason:
            request.headers.add("Reason", usage.reason)
        try:
            usage.client = self.core.send_in_dialog(now, usage, request)
        except RemoteProtocolError:
            self.core.counters["sip.unroutable"] += 1
            self.core.remove(usage)

    # ---- what the transactions tell

    def on_response(self, now: float, transaction: ClientTransaction, response: Response) -> None:
        usage = self.core.usages.get(transaction.handle or "")
        if usage is None:
            return
        if transaction.request.method == "INVITE":
            self._invite_response(now, usage, transaction, response)
        elif response.status >= 200 and transaction is usage.client:
            if response.status in (401, 407) and self._authorize_again(usage, transaction, response):
                self.send_bye(now, usage)
            else:
                self.core.remove(usage)

    def on_failure(self, now: float, transaction: ClientTransaction, cause: str) -> None:
        """A request of ours timed out or could not be sent."""
        usage = self.core.usages.get(transaction.handle or "")
        if usage is None or transaction is not usage.client:
            return
        if transaction.request.method != "INVITE":
            self.core.remove(usage)
            return
        status, reason = _FAILURES[cause]
        self._fail(now, usage, status, reason, cause)

    def on_cancel_timeout(self, now: float, usage: InviteUsage) -> None:
        """RFC 3261 §9.1: no final response 64*T1 after the CANCEL; the INVITE counts as cancelled."""
        if usage.client is not None:
            self.core.layer.forget(usage.client)
        self._fail(now, usage, 487, "Request Terminated", "canceled")

    # ---- the INVITE

    def _invite_response(
        self, now: float, usage: InviteUsage, transaction: ClientTransaction, response: Response
    ) -> None:
        if 200 <= response.status < 300:
            self._success(now, usage, response)
        elif transaction is not usage.client or usage.stage not in (Stage.CALLING, Stage.CANCELING):
            return
        elif response.status < 200:
            self._provisional(now, usage, response)
        elif response.status in (401, 407) and usage.stage is Stage.CALLING:
            if self._authorize_again(usage, transaction, response):
                self._invite_again(now, usage)
            else:
                self._fail(now, usage, response.status, response.reason, "unauthorized")
        else:
            self._fail(now, usage, response.status, response.reason, "rejected")

    def _provisional(self, now: float, usage: InviteUsage, response: Response) -> None:
        usage.proceeding = True
        if usage.stage is Stage.CANCELING:
            self._send_cancel(now, usage)
        elif response.status > 100:
            self.core.events.append(Progress(usage.handle, response.status, response.reason, sdp_of(response)))

    def _success(self, now: float, usage: InviteUsage, response: Response) -> None:
        tag = response.to.tag or ""
        acknowledged = usage.acks.get(tag)
        if acknowledged is not None:
            self.core.layer.send(*acknowledged)
            self.core.counters["sip.retransmissions_received"] += 1
        elif usage.stage is Stage.CALLING:
            self._answered(now, usage, response)
        elif usage.dialog.confirmed and usage.dialog.remote_tag == response.to.tag:
            return  # a retransmitted 200 whose ACK waits for our answer
        elif len(usage.acks) < MAX_FORKS:
            self._refuse_fork(now, usage, response)
        else:
            self.core.counters["sip.forks_dropped"] += 1

    def _answered(self, now: float, usage: InviteUsage, response: Response) -> None:
        dialog, core = usage.dialog, self.core
        try:
            dialog.accept(response)
            core.target_of(dialog)
        except RemoteProtocolError as error:
            # Without a usable route neither ACK nor BYE can be sent.
            self._fail(now, usage, 500, f"unusable 200: {error}", "protocol")
            return
        dialog.open_invite = None
        dialog.connection = usage.client.target.connection if usage.client else None
        core.index(usage)
        usage.answer_cseq = usage.invite.cseq[0]
        sdp = sdp_of(response)
        dialog.remote_sdp = sdp
        if usage.late_offer and sdp is not None:
            usage.step(Step.ANSWERED_WITH_OFFER)
            core.timers.arm(usage.handle, Timer.AWAIT_ACK, now + core.settings.durations.timeout)
        else:
            usage.step(Step.ANSWERED)
            self._send_ack(usage, dialog, b"")
        core.events.append(Answered(usage.handle, sdp))

    def _send_ack(self, usage: InviteUsage, dialog: Dialog, sdp: bytes) -> None:
        """RFC 3261 §13.2.2.4: the ACK of a 2xx is a request of its own, with the credentials of the INVITE."""
        request = dialog.request("ACK", usage.answer_cseq or usage.invite.cseq[0], sdp)
        for name in ("Authorization", "Proxy-Authorization"):
            for value in usage.invite.headers.get_all(name):
                request.headers.add(name, value)
        target = self.core.target_of(dialog)
        self.core.add_via(request, target)
        data = request.encode()
        usage.acks[dialog.remote_tag or ""] = (data, target)
        self.core.layer.send(data, target)

    def _refuse_fork(self, now: float, usage: InviteUsage, response: Response) -> None:
        """A 2xx we have no use for: of a further branch, or after we gave up. ACK, then BYE (RFC 3261 §13.2.2.4)."""
        core = self.core
        fork = replace(usage.dialog, digests=list(usage.dialog.digests))
        fork.local_cseq = max(fork.local_cseq, usage.invite.cseq[0])
        try:
            fork.accept(response)
            self._send_ack(usage, fork, b"")
            request = fork.request("BYE")
            target = core.target_of(fork)
            core.add_via(request, target)
            core.authorize(request, fork)
            core.layer.send_request(now, request, target, None)
        except RemoteProtocolError:
            core.counters["sip.unroutable"] += 1
        core.counters["sip.forks_ended"] += 1
        if usage.stage is Stage.CANCELING:
            self._fail(now, usage, 487, "Request Terminated", "canceled")

    def _fail(self, now: float, usage: InviteUsage, status: int, reason: str, cause: str) -> None:
        """An outgoing call has failed. The usage lives on with its transaction, to acknowledge late 2xx."""
        if usage.stage is Stage.CANCELING:
            status, cause = 487, "canceled"
        usage.step(Step.END)
        self.core.timers.disarm(usage.handle)
        self.core.events.append(Failed(usage.handle, status, reason, cause))
        if usage.acks:
            self.core.timers.arm(usage.handle, Timer.M, now + self.core.settings.durations.timeout)
        else:
            self.core.remove(usage)

    def _invite_again(self, now: float, usage: InviteUsage) -> None:
        """RFC 3261 §22.2: the same INVITE with credentials, a new branch and the next CSeq."""
        core, dialog = self.core, usage.dialog
        request = dialog.request("INVITE", body=usage.invite.body)
        present = {name for name, _ in request.headers} | {"Via", "Authorization", "Proxy-Authorization"}
        for name, value in usage.invite.headers:
            if name not in present and name not in ("Content-Length", "User-Agent"):
                request.headers.add(name, value)
        target = core.target_of(dialog)
        core.add_via(request, target)
        core.authorize(request, dialog)
        usage.invite = request
        usage.proceeding = False
        usage.client = core.layer.send_request(now, request, target, usage.handle)
        dialog.open_invite = request.top_via.branch

    def _authorize_again(self, usage: InviteUsage, transaction: ClientTransaction, response: Response) -> bool:
        """Take up a challenge; False when it must stay unanswered."""
        usage.tries += 1
        if usage.tries > MAX_AUTH_TRIES:
            return False
        names = {"Authorization", "Proxy-Authorization"} & {name for name, _ in transaction.request.headers}
        tried = usage.dialog.digests if names else []
        sessions = answer_challenges(response, self.core.settings.credentials, usage.dialog.trunk, tried)
        if sessions is None:
            self.core.counters["sip.challenges_refused"] += 1
            return False
        usage.dialog.digests = sessions
        return True


def _loose(route: str) -> str:
    """A trunk's URI as a Route value: loose, whatever its owner wrote."""
    uri = parse_uri(route)
    return str(uri) if uri.is_loose_router else str(replace(uri, params=(*uri.params, ("lr", None))))
