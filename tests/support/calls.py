"""A call manager between fakes: a user agent, a media server, a store and a flow that a test holds in its hands.

Time is virtual. `House` wires them; `house.incoming()` is a phone that calls in.
"""

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

from longline.base.bus import Bus
from longline.base.clock import VirtualClock, settle
from longline.base.config import Config
from longline.base.errors import MediaUnavailable
from longline.base.events import Event
from longline.calls.app_directory import AppDirectory
from longline.calls.call import Call
from longline.calls.live_call import LiveCall
from longline.calls.manager import CallManager
from longline.calls.manner import Method
from longline.calls.secret_book import SecretBook
from longline.calls.trunk_book import TrunkBook
from longline.flows.media_files import MediaFiles
from longline.flows.runner import FlowRunner
from longline.flows.sounds import Sounds
from longline.media.errors import MediaCommandRefused
from longline.media.protocol.commands import Command
from longline.media.protocol.events import MediaEvent, StreamClosed, StreamConnected
from longline.media.session import MediaSession
from longline.sip.events import IncomingCall, SipEvent
from longline.store.records import (
    CallRecord,
    IpAclRecord,
    NumberRecord,
    RecordingRecord,
    SecretRecord,
    SipTrunkRecord,
    StreamRecord,
    VoiceAppRecord,
)
from tests.support.egress import open_guard

OFFER = (
    b"v=0\r\no=- 1 1 IN IP4 192.0.2.7\r\ns=-\r\nc=IN IP4 192.0.2.7\r\nt=0 0\r\n"
    b"m=audio 4000 RTP/AVP 0 8 101\r\na=rtpmap:101 telephone-event/8000\r\n"
)
HOLD_OFFER = OFFER.replace(b"o=- 1 1", b"o=- 1 2") + b"a=sendonly\r\n"
G729_OFFER = OFFER.replace(b"RTP/AVP 0 8 101", b"RTP/AVP 18")
ANSWER = OFFER.replace(b"0 8 101", b"0 101")


class FakeUserAgent:
    """Keeps what it was told to do: `sent` is a list of (verb, handle, detail)."""

    def __init__(self, journal: list[str]) -> None:
        self.sent: list[tuple[str, str, Any]] = []
        self._journal = journal
        self._handles = itertools.count(1)
        self.unreachable = False

    def verbs(self) -> list[str]:
        return [verb for verb, _, _ in self.sent]

    def last(self, verb: str) -> Any:
        """The detail of the last message of this kind."""
        return next(detail for name, _, detail in reversed(self.sent) if name == verb)

    def _send(self, verb: str, handle: str, detail: Any = None) -> None:
        self._journal.append(f"sip {verb}")
        self.sent.append((verb, handle, detail))

    def invite(
        self, target: str, *, from_uri: str, to_uri: str | None = None, sdp: bytes | None = None,
        route: str | None = None, headers: Sequence[tuple[str, str]] = (), peer: str | None = None,
        may_follow: Callable[[str], bool] | None = None, tells_silence: bool = False,
    ) -> str:  # fmt: skip
        if self.unreachable:
            raise OSError("no route")
        handle = f"out{next(self._handles)}"
        detail = {"target": target, "from_uri": from_uri, "to_uri": to_uri, "sdp": sdp, "peer": peer}
        self._send("invite", handle, detail | {"headers": list(headers), "may_follow": may_follow})
        return handle

    async def family_toward(self, target: str) -> int | None:
        return None

    def ring(self, handle: str, sdp: bytes | None = None) -> None:
        self._send("ring", handle, sdp)

    def answer(self, handle: str, sdp: bytes) -> None:
        self._send("answer", handle, sdp)

    def reject(
        self, handle: str, status: int, reason: str | None = None, headers: Sequence[tuple[str, str]] = ()
    ) -> None:
        self._send("reject", handle, status)

    def cancel(self, handle: str) -> None:
        self._send("cancel", handle)

    def bye(self, handle: str, reason: str | None = None) -> None:
        self._send("bye", handle, reason)

    def reoffer(self, handle: str, sdp: bytes) -> None:
        self._send("reoffer", handle, sdp)

    def reanswer(self, handle: str, sdp: bytes) -> None:
        self._send("reanswer", handle, sdp)

    def accept_refer(self, referral: str) -> None:
        self._send("accept_refer", referral)

    def reject_refer(self, referral: str, status: int) -> None:
        self._send("reject_refer", referral, status)

    def notify_refer(self, referral: str, status: int) -> None:
        self._send("notify_refer", referral, status)

    def reject_reoffer(self, handle: str, status: int) -> None:
        self._send("reject_reoffer", handle, status)


