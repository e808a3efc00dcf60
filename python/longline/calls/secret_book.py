"""The secrets that sign webhooks: made, renamed, rotated, deleted, and what they are at a moment.

After a rotation the value before signs beside the new one for a while, so that a receiver may change over at his
leisure: whoever knows either verifies. Secrets of the configuration are known by their id and never shown. Leaves out
how a webhook is signed (`webhooks/signature.py`).
"""

from __future__ import annotations

import asyncio
import base64
import dataclasses
import secrets as random
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Final, Protocol
from uuid import UUID

from longline.base.clock import Clock
from longline.base.errors import LimitReached, NameTaken, SecretInUse, SecretNotFound
from longline.base.ids import new_id
from longline.store.records import SecretRecord

MAX_SECRETS: Final = 1000
"""Secrets of one account; one more is refused with LimitReached."""
ROTATION_OVERLAP: Final = timedelta(hours=24)
"""How long the value before a rotation still signs."""
ROTATE_AFTER: Final = timedelta(days=365)
"""Age of a value at which `needs_rotation` says so. Nothing else comes of it."""


class SecretKeeper(Protocol):
    """Where secrets are kept."""

    async def save_secret(self, secret: SecretRecord) -> None: ...
    async def delete_secret(self, secret_id: UUID) -> None: ...
    async def all_secrets(self) -> list[SecretRecord]: ...


class SecretBook:
    """`load` first. `is_used` says whether an app or a trunk signs with a secret."""

    def __init__(self, store: SecretKeeper, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._lock = asyncio.Lock()
        self._records: dict[UUID, SecretRecord] = {}
        self._configured: Mapping[UUID, str] = {}
        self.is_used: Callable[[UUID], bool] = lambda secret_id: False

    async def load(self) -> None:
        async with self._lock:
            self._records = {record.id: record for record in await self._store.all_secrets()}

    def configure(self, configured: Mapping[UUID, str]) -> None:
        """These are the secrets of the configuration from now on."""
        self._configured = dict(configured)

    async def create(self, account_id: UUID, name: str) -> SecretRecord:
        """Raise NameTaken, LimitReached."""
        async with self._lock:
            if sum(record.account_id == account_id for record in self._records.values()) >= MAX_SECRETS:
                raise LimitReached(f"There are {MAX_SECRETS} secrets, which is the limit.")
            self._check_name(account_id, name, None)
            at = self._clock.now()
            return await self._keep(
                SecretRecord(id=new_id(), account_id=account_id, name=name, value=_new_value(), created_at=at)
            )

    async def change(self, account_id: UUID, secret_id: UUID, name: str | None, rotate: bool) -> SecretRecord:
        """Raise SecretNotFound, NameTaken."""
        async with self._lock:
            record = self.get(account_id, secret_id)
            if name is not None:
                self._check_name(account_id, name, secret_id)
                record = dataclasses.replace(record, name=name)
            if rotate:
                record = dataclasses.replace(
                    record, value=_new_value(), previous_value=record.value, rotated_at=self._clock.now()
                )
            return await self._keep(record)

    async def delete(self, account_id: UUID, secret_id: UUID) -> SecretRecord:
        """Raise SecretNotFound, SecretInUse: webhooks that were signed are not left unsigned."""
        async with self._lock:
            record = self.get(account_id, secret_id)
            if self.is_used(secret_id):
                raise SecretInUse
            await self._store.delete_secret(secret_id)
            del self._records[secret_id]
            return record

    def get(self, account_id: UUID, secret_id: UUID) -> SecretRecord:
        """Raise SecretNotFound."""
        record = self._records.get(secret_id)
        if record is None or record.account_id != account_id:
            raise SecretNotFound
        return record

    def name(self, secret_id: UUID | None) -> str | None:
        record = None if secret_id is None else self._records.get(secret_id)
        return None if record is None else record.name

    def values(self, secret_id: UUID) -> tuple[str, ...]:
        """What signs now: the value, and the one before it while the rotation is fresh. Nothing: there is no such
        secret any more."""
        configured = self._configured.get(secret_id)
        if configured is not None:
            return (configured,)
        record = self._records.get(secret_id)
        if record is None:
            return ()
        if record.previous_value is None or record.rotated_at is None:
            return (record.value,)
        is_fresh = self._clock.now() - record.rotated_at < ROTATION_OVERLAP
        return (record.value, record.previous_value) if is_fresh else (record.value,)

    def value(self, secret_id: UUID | None) -> str | None:
        """The first of `values`."""
        return None if secret_id is None else next(iter(self.values(secret_id)), None)

    def needs_rotation(self, record: SecretRecord) -> bool:
        return self._clock.now() - (record.rotated_at or record.created_at) >= ROTATE_AFTER

    def _check_name(self, account_id: UUID, name: str, own_id: UUID | None) -> None:
        for record in self._records.values():
            if record.name == name and record.account_id == account_id and record.id != own_id:
                raise NameTaken(f"There is a secret with the name {name!r} already.")

    async def _keep(self, record: SecretRecord) -> SecretRecord:
        await self._store.save_secret(record)
        self._records[record.id] = record
        return record


def _new_value() -> str:
    """As Standard Webhooks writes one: whsec_ and 32 random bytes in base64."""
    return f"whsec_{base64.b64encode(random.token_bytes(32)).decode()}"
