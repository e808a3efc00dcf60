"""What the routes need from below, handed in by `node.py`, and how a route gets at it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Protocol
from uuid import UUID

from fastapi import Depends, Request

from longline.api.app_views import AppViews
from longline.api.at_once import at_once
from longline.api.auth import caller_of
from longline.api.callers import Caller
from longline.api.idempotency import IdempotencyTable
from longline.api.live import Watchers
from longline.api.observed import BeginTrace
from longline.api.scopes import Scope, allows
from longline.api.sip_views import SipViews
from longline.api.views import Views
from longline.base.clock import Clock
from longline.base.config import Config
from longline.base.errors import MissingScope, NotProvisioner
from longline.base.ids import DEFAULT_ACCOUNT_ID
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
from longline.store.account_store import AccountStore
from longline.store.durable import Durable
from longline.store.records import CallRecord, StreamRecord


class Calls(Protocol):
    """The calls of this node, as `CallManager` has them."""

    def account_of_live(self, call_id: UUID) -> UUID | None: ...

    async def originate(self, request: OriginateRequest) -> CallRecord: ...

    async def answer(self, call_id: UUID) -> None: ...

    async def hangup(self, call_id: UUID, *, reason: str | None = None, leg_id: UUID | None = None) -> None: ...

    async def send_digits(
        self, call_id: UUID, digits: str, *, tone_ms: int | None = None, leg_id: UUID | None = None
    ) -> None: ...

    async def mute(self, call_id: UUID, leg_id: UUID, on: bool) -> None: ...
    async def hold(self, call_id: UUID, leg_id: UUID | None, on: bool) -> None: ...

    async def update_metadata(self, call_id: UUID, patch: dict[str, Any]) -> CallRecord: ...

    def properties(self, call_id: UUID) -> dict[str, Any] | None: ...

    async def open_stream(self, call_id: UUID, request: StreamRequest) -> StreamRecord: ...

    async def close_stream(self, call_id: UUID, stream_id: UUID) -> StreamRecord: ...

    def stream_name(self, call_id: UUID, stream_id: UUID) -> str | None: ...

    async def redirect(self, call_id: UUID, redirection: Redirection) -> None: ...


class Controls(Protocol):
    """What is done to a live call with files and other parties, as `CallControls` has it."""

    async def play(self, call_id: UUID, order: PlayOrder) -> UUID: ...

    async def transfer(self, call_id: UUID, order: TransferOrder) -> Transfer: ...


class Webhooks(Protocol):
    """The dispatcher's part that the API can ask for."""

    async def redeliver(self, event_id: UUID) -> datetime: ...


@dataclass(frozen=True, slots=True)
class Deps:
    """`readiness` tells, by name, whether each part that calls need is there; the database is asked beside it."""

    manager: Calls
    controls: Controls
    durable: Durable
    webhooks: Webhooks
    config: Config
    clock: Clock
    trunks: TrunkBook
    trunk_status: TrunkStatus
    trunk_limits: TrunkLimits
    phones: PhoneBook
    apps: AppDirectory
    secrets: SecretBook
    readiness: Callable[[], Mapping[str, bool]] = dict
    watchers: Watchers | None = None
    """Who watches live calls; None: nobody can."""
    render_metrics: Callable[[str], tuple[bytes, str]] = lambda _: (b"", "text/plain")
    """The page of metrics, and its content type, for an Accept header."""
    begin_trace: BeginTrace | None = None
    observe_request: Callable[[str, str, int, float], None] = lambda *_: None
    """Told method, route, status and seconds of each request."""


def get_deps(request: Request) -> Deps:
    deps: Deps = request.app.state.deps
    return deps


def get_views(request: Request) -> Views:
    return Views(get_deps(request).config.webhook_version)


def get_sip_views(request: Request) -> SipViews:
    deps = get_deps(request)
    return SipViews(get_views(request), deps.trunks, deps.trunk_status, deps.trunk_limits, deps.secrets)


def get_app_views(request: Request) -> AppViews:
    deps = get_deps(request)
    return AppViews(get_views(request), deps.apps, deps.secrets, deps.trunks)


def get_idempotency(request: Request) -> IdempotencyTable:
    table: IdempotencyTable = request.app.state.idempotency
    return table


def get_store(request: Request) -> AccountStore:
    return get_deps(request).durable.of(caller_of(request).account_id)


DepsOf = Annotated[Deps, Depends(at_once(get_deps))]
CallerOf = Annotated[Caller, Depends(at_once(caller_of))]
"""Whose request it is: `caller.account_id`."""
StoreOf = Annotated[AccountStore, Depends(at_once(get_store))]
"""What the request's account may see. A protected route reads through this, and never through `deps.durable`."""
ViewsOf = Annotated[Views, Depends(at_once(get_views))]
SipViewsOf = Annotated[SipViews, Depends(at_once(get_sip_views))]
AppViewsOf = Annotated[AppViews, Depends(at_once(get_app_views))]
IdempotencyOf = Annotated[IdempotencyTable, Depends(at_once(get_idempotency))]


def check_may_provision(caller: CallerOf) -> None:
    """Numbers are given out by whoever runs the server. Raises NotProvisioner."""
    if caller.account_id != DEFAULT_ACCOUNT_ID:
        raise NotProvisioner


async def check_may_see_secrets(caller: CallerOf) -> None:
    """Whoever knows a secret can sign as we do: a key that may only read is not told. Raises MissingScope."""
    if not allows(caller.scopes, Scope.ADMIN):
        raise MissingScope(f"This API key may not do that: it lacks the scope {Scope.ADMIN}.")
