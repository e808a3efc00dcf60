"""The SIP side of one leg: its dialog at the user agent, and the offers and answers that connect its media.

What comes from the far end goes in by `receive`, which tells what it means for the call: the leg rang, was answered, or
is over. Every method is called by the call's own task, one at a time. Leaves out what the call makes of that, and the
order of storing, telling and sending (`live_call.py`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from longline.base.errors import LonglineError, MediaUnavailable
from longline.base.events import EventType
from longline.base.ids import Prefix, encode_id
from longline.base.log import get_logger
from longline.calls.context import CallContext
from longline.calls.hold import Hold
from longline.calls.leg import Leg, LegInput, LegState
from longline.calls.leg_media import LegMedia
from longline.calls.ports import Signalling
from longline.calls.presses import Presses
from longline.calls.reason import FACTS, Reason, reason_header, reason_of_status
from longline.calls.routes import Route
from longline.calls.trunk_limits import Channel
from longline.media.errors import MediaCommandRefused
from longline.media.session import LegLabel
from longline.sip.events import (
    Answered,
    Canceled,
    Ended,
    Failed,
    IncomingCall,
    InfoDigit,
    Progress,
    Reanswered,
    Redirected,
    Reoffer,
    ReofferFailed,
    SipEvent,
    Unheard,
)
from longline.sip.sdp.crypto import SrtpPolicy
from longline.sip.sdp.description import SdpError
from longline.sip.sdp.offer_answer import OfferRefused, family_of_media

_UNSENT = {"transport": "the next hop could not be reached", "timeout": "no response came"}
"""Causes whose SIP status nobody sent: it is ours (RFC 3261 §8.1.3.1), and is not told as the far end's."""

_LOST = ("gone", "session_expired", "no_prack")
"""Causes of an end that the far end never told us of."""

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class LegEnd:
    """A leg is over, or has to be: what is left of its dialog, `SipLeg.release` ends."""

    reason: Reason
    ended_by: str | None = None
    detail: str | None = None


LegNews = LegInput | LegEnd
"""What an event means for the call. LegInput.ENDED is never told: LegEnd says more."""


def label_of(leg: Leg) -> LegLabel:
    """What applications are told of a leg: the first of a call is its caller or its callee, others what they were
    called for."""
    first = "caller" if leg.direction == "inbound" else "callee"
    return LegLabel(encode_id(Prefix.LEG, leg.id), first if leg.role == "primary" else leg.role)