class FakeMedia:
    """Answers every command at once; `refuse` makes it answer one with an error, `hold` makes it wait."""

    def __init__(self, journal: list[str]) -> None:
        self.is_available = True
        self.commands: list[Command] = []
        self.refuse: dict[str, tuple[str, str]] = {}
        self.unavailable: set[str] = set()
        self.hold: dict[str, asyncio.Event] = {}
        self.stats: dict[str, dict[str, Any]] = {}
        self.sessions: dict[str, MediaSession] = {}
        self._journal = journal
        self._ports = itertools.count(20000, 2)

    def session(
        self, session_id: str, on_event: Callable[[MediaEvent], None], on_lost: Callable[[str], None]
    ) -> MediaSession:
        session = MediaSession(session_id, self.send, on_event, on_lost, lambda key: None)
        self.sessions[session_id] = session
        return session

    async def send(self, command: Command, timeout_s: float = 5.0) -> dict[str, Any]:
        self.commands.append(command)
        self._journal.append(f"media {command.name}")
        if command.name in self.hold:
            await self.hold[command.name].wait()
        if command.name in self.unavailable:
            raise MediaUnavailable
        if command.name in self.refuse:
            raise MediaCommandRefused(command.name, *self.refuse[command.name])
        if command.name == "leg.open":
            port = next(self._ports)
            return {"rtp": f"127.0.0.1:{port}", "rtcp": f"127.0.0.1:{port + 1}", "ssrc": 1}
        return {"stats": self.stats.get(command.name, {})} if command.name.endswith("close") else {"duration_ms": 1000}

    def names(self) -> list[str]:
        return [command.name for command in self.commands]

    def find(self, name: str) -> Any:
        """The last command of this name."""
        return next(command for command in reversed(self.commands) if command.name == name)


class FakeStore:
    """Keeps records; `broken` makes every write fail."""

    def __init__(self, journal: list[str]) -> None:
        self.calls: dict[UUID, CallRecord] = {}
        self.streams: dict[UUID, StreamRecord] = {}
        self.recordings: dict[UUID, RecordingRecord] = {}
        self.broken = False
        self.bus = Bus()
        self.transactions: list[list[str]] = []
        """What was stored at once: states, and the events that tell of them."""
        self._journal = journal

    async def save(
        self, records: Sequence[CallRecord | StreamRecord | RecordingRecord], events: Sequence[Event] = ()
    ) -> None:
        for record in records:
            if isinstance(record, CallRecord):
                self._write(f"store call {record.state}")
                self.calls[record.id] = record
            elif isinstance(record, StreamRecord):
                self._write(f"store stream {record.state}")
                self.streams[record.id] = record
            else:
                self._write("store recording")
                self.recordings[record.id] = record
        self.transactions.append([*(record.state for record in records), *(event.type for event in events)])
        for event in events:
            self.bus.publish(event)

    async def get_call(self, call_id: UUID) -> CallRecord | None:
        return self.calls.get(call_id)

    def _write(self, what: str) -> None:
        if self.broken:
            raise OSError("the disk is full")
        self._journal.append(what)


class FakeTrunkStore:
    """Keeps trunks and access lists."""

    def __init__(self) -> None:
        self.trunks: dict[UUID, SipTrunkRecord] = {}
        self.acls: dict[UUID, IpAclRecord] = {}

    async def save_trunk(self, trunk: SipTrunkRecord) -> None:
        self.trunks[trunk.id] = trunk

    async def delete_trunk(self, trunk_id: UUID) -> None:
        del self.trunks[trunk_id]

    async def all_trunks(self) -> list[SipTrunkRecord]:
        return list(self.trunks.values())

    async def save_acl(self, acl: IpAclRecord) -> None:
        self.acls[acl.id] = acl

    async def delete_acl(self, acl_id: UUID) -> None:
        del self.acls[acl_id]

    async def all_acls(self) -> list[IpAclRecord]:
        return list(self.acls.values())


class FakeAppStore:
    """Keeps voice apps, numbers and secrets."""

    def __init__(self) -> None:
        self.apps: dict[UUID, VoiceAppRecord] = {}
        self.numbers: dict[UUID, NumberRecord] = {}
        self.secrets: dict[UUID, SecretRecord] = {}

    async def save(self, apps: Sequence[VoiceAppRecord] = (), numbers: Sequence[NumberRecord] = ()) -> None:
        self.apps |= {app.id: app for app in apps}
        self.numbers |= {number.id: number for number in numbers}

    async def delete_app(self, app_id: UUID, numbers: Sequence[NumberRecord] = ()) -> None:
        del self.apps[app_id]
        await self.save(numbers=numbers)

    async def delete_number(self, number_id: UUID) -> None:
        del self.numbers[number_id]

    async def all_apps(self) -> list[VoiceAppRecord]:
        return list(self.apps.values())

    async def all_numbers(self) -> list[NumberRecord]:
        return list(self.numbers.values())

    async def save_secret(self, secret: SecretRecord) -> None:
        self.secrets[secret.id] = secret

    async def delete_secret(self, secret_id: UUID) -> None:
        del self.secrets[secret_id]

    async def all_secrets(self) -> list[SecretRecord]:
        return list(self.secrets.values())


