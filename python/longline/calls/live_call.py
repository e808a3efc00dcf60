"""A live call: what its far end, its flow, the API, the media server and the clock do to it, one thing at a time.

Every change goes the same way: the call is moved by its table, stored, told on the bus, and only then does the SIP
message leave that reveals it. Whatever comes for a call that has ended changes nothing. Leaves out who may call and
where (`manager.py`), and what is done with the call (`flows`).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import structlog

from longline.base.errors import (
    CallNotControllable,
    CallNotLive,
    LegNotFound,
    LimitReached,
    LonglineError,
    MediaUnavailable,
    RequestError,
)
from longline.base.events import EventType
from longline.base.log import get_logger
from longline.calls.bridge import Bridge, DialOutcome, DialRequest, DialSounds
from longline.calls.call import Call, Direction
from longline.calls.call_legs import CallLegs
from longline.calls.call_playbacks import CallPlaybacks, Playback, PlayHow
from longline.calls.call_recording import CallRecording
from longline.calls.call_streams import CallStreams
from longline.calls.call_transfers import CallTransfers
from longline.calls.caller_input import CallerInput
from longline.calls.context import CallContext
from longline.calls.lead import CallLead
from longline.calls.leg import Leg, LegInput, LegState
from longline.calls.mailbox import Mailbox, MailboxClosed
from longline.calls.media_events import MediaEvents
from longline.calls.metadata import METADATA_KEY, update_metadata
from longline.calls.ports import CallFlow, Signalling, StreamRequests
from longline.calls.reason import Reason
from longline.calls.recording import Recording, RecordingHeirs, RecordingPlan
from longline.calls.redirection import Redirection
from longline.calls.routes import Route
from longline.calls.sip_leg import LegEnd, LegNews, SipLeg
from longline.calls.stream import Stream, StreamRequest
from longline.calls.stream_asks import StreamAsks
from longline.calls.stream_ways import ways_of
from longline.calls.trunk_limits import Channel
from longline.guard.refused import Refused
from longline.media.errors import MediaCommandRefused
from longline.media.protocol.commands import RecordingLayout
from longline.media.protocol.events import MediaEvent
from longline.sip.events import (
    IncomingCall,
    Referred,
    SipEvent,
)
from longline.sip.sdp.crypto import SrtpPolicy

RECORDING_GRACE_S = 5.0
"""How long an ended call waits to be told that its recording is whole."""

MAX_WORK_PER_CALL = 8
"""Files that the API has a call fetch and play at a time; one more is refused with LimitReached."""

T = TypeVar("T")
log = get_logger(__name__)


def _quotable(text: str) -> str:
    return "".join(c for c in text if c.isascii() and c.isprintable() and c not in '"\\')


class LiveCall:
    """One call from its first message until nothing of it is left. `run` is its task."""

    def __init__(
        self,
        context: CallContext,
        signalling: Signalling,
        flow: CallFlow,
        *,
        ring_timeout_s: float,
        recordings: RecordingPlan,
        codecs: tuple[str, ...],
        srtp: SrtpPolicy = "preferred",
        tones_dir: Path,
        find_route: Callable[[str, str], Route],
        may_transfer: Callable[[SipLeg], bool],
        find_call: Callable[[str], LiveCall | None],
        on_dialog: Callable[[str, LiveCall], None],
        stream_requests: StreamRequests,
    ) -> None:
        """`find_route` says where a number leads to that this one calls; it raises InvalidTarget,
        DestinationDenied or LimitReached. `may_transfer` says whose REFER is carried out, `find_call` whose dialog a
        handle names."""

        def make_leg(leg: Leg) -> SipLeg:
            sip = SipLeg(
                context,
                leg,
                signalling,
                codecs=codecs,
                srtp=srtp,
                on_dialog=lambda handle: on_dialog(handle, self),
                forward=forward,
            )
            sip.on_press = lambda digit: self._pressed(sip, digit)
            sip.on_voice = lambda speaks: self._spoke(sip, speaks)
            return sip

        def forward(leg: SipLeg, targets: Sequence[str]) -> Route | None:
            """The call that comes of a forwarding is at our cost, as that of a transfer is."""
            for target in targets if may_transfer(leg) else ():
                try:
                    return find_route(context.call.from_number, target)
                except RequestError as error:
                    log.info("call not forwarded", call_id=str(context.call.id), why=error.message)
            return None

        self.context = context
        self.find_route = find_route
        self.tones_dir = tones_dir
        self._flow = flow
        self._ring_timeout_s = ring_timeout_s
        self._mailbox = Mailbox(self._on_fault)
        self.legs = CallLegs(context, make_leg)
        self._primary = self.legs.primary
        self._streams = CallStreams(context)
        self.playbacks = CallPlaybacks(context)
        self.input = CallerInput()
        self.recording = CallRecording(context, recordings)
        self._asks = StreamAsks(context, lambda asked: stream_requests.carry_out(self, asked))
        self._media_events = MediaEvents(
            context, self.legs.by_id, self._streams, self.playbacks, self.recording, self._asks
        )
        self.lead = CallLead(context, self._mailbox.post, self._end_with, lambda: self.legs.first)
        self.transfers = CallTransfers(self, self.lead, signalling, may_transfer, find_call, ring_timeout_s)
        self._timers: set[asyncio.Task[None]] = set()
        self._work: set[asyncio.Task[None]] = set()

    @property
    def call(self) -> Call:
        return self.context.call

    @property
    def is_over(self) -> bool:
        """Whatever comes for it is done by nobody any more."""
        return self._mailbox.is_closed

    # --- what the API and the flow ask for -------------------------------------------------------------------------

    async def answer(self) -> None:
        """Answer an inbound call; one that is answered already stays so. Raise CallNotLive."""
        await self.ask(self.answer_now)

    async def open_stream(self, request: StreamRequest) -> Stream:
        """Raise CallNotLive when the call is not answered, LimitReached."""
        # The look-up may take seconds: it is not done where all that the call does waits in line.
        try:
            request = await self.context.find_stream(self.call, request)
            ways = await ways_of(self.context.egress, request)
        except Refused as refused:
            ways = refused
        return await self.ask(lambda: self.when_answered(lambda: self._streams.open(request, ways)))

    async def close_stream(self, stream_id: UUID) -> Stream:
        """Raise CallNotLive, StreamNotFound."""
        return await self.ask(lambda: self.when_answered(lambda: self._streams.close(stream_id)))

    def let_go_of_stream(self, stream_id: UUID) -> None:
        """Close a stream soon, if it is still there."""
        self._mailbox.post(lambda: self._streams.let_go(stream_id))

    async def dial(self, request: DialRequest, sounds: DialSounds) -> DialOutcome:
        """Call one more party, and join it when it answers; returns when it is gone. Raise as `Bridge.run`."""
        return await Bridge(self, request, sounds).run()

    async def play_to(self, leg_id: UUID | None, path: Path, source: str, repeat: int, how: PlayHow) -> Playback:
        """Play a WAV file to one leg alone, the primary one if not told. Raise CallNotLive, LegNotFound,
        MediaUnavailable, MediaCommandRefused ("bad_file")."""

        async def start() -> Playback:
            leg = self._live_leg(leg_id).leg
            return await self.playbacks.start(
                path, source, repeat, leg, stops_on_digit=how.stops_on_digit, id=how.playback_id
            )

        return await self.ask(lambda: self.when_answered(start))

    async def redirect(self, redirection: Redirection) -> None:
        """Have it do something else from now on. Raise CallNotLive when it is not answered."""

        async def redirect() -> None:
            redirection.take_effect(self.call)
            self.lead.restart(self._flow.run(self))
            await self.context.save_call()

        await self.ask(lambda: self.when_answered(redirect))

    async def update_metadata(self, patch: dict[str, Any]) -> None:
        """Change what the application has attached to the call; returns when it is stored. Raise CallNotLive,
        InvalidField when it becomes too large."""

        async def update() -> None:
            self.call.properties[METADATA_KEY] = update_metadata(self.call.metadata, patch)
            self.context.note(EventType.CALL_UPDATED, {"metadata_keys": sorted(self.call.metadata)})
            await self.context.save_call()

        await self.ask(update)

    async def begin_work(self, leg_id: UUID | None, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run something of the API's as a task of the call, which ends with it. Raise CallNotLive, LegNotFound,
        LimitReached."""

        async def begin() -> None:
            self._live_leg(leg_id)
            if len(self._work) >= MAX_WORK_PER_CALL:
                raise LimitReached(f"A call does at most {MAX_WORK_PER_CALL} of these at a time.")
            task = asyncio.create_task(work(), name=f"control {self.call.id}")
            self._work.add(task)
            task.add_done_callback(self._work_done)

        await self.ask(lambda: self.when_answered(begin))

    def _work_done(self, task: asyncio.Task[None]) -> None:
        self._work.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None and not isinstance(error, CallNotLive):
            log.error("control failed", call_id=str(self.call.id), exc_info=error)
            self.context.counters["faults"] += 1

    async def finish(self, end: LegEnd) -> None:
        """Whoever leads the call is done with it: it ends, unless it is being transferred."""
        with contextlib.suppress(CallNotLive):
            await self.ask(lambda: self.lead.done(end))

    async def start_playback(self, path: Path, source: str, repeat: int = 1) -> Playback:
        """Play a WAV file to all legs. Raise CallNotLive, MediaCommandRefused ("bad_file")."""
        return await self.ask(lambda: self.when_answered(lambda: self.playbacks.start(path, source, repeat)))

    def let_go_of_playback(self, playback: Playback) -> None:
        """Stop a playback soon, if it is still going on."""
        self._mailbox.post(lambda: self.playbacks.stop(playback))

    async def mute(self, leg_id: UUID, on: bool) -> None:
        """Let nobody hear this leg, or all again. Raise CallNotLive, LegNotFound, MediaUnavailable."""

        async def mute() -> None:
            try:
                await self._live_leg(leg_id).mute(on)
            except MediaCommandRefused as error:
                raise CallNotControllable(f"The leg cannot be muted: {error}") from error

        await self.ask(lambda: self.when_answered(mute))

    async def hold(self, leg_id: UUID | None, on: bool) -> None:
        """Put a leg on hold, the primary one if not told, or take it back; returns when the far end has been asked.
        Raise CallNotLive, LegNotFound, CallNotControllable, MediaUnavailable."""

        async def hold() -> None:
            leg = self._live_leg(leg_id)
            if leg.leg.state is not LegState.ANSWERED:
                raise CallNotControllable("The leg is not answered.")
            try:
                await leg.hold(on)
            except MediaCommandRefused as error:
                raise CallNotControllable(f"The leg cannot be held: {error}") from error

        await self.ask(lambda: self.when_answered(hold))

    async def send_digits(self, digits: str, tone_ms: int | None = None, leg_id: UUID | None = None) -> None:
        """Send digits to the far end of a leg, the primary one if not told; returns when they are queued. Raise
        CallNotLive, LegNotFound, CallNotControllable when the far end does not listen, LimitReached when too many
        wait."""
        await self.ask(lambda: self.when_answered(lambda: self._send_digits(digits, tone_ms, leg_id)))

    async def _send_digits(self, digits: str, tone_ms: int | None, leg_id: UUID | None) -> None:
        leg = self._live_leg(leg_id)
        try:
            await self.context.session.send_digits(str(leg.leg.id), digits, tone_ms)
        except MediaCommandRefused as error:
            if error.code == "limit_reached":
                raise LimitReached(f"The call cannot take more digits: {error}") from error
            raise CallNotControllable(f"The digits cannot be sent: {error}") from error

    async def start_recording(self) -> None:
        """Record, if this call is to be recorded and is not being recorded yet. Raise CallNotLive."""
        if self.call.record:
            await self.ask(lambda: self.when_answered(self.recording.start))

    async def start_part(self, layout: RecordingLayout, heirs: RecordingHeirs | None = None) -> Recording:
        """Record a part of the call. One that cannot be begun is told of, and has finished. Raise CallNotLive."""
        return await self.ask(lambda: self.when_answered(lambda: self.recording.start_part(layout, heirs)))

    def let_go_of_part(self, recording: Recording) -> None:
        """End a recording soon, if it still runs."""
        self._mailbox.post(lambda: self.recording.stop(recording))

    async def listen_for_voice(self) -> bool:
        """Have `input` told when the first party speaks; false when nobody can tell. Raise CallNotLive."""
        return await self.ask(lambda: self.when_answered(lambda: self._hear_voice(True)))

    def stop_listening_for_voice(self) -> None:
        """Soon, and unless the settings have it listened for anyway."""

        async def stop() -> None:
            if not self.call.has_ended:
                await self._hear_voice(False)

        self._mailbox.post(stop)

    async def _hear_voice(self, on: bool) -> bool:
        try:
            await self.context.session.hear_voice(str(self.legs.first.leg.id), on)
        except (MediaCommandRefused, MediaUnavailable) as error:
            log.warning("voices are not listened for", call_id=str(self.call.id), error=str(error))
            return False
        return True

    async def _pressed(self, leg: SipLeg, digit: str) -> None:
        if leg is self.legs.first and not self.input.press(digit):
            self.context.counters["keys_dropped"] += 1
        await self.playbacks.pressed(leg.leg.id)

    def _spoke(self, leg: SipLeg, speaks: bool) -> None:
        if leg is self.legs.first:
            if speaks:
                self.input.voice_started()
            else:
                self.input.voice_stopped(self.context.clock.monotonic())

    async def end(self, reason: Reason) -> None:
        """End the call; one that has ended stays as it is."""
        with contextlib.suppress(CallNotLive):
            await self.ask(lambda: self._end(reason))

    async def hang_up(self, label: str | None = None, leg_id: UUID | None = None) -> None:
        """End the call, or a leg that was dialled for it, at the API's wish; `label` is what the API says of it. Raise
        CallNotLive, LegNotFound."""

        async def hang_up() -> None:
            if self.call.has_ended:
                raise CallNotLive
            target = None if leg_id is None else self.legs.target(self._live_leg(leg_id).leg)
            if target is not None:
                reason = Reason.COMPLETED if target.is_answered else Reason.CANCELED
                await self.legs.end(target, LegEnd(reason, detail=label))
                return
            if label is not None:
                self.call.properties["hangup_reason"] = label
            await self._end(Reason.COMPLETED if self.call.is_answered else Reason.CANCELED)

        await self.ask(hang_up)

    def _live_leg(self, leg_id: UUID | None) -> SipLeg:
        """Raise LegNotFound."""
        leg = self.legs.first if leg_id is None else self.legs.by_id.get(str(leg_id))
        if leg is None or not leg.leg.is_live:
            raise LegNotFound
        return leg

    async def ask(self, action: Callable[[], Awaitable[T]]) -> T:
        """Have the call's own task do it. Raise CallNotLive when it never will."""
        try:
            return await self._mailbox.ask(action)
        except MailboxClosed:
            raise CallNotLive from None

    def post(self, action: Callable[[], Awaitable[None]]) -> None:
        """Have the call's own task do it, unless the call is over."""
        self._mailbox.post(action)

    async def when_answered(self, action: Callable[[], Awaitable[T]]) -> T:
        """Raise CallNotLive while it is not answered, and when it is over."""
        if not self.call.is_answered:
            raise CallNotLive
        return await action()

    # --- its beginning, and its task -------------------------------------------------------------------------------

    async def run(self) -> None:
        """Carry out what is asked until the call has ended and its recording is told of."""
        structlog.contextvars.bind_contextvars(call_id=str(self.call.id))  # for the lines of all its tasks
        try:
            await self._mailbox.run()
        finally:
            self.lead.stop()
            for task in [*self._timers, *self._work]:
                task.cancel()
            self._asks.stop()
            for leg in self.legs:
                leg.close()
            self.context.session.forget()

    def begin_inbound(
        self, event: IncomingCall, *, channel: Channel | None = None, srtp: SrtpPolicy | None = None
    ) -> None:
        """An INVITE has come, on a channel of its trunk if it is one's; `srtp` is what that trunk wants."""
        self._primary.take(event, channel, srtp)
        self._mailbox.post(self._ring_inbound)

    async def begin_outbound(self, route: Route) -> None:
        """Place a call: returns when it is stored and told of; the INVITE follows. Raise MediaUnavailable."""
        try:
            await self.ask(lambda: self._initiate_outbound(route))
        except MediaUnavailable:
            self._mailbox.close()
            raise
        self._mailbox.post(lambda: self._invite(route))

    async def _ring_inbound(self) -> None:
        refusal = await self._primary.settle_offer()
        if refusal is not None:
            await self._refuse(*refusal)
            return
        initiated = self.call.event_data()
        told_by = self.call.apply(LegInput.RANG, self.context.now())
        self.context.note(EventType.CALL_INITIATED, initiated)
        if told_by is not None:
            self.context.note(told_by, self.call.event_data(), leg_id=self.call.leg.id)
        await self.context.save_call()  # once: nothing has been sent between the two states
        self._primary.ring()
        self._start_flow()

    async def _refuse(self, status: int, why: str) -> None:
        """A call that was never taken on: nothing of it is stored."""
        log.warning("call refused", status=status, why=why)
        self.context.counters[f"refused_{status}"] += 1
        # RFC 3261 §20.43: 399 is a warning in free words.
        warning = [("Warning", f'399 longline "{_quotable(why)}"')] if status == 488 else []
        self._primary.reject(status, warning)
        await self.context.session.close()
        self._mailbox.close()

    async def _initiate_outbound(self, route: Route) -> None:
        await self._primary.open(route)
        self.context.note(EventType.CALL_INITIATED, self.call.event_data())
        await self.context.save_call()

    async def _invite(self, route: Route) -> None:
        if self.call.has_ended:
            route.close()
            return
        try:
            self._primary.invite(route)
        except (LonglineError, OSError, ValueError) as error:
            log.warning("call not placed", call_id=str(self.call.id), error=str(error))
            await self._end(Reason.CARRIER_ERROR, detail=str(error))
            return
        self.start_timer(self._ring_timeout_s, lambda: self._no_answer())

    async def _no_answer(self) -> None:
        if not self.call.is_answered:
            await self._end(Reason.NO_ANSWER)

    # --- what the far end does -------------------------------------------------------------------------------------

    def on_sip_event(self, event: SipEvent) -> None:
        self._mailbox.post(lambda: self._receive_sip(event))

    async def _receive_sip(self, event: SipEvent) -> None:
        leg = self.legs.find(event.handle)
        if leg is None:
            return
        if isinstance(event, Referred):
            await self.transfers.referred(leg, event)
        else:
            await self.learn(leg, await leg.receive(event))

    async def learn(self, leg: SipLeg, news: LegNews | None) -> None:
        """A leg has told something. By the call's own task."""
        target = self.legs.target(leg.leg)
        if isinstance(news, LegEnd) and self.lead.is_leaving(leg):
            self.lead.left(news)
            await self.transfers.let_go(leg, news)
        elif target is not None:
            await self.legs.receive(target, news)
        elif isinstance(news, LegEnd):
            await self._end_with(news)
        elif news is LegInput.RANG:
            await self._rang()
        elif news is LegInput.ANSWERED and self.call.direction is Direction.OUTBOUND and not self.call.is_answered:
            await self._confirm()
            self._start_flow()

    async def _rang(self) -> None:
        told_by = self.call.apply(LegInput.RANG, self.context.now())
        if told_by is not None:
            self.context.note(told_by, self.call.event_data(), leg_id=self.call.leg.id)
            await self.context.save_call()

    # --- what the media server does --------------------------------------------------------------------------------

    def on_media_event(self, event: MediaEvent) -> None:
        self._mailbox.post(lambda: self._receive_media(event), droppable=MediaEvents.is_observation(event))

    async def _receive_media(self, event: MediaEvent) -> None:
        await self._media_events.receive(event)
        if self.call.has_ended and not self.recording.is_running:
            self._mailbox.close()

    def on_media_lost(self, why: str) -> None:
        self._mailbox.post(lambda: self._end(Reason.MEDIA_SERVER_DIED, detail=why))

    # --- moves of the call -----------------------------------------------------------------------------------------

    async def answer_now(self) -> None:
        """As `answer`, by the call's own task."""
        if self.call.has_ended:
            raise CallNotLive
        if self.call.is_answered:
            return
        try:
            await self._primary.connect()
        except (MediaUnavailable, MediaCommandRefused) as error:
            await self._end(Reason.MEDIA_SERVER_DIED, detail=str(error))
            raise CallNotLive from error
        await self._confirm()
        self._primary.answer()

    async def _confirm(self) -> None:
        told_by = self.call.apply(LegInput.ANSWERED, self.context.now())
        if told_by is not None:
            self.context.note(told_by, self.call.event_data(), leg_id=self.call.leg.id)
            await self.context.save_call()

    async def _end_with(self, end: LegEnd) -> None:
        await self._end(end.reason, ended_by=end.ended_by, detail=end.detail)

    async def _end(
        self,
        reason: Reason,
        *,
        ended_by: str | None = None,
        detail: str | None = None,
    ) -> None:
        """End the call once: its flow, its media, its state, its dialog, in this order."""
        if self.call.has_ended:
            return
        self.lead.stop()
        stats = await self.context.session.close()
        leg_stats = self._keep_leg_stats(stats)
        streams = self._streams.close_all(stats.get("streams"))
        self.playbacks.end_all()
        told_by = self.call.end(reason, ended_by, self.context.now())
        assert told_by is not None
        finish_legs = self.legs.close_all(reason, ended_by, leg_stats)
        data = self.call.event_data() | ({"detail": detail} if detail else {})
        quality = self.call.properties.get("media", {}).get("quality")
        if quality is not None:
            data["quality"] = quality
        self.context.note(told_by, data, leg_id=self.call.leg.id)
        await self.context.save_end(streams)
        for stream in streams:
            stream.ended.set()
        finish_legs()
        self.context.counters[f"ended_{reason}"] += 1
        self.legs.release_all(reason)
        await self._await_recording()

    async def _await_recording(self) -> None:
        """What ends the call's task: now, or when its recording is whole."""
        if self.recording.is_running and self.context.session.is_lost:
            await self.recording.salvage("the media server died")
        if self.recording.is_running:
            self.start_timer(RECORDING_GRACE_S, self._give_up_recording)
        else:
            self._mailbox.close()

    async def _give_up_recording(self) -> None:
        await self.recording.salvage("the media server did not finish it")
        self._mailbox.close()

    def _keep_leg_stats(self, stats: dict[str, Any]) -> dict[str, Any]:
        """What the media server has seen of each leg; that of the primary one is kept with the call."""
        legs = stats.get("legs")
        if not isinstance(legs, dict) or not legs:
            return {}
        if str(self.call.leg.id) in legs:  # one that has left the call was asked then
            self.call.properties["media"] = legs[str(self.call.leg.id)]
        return legs

    # --- flow, timers, faults --------------------------------------------------------------------------------------

    def _start_flow(self) -> None:
        self.lead.start(self._flow.run(self))

    def start_timer(self, seconds: float, action: Callable[[], Awaitable[None]]) -> None:
        async def ring() -> None:
            await self.context.clock.sleep(seconds)
            self._mailbox.post(action)

        timer = asyncio.create_task(ring())
        self._timers.add(timer)
        timer.add_done_callback(self._timers.discard)

    def _on_fault(self, error: Exception) -> None:
        log.error("call fault", call_id=str(self.call.id), exc_info=error)
        self.context.counters["faults"] += 1
        if not self.call.has_ended:
            self._mailbox.post(lambda: self._end(Reason.INTERNAL_ERROR))
