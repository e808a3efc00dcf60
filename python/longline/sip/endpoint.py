"""The whole SIP stack without I/O: five verbs.

    receive(now, source, data)      one datagram, or one message that the stream framer cut out
    invite, ring, answer, …         the commands
    poll_transmit()                 what to send, until None
    poll_change()                   dialogs to store before what was polled just now is sent, until None
    poll_lookup()                   names to look up, until None; each is answered by one `located`
    poll_event()                    what happened, until None
    next_timeout(), handle_timeout(now)

After each verb drain `poll_transmit` first, then `poll_lookup`, then `poll_event`. A command for a call that is over
already does nothing and is counted (`sip.stale_commands`): the peer may have ended it a moment ago. A command that the
call's stage does not allow is a LocalProtocolError. Max-Forwards 0 is no reason to refuse: we are where the request was
going (RFC 4475 §3.3.11). Leaves out: sockets, names to addresses, clocks.
"""

import hmac
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Any

from longline.base.errors import LocalProtocolError, RemoteProtocolError
from longline.sip import snapshot
from longline.sip.access.admission import Verdict
from longline.sip.access.bindings import Binding
from longline.sip.access.default_deny import DefaultDeny
from longline.sip.access.peers import Peers
from longline.sip.access.registrar import Registrar
from longline.sip.core import RETRY_AFTER_S, Core, EndpointSettings
from longline.sip.dialog import Dialog
from longline.sip.events import Ended, ReferRefused, SipEvent
from longline.sip.features.health import Health
from longline.sip.features.info_client import InfoClient
from longline.sip.features.refer_client import ReferClient
from longline.sip.features.refer_server import ReferServer
from longline.sip.features.registration import Registrations
from longline.sip.features.reinvite import Reinvites
from longline.sip.features.reliable import CalledReliably
from longline.sip.features.reoffer import Reoffers
from longline.sip.features.replaces import OPTION_TAG
from longline.sip.features.session_timer import SessionTimers
from longline.sip.ledger import DialogChange
from longline.sip.syntax.build import reason_header, reason_phrase, response_to
from longline.sip.syntax.message import MalformedMessage, Request, Response, parse
from longline.sip.timers import Timer
from longline.sip.transaction_layer import ClientTransaction, ServerTransaction, quoted_transaction, stamp_via
from longline.sip.uac import ClientCore, Invitation
from longline.sip.uas import ServerCore
from longline.sip.usage import InviteUsage, Stage
from longline.sip.wire import Hop, Source, Target, Transmit