class ScriptedFlow:
    """The real flow, unless the test gives another `script`."""

    def __init__(self, script: Callable[[LiveCall], Awaitable[None]]) -> None:
        self.script = script
        self.cancelled = 0

    async def run(self, live: LiveCall) -> None:
        try:
            await self.script(live)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise


class ScriptedFetcher:
    """Answers flow requests by URL; a URL that is not there is never answered."""

    def __init__(self) -> None:
        self.answers: dict[str, Any] = {}
        self.asked: list[str] = []
        self.methods: list[str] = []
        self.results: list[dict[str, Any]] = []

    async def fetch(
        self, url: str, call: Call, result: Mapping[str, Any] | None = None, method: Method = "POST"
    ) -> Any:
        self.asked.append(url)
        self.methods.append(method)
        self.results.append(dict(result or {}))
        if url not in self.answers:
            await asyncio.Event().wait()
        if isinstance(self.answers[url], Exception):
            raise self.answers[url]
        return self.answers[url]


class House:
    """The manager and its fakes. `journal` is everything that was stored, told and sent, in order."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        inbound = {"stream": {"ws_url": "ws://app/"}}
        self.config = Config.model_validate(
            {"data_dir": folder, "inbound": inbound, "recording": False, "digits_in_events": True} | settings
        )
        self.journal: list[str] = []
        self.events: list[Event] = []
        self.clock = VirtualClock()
        self.user_agent = FakeUserAgent(self.journal)
        self.media = FakeMedia(self.journal)
        self.store = FakeStore(self.journal)
        self.fetcher = ScriptedFetcher()
        self.sounds = Sounds(MediaFiles(folder / "media", folder / "spool", open_guard()))
        self.flow = ScriptedFlow(FlowRunner(self.fetcher, self.sounds).run)
        bus = self.store.bus
        bus.subscribe(self._keep)
        self.trunks = TrunkBook(self.config, FakeTrunkStore(), self.clock)
        self.app_store = FakeAppStore()
        self.secrets = SecretBook(self.app_store, self.clock)
        self.apps = AppDirectory(self.config, self.app_store, self.clock, self.secrets, self.trunks.record)
        self.manager = CallManager(
            self.config, self.media, self.store, bus, self.clock, self.trunks, self.apps, open_guard()
        )
        self.manager.attach(self.user_agent, self.flow)
        self._incoming = itertools.count(1)

    def _keep(self, event: Event) -> None:
        self.journal.append(f"told {event.type}")
        self.events.append(event)

    def told(self) -> list[str]:
        return [event.type for event in self.events]

    def event(self, event_type: str) -> Event:
        """The one event of this type."""
        (event,) = [event for event in self.events if event.type == event_type]
        return event

    async def incoming(
        self,
        offer: bytes | None = OFFER,
        from_user: str = "+15550100",
        peer: str | None = None,
        headers: tuple[tuple[str, str], ...] = (),
        to_user: str = "+15550101",
    ) -> str:
        """A phone calls in; returns the handle when everything that can happen at once has happened."""
        handle = f"in{next(self._incoming)}"
        event = IncomingCall(
            handle=handle,
            call_id=f"{handle}@phone",
            from_uri="sip:+15550100@192.0.2.7",
            from_user=from_user,
            to_uri="sip:+15550101@127.0.0.1",
            to_user=to_user,
            offer=offer,
            source="192.0.2.7:5060",
            headers=headers,
            peer=peer,
        )
        await self.sip(event)
        return handle

    async def sip(self, *events: SipEvent) -> None:
        """All of these at the same moment, then let things happen."""
        for event in events:
            self.manager.on_sip_event(event)
        await settle(100)

    async def media_tells(self, event: MediaEvent) -> None:
        (session,) = [session for key, session in self.media.sessions.items() if key == event.session]
        session.deliver(event)
        await settle(100)

    @property
    def session(self) -> MediaSession:
        """The media session of the latest call."""
        return list(self.media.sessions.values())[-1]

    @property
    def record(self) -> CallRecord:
        """The latest call as it is stored."""
        return list(self.store.calls.values())[-1]

    @property
    def leg_id(self) -> str:
        """The primary leg of the latest call, as the media server knows it."""
        return str(self.record.legs[0].id)

    @property
    def stream_id(self) -> str:
        """The stream of the latest call, as the media server knows it."""
        return str(list(self.store.streams)[-1])

    async def stream_connects(self) -> None:
        await self.media_tells(StreamConnected(at=0.0, session=self.session.id, stream=self.stream_id, connect_ms=1.0))

    async def stream_closes(self, reason: str = "closed_by_app", code: int | None = 1000) -> None:
        await self.media_tells(
            StreamClosed(at=0.0, session=self.session.id, stream=self.stream_id, reason=reason, code=code)
        )
