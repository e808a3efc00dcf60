"""Making, rotating and revoking API keys, and the accounts that have them.

A key is shown when it is made and never again. Rotation makes a second key that may do the same, and lets the first
live on for an overlap, so that a client can be given the new one while it works. Leaves out who may do this: whoever
can read the database (`longline keys`, `longline accounts`).
"""

import dataclasses
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from longline.api.callers import PREFIX_CHARS, hash_key, new_key
from longline.api.scopes import Scope
from longline.base.clock import Clock
from longline.base.errors import LonglineError
from longline.base.ids import MalformedId, Prefix, decode_id, new_id
from longline.store.account_directory import AccountDirectory
from longline.store.records import AccountRecord, ApiKeyRecord

NAME_MAX_CHARS: Final = 64
ACCOUNTS_MAX: Final = 10_000
KEYS_PER_ACCOUNT_MAX: Final = 1_000
"""Keys that are kept of one account, those too that are good no longer. One more is refused."""


class KeyAdminError(LonglineError):
    """It cannot be done; the message says why."""


class KeyAdmin:
    def __init__(self, directory: AccountDirectory, clock: Clock) -> None:
        self._directory = directory
        self._clock = clock

    # accounts

    async def create_account(self, name: str, requests_per_s: float | None = None) -> AccountRecord:
        """Raise KeyAdminError when the name is taken."""
        accounts = await self._directory.all_accounts()
        _check_name(name)
        if any(account.name == name for account in accounts):
            raise KeyAdminError(f"there is an account with the name {name!r} already")
        if len(accounts) >= ACCOUNTS_MAX:
            raise KeyAdminError(f"there are {ACCOUNTS_MAX} accounts, which is the limit")
        account = AccountRecord(id=new_id(), name=name, created_at=self._clock.now(), requests_per_s=requests_per_s)
        await self._directory.save_account(account)
        return account

    async def account(self, named: str) -> AccountRecord:
        """By its name or id. Raise KeyAdminError."""
        wanted = _id_of(named, Prefix.ACCOUNT)
        for account in await self._directory.all_accounts():
            if account.name == named or account.id == wanted:
                return account
        raise KeyAdminError(f"there is no account {named!r}; `longline accounts list` shows them")

    async def set_active(self, named: str, is_active: bool) -> AccountRecord:
        """An inactive account has no key that is good. Its live calls go on."""
        account = dataclasses.replace(await self.account(named), is_active=is_active)
        await self._directory.save_account(account)
        return account

    # keys

    async def create(
        self,
        account: AccountRecord,
        name: str,
        scopes: Iterable[Scope],
        lives_for: timedelta | None = None,
        requests_per_s: float | None = None,
    ) -> tuple[ApiKeyRecord, str]:
        """The record, and the key itself. `lives_for` None: until it is revoked. Raise KeyAdminError."""
        _check_name(name)
        if not (wanted := sorted({str(scope) for scope in scopes})):
            raise KeyAdminError("a key needs a scope: read, calls or admin")
        if len(await self._directory.all_keys(account.id)) >= KEYS_PER_ACCOUNT_MAX:
            raise KeyAdminError(f"the account has {KEYS_PER_ACCOUNT_MAX} keys, which is the limit")
        now = self._clock.now()
        record, key = _made(account.id, name, wanted, now, lives_for, requests_per_s)
        await self._directory.save_key(record)
        return record, key

    async def find(self, named: str) -> ApiKeyRecord:
        """By its id, or by the first characters that lists show. Raise KeyAdminError when none or several fit."""
        wanted = _id_of(named, Prefix.API_KEY)
        keys = await self._directory.all_keys()
        found = [key for key in keys if key.id == wanted or (key.prefix and key.prefix == named[:PREFIX_CHARS])]
        if len(found) > 1:
            raise KeyAdminError(f"several keys begin with {named!r}: give the id")
        if not found:
            raise KeyAdminError(f"there is no key {named!r}; `longline keys list` shows them")
        return found[0]

    async def rotate(
        self, old: ApiKeyRecord, overlap: timedelta, lives_for: timedelta | None = None
    ) -> tuple[ApiKeyRecord, ApiKeyRecord, str]:
        """The old key with its new end, the new one, and the new key itself. Both are stored together or not at all.
        Raise KeyAdminError when the old one is good no longer."""
        now = self._clock.now()
        if not old.is_valid(now):
            raise KeyAdminError("the key is good no longer: make a new one with `longline keys create`")
        until = now + overlap
        ending = dataclasses.replace(old, expires_at=until if old.expires_at is None else min(until, old.expires_at))
        new, key = _made(old.account_id, old.name, old.scopes, now, lives_for, old.requests_per_s)
        await self._directory.save_key(ending, new)
        return ending, new, key

    async def revoke(self, key: ApiKeyRecord) -> ApiKeyRecord:
        """It is refused from now on; by a node that has just seen it, after `callers.REMEMBERED_S`."""
        revoked = dataclasses.replace(key, revoked_at=key.revoked_at or self._clock.now())
        await self._directory.save_key(revoked)
        return revoked


def _made(
    account_id: UUID,
    name: str,
    scopes: list[str],
    at: datetime,
    lives_for: timedelta | None,
    requests_per_s: float | None,
) -> tuple[ApiKeyRecord, str]:
    key = new_key()
    record = ApiKeyRecord(
        id=new_id(),
        account_id=account_id,
        name=name,
        prefix=key[:PREFIX_CHARS],
        hash=hash_key(key),
        scopes=list(scopes),
        created_at=at,
        expires_at=None if lives_for is None else at + lives_for,
        requests_per_s=requests_per_s,
    )
    return record, key


def _check_name(name: str) -> None:
    if not 1 <= len(name) <= NAME_MAX_CHARS or not name.isprintable():
        raise KeyAdminError(f"a name has 1 to {NAME_MAX_CHARS} printable characters")


def _id_of(text: str, prefix: Prefix) -> UUID | None:
    try:
        return decode_id(text, prefix)
    except MalformedId:
        return None
