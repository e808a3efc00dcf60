"""Accounts and keys are kept; what one account reads is its own."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from longline.base.ids import DEFAULT_ACCOUNT_ID, new_id
from longline.store.account_store import AccountStore
from longline.store.durable import Durable
from longline.store.pages import PageRequest
from longline.store.records import (
    AccountRecord,
    ApiKeyRecord,
    CallFilter,
    CallRecord,
    EventFilter,
    EventRecord,
    IpAclRecord,
    LegRecord,
    RecordingRecord,
    SipTrunkFilter,
    SipTrunkRecord,
    StreamRecord,
)

AT = datetime(2026, 1, 2, tzinfo=UTC)
PAGE = PageRequest()


def a_key(**changes: Any) -> ApiKeyRecord:
    key = ApiKeyRecord(
        id=new_id(), account_id=DEFAULT_ACCOUNT_ID, name="k", prefix="ll_12345678", hash="h" * 64, scopes=["read"],
        created_at=AT, expires_at=AT + timedelta(days=1), requests_per_s=2.5,
    )  # fmt: skip
    return replace(key, **changes)


async def test_there_is_one_account_from_the_start(durable: Durable) -> None:
    (first,) = await durable.accounts.all_accounts()
    assert (first.id, first.name, first.is_active) == (DEFAULT_ACCOUNT_ID, "default", True)
    assert first.created_at.tzinfo is UTC


async def test_a_key_is_found_by_its_hash_together_with_its_account(durable: Durable) -> None:
    assert not await durable.accounts.has_keys()
    account = AccountRecord(id=new_id(), name="Acme", created_at=AT, requests_per_s=5.0)
    await durable.accounts.save_account(account)
    key, other = a_key(account_id=account.id), a_key(hash="i" * 64, created_at=AT + timedelta(1))
    await durable.accounts.save_key(key, other)
    assert await durable.accounts.has_keys()
    assert await durable.accounts.find_key(key.hash) == (key, account)
    assert await durable.accounts.find_key("x") is None
    assert await durable.accounts.all_keys() == [key, other]
    assert await durable.accounts.all_keys(account.id) == [key]
    await durable.accounts.key_was_used(key.id, AT)
    assert await durable.accounts.last_uses() == {key.id: AT}


def test_a_hash_does_not_show_in_a_repr() -> None:
    assert "hhhh" not in repr(a_key())


Read = Callable[[AccountStore], Awaitable[Any]]


async def test_what_another_account_has_is_not_found(durable: Durable) -> None:
    mine, other = new_id(), new_id()
    call = CallRecord(id=new_id(), account_id=mine, direction="inbound", created_at=AT)
    call.legs.append(LegRecord(id=new_id(), call_session_id=call.id, direction="inbound", created_at=AT))
    await durable.save_call(call)
    stream = StreamRecord(id=new_id(), account_id=mine, call_id=call.id, ws_url="ws://a", created_at=AT)
    await durable.save_stream(stream)
    event = EventRecord(type="call.answered", account_id=mine, call_id=call.id, at=AT)
    await durable.save_event(event)
    recording = RecordingRecord(id=new_id(), account_id=mine, call_id=call.id, path="/x", created_at=AT)
    await durable.save_recording(recording)
    trunk = SipTrunkRecord(
        id=new_id(), account_id=mine, name="t", domain_name="d", authentication_type="IP", created_at=AT, updated_at=AT
    )
    await durable.trunks.save_trunk(trunk)
    acl = IpAclRecord(id=new_id(), account_id=mine, name="a", addresses=[], created_at=AT, updated_at=AT)
    await durable.trunks.save_acl(acl)
    reads: dict[str, Read] = {
        "get_call": lambda store: store.get_call(call.id),
        "get_event": lambda store: store.get_event(event.id),
        "get_recording": lambda store: store.get_recording(recording.id),
        "list_calls": lambda store: store.list_calls(CallFilter(), PAGE),
        "list_legs": lambda store: store.list_legs(call.id, PAGE),
        "list_streams": lambda store: store.list_streams(call.id, PAGE),
        "list_events": lambda store: store.list_events(EventFilter(), PAGE),
        "list_trunks": lambda store: store.list_trunks(SipTrunkFilter(), PAGE),
        "list_acls": lambda store: store.list_acls(None, PAGE),
    }
    for name, read in reads.items():
        found = await read(durable.of(mine))
        assert found is not None and getattr(found, "items", True), name
        hidden = await read(durable.of(other))
        assert hidden is None or not hidden.items, name


@pytest.mark.parametrize("state", ["completed", "recording"])
async def test_the_node_itself_finds_every_accounts_recordings(durable: Durable, state: Any) -> None:
    for account_id in (new_id(), new_id()):
        made = RecordingRecord(id=new_id(), account_id=account_id, call_id=new_id(), path="/x", created_at=AT)
        made.state = state
        await durable.save_recording(made)
    assert len(await durable.unfinished_recordings()) == (2 if state == "recording" else 0)
