"""The user agent server core (RFC 3261 §8.2, §9.2, §12.2.2, §13.3, §15.1.2): requests that come in.

Methods that have no feature (`Core.within`, `Core.outside`) get 405, methods nobody knows 501. Of INFO only digits are
understood (`info.py`). Leaves out: what an incoming call is for, and changes of its session
(`reinvite`).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from typing import TYPE_CHECKING

from longline.base.errors import LocalProtocolError, RemoteProtocolError
from longline.sip import offers
from longline.sip.core import RETRY_AFTER_S, Core
from longline.sip.dialog import Dialog, contact_of, routes_of
from longline.sip.events import (
    Acked,
    Answered,
    Canceled,
    IncomingCall,
    InfoDigit,
    Reanswered,
    ReofferCanceled,
)
from longline.sip.features.replaces import find_replaced
from longline.sip.features.session_timer import SessionTimers
from longline.sip.offers import Move
from longline.sip.origin import next_description
from longline.sip.refused import Refused
from longline.sip.syntax.body import SDP, media_type, sdp_of
from longline.sip.syntax.build import response_to
from longline.sip.syntax.headers import parse_name_addr
from longline.sip.syntax.info import DTMF, DTMF_RELAY, digit_of
from longline.sip.syntax.message import KNOWN_METHODS, Request
from longline.sip.syntax.uri import parse_uri, scheme_of, user_of
from longline.sip.timers import Timer
from longline.sip.transaction_layer import ServerTransaction, merge_key
from longline.sip.usage import InviteUsage, Stage, Step
from longline.sip.wire import Source

if TYPE_CHECKING:
    from longline.sip.features.reliable import CalledReliably

_AFTER_THE_END = frozenset(("BYE", "OPTIONS", "NOTIFY", "SUBSCRIBE"))
"""What a call that is over still answers: our BYE may have crossed theirs, and the outcome of a REFER may be open."""
_ACCEPTABLE = frozenset((SDP, "application/*", "*/*"))
_Headers = list[tuple[str, str]]


class ServerCore:
    reliable: CalledReliably

    def __init__(self, core: Core, sessions: SessionTimers, on_accepted: Callable[[float, InviteUsage], None]) -> None:
        """`on_accepted` is called when a call of the peer has got its 200."""
        self.core = core
        self.sessions = sessions
        self._on_accepted = on_accepted
        core.within |= {
            "BYE": self._bye,
            "OPTIONS": lambda now, usage, transaction, request: self._options(now, transaction, request),
            "INFO": self._info,
        }
        core.outside |= {"INVITE": self._invite, "OPTIONS": self._options}
        core.usage_timers[Timer.RETRANSMIT_2XX] = self._retransmit_ok
        core.usage_timers[Timer.RING_REFRESH] = self._refresh_ringing

    # ---- what the transactions tell

    def on_request(self, now: float, transaction: ServerTransaction, request: Request) -> None:
        try:
            self._inspect(transaction, request)
            if request.method == "CANCEL":
                self._cancel(now, transaction, request)
            elif request.to.tag is not None:
                self._in_dialog(now, transaction, request)
            else:
                self._out_of_dialog(now, transaction, request)
        except Refused as refusal:
            self.respond(now, transaction, refusal.status, refusal.reason, refusal.headers)
            self.core.counters[f"sip.refused_{refusal.status}"] += 1
        except RemoteProtocolError as error:
            self.respond(now, transaction, error.status, _phrase(error))
            self.core.counters["sip.malformed"] += 1

    def on_ack(self, now: float, request: Request) -> InviteUsage | None:
        """The ACK of a 2xx of ours; returns the call it was for."""
        usage = self.find(request)
        if usage is None or usage.ok is None or request.cseq[0] != usage.ok_cseq:
            self.core.counters["sip.acks_unmatched"] += 1
            return None
        usage.ok = None
        self.core.timers.disarm(usage.handle, Timer.RETRANSMIT_2XX, Timer.AWAIT_ACK)
        sdp = sdp_of(request)
        if usage.stage is Stage.ACCEPTED:
            self._confirmed(usage, sdp)
        elif usage.reinvite is not None and usage.stage is Stage.CONFIRMED:
            if usage.reinvite.late_offer:
                self._answered_in_ack(usage, sdp)
            usage.reinvite = None
        return usage

    def _answered_in_ack(self, usage: InviteUsage, sdp: bytes | None) -> None:
        """The ACK should bring the answer to the offer in our 200; without one the session stays as it was."""
        if sdp is None:
            offers.make(usage.dialog, Move.REFUSE)
        elif offers.make(usage.dialog, Move.THEY_ANSWER):
            usage.dialog.remote_sdp = sdp
            self.core.events.append(Reanswered(usage.handle, sdp))

    def _confirmed(self, usage: InviteUsage, sdp: bytes | None) -> None:
        usage.step(Step.ACKED)
        usage.dialog.confirmed = True
        usage.invite = usage.server = None  # whatever comes now is of the dialog; a call may last for hours
        if usage.late_offer:
            offers.make(usage.dialog, Move.THEY_ANSWER if sdp is not None else Move.REFUSE)
            usage.dialog.remote_sdp = sdp
            self.core.events.append(Answered(usage.handle, sdp))
        self.core.events.append(Acked(usage.handle))

    def on_failure(self, now: float, transaction: ServerTransaction, cause: str) -> None:
        """A response could not be delivered, or the ACK of a refusal never came."""
        usage = self.core.usages.get(transaction.handle or "")
        if usage is None:
            return
        unconfirmed = usage.stage in (Stage.OFFERED, Stage.ACCEPTED)
        if cause == "transport" and unconfirmed and transaction is usage.server:
            self.core.end(usage, "remote", "transport")
            self.core.remove(usage)
        elif usage.reinvite is not None and usage.reinvite.transaction is transaction:
            usage.forget_reinvite()

    # ---- commands

    def ring(self, now: float, usage: InviteUsage, sdp: bytes | None) -> None:
        """180, or 183 with early media; repeated every minute (RFC 3261 §13.3.1.1)."""
        transaction = usage.server
        if transaction is None:
            return
        self.core.timers.arm(usage.handle, Timer.RING_REFRESH, now + self.core.settings.durations.ring_refresh)
        if self.reliable.wants(usage, sdp):
            self.reliable.ring(now, usage, sdp)
            return
        status = 183 if sdp else 180
        if sdp:
            sdp = next_description(usage.dialog, sdp)
        response = response_to(
            transaction.request,
            status,
            to_tag=usage.dialog.local_tag,
            headers=self.dialog_headers(usage),
            body=sdp or b"",
        )
        self.core.layer.respond(now, transaction, response)

    def _refresh_ringing(self, now: float, usage: InviteUsage) -> None:
        if usage.stage is not Stage.OFFERED or usage.server is None:
            return
        if usage.unpracked is None:
            self.core.layer.resend(usage.server)
            self.core.timers.arm(usage.handle, Timer.RING_REFRESH, now + self.core.settings.durations.ring_refresh)
        elif usage.unpracked.is_acknowledged and usage.answer_waits is None:
            self.ring(now, usage, None)  # RFC 3262 §3: the same once more would count as a retransmission

    def answer(self, now: float, usage: InviteUsage, sdp: bytes) -> None:
        """200, with our answer or our offer; without either when a reliable 1xx has settled the session."""
        if self.reliable.must_wait(usage):
            if usage.answer_waits is not None:
                raise LocalProtocolError(f"call {usage.handle}: it is being answered already")
            usage.answer_waits = sdp
            return
        usage.step(Step.ACCEPT)
        self.core.timers.disarm(usage.handle, Timer.RING_REFRESH)
        self.reliable.stop(usage)
        if usage.dialog.sessions:
            sdp = b""
        else:
            usage.dialog.local_sdp = sdp = next_description(usage.dialog, sdp)
            offers.make(usage.dialog, Move.WE_OFFER if usage.late_offer else Move.WE_ANSWER)
        if usage.server is not None:
            self.send_ok(now, usage, usage.server, sdp)
        self._on_accepted(now, usage)

    def reject(
        self, now: float, usage: InviteUsage, status: int, reason: str | None, headers: _Headers | None = None
    ) -> None:
        """A final refusal of an incoming call. No event follows."""
        self.core.refuse_pending(now, usage)
        if usage.server is not None:
            self.respond(now, usage.server, status, reason, headers, usage.dialog.local_tag)
        usage.step(Step.END)
        self.core.remove(usage)

    # ---- the 200 and its ACK

    def send_ok(self, now: float, usage: InviteUsage, transaction: ServerTransaction, sdp: bytes) -> None:
        request = transaction.request
        session = self.sessions.accept(now, usage, usage.dialog, request)
        response = response_to(
            request,
            200,
            to_tag=usage.dialog.local_tag,
            headers=[*self.dialog_headers(usage, request), *self.core.capabilities(), *session],
            body=sdp,
        )
        self.core.layer.respond(now, transaction, response)
        # RFC 3261 §13.3.1.4: the core repeats the 200, on TCP too, until the ACK comes.
        usage.ok = (transaction.last_response, transaction.target)
        usage.ok_cseq = transaction.request.cseq[0]
        usage.ok_interval = self.core.settings.durations.t1
        self.core.timers.arm(usage.handle, Timer.RETRANSMIT_2XX, now + usage.ok_interval)
        self.core.timers.arm(usage.handle, Timer.AWAIT_ACK, now + self.core.settings.durations.timeout)

    def _retransmit_ok(self, now: float, usage: InviteUsage) -> None:
        if usage.ok is None:
            return
        usage.ok_interval = min(usage.ok_interval * 2, self.core.settings.durations.t2)
        self.core.timers.arm(usage.handle, Timer.RETRANSMIT_2XX, now + usage.ok_interval)
        self.core.layer.send(*usage.ok, usage.handle)
        self.core.counters["sip.retransmissions_sent"] += 1

    # ---- checks (RFC 3261 §8.2)

    def _inspect(self, transaction: ServerTransaction, request: Request) -> None:
        method = request.method
        core = self.core
        if method not in KNOWN_METHODS:
            raise Refused(501, headers=[("Allow", core.allow)])
        if method not in core.within and method not in core.outside and method != "CANCEL":
            raise Refused(405, headers=[("Allow", core.allow)])
        if scheme_of(request.uri) not in ("sip", *(("sips",) if "TLS" in core.settings.transports else ())):
            raise Refused(416)
        if request.to.tag is None and method != "CANCEL":
            self._refuse_merged(transaction, request)
        if method == "CANCEL":
            return
        unsupported = [tag for tag in request.headers.get_tokens("Require") if tag not in core.option_tags]
        if unsupported:
            # RFC 3261 §8.2.2.3; Proxy-Require is none of our business.
            raise Refused(420, headers=[("Unsupported", ", ".join(unsupported))])
        self._inspect_content(request)

    def _refuse_merged(self, transaction: ServerTransaction, request: Request) -> None:
        """RFC 3261 §8.2.2.2: the same request along another path."""
        key = merge_key(request)
        if key in self.core.layer.merging:
            raise Refused(482, "Merged Request")
        self.core.layer.merging[key] = transaction.key
        transaction.merge_key = key

    def _inspect_content(self, request: Request) -> None:
        encoding = request.headers.get("Content-Encoding")
        if encoding and encoding.strip().lower() != "identity":
            raise Refused(415, headers=[("Accept-Encoding", "identity")])
        if request.method in ("INVITE", "UPDATE"):
            self.sessions.check(request)
        if request.method != "INVITE":
            return
        if request.body and sdp_of(request) is None:
            kind = media_type(request.headers.get("Content-Type") or "")
            why = "No Session Description" if kind.startswith("multipart/") else None
            raise Refused(415, why, [("Accept", SDP)])
        accepts = request.headers.get_list("Accept") if request.headers.get("Accept") else []
        if accepts and not any(media_type(value) in _ACCEPTABLE for value in accepts):
            raise Refused(406)

    # ---- outside a dialog

    def _out_of_dialog(self, now: float, transaction: ServerTransaction, request: Request) -> None:
        handler = self.core.outside.get(request.method)
        if handler is None:
            raise Refused(481)
        handler(now, transaction, request)

    def _options(self, now: float, transaction: ServerTransaction, request: Request) -> None:
        """RFC 3261 §11.2: the status an INVITE would get, and what we can do."""
        if self.core.is_full:
            raise Refused(503, headers=[("Retry-After", str(RETRY_AFTER_S))])
        headers = [*self.core.capabilities(), ("Accept", SDP), ("Accept-Encoding", "identity")]
        self.respond(now, transaction, 200, None, headers)

    def _invite(self, now: float, transaction: ServerTransaction, request: Request) -> None:
        core = self.core
        if core.is_full:
            core.counters["sip.overload"] += 1
            raise Refused(503, headers=[("Retry-After", str(RETRY_AFTER_S))])
        replaced = find_replaced(core, request)
        dialog = self._new_dialog(transaction.source, request, transaction.peer)
        offer = sdp_of(request)
        dialog.remote_sdp = offer
        if offer is not None:
            offers.make(dialog, Move.THEY_OFFER)
        dialog.learn(request)
        usage = InviteUsage(
            "i" + core.token(), Stage.OFFERED, dialog, request, server=transaction, late_offer=offer is None
        )
        usage.replaces = replaced.handle if replaced is not None else None
        from_user, to_user = _user(request.from_.uri), _user(request.uri)
        core.add(usage)
        core.index(usage)
        transaction.handle = usage.handle
        self.respond(now, transaction, 100)
        core.events.append(
            IncomingCall(
                handle=usage.handle,
                call_id=request.call_id,
                from_uri=request.from_.uri,
                from_user=from_user,
                to_uri=request.uri,
                to_user=to_user,
                offer=offer,
                source=str(transaction.source),
                headers=tuple(request.headers),
                transport=transaction.source.transport,
                peer=transaction.peer,
                replaces=usage.replaces,
                referred_by=request.headers.get("Referred-By"),
            )
        )

    def _new_dialog(self, source: Source, request: Request, peer: str | None) -> Dialog:
        """RFC 3261 §12.1.1. An RFC 2543 caller may have no Contact: then From is all there is to reach it by."""
        core = self.core
        dialog = Dialog(
            call_id=request.call_id,
            local_tag=core.token(),
            remote_tag=request.from_.tag,
            local=request.headers.get("To") or "",
            remote=_without_tag(request.headers.get("From") or ""),
            remote_target=contact_of(request) or request.from_.uri,
            contact=core.contact(
                _raw_user(request.uri), source.transport, scheme_of(request.uri) == "sips", source.listener
            ),
            role="callee",
            transport=source.transport,
            remote_host=source.host,
            remote_port=source.port,
            connection=source.connection,
            listener=source.listener,
            behind_nat=_is_translated(source, request),
            route_set=routes_of(request),
            remote_cseq=request.cseq[0],
            secure=scheme_of(request.uri) == "sips",
            peer=peer,
        )
        core.hop_of(dialog.next_hop(), dialog.transport)  # a caller we could never reach is refused now, not at our BYE
        dialog.trunk = core.trunk_of(str(dialog.next_hop()))
        return dialog

    def _cancel(self, now: float, transaction: ServerTransaction, request: Request) -> None:
        invite = self.core.layer.find_invite(request)
        usage = self.core.usages.get(invite.handle or "") if invite is not None else None
        if invite is None:
            raise Refused(481)
        self.respond(now, transaction, 200, to_tag=usage.dialog.local_tag if usage else None)
        if usage is None:
            return
        if usage.server is invite and usage.stage is Stage.OFFERED:
            self._terminate_invite(now, usage, request.headers.get("Reason"))
        elif usage.reinvite is not None and usage.reinvite.transaction is invite and not usage.reinvite.answered:
            usage.forget_reinvite()
            self.respond(now, invite, 487)
            self.core.events.append(ReofferCanceled(usage.handle))

    def _terminate_invite(self, now: float, usage: InviteUsage, reason: str | None) -> None:
        """487 for an INVITE that its sender gave up."""
        usage.step(Step.END)
        self.core.refuse_pending(now, usage)
        if usage.server is not None:
            self.respond(now, usage.server, 487, to_tag=usage.dialog.local_tag)
        self.core.events.append(Canceled(usage.handle, reason))
        self.core.remove(usage)

    # ---- within a dialog

    def find(self, request: Request) -> InviteUsage | None:
        """RFC 3261 §12.2.2: Call-ID and both tags."""
        return self.core.dialogs.get((request.call_id, request.to.tag or "", request.from_.tag))

    def _in_dialog(self, now: float, transaction: ServerTransaction, request: Request) -> None:
        usage = self.find(request)
        if usage is None:
            raise Refused(481)
        dialog = usage.dialog_with(request.from_.tag)
        if dialog.remote_cseq is not None and request.cseq[0] < dialog.remote_cseq:
            raise Refused(500, "CSeq Out Of Order")
        dialog.remote_cseq = request.cseq[0]
        if transaction.source.reliable and dialog.transport == transaction.source.transport:
            dialog.connection = transaction.source.connection
        transaction.handle = usage.handle
        handler = self.core.within.get(request.method)
        if handler is None or (usage.stage is Stage.ENDED and request.method not in _AFTER_THE_END):
            raise Refused(481)
        if request.method == "BYE" and usage.stage in (Stage.CALLING, Stage.CANCELING):
            # RFC 3261 §15: the callee must not; with a fork of several it would end the others too.
            raise Refused(403, "No BYE Before The Answer")
        handler(now, usage, transaction, request)

    def _info(self, now: float, usage: InviteUsage, transaction: ServerTransaction, request: Request) -> None:
        """RFC 6086 §4.2.2: an INFO of the old kind. An empty one asks whether the dialog is there."""
        told = digit_of(request)
        if told is None and request.body:
            raise Refused(415, headers=[("Accept", f"{DTMF_RELAY}, {DTMF}")])
        self.respond(now, transaction, 200, to_tag=usage.dialog.local_tag)
        if told is not None:
            self.core.events.append(InfoDigit(usage.handle, told.digit, told.duration_ms))

    def _bye(self, now: float, usage: InviteUsage, transaction: ServerTransaction, request: Request) -> None:
        self.respond(now, transaction, 200)
        if usage.stage is Stage.ENDED:
            return  # our BYE crossed theirs
        if usage.stage is Stage.OFFERED:
            self._terminate_invite(now, usage, request.headers.get("Reason"))
            return
        self.core.refuse_pending(now, usage)
        self.core.end(usage, "remote", request.headers.get("Reason") or "bye")
        self.core.remove(usage)

    # ---- responses

    def respond(
        self,
        now: float,
        transaction: ServerTransaction,
        status: int,
        reason: str | None = None,
        headers: _Headers | None = None,
        to_tag: str | None = None,
        body: bytes = b"",
    ) -> None:
        if to_tag is None and status > 100:
            to_tag = self.core.token()
        response = response_to(transaction.request, status, reason, to_tag=to_tag, headers=headers or (), body=body)
        self.core.layer.respond(now, transaction, response)

    def dialog_headers(self, usage: InviteUsage, request: Request | None = None) -> _Headers:
        """RFC 3261 §12.1.1: what a response that makes a dialog carries."""
        invite = request or usage.invite
        routes = invite.headers.get_all("Record-Route") if invite is not None else []
        return [*(("Record-Route", route) for route in routes), ("Contact", f"<{usage.dialog.contact}>")]


def _is_translated(source: Source, request: Request) -> bool:
    """A UDP request whose sender names itself by another address than the one it came from (RFC 3581 §1)."""
    sent_by = request.top_via.host.strip("[]")
    try:
        return source.transport == "UDP" and ipaddress.ip_address(sent_by) != ipaddress.ip_address(source.host)
    except ValueError:
        return False  # a name: it may well be the sender's


def _without_tag(value: str) -> str:
    """A From value as it will stand in our To: the tag is added anew."""
    address = parse_name_addr(value)
    address.params.pop("tag", None)
    return str(address)


def _user(uri: str) -> str:
    try:
        return user_of(uri)
    except RemoteProtocolError:
        return ""


def _raw_user(uri: str) -> str | None:
    return parse_uri(uri).user


def _phrase(error: RemoteProtocolError) -> str:
    text = str(error)
    return text[:1].upper() + text[1:]
