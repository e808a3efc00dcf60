"""The application over a fake call manager and a real store, reached without a socket."""

from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI

from longline.api.app import create_app
from longline.api.auth import hash_key
from longline.api.deps import Deps
from longline.base.bus import Bus
from longline.base.clock import VirtualClock
from longline.base.config import Config
from longline.base.errors import (
    CallNotFound,
    CallNotLive,
    EventNotFound,
    LegNotFound,
    NotRedeliverable,
    RedeliveryExpired,
    StreamNotFound,
)
from longline.base.ids import DEFAULT_ACCOUNT_ID, DEFAULT_VOICE_APP_ID, encode_id, new_id
from longline.calls.app_directory import AppDirectory
from longline.calls.lead import Transfer
from longline.calls.originate import OriginateRequest
from longline.calls.phones import PhoneBook
from longline.calls.redirection import Redirection
from longline.calls.secret_book import SecretBook
from longline.calls.stream import StreamRequest
from longline.calls.trunk_book import TrunkBook
from longline.calls.trunk_limits import TrunkLimits
from longline.calls.trunk_status import TrunkStatus
from longline.flows.controls import PlayOrder
from longline.flows.transfer import TransferOrder
from longline.observe.live import Watchers
from longline.store.durable import Durable
from longline.store.records import ApiKeyRecord, CallRecord, EventRecord, LegRecord, RecordingRecord, StreamRecord

KEY = "test-key-1"
PHONES = {"alice": {"password": "open sesame", "channel_limit": 2}}
TRUNKS = {"carrier": {"uri": "sip:sip.example.com", "username": "us", "password": "secret"}}
APPS = {"desk": {"flow_url": "https://desk.example/flow", "secret": "in the file"}}
NUMBERS = {"+14155550199": {"app": "desk"}}
GENERATED_KEY = "ll_generated-key"


@dataclass
class FakeManager:
    """Keeps what it was asked for; `refusal`, when set, is raised instead."""

    durable: Durable
    clock: VirtualClock
    asked: list[Any] = field(default_factory=list)
    refusal: Exception | None = None
    stream_names: dict[UUID, str | None] = field(default_factory=dict)
    live_properties: dict[UUID, dict[str, Any]] = field(default_factory=dict)

    def account_of_live(self, call_id: UUID) -> UUID | None:
        return None

    async def originate(self, request: OriginateRequest) -> CallRecord:
        self._ask(request)
        call = a_call(self.clock.now(), from_number=request.from_number, to_number=request.to_number)
        call.account_id = request.account_id
        call.status_callback_url = request.status_callback_url
        await self.durable.save_call(call)
        return call

    async def answer(self, call_id: UUID) -> None:
        self._ask(call_id)
        await self._live(call_id)

    async def hangup(self, call_id: UUID, *, reason: str | None = None, leg_id: UUID | None = None) -> None:
        self._ask((call_id, reason, leg_id))
        call = await self._live(call_id)
        if leg_id is not None and leg_id not in {leg.id for leg in call.legs}:
            raise LegNotFound
        call.state, call.ended_at, call.reason = "completed", self.clock.now(), "completed"
        await self.durable.save_call(call)

    async def send_digits(
        self, call_id: UUID, digits: str, *, tone_ms: int | None = None, leg_id: UUID | None = None
    ) -> None:
        self._ask((call_id, digits, tone_ms, leg_id))
        call = await self._live(call_id)
        if leg_id is not None and leg_id not in {leg.id for leg in call.legs}:
            raise LegNotFound

    async def mute(self, call_id: UUID, leg_id: UUID, on: bool) -> None:
        self._ask((call_id, leg_id, on))
        await self._live(call_id)

    async def hold(self, call_id: UUID, leg_id: UUID | None, on: bool) -> None:
        self._ask((call_id, leg_id, on))
        await self._live(call_id)

    async def play(self, call_id: UUID, order: PlayOrder) -> UUID:
        self._ask((call_id, order))
        await self._live(call_id)
        return new_id()

    async def transfer(self, call_id: UUID, order: TransferOrder) -> Transfer:
        self._ask((call_id, order))
        await self._live(call_id)
        return Transfer(order.dial, route=None)  # type: ignore[arg-type]

    async def update_metadata(self, call_id: UUID, patch: dict[str, Any]) -> CallRecord:
        self._ask((call_id, patch))
        call = await self.durable.get_call(call_id)
        if call is None:
            raise CallNotFound
        call.properties = call.properties | {"metadata": patch}
        await self.durable.save_call(call)
        return call

    def properties(self, call_id: UUID) -> dict[str, Any] | None:
        return self.live_properties.get(call_id)

    async def open_stream(self, call_id: UUID, request: StreamRequest) -> StreamRecord:
        self._ask(request)
        await self._live(call_id)
        stream = StreamRecord(
            id=new_id(), call_id=call_id, ws_url=request.ws_url, created_at=self.clock.now(),
            chunk_size=request.format.chunk_ms, sample_rate=request.format.sample_rate, dialect=request.dialect,
        )  # fmt: skip
        await self.durable.save_stream(stream)
        self.stream_names[stream.id] = request.name
        return stream

    def stream_name(self, call_id: UUID, stream_id: UUID) -> str | None:
        return self.stream_names.get(stream_id)

    async def redirect(self, call_id: UUID, redirection: Redirection) -> None:
        self._ask((call_id, redirection))
        await self._live(call_id)

    async def close_stream(self, call_id: UUID, stream_id: UUID) -> StreamRecord:
        self._ask(stream_id)
        await self._live(call_id)
        stream = await self.durable.get_stream(stream_id)
        if stream is None or stream.call_id != call_id:
            raise StreamNotFound
        stream = replace(stream, state="closed", reason="closed_by_control", ended_at=self.clock.now())
        await self.durable.save_stream(stream)
        return stream

    def _ask(self, asked: Any) -> None:
        self.asked.append(asked)
        if self.refusal is not None:
            raise self.refusal

    async def _live(self, call_id: UUID) -> CallRecord:
        call = await self.durable.get_call(call_id)
        if call is None:
            raise CallNotFound
        if call.ended_at is not None:
            raise CallNotLive
        return call


