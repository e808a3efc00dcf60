"""The user agent client core (RFC 3261 §8.1, §9.1, §13.2, §15.1.1): calls we make, and the BYE of any call.

Tries, challenges and fail-over are `exchange`'s, redirects `redirect`'s. Leaves out: re-INVITEs of our
own, registration.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from longline.base.errors import LocalProtocolError, RemoteProtocolError
from longline.sip import offers
from longline.sip.core import Core
from longline.sip.dialog import Dialog
from longline.sip.events import Answered, Failed, Progress, Unheard
from longline.sip.exchange import NOBODY, SILENCE_T1, Exchange, Owner
from longline.sip.features.redirect import MayFollow, Redirects
from longline.sip.features.reliable import CallsReliably
from longline.sip.features.session_timer import SessionTimers
from longline.sip.offers import Move
from longline.sip.origin import next_description
from longline.sip.syntax.body import sdp_of
from longline.sip.syntax.build import cancel_of, reason_header, reason_phrase
from longline.sip.syntax.headers import Headers, NameAddr, parse_name_addr
from longline.sip.syntax.message import Request, Response
from longline.sip.syntax.uri import parse_uri
from longline.sip.timers import Timer
from longline.sip.usage import MAX_FORKS, InviteUsage, Stage, Step
from longline.sip.ways import ways_to
from longline.sip.wire import Hop, Target

_FAILURES = {"timeout": (408, "Request Timeout"), "transport": (503, "Service Unavailable")}
"""RFC 3261 §8.1.3.1: what a failure without a response counts as."""


_OF_ONE_TRY = frozenset(("Via", "Route", "Contact", "User-Agent", "Authorization", "Proxy-Authorization"))
"""What the INVITE to another address does not take over."""


@dataclass(frozen=True, slots=True)
class Invitation:
    """What an outgoing call begins with. `route` is the URI of a trunk or proxy to send it through, `peer` the name of
    the peer it is sent to, if it is one. `may_follow` says of each URI that a redirect names whether the call may go
    there; None follows none."""

    target: str
    from_uri: str
    to_uri: str | None = None
    sdp: bytes | None = None
    route: str | None = None
    from_display: str = ""
    headers: Sequence[tuple[str, str]] = ()
    peer: str | None = None
    may_follow: MayFollow | None = None
    tells_silence: bool = False
    """Tell `Unheard` when nothing at all comes back for a while: the caller knows another way."""


class ClientCore(Owner):
    """The owner of the INVITEs that make a call."""

    def __init__(self, core: Core, sessions: SessionTimers) -> None:
        self.core = core
        self.sessions = sessions
        self.reliable = CallsReliably(core)
        self._goodbye = _Goodbye(core)
        self._redirects = Redirects(core)
        core.usage_timers[Timer.UNHEARD] = self._unheard
        core.usage_timers[Timer.CANCELED] = self._cancel_timed_out
        core.usage_timers[Timer.NEXT_WAY] = self._rang_long_enough
        core.usage_timers[Timer.M] = lambda now, usage: core.remove(usage)

    # ---- commands

    def invite(self, now: float, invitation: Invitation) -> str:
        """Send an INVITE; returns the handle. LocalProtocolError when the target cannot be called from here."""
        core = self.core
        try:
            dialog = self._new_dialog(invitation)
            core.hop_of(dialog.next_hop())
        except RemoteProtocolError as error:
            raise LocalProtocolError(f"cannot call this target: {error}") from error
        usage = InviteUsage(
            "o" + core.token(),
            Stage.CALLING,
            dialog,
            late_offer=not invitation.sdp,
            tells_silence=invitation.tells_silence,
        )
        usage.redirection = self._redirects.begin(dialog, invitation.may_follow)
        refusal = None if invitation.route else self._find_ways(now, usage, invitation.target)
        if refusal is not None:
            core.events.append(Failed(usage.handle, refusal, reason_phrase(refusal), "rejected"))
            return usage.handle
        if core.is_full or core.layer.is_full:
            core.counters["sip.overload"] += 1
            core.events.append(Failed(usage.handle, 503, "Service Unavailable", "overload"))
            return usage.handle
        request = dialog.request("INVITE", body=invitation.sdp or b"")
        request.headers.add("Accept", "application/sdp")
        for name, value in (*core.capabilities(), *invitation.headers):
            request.headers.add(name, value)
        self.sessions.ask(request, dialog)
        core.add(usage)
        if invitation.sdp:
            dialog.local_sdp = next_description(dialog, invitation.sdp)
            offers.make(dialog, Move.WE_OFFER)
        try:
            self._send_invite(now, usage, request)
        except LocalProtocolError:  # a header that would forge another
            core.remove(usage)
            raise
        return usage.handle

    def _send_invite(self, now: float, usage: InviteUsage, request: Request) -> None:
        if usage.tells_silence:
            self.core.timers.arm(usage.handle, Timer.UNHEARD, now + SILENCE_T1 * self.core.settings.durations.t1)
        if usage.ways:
            self.core.timers.arm(usage.handle, Timer.NEXT_WAY, now + self.core.settings.durations.next_way)
        usage.exchange = self.core.exchanges.send_within(now, request, self, usage.dialog, usage.handle)

    # ---- several addresses, one after the other

    def _find_ways(self, now: float, usage: InviteUsage, target: str) -> int | None:
        """An account of ours is called where it has registered; the status that such a call fails with at once."""
        account = self.core.account_of(parse_uri(target))
        if account is None:
            return None
        if account.channel_limit and self.core.channels[account.name] >= account.channel_limit:
            self.core.counters["sip.refused_channels"] += 1
            return 486
        usage.ways.extend(ways_to(account.name, self.core.bindings.of(now, account.name)))
        if not usage.ways:
            return 480  # RFC 3261 §21.4.18: somebody of ours who is not to be found just now
        usage.ways.pop(0).enter(usage.dialog)
        return None

    def first_hop(self, now: float, target: str) -> Hop | None:
        """Where a call to this URI would go first; None when it can go nowhere. RemoteProtocolError: it is no SIP URI,
        or one that we cannot call."""
        uri = parse_uri(target)
        account = self.core.account_of(uri)
        if account is not None:
            ways = ways_to(account.name, self.core.bindings.of(now, account.name))
            if not ways:
                return None
            way = ways[0]
            if way.host:
                return Hop(way.host, way.port, way.transport)
            uri = parse_uri(parse_name_addr(way.routes[0]).uri if way.routes else way.uri)
        return self.core.hop_of(uri)

    def _go_on(self, now: float, usage: InviteUsage) -> None:
        """Call the next address: same Call-ID and From, the next CSeq, as RFC 3261 §8.1.3.4 recommends."""
        core, exchange = self.core, usage.exchange
        assert exchange is not None
        core.counters["sip.ways_tried"] += 1
        core.unindex_early(usage)
        usage.early.clear()
        core.timers.disarm(usage.handle)
        usage.proceeding = usage.cancel_sent = False
        usage.ways.pop(0).enter(usage.dialog)
        request = usage.dialog.request("INVITE", body=exchange.plain.body)
        for name, value in exchange.plain.headers:
            if name not in _OF_ONE_TRY and name not in request.headers:
                request.headers.add(name, value)
        try:
            self._send_invite(now, usage, request)
        except RemoteProtocolError:
            core.counters["sip.unroutable"] += 1
            self._fail(now, usage, 503, "Service Unavailable", "transport")

    def _unheard(self, now: float, usage: InviteUsage) -> None:
        if usage.stage is not Stage.CALLING or usage.proceeding:
            return
        if usage.exchange is not None and usage.exchange.targets:
            # The name leads to further servers: they come first.
            self.core.timers.arm(usage.handle, Timer.UNHEARD, now + SILENCE_T1 * self.core.settings.durations.t1)
            return
        self.core.events.append(Unheard(usage.handle))

    def _rang_long_enough(self, now: float, usage: InviteUsage) -> None:
        """Nobody has answered here, and there is another phone to call: CANCEL; its 487 lets the call go on."""
        exchange = usage.exchange
        if usage.stage is not Stage.CALLING or exchange is None or not usage.ways:
            return
        exchange.is_over = True
        if usage.proceeding:
            self._send_cancel(now, usage)
        else:
            if exchange.sent is not None:
                self.core.layer.forget(exchange.sent)
            self._fail(now, usage, 408, "Request Timeout", "timeout")

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
            transport="",
            route_set=routes,
            secure=target.scheme == "sips",
            local_sdp=invitation.sdp,
            trunk=core.trunk_of(invitation.route or remote_target),
            peer=invitation.peer,
        )

    def answer(self, now: float, usage: InviteUsage, sdp: bytes) -> None:
        """The answer to an offer that came in the 200: it goes into the ACK."""
        usage.step(Step.ACKNOWLEDGE)
        usage.dialog.local_sdp = sdp = next_description(usage.dialog, sdp)
        offers.make(usage.dialog, Move.WE_ANSWER)
        self._send_ack(now, usage, usage.dialog, sdp)

    def cancel(self, now: float, usage: InviteUsage, reason: str | None = None) -> None:
        """Give up an outgoing call before its answer. RFC 3261 §9.1: CANCEL waits for a provisional response."""
        if usage.stage is Stage.CANCELING:
            return
        usage.step(Step.CANCEL)
        usage.reason = reason_header(reason)
        exchange = usage.exchange
        if exchange is not None:
            exchange.is_over = True
        if exchange is None or exchange.sent is None:
            self._fail(now, usage, 487, "Request Terminated", "canceled")  # nothing has been sent yet
        elif usage.proceeding:
            self._send_cancel(now, usage)

    def _send_cancel(self, now: float, usage: InviteUsage) -> None:
        sent = usage.exchange.sent if usage.exchange is not None else None
        if usage.cancel_sent or sent is None:
            return
        usage.cancel_sent = True
        self.core.layer.send_request(now, cancel_of(sent.request, usage.reason), sent.target)
        self.core.timers.arm(usage.handle, Timer.CANCELED, now + self.core.settings.durations.timeout)

    def _cancel_timed_out(self, now: float, usage: InviteUsage) -> None:
        """RFC 3261 §9.1: no final response 64*T1 after the CANCEL; the INVITE counts as cancelled."""
        if usage.exchange is not None and usage.exchange.sent is not None:
            self.core.layer.forget(usage.exchange.sent)
        self._fail(now, usage, 487, "Request Terminated", "canceled")

    def bye(self, now: float, usage: InviteUsage, reason: str | None, cause: str | None = None) -> None:
        """End a confirmed call. Ended follows at once; the BYE's own fate changes nothing any more."""
        if usage.stage is Stage.ANSWERING:
            # The 200 must be acknowledged before the dialog it made can be ended (RFC 3261 §13.2.2.4).
            self._send_ack(now, usage, usage.dialog, b"")
        usage.reason = reason_header(reason)
        self.core.refuse_pending(now, usage)
        self.core.end(usage, "local", cause or reason or "bye")
        self.send_bye(now, usage)

    def send_bye(self, now: float, usage: InviteUsage) -> None:
        request = usage.dialog.request("BYE")
        if usage.reason:
            request.headers.add("Reason", usage.reason)
        try:
            self.core.exchanges.send_within(now, request, self._goodbye, usage.dialog, usage.handle)
        except RemoteProtocolError:
            self.core.counters["sip.unroutable"] += 1
            self.core.remove(usage)

    # ---- the INVITE and its responses

    def on_sending(self, exchange: Exchange, request: Request, target: Target) -> None:
        dialog = exchange.dialog
        if dialog is None:
            return
        dialog.transport, dialog.remote_host, dialog.remote_port = target.transport, target.host, target.port
        user = parse_uri(dialog.contact).user
        dialog.listener = target.listener
        dialog.server_name = target.server_name if target.transport == "TLS" else None
        dialog.contact = self.core.contact(user, target.transport, dialog.secure, target.listener)
        request.headers.add("Contact", f"<{dialog.contact}>")

    def on_response(self, now: float, exchange: Exchange, response: Response) -> None:
        usage = self.core.usages.get(exchange.handle or "")
        if usage is None or usage.exchange is not exchange:
            return
        if 200 <= response.status < 300:
            self._success(now, usage, response)
        elif usage.stage not in (Stage.CALLING, Stage.CANCELING):
            return
        elif response.status < 200:
            self._provisional(now, usage, response)
        elif response.status == 422 and self._ask_for_longer_sessions(now, usage, exchange, response):
            return
        elif response.status in (401, 407):
            self._fail(now, usage, response.status, response.reason, "unauthorized")
        else:
            self._redirects.learn(now, usage, response)
            self._fail(now, usage, response.status, response.reason, "rejected")

    def _ask_for_longer_sessions(self, now: float, usage: InviteUsage, exchange: Exchange, response: Response) -> bool:
        """RFC 4028 §7.3: the same INVITE with the next CSeq and the interval that somebody on the way wants."""
        dialog, plain = usage.dialog, exchange.plain
        if usage.stage is not Stage.CALLING or not self.sessions.raise_interval(dialog, response):
            return False
        self.core.unindex_early(usage)
        usage.early.clear()
        usage.proceeding = False
        dialog.local_cseq = max(dialog.local_cseq, plain.cseq[0]) + 1
        headers = Headers.of_canonical(list(plain.headers))
        headers.set("CSeq", f"{dialog.local_cseq} INVITE")
        request = Request("INVITE", plain.uri, headers, plain.body)
        self.sessions.ask(request, dialog)
        try:
            self._send_invite(now, usage, request)
        except RemoteProtocolError:
            return False
        return True

    def on_failure(self, now: float, exchange: Exchange, cause: str) -> None:
        usage = self.core.usages.get(exchange.handle or "")
        if usage is not None and usage.stage in (Stage.CALLING, Stage.CANCELING):
            self._fail(now, usage, *_FAILURES[cause], cause)

    def _provisional(self, now: float, usage: InviteUsage, response: Response) -> None:
        usage.proceeding = True
        if usage.stage is Stage.CANCELING:
            self._send_cancel(now, usage)
        elif response.status > 100:
            sdp, tag = sdp_of(response), response.to.tag
            early = self._early_dialog(usage, response)
            settled = early.sessions if early is not None else 0
            if not self.reliable.take(now, usage, early, response):
                return
            if early is not None and sdp is not None and not settled:
                early.remote_sdp = sdp
            is_answer = early is not None and early.sessions > settled
            self.core.events.append(Progress(usage.handle, response.status, response.reason, sdp, tag, is_answer))

    def _early_dialog(self, usage: InviteUsage, response: Response) -> Dialog | None:
        """RFC 3261 §12.1.2: each fork that rings makes a dialog of its own, with its own routes and counts."""
        tag = response.to.tag
        if not tag or tag in usage.early:
            return usage.early.get(tag or "")
        if len(usage.early) >= MAX_FORKS:
            self.core.counters["sip.forks_dropped"] += 1
            return None
        early = replace(usage.dialog, open_invite=None)  # the challenges they have met are the same
        try:
            early.ring(response)
        except RemoteProtocolError:  # nothing can be sent there before its 2xx says more
            self.core.counters["sip.malformed"] += 1
            return None
        early.local_cseq = max(early.local_cseq, response.cseq[0])
        if usage.exchange is not None and usage.exchange.sent is not None:
            early.connection = usage.exchange.sent.target.connection
        usage.early[tag] = early
        self.core.dialogs[early.id] = usage
        return early

    def _success(self, now: float, usage: InviteUsage, response: Response) -> None:
        acknowledged = usage.acks.get((response.to.tag or "", response.cseq[0]))
        if acknowledged is not None:
            self.core.layer.send(*acknowledged, usage.handle)
            self.core.counters["sip.retransmissions_received"] += 1
        elif usage.stage is Stage.CALLING:
            self._answered(now, usage, response)
        elif usage.dialog.confirmed and usage.dialog.remote_tag == response.to.tag:
            return  # a retransmitted 200 whose ACK waits: for our answer, or for the address of its route
        elif len(usage.acks) < MAX_FORKS:
            self._refuse_fork(now, usage, response)
        else:
            self.core.counters["sip.forks_dropped"] += 1

    def _answered(self, now: float, usage: InviteUsage, response: Response) -> None:
        core = self.core
        usage.ways.clear()
        core.timers.disarm(usage.handle, Timer.NEXT_WAY)
        early = usage.early.get(response.to.tag or "")
        if early is not None:
            core.unindex_early(usage)
            usage.dialog = early
        dialog = usage.dialog
        try:
            dialog.accept(response)
            core.hop_of(dialog.next_hop(), dialog.transport)
            self.sessions.settle(now, usage, dialog, response)
        except RemoteProtocolError as error:
            # Without a usable route neither ACK nor BYE can be sent.
            self._fail(now, usage, 500, f"unusable 200: {error}", "protocol")
            return
        sent = usage.exchange.sent if usage.exchange is not None else None
        dialog.connection = sent.target.connection if sent is not None else None
        core.index(usage)
        usage.answer_cseq = response.cseq[0]
        sdp = sdp_of(response)
        if early is not None and (early.sessions or (sdp is None and not usage.late_offer)):
            # The answer came before, and from this fork; what stands in the 200 then counts for nothing (§13.2.1).
            sdp = None if usage.late_offer else early.remote_sdp
        dialog.remote_sdp = sdp or dialog.remote_sdp
        dialog.learn(response)
        if usage.late_offer and sdp is not None:
            offers.make(dialog, Move.THEY_OFFER)
            usage.step(Step.ANSWERED_WITH_OFFER)
            core.timers.arm(usage.handle, Timer.AWAIT_ACK, now + core.settings.durations.timeout)
        else:
            if dialog.open_offer == "ours" and not dialog.sessions:
                offers.make(dialog, Move.THEY_ANSWER if sdp is not None else Move.REFUSE)
            usage.prack_waits = None
            usage.step(Step.ANSWERED)
            self._send_ack(now, usage, dialog, b"")
        core.events.append(Answered(usage.handle, sdp))

    def _send_ack(self, now: float, usage: InviteUsage, dialog: Dialog, sdp: bytes) -> None:
        if usage.exchange is not None:
            self.send_ack(now, usage, dialog, usage.exchange.request, sdp)

    def send_ack(self, now: float, usage: InviteUsage, dialog: Dialog, invite: Request, sdp: bytes) -> None:
        """RFC 3261 §13.2.2.4: the ACK of a 2xx is a request of its own, with the credentials of the INVITE."""
        key = (dialog.remote_tag or "", invite.cseq[0])
        request = dialog.request("ACK", invite.cseq[0], sdp)
        for name in ("Authorization", "Proxy-Authorization"):
            for value in invite.headers.get_all(name):
                request.headers.add(name, value)

        def send(now: float, targets: Sequence[Target]) -> None:
            if not targets:
                self.core.counters["sip.unroutable"] += 1
                return
            self.core.add_via(request, targets[0])
            data = request.encode()
            usage.acks[key] = (data, targets[0])
            self.core.layer.send(data, targets[0], usage.handle)

        self.core.locate_dialog(now, dialog, send)

    def _refuse_fork(self, now: float, usage: InviteUsage, response: Response) -> None:
        """A 2xx we have no use for: of a further branch, or after we gave up. ACK, then BYE (RFC 3261 §13.2.2.4)."""
        core = self.core
        fork = replace(usage.early.get(response.to.tag or "", usage.dialog), digests=list(usage.dialog.digests))
        fork.local_cseq = max(fork.local_cseq, response.cseq[0])
        try:
            fork.accept(response)
            self._send_ack(now, usage, fork, b"")
            core.exchanges.send_within(now, fork.request("BYE"), NOBODY, fork)
        except RemoteProtocolError:
            core.counters["sip.unroutable"] += 1
        core.counters["sip.forks_ended"] += 1
        if usage.stage is Stage.CANCELING:
            self._fail(now, usage, 487, "Request Terminated", "canceled")

    def _fail(self, now: float, usage: InviteUsage, status: int, reason: str, cause: str) -> None:
        """An outgoing call has failed. The usage lives on with its transaction, to acknowledge late 2xx."""
        if usage.stage is Stage.CANCELING:
            status, cause = 487, "canceled"
        elif usage.ways and status < 600 and cause != "protocol":
            # RFC 3261 §16.7 step 5: another one may answer, unless a 6xx speaks for them all.
            self._go_on(now, usage)
            return
        usage.step(Step.END)
        self.core.refuse_pending(now, usage)
        self.core.unindex_early(usage)
        self.core.timers.disarm(usage.handle)
        forwards = tuple(usage.redirection.forwards) if usage.redirection is not None else ()
        self.core.events.append(Failed(usage.handle, status, reason, cause, forwards))
        if usage.acks:
            self.core.timers.arm(usage.handle, Timer.M, now + self.core.settings.durations.timeout)
        else:
            self.core.remove(usage)


class _Goodbye(Owner):
    """The owner of BYEs: whatever comes of one, its call is forgotten then."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def on_response(self, now: float, exchange: Exchange, response: Response) -> None:
        if response.status >= 200:
            self._forget(exchange)

    def on_failure(self, now: float, exchange: Exchange, cause: str) -> None:
        self._forget(exchange)

    def _forget(self, exchange: Exchange) -> None:
        usage = self._core.usages.get(exchange.handle or "")
        if usage is not None:
            self._core.remove(usage)


def _loose(route: str) -> str:
    """A trunk's URI as a Route value: loose, whatever its owner wrote."""
    uri = parse_uri(route)
    return str(uri) if uri.is_loose_router else str(replace(uri, params=(*uri.params, ("lr", None))))