class SipLeg:
    """One leg. `on_dialog` is told the handle under which the user agent will tell of it, `forward` says where a call
    goes that the far end has sent on to one of these URIs at our own name; None: nowhere."""

    def __init__(
        self,
        context: CallContext,
        leg: Leg,
        signalling: Signalling,
        *,
        codecs: tuple[str, ...],
        srtp: SrtpPolicy = "preferred",
        on_dialog: Callable[[str], None],
        forward: Callable[[SipLeg, Sequence[str]], Route | None],
    ) -> None:
        self.leg = leg
        self.media = LegMedia(context.session, str(leg.id), codecs, srtp, label_of(leg))
        self.presses = Presses()
        self._context = context
        self._signalling = signalling
        self._on_dialog = on_dialog
        self._forward = forward
        self._offer: bytes | None = None
        self._early_answer: bytes | None = None
        self._srtp: SrtpPolicy = srtp
        self._route: Route | None = None
        self._channel: Channel | None = None
        self._headers: Sequence[tuple[str, str]] = ()
        self._has_rung = False
        self.peer: str | None = None
        """The name under which the SIP stack knows the far end, or the trunk it is behind."""
        self.called: str | None = None
        """The URI that was called; None: it called us."""
        self._is_confirmed = False
        self._is_over = False
        self._is_muted = False
        self._is_apart = (False, False)
        self._is_settled_early = False
        self._is_held = False
        self._is_on_hold = False
        self._hold = Hold(self.media, lambda sdp: signalling.reoffer(self._handle, sdp), self._tell_of_hold)
        self.on_digit: Callable[[SipLeg, str, int | None], Awaitable[None]] | None = None
        """Told of each key that is pressed beside the sound: nobody hears those."""
        self.on_press: Callable[[str], Awaitable[None]] | None = None
        """Told of each key that is pressed, however it came."""
        self.on_voice: Callable[[bool], None] = lambda speaks: None
        """Told when the far end begins to speak, and when it stops, while somebody listens for that."""

    @property
    def remote_party(self) -> str:
        """Who the far end is, as `ended_by` names it."""
        return "caller" if self.leg.direction == "inbound" else "callee"

    # --- commands --------------------------------------------------------------------------------------------------

    async def open(self, route: Route | None) -> None:
        """Reserve ports, of the address family that the route leads to if there is one. Raise MediaUnavailable."""
        way = None if route is None else route.present
        family = None if way is None else await self._signalling.family_toward(way.target)
        try:
            await self.media.open(family)
        except MediaCommandRefused as error:
            raise MediaUnavailable(f"The call has no media: {error}") from error

    def take(self, event: IncomingCall, channel: Channel | None = None, srtp: SrtpPolicy | None = None) -> None:
        """An INVITE has come: this leg is its, and holds the channel of its trunk until it is over."""
        self._channel = channel
        self.peer = event.peer
        self.media.use_srtp(srtp or self._srtp)
        self._offer = event.offer
        self.media.signalling_ip = event.source.rpartition(":")[0].strip("[]")
        self._has_dialog(event.handle)

    async def settle_offer(self) -> tuple[int, str] | None:
        """Reserve ports and answer the offer, or say with which status, and why, the call cannot be taken."""
        try:
            await self.media.open(None if self._offer is None else family_of_media(self._offer))
            if self._offer is None:
                return None  # RFC 3261 §13.3.1.4: the offer is ours to make, in the 2xx
            self._offer = self.media.answer(self._offer)
        except (MediaUnavailable, MediaCommandRefused) as error:
            is_of_no_family_of_ours = isinstance(error, MediaCommandRefused) and error.code == "no_address"
            return 488 if is_of_no_family_of_ours else 503, str(error)
        except (OfferRefused, SdpError) as error:
            return error.status, str(error)
        return None

    def ring(self) -> None:
        """Send 180."""
        self._signalling.ring(self._handle)

    async def ring_with_media(self) -> None:
        """Send 183 with our answer, so that the caller hears what is played before he is answered; nothing when he made
        no offer (RFC 3261 §13.2.1: ours can only be in the 200). Raise MediaUnavailable, MediaCommandRefused."""
        if self.media.negotiated is not None and not self._is_confirmed:
            await self.media.connect()
            self._signalling.ring(self._handle, self._offer)

    def reject(self, status: int, headers: Sequence[tuple[str, str]] = ()) -> None:
        self._is_over = True
        self._signalling.reject(self._handle, status, headers=headers)

    async def connect(self) -> None:
        """Let the far end be heard, as it will be answered. Raise MediaUnavailable, MediaCommandRefused."""
        await self.media.connect()

    def answer(self) -> None:
        """Send the 200, with our answer or our offer. `connect` comes first."""
        sdp = self._offer if self.media.negotiated is not None else self.media.offer()
        assert sdp is not None
        self._is_confirmed = True
        self._signalling.answer(self._handle, sdp)

    async def change_hands(self, event: IncomingCall) -> LegNews | None:
        """Somebody takes the place of the far end (RFC 3891): he gets our 200, and the user agent ends the dialog there
        was. None when he is refused; then all stays as it is. Raise MediaUnavailable, MediaCommandRefused."""
        try:
            answer = self.media.answer_another(event.offer, event.source.rpartition(":")[0].strip("[]"))
        except (OfferRefused, SdpError) as error:
            log.info("replacement refused", call_id=str(self.leg.call_id), why=str(error))
            self._signalling.reject(event.handle, 488)
            return None
        if event.offer is not None:
            await self.media.connect()
        self._early_answer = None
        self._is_confirmed = True
        if self.leg.direction == "inbound":
            self.leg.from_number = event.from_user or "anonymous"
        else:
            self.leg.to_number = event.from_user or "anonymous"
        self._has_dialog(event.handle)
        self._signalling.answer(event.handle, answer)
        return LegInput.ANSWERED

    def invite(self, route: Route, headers: Sequence[tuple[str, str]] = ()) -> None:
        """Call the far end by the present way of its route, and by the next when that fails. `open` comes first; the
        route is closed when the leg is over. Raise LonglineError, OSError or ValueError when no way can be taken."""
        self._route, self._headers = route, headers
        while True:
            try:
                self._send_invite(route)
                return
            except (LonglineError, OSError, ValueError) as error:
                if route.next() is None:
                    raise
                log.warning("way not taken", call_id=str(self.leg.call_id), error=str(error))

    def _send_invite(self, route: Route) -> None:
        way = route.present
        assert way is not None
        self.peer, self.called = way.peer, way.target
        self.media.use_srtp(way.srtp or self._srtp)
        handle = self._signalling.invite(
            way.target,
            from_uri=way.from_uri,
            to_uri=way.to_uri,
            sdp=self.media.offer(),
            headers=[*self._headers, *way.headers],
            peer=way.peer,
            may_follow=way.may_follow,
            tells_silence=route.has_several,
        )
        self._has_dialog(handle)

    @property
    def has_early_media(self) -> bool:
        """The far end has sent a session description before its answer."""
        return self._early_answer is not None

    async def connect_early(self) -> None:
        """Hear what the far end plays before it answers. Raise MediaUnavailable, MediaCommandRefused, OfferRefused,
        SdpError."""
        if self._early_answer is not None and not self._is_confirmed:
            self.media.read_early_answer(self._early_answer)
            await self.media.connect()

    async def keep_apart(self, *, is_heard: bool = False) -> None:
        """It hears nothing of the call, and is heard with `is_heard` alone. Raise MediaUnavailable,
        MediaCommandRefused."""
        self._is_apart = (not is_heard, True)
        await self._settle_mute()

    async def join(self) -> None:
        """It hears the others, and is heard. Raise MediaUnavailable, MediaCommandRefused."""
        self._is_apart = (False, False)
        await self._settle_mute()

    @property
    def is_joined(self) -> bool:
        """It hears the others of its call, and is heard."""
        return self.leg.state is LegState.ANSWERED and self._is_apart == (False, False)

    async def mute(self, on: bool) -> None:
        """It is heard by nobody, or again. Raise MediaUnavailable, MediaCommandRefused."""
        self._is_muted = on
        await self._settle_mute()

    async def hold(self, on: bool) -> None:
        """Put the far end on hold, or take it back: it is told by an offer, and neither hears the others nor is heard
        by them. `call.held` and `call.resumed` tell when it has agreed, `call.hold_failed` that it did not. Raise
        MediaUnavailable, MediaCommandRefused."""
        self._is_on_hold = on
        await self._settle_mute()
        self._hold.want(on)

    async def _settle_mute(self) -> None:
        unheard, deaf = self._is_apart
        await self.media.mute(input=unheard or self._is_muted or self._is_on_hold, output=deaf or self._is_on_hold)

    def release(self, reason: Reason) -> None:
        """Send what ends the dialog, whatever state it is in; nothing when it is over."""
        self.close()
        if self._is_over:
            return
        self._is_over = True
        handle = self.leg.handle
        if handle is None:
            return
        if self._is_confirmed:
            self._signalling.bye(handle, reason_header(reason))
        elif self.leg.direction == "inbound":
            self._signalling.reject(handle, FACTS[reason].status)
        else:
            self._signalling.cancel(handle)

    # --- what the far end does -------------------------------------------------------------------------------------

    async def receive(self, event: SipEvent) -> LegNews | None:
        """None: it changes nothing of the call."""
        if self._is_over:
            if isinstance(event, Answered) and not self._is_confirmed:
                self._signalling.bye(event.handle)  # RFC 3261 §9.1: the 2xx crossed our CANCEL
            return None
        if isinstance(event, Progress):
            return self._progress(event)
        if isinstance(event, Answered):
            return await self._answered(event.sdp)
        if isinstance(event, Reanswered):
            return await self._reanswered(event)
        if isinstance(event, Failed):
            if await self._goes_another_way(event) or self._is_forwarded(event):
                return None
            detail = _UNSENT.get(event.cause) or f"{event.status} {event.reason}"
            return self._gone(LegEnd(reason_of_status(event.status, event.cause), self.remote_party, detail))
        if isinstance(event, Canceled):
            return self._gone(LegEnd(Reason.CANCELED, self.remote_party))
        if isinstance(event, Ended):
            return self._gone(self._ended(event))
        if isinstance(event, Redirected):
            self._early_answer = None  # it was another's
            log.info("call redirected", call_id=str(self.leg.call_id), status=event.status, targets=len(event.targets))
        elif isinstance(event, Unheard):
            return await self._leaves_silence(event)
        elif isinstance(event, Reoffer):
            await self._reoffer(event.offer)
        elif isinstance(event, ReofferFailed):
            await self._hold_failed(event)
        elif isinstance(event, InfoDigit):
            await self._info_digit(event)
        return None

    async def _goes_another_way(self, event: Failed) -> bool:
        """RFC 3261 §16.7: what this trunk or target could not do, the next may."""
        route = self._route
        if route is None or event.handle != self.leg.handle:
            return False
        if not route.may_go_on(event.status, event.cause, self._has_rung) or route.next() is None:
            return False
        self._is_settled_early = False
        self._early_answer = None  # what the first way said in advance is not said by the next
        self._has_rung = False
        self._context.counters["trunk_failovers"] += 1
        log.warning("call goes another way", call_id=str(self.leg.call_id), status=event.status, cause=event.cause)
        await self._note_trunk(route)
        try:
            self.invite(route, self._headers)
        except (LonglineError, OSError, ValueError) as error:
            log.warning("call not placed", call_id=str(self.leg.call_id), error=str(error))
            return False
        return True

    def _is_forwarded(self, event: Failed) -> bool:
        """A phone of ours has sent its call on to a number: that goes out by the trunk that leads there."""
        route = self._forward(self, event.forwards) if event.forwards and event.handle == self.leg.handle else None
        if route is None:
            return False
        if self._route is not None:
            self._route.close()
        self._early_answer = None
        self._context.counters["calls_forwarded"] += 1
        # RFC 5806 §4: the trunk is told whose call it is; "deflection" is what a phone does that has rung.
        diversion = ("Diversion", f"<{self.called}>;reason={'deflection' if self._has_rung else 'unconditional'}")
        try:
            self.invite(route, [*self._headers, diversion])
        except (LonglineError, OSError, ValueError) as error:
            log.warning("call not placed", call_id=str(self.leg.call_id), error=str(error))
            return False
        return True

    async def _leaves_silence(self, event: Unheard) -> LegNews | None:
        """Nothing has come back from this trunk or target. Its time-out would be half a minute: the next is called, and
        the silent one is cancelled, should the INVITE have reached it after all."""
        route = self._route
        if route is None or event.handle != self.leg.handle or self._has_rung or not route.leave_silent():
            return None
        self._context.counters["trunk_failovers"] += 1
        log.warning("call goes another way", call_id=str(self.leg.call_id), cause="silence")
        self._signalling.cancel(event.handle)
        await self._note_trunk(route)
        try:
            self.invite(route, self._headers)
        except (LonglineError, OSError, ValueError) as error:
            return self._gone(LegEnd(Reason.CARRIER_ERROR, None, str(error)))
        return None

    async def _note_trunk(self, route: Route) -> None:
        """The call is that of the trunk which carries its first leg. Stored before the INVITE that reveals it."""
        call = self._context.call
        if self.leg is call.leg and route.present is not None and route.present.trunk is not None:
            call.sip_trunk_id = route.present.trunk.id
            await self._context.save_call()

    def close(self) -> None:
        """Nothing of the leg is left: what it held of its trunk is free. Once is enough."""
        if self._route is not None:
            self._route.close()
        if self._channel is not None:
            self._channel.free()

    def _gone(self, end: LegEnd) -> LegEnd:
        self._is_over = True
        self.close()
        return end

    def _ended(self, event: Ended) -> LegEnd:
        if event.by == "remote":
            return LegEnd(Reason.NORMAL_CLEARING, self.remote_party, event.cause)
        # The user agent gave the dialog up.
        reason = Reason.FAR_END_LOST if event.cause in _LOST else Reason.CARRIER_ERROR
        return LegEnd(reason, None, event.cause)

    def _progress(self, event: Progress) -> LegNews | None:
        if event.status <= 100:
            return None
        self._early_answer = event.sdp or self._early_answer
        self._has_rung = True
        return LegInput.RANG

    async def _answered(self, sdp: bytes | None) -> LegNews:
        """The 200 to our INVITE, or the ACK that answers our offer in a 200."""
        self._is_confirmed = True
        answer = sdp or self._early_answer
        if self._is_settled_early:
            answer = None  # the session has been changed since (RFC 3311), and what was agreed on last counts
        elif self.media.is_offering and answer is None:
            return LegEnd(Reason.CARRIER_ERROR, detail="the answer has no session description")
        return await self._settle(answer) or LegInput.ANSWERED

    async def _reanswered(self, event: Reanswered) -> LegEnd | None:
        """The answer to an offer of ours in mid-call."""
        if event.is_refresh:
            try:
                self.media.read_refresh(event.sdp)
            except (OfferRefused, SdpError) as error:  # nothing was to change: it goes on as it was
                log.info("refresh answered oddly", call_id=str(self.leg.call_id), why=str(error))
        end = await self._settle(None if event.is_refresh else event.sdp)
        if end is None and not event.is_refresh:
            self._hold.settled()
        return end

    async def _settle(self, answer: bytes | None) -> LegEnd | None:
        """Take up an answer, and let the media flow as it says."""
        try:
            if answer is not None:
                self.media.read_answer(answer)
            await self.media.connect()
        except (OfferRefused, SdpError) as error:
            # RFC 3261 §13.2.2.4: an unacceptable answer is acknowledged, and the dialog ended at once
            return LegEnd(Reason.CARRIER_ERROR, detail=str(error))
        except (MediaUnavailable, MediaCommandRefused) as error:
            return LegEnd(Reason.MEDIA_SERVER_DIED, detail=str(error))
        self._note_hold()
        return None

    async def _hold_failed(self, event: ReofferFailed) -> None:
        self._hold.failed(event)
        if self._hold.is_wanted != self._is_on_hold:
            self._is_on_hold = self._hold.is_wanted
            with contextlib.suppress(MediaUnavailable, MediaCommandRefused):
                await self._settle_mute()

    def _note_hold(self) -> None:
        """Tell when the far end stops listening to us, or listens again."""
        if not self._is_confirmed or self.media.is_held == self._is_held:
            return
        self._is_held = self.media.is_held
        self._tell_of_hold(EventType.CALL_HELD if self._is_held else EventType.CALL_RESUMED, {"by": self.remote_party})

    def _tell_of_hold(self, event: EventType, data: dict[str, Any]) -> None:
        self._context.publish(event, data, leg_id=self.leg.id)

    async def _reoffer(self, offer: bytes | None) -> None:
        """RFC 3264 §8: hold, resume, or a new address. Without an offer the answer carries ours."""
        try:
            if offer is None:
                self._signalling.reanswer(self._handle, self.media.offer())
                return
            if not self._is_confirmed and self.media.is_offering and self._early_answer is not None:
                self.media.read_answer(self._early_answer)  # RFC 3311: this offer presumes it
                self._is_settled_early = True
            answer = self.media.answer(offer)
            await self.media.connect()
        except (OfferRefused, SdpError) as error:
            log.info("reoffer refused", call_id=str(self.leg.call_id), why=str(error))
            self._signalling.reject_reoffer(self._handle, 488)
        except (MediaUnavailable, MediaCommandRefused) as error:
            log.warning("reoffer failed", call_id=str(self.leg.call_id), why=str(error))
            self._signalling.reject_reoffer(self._handle, 500)
        else:
            self._signalling.reanswer(self._handle, answer)
            self._note_hold()

    async def _info_digit(self, event: InfoDigit) -> None:
        if not self.presses.is_new(self._context.clock.monotonic(), event.digit, "sip_info"):
            return
        data = {"digit": event.digit, "duration_ms": event.duration_ms, "method": "sip_info"}
        self._context.publish(EventType.DTMF_RECEIVED, data, leg_id=self.leg.id)
        if self.on_press is not None:
            await self.on_press(event.digit)
        if self.on_digit is not None:
            await self.on_digit(self, event.digit, event.duration_ms)

    def _has_dialog(self, handle: str) -> None:
        self.leg.handle = handle
        self._on_dialog(handle)

    @property
    def _handle(self) -> str:
        assert self.leg.handle is not None
        return self.leg.handle
