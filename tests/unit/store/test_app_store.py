"""Voice apps, numbers and secrets are kept, found, listed by account and deleted."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from longline.base.ids import DEFAULT_ACCOUNT_ID, new_id
from longline.store.committer import CommitFailed
from longline.store.durable import Durable
from longline.store.pages import PageRequest
from longline.store.records import NumberFilter, NumberRecord, SecretRecord, VoiceAppRecord

AT = datetime(2026, 1, 2, tzinfo=UTC)
ALL = PageRequest()


def an_app(minute: int = 0, **changes: Any) -> VoiceAppRecord:
    at = AT + timedelta(minutes=minute)
    return VoiceAppRecord(**{"id": new_id(), "name": f"app {minute}", "created_at": at, "updated_at": at} | changes)


def a_number(minute: int = 0, **changes: Any) -> NumberRecord:
    at = AT + timedelta(minutes=minute)
    values = {"id": new_id(), "number": f"+1555010{minute:04}", "name": f"line {minute}"}
    return NumberRecord(**{"created_at": at, "updated_at": at} | values | changes)


async def test_what_is_saved_comes_back_as_it_was(durable: Durable) -> None:
    app = an_app(
        flow_url="https://a/f", webhook_url="https://a/w", fallback_url="https://a/b", channel_limit=3,
        secret_id=new_id(), webhook_version="2026-06-01", account_id=new_id(),
    )  # fmt: skip
    place: dict[str, str | None] = {"name": "here", "region_code": None, "country_code": "US", "country_name": None}
    number = a_number(voice_app_id=app.id, sip_trunk_id=new_id(), location_id=new_id(), location=place, is_fixed=True)
    secret = SecretRecord(
        id=new_id(), name="one", value="whsec_b", previous_value="whsec_a", rotated_at=AT, created_at=AT
    )
    await durable.apps.save([app], [number])
    await durable.apps.save_secret(secret)
    assert await durable.apps.all_apps() == [app]
    assert await durable.apps.all_numbers() == [number]
    assert await durable.apps.all_secrets() == [secret]
    await durable.apps.delete_app(app.id, [a_number(id=number.id, number=number.number)])
    await durable.apps.delete_secret(secret.id)
    assert await durable.apps.all_apps() == await durable.apps.all_secrets() == []
    assert [found.voice_app_id for found in await durable.apps.all_numbers()] == [None]
    await durable.apps.delete_number(number.id)
    assert await durable.apps.all_numbers() == []


async def test_a_number_is_there_once_and_of_a_change_that_fails_nothing_is_kept(durable: Durable) -> None:
    await durable.apps.save([], [a_number(1)])
    with pytest.raises(CommitFailed):
        await durable.apps.save([an_app()], [a_number(1, name="the same number once more")])
    assert await durable.apps.all_apps() == []


async def test_a_list_is_an_accounts_own_newest_first_page_by_page(durable: Durable) -> None:
    mine = [an_app(minute) for minute in range(5)]
    await durable.apps.save([*mine, *(an_app(minute, account_id=new_id()) for minute in range(5))])
    store, seen, page = durable.of(DEFAULT_ACCOUNT_ID), [], PageRequest(limit=2)
    while True:
        found = await store.list_apps(None, None, page)
        seen += [app.name for app in found.items]
        if found.next_cursor is None:
            break
        page = PageRequest(limit=2, after=found.next_cursor)
    assert seen == ["app 4", "app 3", "app 2", "app 1", "app 0"]
    assert [app.name for app in (await store.list_apps("P 3", True, ALL)).items] == ["app 3"]
    assert (await store.list_apps(None, False, ALL)).items == []


async def test_numbers_are_found_by_every_filter_and_by_all_at_once(durable: Durable) -> None:
    app_id, trunk_id, place_id = new_id(), new_id(), new_id()
    numbers = [
        a_number(0, voice_app_id=app_id, location_id=place_id),
        a_number(1, sip_trunk_id=trunk_id, location_id=place_id),
        a_number(2, name="100% hot"),
        a_number(3, voice_app_id=app_id, account_id=new_id()),
    ]
    await durable.apps.save([], numbers)
    store = durable.of(DEFAULT_ACCOUNT_ID)

    async def found(**filters: Any) -> list[int]:
        listed = (await store.list_numbers(NumberFilter(**filters), ALL)).items
        assert {each.id for each in listed} == set(await store.matching_numbers(NumberFilter(**filters)))
        return [numbers.index(each) for each in listed]

    assert await found() == [2, 1, 0]
    assert await found(voice_app_ids=(app_id, new_id())) == [0]
    assert await found(sip_trunk_ids=(trunk_id,)) == [1]
    assert await found(location_ids=(place_id,)) == [1, 0]
    assert await found(location_ids=(place_id,), voice_app_ids=(app_id,)) == [0]
    assert await found(search="0100001") == [1]
    assert await found(search="%") == [2]  # a sign like any other
