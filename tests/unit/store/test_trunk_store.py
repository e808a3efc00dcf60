"""Trunks and access lists are kept, found, listed and deleted."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from longline.base.events import Event
from longline.base.ids import new_id
from longline.store.durable import Durable
from longline.store.pages import PageRequest
from longline.store.records import CallFilter, CallRecord, EventRecord, IpAclRecord, SipTrunkFilter, SipTrunkRecord

AT = datetime(2026, 1, 2, tzinfo=UTC)


def a_trunk(minute: int = 0, **changes: Any) -> SipTrunkRecord:
    values: dict[str, Any] = {"name": f"trunk {minute}", "domain_name": "sip.example", "authentication_type": "IP"}
    at = AT + timedelta(minutes=minute)
    return SipTrunkRecord(**{"id": new_id(), "created_at": at, "updated_at": at} | values | changes)


def an_acl(minute: int = 0, **changes: Any) -> IpAclRecord:
    at = AT + timedelta(minutes=minute)
    addresses: list[dict[str, str | None]] = [{"address": "192.0.2.0/28", "description": None}]
    values: dict[str, Any] = {"name": f"list {minute}", "addresses": addresses}
    return IpAclRecord(**{"id": new_id(), "created_at": at, "updated_at": at} | values | changes)


async def test_a_trunk_comes_back_as_it_was_saved(durable: Durable) -> None:
    trunk = a_trunk(
        authentication_type="credential", auth_username="alice", auth_password="s3cret", channel_limit=7, cps_limit=2,
        auth_addresses=[{"name": "a", "address": "192.0.2.1"}], ip_acl_id=new_id(), webhook_url="https://a/",
        inbound_route={"name": "r", "sip_url": "sip:pbx.example", "sip_user": None}, transport="tls", recording=True,
    )  # fmt: skip
    await durable.trunks.save_trunk(trunk)
    assert await durable.trunks.get_trunk(trunk.id) == trunk
    trunk.is_active, trunk.inbound_route = False, None
    await durable.trunks.save_trunk(trunk)
    assert await durable.trunks.all_trunks() == [trunk]
    await durable.trunks.delete_trunk(trunk.id)
    assert await durable.trunks.get_trunk(trunk.id) is None


def test_a_password_does_not_show_in_a_repr() -> None:
    assert "s3cret" not in repr(a_trunk(auth_password="s3cret"))


async def test_trunks_are_listed_newest_first_and_filtered(durable: Durable) -> None:
    made = [a_trunk(minute, is_active=minute != 1) for minute in range(3)]
    made.append(a_trunk(3, name="100%_sure", domain_name="other.example"))
    for trunk in made:
        await durable.trunks.save_trunk(trunk)

    async def listed(**filters: Any) -> list[str]:
        found = await durable.trunks.list_trunks(SipTrunkFilter(**filters), PageRequest())
        return [trunk.name for trunk in found.items]

    assert await listed() == ["100%_sure", "trunk 2", "trunk 1", "trunk 0"]
    assert await listed(search="TRUNK") == ["trunk 2", "trunk 1", "trunk 0"]
    assert await listed(search="other.ex") == await listed(search="%_") == ["100%_sure"]
    assert await listed(is_active=False) == ["trunk 1"]
    first = await durable.trunks.list_trunks(SipTrunkFilter(), PageRequest(limit=3))
    rest = await durable.trunks.list_trunks(SipTrunkFilter(), PageRequest(limit=3, after=first.next_cursor))
    assert [trunk.name for trunk in rest.items] == ["trunk 0"]


async def test_an_access_list_knows_to_how_many_trunks_it_is_attached(durable: Durable) -> None:
    used, unused = an_acl(0), an_acl(1)
    for acl in (used, unused):
        await durable.trunks.save_acl(acl)
    for minute in range(2):
        await durable.trunks.save_trunk(a_trunk(minute, ip_acl_id=used.id))
    assert await durable.trunks.trunk_counts() == {used.id: 2}
    assert await durable.trunks.all_acls() == [used, unused]
    found = await durable.trunks.list_acls("LIST 1", PageRequest())
    assert [acl.id for acl in found.items] == [unused.id]
    await durable.trunks.delete_acl(unused.id)
    assert await durable.trunks.get_acl(unused.id) is None
    assert await durable.trunks.get_acl(used.id) == used


async def test_calls_are_found_by_their_trunk(durable: Durable) -> None:
    trunk_id = new_id()
    for number in range(3):
        call = CallRecord(id=new_id(), direction="inbound", created_at=AT + timedelta(minutes=number))
        call.sip_trunk_id = trunk_id if number else None
        call.webhook_version = "2026-06-01"
        await durable.save_call(call)
    found = await durable.list_calls(CallFilter(sip_trunk_id=trunk_id))
    assert [(call.sip_trunk_id, call.webhook_version) for call in found.items] == [(trunk_id, "2026-06-01")] * 2


async def test_an_event_may_be_of_a_trunk_and_of_no_call(durable: Durable, tmp_path: Path) -> None:
    trunk_id = new_id()
    event = Event(type="trunk.registered", at=AT, sip_trunk_id=trunk_id)
    await durable.save_event(EventRecord(type=event.type, at=AT, sip_trunk_id=trunk_id, id=event.id))
    found = await durable.get_event(event.id)
    assert found is not None and (found.call_id, found.sip_trunk_id) == (None, trunk_id)