@dataclass
class FakeWebhooks:
    durable: Durable
    clock: VirtualClock

    async def redeliver(self, event_id: UUID) -> datetime:
        event = await self.durable.get_event(event_id)
        if event is None:
            raise EventNotFound
        if event.target_url is None:
            raise NotRedeliverable
        if self.clock.now() - event.at > timedelta(days=30):
            raise RedeliveryExpired
        return self.clock.now()


def a_key(key: str, account_id: UUID = DEFAULT_ACCOUNT_ID, **changes: Any) -> ApiKeyRecord:
    made = ApiKeyRecord(
        id=new_id(), account_id=account_id, name="test", prefix=key[:11], hash=hash_key(key), scopes=["admin"],
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
    )  # fmt: skip
    return replace(made, **changes)


def a_call(at: datetime, **changes: Any) -> CallRecord:
    call_id = new_id()
    leg = LegRecord(id=new_id(), call_session_id=call_id, direction="outbound", created_at=at, state="answered")
    call = CallRecord(
        id=call_id, direction="outbound", created_at=at, voice_app_id=DEFAULT_VOICE_APP_ID, state="answered",
        from_number="+14155550100", to_number="+14155550101", answered_at=at, legs=[leg],
    )  # fmt: skip
    return replace(call, **changes)


@dataclass
class House:
    """The application and what is around it. `http` sends requests with a valid key."""

    app: FastAPI
    deps: Deps
    manager: FakeManager
    clock: VirtualClock
    durable: Durable
    http: httpx.AsyncClient
    directory: Path
    ready: dict[str, bool]
    monkeypatch: pytest.MonkeyPatch

    async def call(self, **changes: Any) -> CallRecord:
        """A stored call, one second after the one before."""
        await self.clock.advance(1)
        call = a_call(self.clock.now(), **changes)
        await self.durable.save_call(call)
        return call

    async def event(self, call_id: UUID, **changes: Any) -> EventRecord:
        event = replace(EventRecord(type="call.answered", call_id=call_id, at=self.clock.now()), **changes)
        await self.durable.save_event(event)
        return event

    async def recording(self, content: bytes | None = b"RIFF0123456789") -> RecordingRecord:
        recording_id = new_id()
        path = self.directory / f"{encode_id('rec', recording_id)}.wav"
        if content is not None:
            path.write_bytes(content)
        recording = RecordingRecord(id=recording_id, call_id=new_id(), path=str(path), created_at=self.clock.now())
        await self.durable.save_recording(recording)
        return recording

    def initiate(self, **changes: Any) -> dict[str, Any]:
        body = {
            "from_number": "+14155550100",
            "to_number": "+14155550101",
            "flow_url": "https://app.example/flow",
            "status_callback_url": "https://app.example/status",
        }
        return {key: value for key, value in {**body, **changes}.items() if value is not ...}


@pytest.fixture
def version() -> str:
    """Overridden by tests of the other version."""
    return "2026-06-01"


@pytest.fixture
async def house(tmp_path: Path, version: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[House]:
    durable = await Durable.open(f"sqlite+aiosqlite:///{tmp_path / 'store.db'}")
    clock = VirtualClock()
    await durable.accounts.save_key(a_key(GENERATED_KEY))
    manager = FakeManager(durable, clock)
    ready = {"media_server": True}
    config = Config(api_key=KEY, webhook_version=version, trunks=TRUNKS, phones=PHONES, apps=APPS, numbers=NUMBERS)  # type: ignore[arg-type]
    trunks = TrunkBook(config, durable.trunks, clock)
    await trunks.load()
    status = TrunkStatus(Bus(), clock, Counter(), trunks.of_peer)
    limits = TrunkLimits(Counter())
    phones = PhoneBook(config, durable.registrations, clock)
    webhooks = FakeWebhooks(durable, clock)
    watchers = Watchers()
    secrets = SecretBook(durable.apps, clock)
    apps = AppDirectory(config, durable.apps, clock, secrets, trunks.record)
    await apps.load()
    trunks.check_secret = secrets.get
    secrets.is_used = lambda secret_id: bool(apps.apps_of_secret(secret_id) or trunks.trunks_of_secret(secret_id))
    deps = Deps(
        manager,
        manager,
        durable,
        webhooks,
        config,
        clock,
        trunks,
        status,
        limits,
        phones,
        apps,
        secrets,
        lambda: ready,
        watchers,
    )
    app = create_app(deps)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(
        transport=transport, base_url="http://longline.test", headers={"x-api-key": KEY}
    ) as http:
        yield House(app, deps, manager, clock, durable, http, tmp_path, ready, monkeypatch)
    await durable.close()
