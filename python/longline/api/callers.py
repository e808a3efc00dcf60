"""Who makes a request: the account that its API key belongs to, and what that key may do.

A key that was found valid is remembered for a moment, so a busy client costs no query for each request; a revoked one
is refused after that moment at the latest. A key in the configuration is the default account's and may do everything.
"""

import hashlib
import hmac
import secrets
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from longline.api.scopes import ALL_SCOPES, Scope
from longline.base.clock import Clock
from longline.base.ids import DEFAULT_ACCOUNT_ID
from longline.store.account_directory import AccountDirectory

API_KEY_MAX_CHARS: Final = 255
REMEMBERED_S: Final = 1.0
"""How long a valid key is remembered: so long a key that was revoked may still work."""
REMEMBERED_MAX: Final = 4096
"""Keys that are remembered; beyond it the one that was found first is forgotten, and looked up again."""
USE_NOTED_EVERY_S: Final = 60.0
"""How exactly it is known when a key was last used."""
PREFIX_CHARS: Final = 11
"""So much of a key is shown in lists: `ll_` and 8 of its 43 random characters."""


@dataclass(frozen=True, slots=True)
class Caller:
    """`key_id` None: the key of the configuration."""

    account_id: UUID
    scopes: frozenset[Scope]
    key_id: UUID | None = None
    key_requests_per_s: float | None = None
    account_requests_per_s: float | None = None
    """What this key and this account may send; None: as the node is set."""


def new_key() -> str:
    """256 random bits."""
    return f"ll_{secrets.token_urlsafe(32)}"


def hash_key(key: str) -> str:
    """What is kept of a key: it is random enough that a plain hash cannot be reversed."""
    return hashlib.sha256(key.encode()).hexdigest()


class Callers:
    """Knows whose a key is."""

    def __init__(self, directory: AccountDirectory, clock: Clock, configured: str | None = None) -> None:
        self._directory = directory
        self._clock = clock
        self._configured = None if configured is None else configured.encode()
        self._remembered: OrderedDict[str, tuple[Caller, float]] = OrderedDict()
        self._noted: OrderedDict[UUID, float] = OrderedDict()

    async def of_key(self, key: str) -> Caller | None:
        """Who has this key; None when nobody has, or no longer."""
        if not key or len(key) > API_KEY_MAX_CHARS:
            return None
        if self._configured is not None and hmac.compare_digest(key.encode(), self._configured):
            return Caller(DEFAULT_ACCOUNT_ID, ALL_SCOPES)
        key_hash = hash_key(key)
        remembered = self._remembered.get(key_hash)
        if remembered is not None and self._clock.monotonic() < remembered[1]:
            return remembered[0]
        return await self._look_up(key_hash)

    async def _look_up(self, key_hash: str) -> Caller | None:
        self._remembered.pop(key_hash, None)
        found = await self._directory.find_key(key_hash)
        now = self._clock.now()
        if found is None or not found[0].is_valid(now) or not found[1].is_active:
            return None
        key, account = found
        scopes = frozenset(scope for scope in Scope if scope in key.scopes)
        caller = Caller(key.account_id, scopes, key.id, key.requests_per_s, account.requests_per_s)
        left_s = REMEMBERED_S if key.expires_at is None else (key.expires_at - now).total_seconds()
        self._remembered[key_hash] = caller, self._clock.monotonic() + min(REMEMBERED_S, left_s)
        if len(self._remembered) > REMEMBERED_MAX:
            self._remembered.popitem(last=False)
        await self._note_use(key.id)
        return caller

    async def _note_use(self, key_id: UUID) -> None:
        at = self._clock.monotonic()
        if at - self._noted.get(key_id, -USE_NOTED_EVERY_S) < USE_NOTED_EVERY_S:
            return
        self._noted[key_id] = at
        self._noted.move_to_end(key_id)
        if len(self._noted) > REMEMBERED_MAX:
            self._noted.popitem(last=False)
        await self._directory.key_was_used(key_id, self._clock.now())
