"""The voice apps and virtual numbers of this node: those of the configuration, and those that the API makes.

A change is stored, then in force. A number is there once, whoever has it; it leads to an app or to a trunk of its own
account, or nowhere. Leaves out what a call does with them (`call_apps.py`), and how they are listed (`store`).
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from typing import Any, Final, Protocol, TypeVar
from uuid import UUID

from longline.base.clock import Clock
from longline.base.config import Config
from longline.base.errors import (
    AppIsConfigured,
    AppNotFound,
    LimitReached,
    NameTaken,
    NumberIsConfigured,
    NumberNotFound,
    NumberTaken,
    SecretNotFound,
    UnknownSecret,
)
from longline.base.ids import new_id
from longline.base.log import get_logger, pii
from longline.calls.app_changes import AppChange, NewApp, NewNumber
from longline.calls.configured_apps import configured_apps, configured_numbers, configured_secrets
from longline.calls.secret_book import SecretBook
from longline.store.records import NumberRecord, VoiceAppRecord

MAX_APPS: Final = 1000
"""Voice apps of one account; one more is refused with LimitReached."""
MAX_NUMBERS: Final = 10_000
"""Virtual numbers of one account; one more is refused with LimitReached."""

R = TypeVar("R", VoiceAppRecord, NumberRecord)
log = get_logger(__name__)


class AppKeeper(Protocol):
    """Where apps and numbers are kept."""

    async def save(self, apps: Sequence[VoiceAppRecord] = (), numbers: Sequence[NumberRecord] = ()) -> None: ...
    async def delete_app(self, app_id: UUID, numbers: Sequence[NumberRecord] = ()) -> None: ...
    async def delete_number(self, number_id: UUID) -> None: ...
    async def all_apps(self) -> list[VoiceAppRecord]: ...
    async def all_numbers(self) -> list[NumberRecord]: ...


class AppDirectory:
    """`load` first. `check_trunk` raises TrunkNotFound when an account has no such trunk."""

    def __init__(
        self,
        config: Config,
        store: AppKeeper,
        clock: Clock,
        secrets: SecretBook,
        check_trunk: Callable[[UUID, UUID], Any],
    ) -> None:
        self.config = config
        self._store = store
        self._clock = clock
        self._secrets = secrets
        self._check_trunk = check_trunk
        self._lock = asyncio.Lock()
        self._apps: dict[UUID, VoiceAppRecord] = {}
        self._numbers: dict[UUID, NumberRecord] = {}
        self._by_number: dict[str, NumberRecord] = {}
        self._of_app: dict[UUID, set[UUID]] = {}
        secrets.configure(configured_secrets(config))
        self._take(configured_apps(config, clock.now()), configured_numbers(config, clock.now()))

    async def load(self) -> None:
        """Read what is stored, and write down what the configuration says now."""
        async with self._lock:
            self._take(await self._store.all_apps(), await self._store.all_numbers())
            await self._write_down_configured()

    async def configure(self, config: Config) -> None:
        """The configuration was read again: what it says of apps and numbers is in force from now on."""
        async with self._lock:
            self.config = config
            self._secrets.configure(configured_secrets(config))
            await self._write_down_configured()

    async def _write_down_configured(self) -> None:
        at = self._clock.now()
        apps = [_as_before(app, self._apps.get(app.id)) for app in configured_apps(self.config, at)]
        numbers = []
        for number in configured_numbers(self.config, at):
            other = self._by_number.get(number.number)
            if other is not None and other.source == "api":  # the API made it before the file named it
                number = dataclasses.replace(number, id=other.id, created_at=other.created_at)
            before = self._numbers.get(number.id)
            if before is not None and not number.is_fixed:
                number = dataclasses.replace(number, voice_app_id=before.voice_app_id, sip_trunk_id=before.sip_trunk_id)
            numbers.append(_as_before(number, before))
        there = {app.id for app in apps} | {number.id for number in numbers}
        for app in [app for app in self._apps.values() if app.source == "config" and app.id not in there]:
            await self._remove_app(app)
        for gone in [n for n in self._numbers.values() if n.source == "config" and n.id not in there]:
            await self._store.delete_number(gone.id)
            self._drop_number(gone)
        changed_apps = [app for app in apps if self._apps.get(app.id) != app]
        changed_numbers = [number for number in numbers if self._numbers.get(number.id) != number]
        await self._keep(changed_apps, changed_numbers)

    async def leave_trunk(self, trunk_id: UUID) -> None:
        """The trunk is gone: what led to it leads nowhere."""
        async with self._lock:
            had = [number for number in self._numbers.values() if number.sip_trunk_id == trunk_id]
            await self._keep([], [self._leading(number, None, None) for number in had])

    # --- apps ------------------------------------------------------------------------------------------------------

    async def create_app(self, account_id: UUID, new: NewApp) -> VoiceAppRecord:
        """Raise NameTaken, UnknownSecret, NumberNotFound, NumberIsConfigured, LimitReached."""
        async with self._lock:
            if sum(app.account_id == account_id for app in self._apps.values()) >= MAX_APPS:
                raise LimitReached(f"There are {MAX_APPS} voice apps, which is the limit.")
            self._check_name(account_id, new.name, None)
            self._check_secret(account_id, new.secret_id)
            at = self._clock.now()
            app = VoiceAppRecord(
                id=new_id(),
                account_id=account_id,
                name=new.name,
                created_at=at,
                updated_at=at,
                flow_url=new.flow_url,
                webhook_url=new.webhook_url,
                fallback_url=new.fallback_url,
                channel_limit=new.channel_limit,
                secret_id=new.secret_id,
                webhook_version=new.webhook_version,
            )
            numbers = self._assignable(account_id, new.number_ids)
            await self._keep([app], [self._leading(number, app.id, None) for number in numbers])
            return app

    async def change_app(self, account_id: UUID, app_id: UUID, change: AppChange) -> VoiceAppRecord:
        """Raise AppNotFound, AppIsConfigured, NameTaken, UnknownSecret."""
        async with self._lock:
            app = self._owned_app(account_id, app_id)
            if "name" in change.values:
                self._check_name(account_id, change.values["name"], app_id)
            self._check_secret(account_id, change.values.get("secret_id"))
            app = dataclasses.replace(app, **change.values, updated_at=self._clock.now())
            await self._keep([app], [])
            return app

    async def delete_app(self, account_id: UUID, app_id: UUID) -> VoiceAppRecord:
        """Its numbers lead nowhere then; its live calls go on. Raise AppNotFound, AppIsConfigured."""
        async with self._lock:
            app = self._owned_app(account_id, app_id)
            await self._remove_app(app)
            return app

    def app(self, account_id: UUID, app_id: UUID) -> VoiceAppRecord:
        """An app of this account. Raise AppNotFound."""
        app = self._apps.get(app_id)
        if app is None or app.account_id != account_id:
            raise AppNotFound
        return app

    def find_app(self, app_id: UUID | None) -> VoiceAppRecord | None:
        """Whosever it is."""
        return None if app_id is None else self._apps.get(app_id)

    def numbers_of_app(self, app_id: UUID) -> int:
        """How many lead to it."""
        return len(self._of_app.get(app_id, ()))

    def apps_of_secret(self, secret_id: UUID) -> list[VoiceAppRecord]:
        """Those whose webhooks it signs."""
        return [app for app in self._apps.values() if app.secret_id == secret_id]

    def _owned_app(self, account_id: UUID, app_id: UUID) -> VoiceAppRecord:
        app = self.app(account_id, app_id)
        if app.source == "config":
            raise AppIsConfigured
        return app

    def _check_name(self, account_id: UUID, name: str, own_id: UUID | None) -> None:
        for app in self._apps.values():
            if app.name == name and app.account_id == account_id and app.id != own_id:
                raise NameTaken(f"There is a voice app with the name {name!r} already.")

    def _check_secret(self, account_id: UUID, secret_id: UUID | None) -> None:
        if secret_id is not None:
            try:
                self._secrets.get(account_id, secret_id)
            except SecretNotFound:
                raise UnknownSecret from None

    async def _remove_app(self, app: VoiceAppRecord) -> None:
        had = [self._numbers[number_id] for number_id in self._of_app.get(app.id, ())]
        freed = [dataclasses.replace(self._leading(number, None, None), is_fixed=False) for number in had]
        await self._store.delete_app(app.id, freed)
        del self._apps[app.id]
        for number in freed:
            self._put_number(number)

    # --- numbers ---------------------------------------------------------------------------------------------------

    async def create_number(self, account_id: UUID, new: NewNumber) -> NumberRecord:
        """Raise NumberTaken, AppNotFound, TrunkNotFound, LimitReached."""
        async with self._lock:
            if sum(number.account_id == account_id for number in self._numbers.values()) >= MAX_NUMBERS:
                raise LimitReached(f"There are {MAX_NUMBERS} virtual numbers, which is the limit.")
            if new.number in self._by_number:
                raise NumberTaken
            self._check_way(account_id, new.voice_app_id, new.sip_trunk_id)
            at = self._clock.now()
            number = NumberRecord(
                id=new_id(),
                account_id=account_id,
                number=new.number,
                name=new.name or new.number,
                created_at=at,
                updated_at=at,
                voice_app_id=new.voice_app_id,
                sip_trunk_id=new.sip_trunk_id,
                location_id=None if new.location is None else new.location.id,
                location=None if new.location is None else asdict(new.location),
            )
            await self._keep([], [number])
            return number

    async def rename_number(self, account_id: UUID, number_id: UUID, name: str) -> NumberRecord:
        """Raise NumberNotFound, NumberIsConfigured."""
        async with self._lock:
            number = self.number(account_id, number_id)
            if number.source == "config":
                raise NumberIsConfigured("The virtual number stands in the configuration file, and is named there.")
            number = dataclasses.replace(number, name=name, updated_at=self._clock.now())
            await self._keep([], [number])
            return number

    async def delete_number(self, account_id: UUID, number_id: UUID) -> NumberRecord:
        """Raise NumberNotFound, NumberIsConfigured."""
        async with self._lock:
            number = self.number(account_id, number_id)
            if number.source == "config":
                raise NumberIsConfigured("The virtual number stands in the configuration file, and is removed there.")
            await self._store.delete_number(number_id)
            self._drop_number(number)
            return number

    async def assign(
        self,
        account_id: UUID,
        number_ids: Iterable[UUID],
        *,
        app_id: UUID | None = None,
        trunk_id: UUID | None = None,
        skip_fixed: bool = False,
    ) -> int:
        """Lead them to an app, to a trunk, or nowhere: all of them or none; how many. Those that the configuration has
        assigned are refused, or passed over. Raise NumberNotFound, NumberIsConfigured, AppNotFound, TrunkNotFound."""
        async with self._lock:
            self._check_way(account_id, app_id, trunk_id)
            numbers = self._assignable(account_id, number_ids, skip_fixed=skip_fixed)
            await self._keep([], [self._leading(number, app_id, trunk_id) for number in numbers])
            return len(numbers)

    def number(self, account_id: UUID, number_id: UUID) -> NumberRecord:
        """A number of this account. Raise NumberNotFound."""
        number = self._numbers.get(number_id)
        if number is None or number.account_id != account_id:
            raise NumberNotFound
        return number

    def find_number(self, number: str) -> NumberRecord | None:
        """By its E.164 form, whosever it is."""
        return self._by_number.get(number)

    def _assignable(
        self, account_id: UUID, number_ids: Iterable[UUID], *, skip_fixed: bool = False
    ) -> list[NumberRecord]:
        numbers = [self.number(account_id, number_id) for number_id in dict.fromkeys(number_ids)]
        if skip_fixed:
            return [number for number in numbers if not number.is_fixed]
        if any(number.is_fixed for number in numbers):
            raise NumberIsConfigured
        return numbers

    def _check_way(self, account_id: UUID, app_id: UUID | None, trunk_id: UUID | None) -> None:
        if app_id is not None:
            self.app(account_id, app_id)
        if trunk_id is not None:
            self._check_trunk(account_id, trunk_id)

    def _leading(self, number: NumberRecord, app_id: UUID | None, trunk_id: UUID | None) -> NumberRecord:
        return dataclasses.replace(number, voice_app_id=app_id, sip_trunk_id=trunk_id, updated_at=self._clock.now())

    # --- what is in force ------------------------------------------------------------------------------------------

    async def _keep(self, apps: Sequence[VoiceAppRecord], numbers: Sequence[NumberRecord]) -> None:
        await self._store.save(apps, numbers)
        for app in apps:
            self._apps[app.id] = app
        for number in numbers:
            self._put_number(number)

    def _take(self, apps: Iterable[VoiceAppRecord], numbers: Iterable[NumberRecord]) -> None:
        self._apps = {app.id: app for app in apps}
        self._numbers, self._by_number, self._of_app = {}, {}, {}
        for number in numbers:
            self._put_number(number)

    def _put_number(self, number: NumberRecord) -> None:
        before = self._numbers.get(number.id)
        if before is not None:
            self._drop_number(before)
        self._numbers[number.id] = self._by_number[number.number] = number
        if number.voice_app_id is not None:
            self._of_app.setdefault(number.voice_app_id, set()).add(number.id)
            if number.voice_app_id not in self._apps:
                log.error("number of an app that is not there", number=pii(number.number))

    def _drop_number(self, number: NumberRecord) -> None:
        self._numbers.pop(number.id, None)
        self._by_number.pop(number.number, None)
        if number.voice_app_id is not None:
            self._of_app.get(number.voice_app_id, set()).discard(number.id)


def _as_before(record: R, before: R | None) -> R:
    """What has not changed keeps its times."""
    if before is None:
        return record
    record = dataclasses.replace(record, created_at=before.created_at)
    same = dataclasses.replace(record, updated_at=before.updated_at)
    return same if same == before else record
