"""What one account may see of the durable store: every read names the account, so another's record is not found.

The routes have this and not `Durable`, by `api.deps.StoreOf`. A table that an account may read gets its method here.
Leaves out writing: what a call, a trunk or a key is when it is written says whose it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from longline.store.pages import Page, PageRequest
from longline.store.records import (
    CallFilter,
    CallRecord,
    EventFilter,
    EventRecord,
    IpAclRecord,
    LegRecord,
    NumberFilter,
    NumberRecord,
    RecordingRecord,
    SecretRecord,
    SipTrunkFilter,
    SipTrunkRecord,
    StreamRecord,
    VoiceAppRecord,
)

if TYPE_CHECKING:
    from longline.store.durable import Durable


class AccountStore:
    """Make it by `Durable.of`. What is not this account's is None, or missing from the page."""

    def __init__(self, durable: Durable, account_id: UUID) -> None:
        self._durable = durable
        self.account_id = account_id

    async def get_call(self, call_id: UUID) -> CallRecord | None:
        return await self._durable.get_call(call_id, self.account_id)

    async def list_calls(self, filters: CallFilter, page: PageRequest) -> Page[CallRecord]:
        return await self._durable.list_calls(filters, page, self.account_id)

    async def list_legs(self, call_id: UUID, page: PageRequest) -> Page[LegRecord]:
        return await self._durable.list_legs(call_id, page, self.account_id)

    async def list_streams(self, call_id: UUID, page: PageRequest) -> Page[StreamRecord]:
        return await self._durable.list_streams(call_id, page, self.account_id)

    async def get_event(self, event_id: UUID) -> EventRecord | None:
        return await self._durable.get_event(event_id, self.account_id)

    async def list_events(
        self, filters: EventFilter, page: PageRequest, *, newest_first: bool = True
    ) -> Page[EventRecord]:
        return await self._durable.list_events(filters, page, self.account_id, newest_first=newest_first)

    async def events_behind(self, call_id: UUID, after: UUID | None, limit: int) -> list[EventRecord]:
        return await self._durable.events_behind(call_id, after, limit, self.account_id)

    async def get_recording(self, recording_id: UUID) -> RecordingRecord | None:
        return await self._durable.get_recording(recording_id, self.account_id)

    async def list_trunks(self, filters: SipTrunkFilter, page: PageRequest) -> Page[SipTrunkRecord]:
        return await self._durable.trunks.list_trunks(filters, page, self.account_id)

    async def list_acls(self, search: str | None, page: PageRequest) -> Page[IpAclRecord]:
        return await self._durable.trunks.list_acls(search, page, self.account_id)

    async def list_apps(self, search: str | None, is_active: bool | None, page: PageRequest) -> Page[VoiceAppRecord]:
        return await self._durable.apps.list_apps(search, is_active, page, self.account_id)

    async def list_numbers(self, filters: NumberFilter, page: PageRequest) -> Page[NumberRecord]:
        return await self._durable.apps.list_numbers(filters, page, self.account_id)

    async def matching_numbers(self, filters: NumberFilter) -> list[UUID]:
        return await self._durable.apps.matching_numbers(filters, self.account_id)

    async def list_secrets(self, search: str | None, page: PageRequest) -> Page[SecretRecord]:
        return await self._durable.apps.list_secrets(search, page, self.account_id)
