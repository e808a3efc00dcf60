"""The calls of this node: takes in and places them, finds a live one, and hands it what comes for it.

Refusals before a call exists (no such service, too many calls, no media) are counted and answered; nothing of them is
stored. Leaves out what happens inside a call (`live_call.py`).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from longline.base.bus import Bus
from longline.base.clock import Clock
from longline.base.config import Config
from longline.base.errors import (
    CallNotControllable,
    CallNotFound,
    CallNotLive,
    LegNotFound,
    LimitReached,
    MediaUnavailable,
    RemoteProtocolError,
    Unavailable,
)
from longline.base.events import Event, EventType
from longline.base.ids import DEFAULT_ACCOUNT_ID, Prefix, encode_id
from longline.base.log import get_logger, pii
from longline.base.trace import traceparent
from longline.calls.app_directory import AppDirectory
from longline.calls.call import Call, Direction
from longline.calls.call_apps import CallApps, NotTaken, Taken, give_app, take
from longline.calls.context import CallContext, FindSecret, FindStream, as_it_is
from longline.calls.destinations import check_destination, is_allowed
from longline.calls.live_call import LiveCall
from longline.calls.manner import Manner, manner_of
from longline.calls.metadata import METADATA_KEY, update_metadata
from longline.calls.originate import OriginateRequest, find_route, is_sip_user
from longline.calls.phones import phone_peer_name
from longline.calls.ports import CallFlow, CallStore, Egress, Media, Signalling, StreamRequests
from longline.calls.reason import Reason
from longline.calls.recording import recording_plan
from longline.calls.redirection import Redirection
from longline.calls.routes import Route, Routes
from longline.calls.sip_leg import SipLeg
from longline.calls.stream import StreamRequest
from longline.calls.trunk import Trunk
from longline.calls.trunk_book import TrunkBook
from longline.calls.trunk_limits import TrunkLimits
from longline.calls.trunk_status import TrunkStatus
from longline.media.errors import MediaCommandRefused
from longline.media.protocol.events import StreamRequested
from longline.media.protocol.framing import format_address
from longline.sip.events import Answered, IncomingCall, Referred, RegistrationChanged, SipEvent, TargetChanged
from longline.sip.syntax.uri import parse_uri
from longline.store.records import CallRecord, StreamRecord, VoiceAppRecord

STOP_GRACE_S = 6.0
"""How long `stop` waits for the calls it ends, if it is not told."""
ENDED_AT_ONCE = 100
"""Calls that `stop` ends at a time: more would only wait for each other, and the media server for all of them."""

log = get_logger(__name__)


class _NothingIsDone:
    """Where nobody carries out what applications ask for over their streams."""

    async def carry_out(self, live: LiveCall, asked: StreamRequested) -> Mapping[str, Any]:
        raise CallNotControllable("Nothing is done here over a stream.")


class CallManager:
    """`attach` before the first call. `counters` tells refusals (`refused_…`), ends (`ended_…`) and faults."""

    def __init__(
        self,
        config: Config,
        media: Media,
        store: CallStore,
        bus: Bus,
        clock: Clock,
        trunks: TrunkBook,
        apps: AppDirectory,
        egress: Egress,
        find_secret: FindSecret = lambda secret_id: None,
        find_stream: FindStream = as_it_is,
        base_url: str = "",
    ) -> None:
        """`base_url` is where applications reach this node."""
        self._base_url = base_url
        self._config = config
        self._find_secret = find_secret
        self._find_stream = find_stream
        self._egress = egress
        self._recordings = recording_plan(config)
        self._media = media
        self._store = store
        self._bus = bus
        self._clock = clock
        self._signalling: Signalling | None = None
        self._flow: CallFlow | None = None
        self._stream_requests: StreamRequests = _NothingIsDone()
        self._own_host = format_address(config.sip_address)
        self._calls: dict[UUID, LiveCall] = {}
        self._by_handle: dict[str, LiveCall] = {}
        self._handles: dict[UUID, list[str]] = {}
        self._tasks: dict[UUID, asyncio.Task[None]] = {}
        self._heirs: set[asyncio.Task[None]] = set()
        self._is_stopping = False
        self._changing = asyncio.Lock()
        self.counters: Counter[str] = Counter()
        self.trunk_limits = TrunkLimits(self.counters)
        self.trunk_status = TrunkStatus(bus, clock, self.counters, trunks.of_peer)
        self._trunks = trunks
        self._apps = CallApps(apps, trunks.get, self._calls_of_app)
        self._routes = Routes(
            trunks, self.trunk_limits, self.trunk_status, clock, lambda uri: is_allowed(uri, config.access)
        )

    def attach(
        self,
        signalling: Signalling,
        flow: CallFlow,
        own_address: tuple[str, int] | None = None,
        stream_requests: StreamRequests | None = None,
    ) -> None:
        """Hand in what is built after the manager. `own_address` is the one that SIP peers are told."""
        self._signalling, self._flow = signalling, flow
        self._stream_requests = stream_requests or self._stream_requests
        if own_address is not None:
            self._own_host = format_address(own_address)

    # --- for the API -----------------------------------------------------------------------------------------------

    async def originate(self, request: OriginateRequest) -> CallRecord:
        """Place a call; returns when it is stored, before it rings. Raise BadRequest, InvalidTarget,
        DestinationDenied, Unavailable."""
        app = self._apps.outgoing(request.account_id, request.from_number, request.to_number)
        if app is not None and self._apps.is_full(app):
            self.counters["refused_channel_limit"] += 1
            raise LimitReached(f"The voice app {app.name} has reached its channel_limit.")
        route = self._route(request)
        try:
            self._check_room()
            call = _outbound_call(request, route, app, self._clock.now())
            call.manner = request.manner or self._manner(call)
            live = self._start(call, request.ring_timeout_s)
            await live.begin_outbound(route)
        except BaseException:
            route.close()
            raise
        return live.call.to_record()

    async def answer(self, call_id: UUID) -> None:
        """Answer a live call that has come in; one that is answered stays so. Raise CallNotFound, CallNotLive."""
        await (await self.find(call_id)).answer()

    async def hangup(self, call_id: UUID, *, reason: str | None = None, leg_id: UUID | None = None) -> None:
        """End a live call. Raise CallNotFound, CallNotLive, LegNotFound."""
        await (await self.find(call_id)).hang_up(reason, leg_id)

    async def send_digits(
        self, call_id: UUID, digits: str, *, tone_ms: int | None = None, leg_id: UUID | None = None
    ) -> None:
        """Send digits to the far end of a live call. Raise CallNotFound, CallNotLive, LegNotFound,
        CallNotControllable, LimitReached."""
        await (await self.find(call_id)).send_digits(digits, tone_ms, leg_id)

    async def mute(self, call_id: UUID, leg_id: UUID, on: bool) -> None:
        """Let nobody hear a leg, or all again. Raise CallNotFound, CallNotLive, LegNotFound, MediaUnavailable."""
        await (await self.find(call_id)).mute(leg_id, on)

    async def hold(self, call_id: UUID, leg_id: UUID | None, on: bool) -> None:
        """Put a leg on hold, or take it back. Raise CallNotFound, CallNotLive, LegNotFound, CallNotControllable,
        MediaUnavailable."""
        await (await self.find(call_id)).hold(leg_id, on)

    async def update_metadata(self, call_id: UUID, patch: dict[str, Any]) -> CallRecord:
        """Change what the application has attached to a call, also to one that is over: the call as it is then. Raise
        CallNotFound, InvalidField when it becomes too large."""
        live = self._calls.get(call_id)
        if live is not None:
            with contextlib.suppress(CallNotLive):
                await live.update_metadata(patch)
                return live.call.to_record()
        async with self._changing:  # two changes at a time are two changes
            record = await self._store.get_call(call_id)
            if record is None:
                raise CallNotFound
            changed = update_metadata(record.properties.get(METADATA_KEY, {}), patch)
            record.properties = record.properties | {METADATA_KEY: changed}
            event = Event(
                type=EventType.CALL_UPDATED,
                at=self._clock.now(),
                account_id=record.account_id,
                call_id=record.id,
                data={"metadata_keys": sorted(changed)},
            )
            await self._store.save([record], [event])
            return record

    def properties(self, call_id: UUID) -> dict[str, Any] | None:
        """What is known of a call that is under way, beside what is stored; None: it is over."""
        live = self._calls.get(call_id)
        return None if live is None else dict(live.call.properties)

    async def open_stream(self, call_id: UUID, request: StreamRequest) -> StreamRecord:
        """Join a live call to one more WebSocket. Raise CallNotFound, CallNotLive, LimitReached."""
        live = await self.find(call_id)
        return (await live.open_stream(request)).to_record()

    async def close_stream(self, call_id: UUID, stream_id: UUID) -> StreamRecord:
        """Close a stream of a live call. Raise CallNotFound, CallNotLive, StreamNotFound."""
        live = await self.find(call_id)
        return (await live.close_stream(stream_id)).to_record()

    def stream_name(self, call_id: UUID, stream_id: UUID) -> str | None:
        """What the flow of a live call calls a stream; None when it has no name, or is not there."""
        live = self._calls.get(call_id)
        stream = None if live is None else live.call.streams.get(stream_id)
        return None if stream is None else stream.request.name

    async def redirect(self, call_id: UUID, redirection: Redirection) -> None:
        """Have a live call do something else. Raise CallNotFound, CallNotLive."""
        await (await self.find(call_id)).redirect(redirection)

    def live(self) -> list[CallRecord]:
        """The calls that have not ended, oldest first."""
        return [live.call.to_record() for live in self._calls.values() if not live.call.has_ended]

    def live_by_state(self) -> Counter[str]:
        """How many calls there are in each state that is not an end."""
        return Counter(str(live.call.state) for live in self._calls.values() if not live.call.has_ended)

    async def stop(self, deadline_s: float = STOP_GRACE_S) -> None:
        """Take no more calls, and end those there are with the reason server_shutdown, within so many seconds."""
        self._is_stopping = True
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(deadline_s):
                await self._end_all()
                if self._tasks:
                    await asyncio.wait(list(self._tasks.values()))
        pending = list(self._tasks.values())
        if pending:
            log.warning("calls were not ended in time", calls=len(pending), deadline_s=deadline_s)
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)

    async def _end_all(self) -> None:
        waiting = iter(list(self._calls.values()))

        async def end_some() -> None:
            for live in waiting:
                await live.end(Reason.SERVER_SHUTDOWN)

        await asyncio.gather(*(end_some() for _ in range(ENDED_AT_ONCE)))

    def on_trunks(self, trunks: Sequence[Trunk]) -> None:
        """These are the trunks from now on; calls in progress keep theirs."""
        self.trunk_status.on_trunks(trunks)
        self.trunk_limits.forget({trunk.id for trunk in trunks})

    # --- for the user agent ----------------------------------------------------------------------------------------

    def on_sip_event(self, event: SipEvent) -> None:
        """Whatever SIP tells: a new call, something for one of ours, or how a trunk fares."""
        if isinstance(event, IncomingCall):
            self._incoming(event)
            return
        if isinstance(event, TargetChanged):
            self.trunk_status.on_target(event)
            return
        if isinstance(event, RegistrationChanged):
            self.trunk_status.on_registration(event)
            return
        live = self._by_handle.get(event.handle)
        if live is not None and not live.is_over:
            live.on_sip_event(event)
        elif isinstance(event, Referred):
            assert self._signalling is not None
            self._signalling.reject_refer(event.referral, 481)  # of a call that is no more
        elif isinstance(event, Answered):
            assert self._signalling is not None
            self._signalling.bye(event.handle)  # its call has ended meanwhile

    async def _change_hands(self, event: IncomingCall) -> None:
        """Somebody takes the place of the far end of a leg of ours (RFC 3891)."""
        assert self._signalling is not None
        live = self._by_handle.get(event.replaces or "")
        try:
            if live is None:
                raise CallNotLive
            await live.transfers.change_hands(event)
        except (CallNotLive, LegNotFound):
            self._signalling.reject(event.handle, 481)
        except (MediaUnavailable, MediaCommandRefused) as error:
            log.warning("replacement failed", why=str(error))
            self._signalling.reject(event.handle, 500)

    def _incoming(self, event: IncomingCall) -> None:
        assert self._signalling is not None
        if event.replaces is not None:
            task = asyncio.create_task(self._change_hands(event))
            self._heirs.add(task)
            task.add_done_callback(self._heirs.discard)
            return
        trunk = self._trunks.of_peer(event.peer)
        taken = self._take(event, trunk)
        if isinstance(taken, NotTaken):
            self.counters[f"refused_{taken.status}"] += 1
            log.warning("call refused", status=taken.status, why=taken.why, from_user=pii(event.from_user))
            self._signalling.reject(event.handle, taken.status)
            return
        call = Call(
            direction=Direction.INBOUND,
            from_number=event.from_user or "anonymous",
            to_number=event.to_user or "",
            created_at=self._clock.now(),
            record=self._config.recording,
        )
        take(call, taken)
        call.manner = self._manner(call)
        if call.flow is None:
            call.flow = call.manner.flow
        if event.diversions:
            call.properties["diversions"] = [{"number": d.user, "reason": d.reason} for d in event.diversions]
        if trunk is None:
            self._start(call).begin_inbound(event)
            return
        call.sip_trunk_id = trunk.id
        call.record = call.record if trunk.records_inbound is None else trunk.records_inbound
        self._start(call).begin_inbound(event, channel=self.trunk_limits.join(trunk), srtp=trunk.peer.srtp)

    def _take(self, event: IncomingCall, trunk: Trunk | None) -> Taken | NotTaken:
        """How a call that comes in now is taken, or why not."""
        taken = self._apps.incoming(event.to_user or "", trunk)
        try:
            self._check_room()
        except Unavailable as error:
            return taken if isinstance(taken, NotTaken) else NotTaken(503, error.message)
        return taken

    def _manner(self, call: Call) -> Manner:
        return manner_of(call.webhook_version or self._config.webhook_version)

    def _calls_of_app(self, app_id: UUID) -> int:
        """Its calls that have not ended. Asked of apps that have a limit, which is soon reached."""
        return sum(live.call.voice_app_id == app_id and not live.call.has_ended for live in self._calls.values())

    def _check_room(self) -> None:
        if self._is_stopping:
            raise Unavailable("The server is shutting down.")
        limit = self._config.max_calls
        # Those that have ended are told apart only where it matters: this is asked for every call.
        if len(self._calls) >= limit and sum(not live.call.has_ended for live in self._calls.values()) >= limit:
            self.counters["refused_max_calls"] += 1
            raise LimitReached(f"The server has {limit} live calls, which is its limit (max_calls).")
        if not self._media.is_available:
            raise MediaUnavailable

    # --- live calls ------------------------------------------------------------------------------------------------

    def _start(self, call: Call, ring_timeout_s: float | None = None) -> LiveCall:
        assert self._signalling is not None and self._flow is not None, "attach() comes first"
        live: LiveCall
        session = self._media.session(
            encode_id(Prefix.CALL, call.id),
            lambda event: live.on_media_event(event),
            lambda why: live.on_media_lost(why),
        )
        live = LiveCall(
            CallContext(
                call,
                session,
                self._store,
                self._bus,
                self._clock,
                self._egress,
                self.counters,
                tells_digits=self._config.digits_in_events,
                tells_turns=self._config.transcripts_in_events,
                find_secret=self._find_secret,
                base_url=self._base_url,
                find_stream=self._find_stream,
                resume_url=self._config.resume_url,
            ),
            self._signalling,
            self._flow,
            ring_timeout_s=ring_timeout_s or self._config.ring_timeout_s,
            srtp=self._config.srtp,
            recordings=self._recordings,
            codecs=tuple(self._config.codecs),
            tones_dir=self._config.data_dir / "tones",
            find_route=lambda from_number, to: self._find_route(call.account_id, from_number, to),
            may_transfer=self._may_transfer,
            find_call=lambda handle: self._find_sibling(call, handle),
            on_dialog=self._has_dialog,
            stream_requests=self._stream_requests,
        )
        self._calls[call.id] = live
        task = asyncio.create_task(live.run(), name=f"call {call.id}")
        self._tasks[call.id] = task
        task.add_done_callback(lambda _: self._forget(live))
        return live

    def _has_dialog(self, handle: str, live: LiveCall) -> None:
        self._by_handle[handle] = live
        self._handles.setdefault(live.call.id, []).append(handle)

    def _forget(self, live: LiveCall) -> None:
        self._calls.pop(live.call.id, None)
        self._tasks.pop(live.call.id, None)
        for handle in self._handles.pop(live.call.id, ()):
            self._by_handle.pop(handle, None)

    def _route(self, request: OriginateRequest) -> Route:
        """Raise BadRequest, InvalidTarget, DestinationDenied, LimitReached."""
        check_destination(request.to_number, self._config.access)
        return find_route(request, self._routes, self._own_host)

    def _may_transfer(self, leg: SipLeg) -> bool:
        """Whether a leg's REFER is carried out: the call that comes of it is at our cost."""
        access = self._config.access
        if access.transfers != "phones":
            return access.transfers == "everyone"
        if leg.called is None:
            return leg.peer is None or leg.peer.startswith(phone_peer_name(""))
        return leg.peer is None and self._is_phone(leg.called)

    def _is_phone(self, uri: str) -> bool:
        return self._user_at_home(uri) in self._config.phones

    def _user_at_home(self, uri: str) -> str | None:
        """The user part of a SIP URI whose host is this node."""
        try:
            parsed = parse_uri(uri)
        except RemoteProtocolError:
            return None
        domains = {*self._config.access.domains, self._own_host.rpartition(":")[0].strip("[]")}
        return parsed.user if parsed.host.strip("[]").lower() in domains else None

    def _find_route(self, account_id: UUID, from_number: str, to: str) -> Route:
        """Where a leg that a call dials goes. Whoever has no number that can be told is anonymous."""
        user = from_number if is_sip_user(from_number) else "anonymous"
        at_home = self._user_at_home(to)
        if at_home is not None and at_home.startswith("+") and at_home not in self._config.phones:
            to = at_home  # how a phone names a number: at the server that it talks to
        return self._route(OriginateRequest(user, to, account_id=account_id))

    def account_of_live(self, call_id: UUID) -> UUID | None:
        """Whose a call is that this node has; None when it has none of this id."""
        live = self._calls.get(call_id)
        return None if live is None else live.call.account_id

    def _find_sibling(self, call: Call, handle: str) -> LiveCall | None:
        """A call by the handle of one of its dialogs, of the same account: no other may be joined to this one."""
        found = self._by_handle.get(handle)
        return found if found is not None and found.call.account_id == call.account_id else None

    async def find(self, call_id: UUID) -> LiveCall:
        """A call that has not ended. Raise CallNotFound, CallNotLive."""
        live = self._calls.get(call_id)
        if live is not None and not live.call.has_ended:
            return live
        if live is None and await self._store.get_call(call_id) is None:
            raise CallNotFound
        raise CallNotLive


def _outbound_call(request: OriginateRequest, route: Route, app: VoiceAppRecord | None, at: datetime) -> Call:
    trunk = None if route.present is None else route.present.trunk
    call = Call(
        direction=Direction.OUTBOUND,
        account_id=request.account_id,
        from_number=request.from_number,
        to_number=request.to_number,
        created_at=at,
        flow_url=request.flow_url,
        flow=request.flow,
        status_callback_url=request.status_callback_url,
        record=request.record,
        properties={METADATA_KEY: request.metadata} if request.metadata else {},
        traceparent=traceparent.get(),
        sip_trunk_id=None if trunk is None else trunk.id,
    )
    if app is not None:
        give_app(call, app)
    elif request.account_id != DEFAULT_ACCOUNT_ID:
        call.voice_app_id = None  # the app of `[inbound]` is the default account's
    call.webhook_version = request.webhook_version or call.webhook_version
    call.fallback_url = request.fallback_url or call.fallback_url
    return call