class Endpoint:
    """One user agent. `token()` makes unguessable words of letters and digits: tags, branches, Call-IDs, cnonces."""

    def __init__(self, settings: EndpointSettings, token: Callable[[], str]) -> None:
        self._core = core = Core(settings, token)
        self._sessions = SessionTimers(core)
        self._client = ClientCore(core, self._sessions)
        self._server = ServerCore(core, self._sessions, self._take_place)
        self._called_reliably = CalledReliably(core, self._server)
        self._reinvites = Reinvites(core, self._server)
        self._reoffers = Reoffers(core, self._client)
        self._infos = InfoClient(core, self._client)
        core.option_tags.append(OPTION_TAG)
        self._refer_server = ReferServer(core, self._server)
        self._refer_client = ReferClient(core, self._server)
        self._registrations = Registrations(core)
        self._health = Health(core)
        core.usage_timers[Timer.AWAIT_ACK] = self._on_ack_missing
        self._secret = "".join(token() for _ in range(4)).encode()
        self._registrar: Registrar | None = None
        if settings.admission is not None:
            self._registrar = Registrar(core, self._server)
            core.admission = DefaultDeny(core, settings.admission, core.bindings, self._secret)

    @property
    def counters(self) -> dict[str, int]:
        """What was counted since the start, by name."""
        return dict(self._core.counters)

    @property
    def calls(self) -> int:
        """Calls that take a place in the table."""
        return len(self._core.usages)

    @property
    def transactions(self) -> int:
        return len(self._core.layer.clients) + len(self._core.layer.servers)

    # ---- input

    def receive(self, now: float, source: Source, data: bytes) -> None:
        """Anything at all may come in; what is no SIP message is counted and forgotten."""
        if not data.strip(b"\r\n\x00"):
            self._core.counters["sip.keep_alives_received"] += 1
            return
        try:
            message = parse(data)
            message.size = len(data)
            if isinstance(message, Response):
                self._core.layer.receive_response(now, message, self)
            else:
                if source.reliable and "Content-Length" not in message.headers:
                    # RFC 3261 §18.3: on a stream nobody could know where the body ends.
                    raise MalformedMessage("missing Content-Length", request=message)
                stamp_via(message, source)
                self._core.layer.receive_request(now, message, source, self)
        except MalformedMessage as error:
            self._core.counters["sip.malformed"] += 1
            self._answer_malformed(now, error, source)
        except RemoteProtocolError:
            self._core.counters["sip.malformed"] += 1

    def _answer_malformed(self, now: float, error: MalformedMessage, source: Source) -> None:
        """Tell the sender of a broken request why, when enough of it is there to route an answer."""
        request = error.request
        if request is None or request.method == "ACK" or not request.headers.get("Via"):
            return
        if not self._core.admission.knows(now, source):
            return  # a stranger learns nothing from his mistakes
        # A Via nobody can read goes back as it came; the response then goes to where the request came from.
        with suppress(RemoteProtocolError):
            stamp_via(request, source)
        text = str(error)
        response = response_to(request, error.status, text[:1].upper() + text[1:])
        self._core.layer.respond_statelessly(request, source, response)

    def transport_failed(self, now: float, transaction: str) -> None:
        """A message of this transaction could not be sent."""
        self._core.counters["sip.transport_errors"] += 1
        self._core.layer.transport_failed(now, transaction, self)

    def datagram_undelivered(self, now: float, quote: bytes) -> None:
        """ICMP says that a datagram of ours did not arrive; `quote` is how it began."""
        transaction = quoted_transaction(quote)
        if transaction is not None:
            self.transport_failed(now, transaction)

    def sent_over(self, transaction: str, connection: int) -> None:
        """A message of this transaction has gone over this connection: what follows goes the same way."""
        self._core.layer.sent_over(transaction, connection)

    def connection_lost(self, now: float, connection: int) -> None:
        """A TCP connection has gone. Dialogs survive it: their next request opens a new one."""
        self._core.bindings.connection_lost(connection)
        for usage in (*self._core.usages.values(), *self._core.dialogs.values()):
            for dialog in (usage.dialog, *usage.early.values()):
                if dialog.connection == connection:
                    dialog.connection = None
        self._core.layer.connection_lost(now, connection, self)

    def located(self, now: float, hop: Hop, targets: Sequence[Target]) -> None:
        """The targets of a hop, best first (RFC 3263); none when the name leads nowhere."""
        self._core.located(now, hop, targets)

    def set_peers(self, peers: Peers) -> None:
        """Whom we know from now on, whom we register with, and who is asked whether he is there. Calls in progress go
        on."""
        self._core.peers = peers
        self._core.whereabouts.set_peers(peers)
        self._registrations.on_peers(peers)
        self._health.on_peers(peers)

    def leave_registrars(self) -> None:
        """Take our registrations back: the node stops. It is done when `is_leaving` says so."""
        self._registrations.leave_all()

    @property
    def is_leaving(self) -> bool:
        """A registration of ours is being taken back."""
        return self._registrations.is_leaving

    # ---- output

    def poll_transmit(self) -> Transmit | None:
        return self._core.poll_transmit()

    def poll_change(self) -> DialogChange | None:
        """A dialog that must be stored, by `snapshot`, before the message of its call that was polled last is sent; or
        one that is gone. Poll after each `poll_transmit`, also when that gave None."""
        return self._core.ledger.changes.popleft() if self._core.ledger.changes else None

    def poll_lookup(self) -> Hop | None:
        """A hop whose host is a name: the shell finds its targets and calls `located`, once."""
        return self._core.lookups.popleft() if self._core.lookups else None

    def poll_event(self) -> SipEvent | None:
        return self._core.events.popleft() if self._core.events else None

    def next_timeout(self) -> float | None:
        return self._core.timers.next()

    def handle_timeout(self, now: float) -> None:
        """Let every timer that is due run out."""
        while (due := self._core.timers.pop_due(now)) is not None:
            owner, timer = due
            usage = self._core.usages.get(owner)
            if usage is not None:
                self._core.usage_timers[timer](now, usage)
            elif owner in self._core.timed:
                self._core.timed[owner](now, timer)
            else:
                self._core.layer.on_timer(now, owner, timer, self)

    def _on_ack_missing(self, now: float, usage: InviteUsage) -> None:
        usage.ok = None
        self._core.counters["sip.acks_missing"] += 1
        if usage.bye_waits:
            self._client.send_bye(now, usage)
        elif usage.stage is Stage.ANSWERING:
            self._client.bye(now, usage, None, "no_answer")
        else:
            # RFC 3261 §13.3.1.4: no ACK for 64*T1: the dialog is there, the session should end.
            self._client.bye(now, usage, "no ACK", "no_ack")

    def _take_place(self, now: float, usage: InviteUsage) -> None:
        """RFC 3891 §3: the call whose place an answered one takes is ended, or given up if it only rings."""
        if usage.replaces is not None:
            self.bye(now, usage.replaces, "replaced")

    # ---- commands

    def invite(self, now: float, invitation: Invitation) -> str:
        """Call somebody; returns the handle. Failed or Ended will be the last event about it."""
        return self._client.invite(now, invitation)

    def ring(self, now: float, handle: str, sdp: bytes | None = None) -> None:
        """180 Ringing, or 183 Session Progress with early media. Where the caller supports 100rel, a description in it
        is our answer (our offer, if the INVITE had none), and that of `answer` is not sent any more."""
        usage = self._core.usage_of(handle)
        if usage is None:
            return
        if usage.stage is not Stage.OFFERED or usage.answer_waits is not None:
            raise LocalProtocolError("only an incoming call that is not answered can ring")
        if sdp and usage.late_offer and not self._called_reliably.is_supported(usage):
            # RFC 3261 §13.2.1: without 100rel our offer can only be in the 2xx.
            raise LocalProtocolError("an INVITE without an offer cannot be given early media")
        self._server.ring(now, usage, sdp)

    def answer(self, now: float, handle: str, sdp: bytes) -> None:
        """Incoming: 200 with our answer, or our offer. Outgoing: the answer to an offer that came with the 200."""
        usage = self._core.usage_of(handle)
        if usage is None:
            return
        if usage.stage is Stage.ANSWERING:
            self._core.timers.disarm(handle, Timer.AWAIT_ACK)
            self._client.answer(now, usage, sdp)
        else:
            self._server.answer(now, usage, sdp)

    def reject(
        self,
        now: float,
        handle: str,
        status: int,
        reason: str | None = None,
        headers: list[tuple[str, str]] | None = None,
    ) -> None:
        """Refuse an incoming call with a status from 300 to 699."""
        if not 300 <= status <= 699:
            raise LocalProtocolError(f"{status} is no refusal")
        usage = self._core.usage_of(handle)
        if usage is None:
            return
        if usage.stage is not Stage.OFFERED:
            raise LocalProtocolError("only an incoming call that is not answered can be refused")
        self._server.reject(now, usage, status, reason, headers)

    def cancel(self, now: float, handle: str, reason: str | None = None) -> None:
        """Give up an outgoing call; when it has just been answered, end it with BYE."""
        usage = self._core.usage_of(handle)
        if usage is None:
            return
        if usage.stage in (Stage.CONFIRMED, Stage.ANSWERING):
            self._client.bye(now, usage, reason)
        elif usage.dialog.role == "caller":
            self._client.cancel(now, usage, reason)
        else:
            raise LocalProtocolError("an incoming call is refused, not cancelled")

    def bye(self, now: float, handle: str, reason: str | None = None) -> None:
        """End an answered call; an outgoing one without an answer is cancelled. Ended follows at once."""
        usage = self._core.usage_of(handle)
        if usage is None:
            return
        if usage.stage in (Stage.CALLING, Stage.CANCELING):
            self._client.cancel(now, usage, reason)
        elif usage.stage is Stage.OFFERED and usage.answer_waits is not None:
            self._server.reject(now, usage, 480, None)
            self._core.events.append(Ended(handle, "local", reason or "bye"))
        elif usage.stage is Stage.OFFERED:
            raise LocalProtocolError("an incoming call that is not answered is refused, not ended with BYE")
        elif usage.stage is Stage.ACCEPTED:
            # RFC 3261 §15: the callee's BYE waits for the ACK of its 200.
            usage.bye_waits = True
            usage.reason = reason_header(reason)
            usage.stage = Stage.ENDED
            self._core.events.append(Ended(handle, "local", reason or "bye"))
        else:
            self._client.bye(now, usage, reason)

    def reoffer(self, now: float, handle: str, sdp: bytes, method: str | None = None) -> None:
        """Offer another session in mid-call: hold, resume, another codec. `method` INVITE or UPDATE; None: what fits.

        Reanswered or ReofferFailed follows. LocalProtocolError while an offer of ours is under way, and before the
        answer when the peer takes no UPDATE or the first offer has no answer yet."""
        usage = self._core.usage_of(handle)
        if usage is not None:
            self._reoffers.reoffer(now, usage, sdp, method)

    def info(self, now: float, handle: str, content_type: str, body: bytes) -> None:
        """Send an INFO in an answered call. InfoAnswered follows, or the end of the call."""
        usage = self._core.usage_of(handle)
        if usage is None:
            return
        if usage.stage is not Stage.CONFIRMED:
            raise LocalProtocolError("an INFO needs a call that is answered and acknowledged")
        self._infos.send(now, usage, content_type, body)

    def reanswer(self, now: float, handle: str, sdp: bytes) -> None:
        """Accept a re-INVITE or UPDATE: our answer, or our offer when it had none."""
        usage = self._core.usage_of(handle)
        if usage is None:
            return
        if usage.prack_waits is not None:
            self._client.reliable.answer(now, usage, sdp)
        else:
            self._reinvites.reanswer(now, usage, sdp)

    def reject_reoffer(self, now: float, handle: str, status: int = 488, reason: str | None = None) -> None:
        """Refuse a re-INVITE or UPDATE; the session stays as it was."""
        if not 300 <= status <= 699:
            raise LocalProtocolError(f"{status} is no refusal")
        usage = self._core.usage_of(handle)
        if usage is None:
            return
        if usage.prack_waits is not None:
            self._client.cancel(now, usage, reason)  # RFC 3262 §5 knows no refusal of an offer in a 1xx
        else:
            self._reinvites.reject(now, usage, status, reason)

    # ---- phones

    def first_hop(self, now: float, target: str) -> Hop | None:
        """Where a call to a URI would go first. RemoteProtocolError when we cannot call it."""
        return self._client.first_hop(now, target)

    def bindings(self, now: float, account: str) -> tuple[Binding, ...]:
        """Where the peer of this name has registered, the most wanted first."""
        return self._core.bindings.of(now, account)

    def bindings_kept(self, now: float, ticket: str) -> None:
        """What `BindingsChanged` told is stored: the REGISTER is answered now."""
        if self._registrar is not None:
            self._registrar.kept(now, ticket)

    def restore_bindings(self, now: float, account: str, bindings: Iterable[dict[str, Any]]) -> None:
        """Take back what `BindingsChanged` told; what has expired meanwhile (`expires_s`) is left out."""
        kept = [Binding.from_dict(binding, now) for binding in bindings]
        self._core.bindings.put(account, [binding for binding in kept if binding.expires_at > now])
        if self._registrar is not None:
            self._registrar.watch(now)

    # ---- REFER

    def refer(
        self,
        now: float,
        handle: str,
        refer_to: str | None = None,
        *,
        replaces: str | None = None,
        referred_by: str | None = None,
    ) -> str:
        """Ask the peer of an answered call to call `refer_to` (blind transfer), or to take our place in the call
        `replaces` (attended). Returns the name of this reference; ReferDone or ReferRefused is the last about it."""
        usage = self._core.usage_of(handle)
        replaced = self._core.usage_of(replaces) if replaces is not None else None
        if usage is None or (replaces is not None and replaced is None):
            reference = "f" + self._core.token()
            self._core.events.append(ReferRefused(handle, reference, 481, reason_phrase(481)))
            return reference
        return self._refer_client.refer(now, usage, refer_to, replaced, referred_by)

    def accept_refer(self, now: float, referral: str) -> None:
        """202 to a REFER (event Referred); its sender is told at once that the call is tried."""
        self._refer_server.accept(now, referral)

    def reject_refer(self, now: float, referral: str, status: int = 603, reason: str | None = None) -> None:
        """Refuse a REFER with a status from 300 to 699."""
        if not 300 <= status <= 699:
            raise LocalProtocolError(f"{status} is no refusal")
        self._refer_server.reject(now, referral, status, reason)

    def notify_refer(self, now: float, referral: str, status: int, reason: str | None = None) -> None:
        """Tell the sender of a REFER how the call goes: 180 for instance, and at last 200 or what it failed with."""
        if not 100 <= status <= 699:
            raise LocalProtocolError(f"{status} is no status")
        self._refer_server.notify(now, referral, status, reason)

    # ---- snapshots

    def dialog(self, handle: str) -> Dialog:
        """The dialog of a live call; KeyError when there is none."""
        return self._core.usages[handle].dialog

    def snapshot(self, now: float, handle: str, utc: float) -> dict[str, Any]:
        """An answered call as JSON types, for another process to go on with; `utc` is the time on the wall, in seconds,
        at `now`. KeyError, LocalProtocolError before the answer."""
        return snapshot.take(self._core, now, utc, self._core.usages[handle])

    def restore(self, now: float, taken: dict[str, Any], utc: float) -> str:
        """Go on with a call; returns its handle. ValueError, LocalProtocolError when it is here already."""
        return snapshot.restore(self._core, now, utc, taken).handle

    # ---- the transaction user (called by the transaction layer)

    def admit(self, now: float, request: Request, source: Source) -> Verdict:
        core = self._core
        usage = self._server.find(request) if request.to.tag is not None else None
        if usage is not None:
            verdict = core.admission.judge_within(now, request, source, usage.dialog)
        else:
            verdict = core.admission.judge(now, request, source)
        if not verdict.is_admitted:
            if verdict.status is not None:
                # RFC 3261 §8.2.7: without a transaction, the same request gets the same To tag.
                response = response_to(
                    request, verdict.status, verdict.reason, to_tag=self._tag_of(request), headers=verdict.headers
                )
                core.layer.respond_statelessly(request, source, response)
            core.counters["sip.not_admitted"] += 1
        return verdict

    def _tag_of(self, request: Request) -> str:
        seen = f"{request.top_via.branch} {request.call_id}"
        return hmac.digest(self._secret, seen.encode("utf-8", "surrogateescape"), "sha256").hex()[:8]

    def on_request(self, now: float, transaction: ServerTransaction, request: Request) -> None:
        self._server.on_request(now, transaction, request)

    def on_ack(self, now: float, request: Request) -> None:
        usage = self._server.on_ack(now, request)
        if usage is not None and usage.bye_waits:
            self._client.send_bye(now, usage)

    def on_response(self, now: float, transaction: ClientTransaction, response: Response) -> None:
        self._core.exchanges.on_response(now, transaction, response)

    def on_stray_response(self, now: float, response: Response) -> bool:
        return snapshot.acknowledge_lost(self._core, now, response)

    def on_client_failure(self, now: float, transaction: ClientTransaction, cause: str) -> None:
        self._core.exchanges.on_failure(now, transaction, cause)

    def on_server_failure(self, now: float, transaction: ServerTransaction, cause: str) -> None:
        self._server.on_failure(now, transaction, cause)

    def on_overload(self, now: float, request: Request, source: Source) -> None:
        """The transaction table is full: 503 without a transaction, so that it cannot grow."""
        self._core.counters["sip.overload"] += 1
        if not self._core.admission.knows(now, source):
            return
        response = response_to(request, 503, headers=[("Retry-After", str(RETRY_AFTER_S))])
        self._core.layer.respond_statelessly(request, source, response)
