"""Pages tile a listing: every row once, in order, forwards and backwards, whatever is added in between."""

import base64
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longline.base.errors import BadRequest, InvalidCursor
from longline.base.ids import new_id
from longline.store.durable import Durable
from longline.store.pages import PageRequest, decode_cursor, encode_cursor
from longline.store.records import CallFilter, CallRecord, LegRecord

START = datetime(2026, 6, 1, tzinfo=UTC)


async def add_calls(durable: Durable, count: int, *, every: int = 1) -> list[UUID]:
    """Calls, newest first; `every` of them share one instant."""
    calls = [
        CallRecord(id=new_id(), direction="inbound", created_at=START + timedelta(seconds=number // every))
        for number in range(count)
    ]
    for call in calls:
        await durable.save_call(call)
    return [call.id for call in reversed(calls)]


@pytest.mark.parametrize(("count", "limit", "every"), [(0, 3, 1), (3, 3, 1), (7, 3, 1), (10, 4, 5), (9, 100, 9)])
async def test_walking_forwards_meets_every_row_once_newest_first(
    durable: Durable, count: int, limit: int, every: int
) -> None:
    expected = await add_calls(durable, count, every=every)
    seen: list[UUID] = []
    request = PageRequest(limit=limit)
    while True:
        page = await durable.list_calls(None, request)
        seen += [call.id for call in page.items]
        assert page.has_more == (page.next_cursor is not None)
        if page.next_cursor is None:
            break
        assert len(page.items) == limit
        request = PageRequest(limit=limit, after=page.next_cursor)
    assert seen == expected


async def test_walking_back_meets_the_same_pages(durable: Durable) -> None:
    expected = await add_calls(durable, 9, every=2)
    first = await durable.list_calls(None, PageRequest(limit=3))
    second = await durable.list_calls(None, PageRequest(limit=3, after=first.next_cursor))
    third = await durable.list_calls(None, PageRequest(limit=3, after=second.next_cursor))
    assert first.previous_cursor is None
    back = await durable.list_calls(None, PageRequest(limit=3, before=third.previous_cursor))
    assert [call.id for call in back.items] == expected[3:6]
    assert back.next_cursor is not None
    start = await durable.list_calls(None, PageRequest(limit=3, before=back.previous_cursor))
    assert [call.id for call in start.items] == expected[:3]
    assert start.previous_cursor is None


async def test_rows_added_meanwhile_do_not_move_later_pages(durable: Durable) -> None:
    expected = await add_calls(durable, 4)
    first = await durable.list_calls(None, PageRequest(limit=2))
    newer = CallRecord(id=new_id(), direction="inbound", created_at=START + timedelta(days=1))
    await durable.save_call(newer)
    second = await durable.list_calls(None, PageRequest(limit=2, after=first.next_cursor))
    assert [call.id for call in second.items] == expected[2:]
    before = await durable.list_calls(None, PageRequest(limit=2, before=second.previous_cursor))
    assert [call.id for call in before.items] == expected[:2]


async def test_filters_restrict_every_page(durable: Durable) -> None:
    calls = [
        CallRecord(
            id=new_id(),
            direction="inbound",
            created_at=START + timedelta(seconds=number),
            state="answered" if number % 2 else "failed",
            from_number=f"+1415555010{number % 3}",
            to_number="+14155550199",
        )
        for number in range(9)
    ]
    for call in calls:
        await durable.save_call(call)

    async def numbers(**filters: object) -> list[int]:
        page = await durable.list_calls(CallFilter(**filters))  # type: ignore[arg-type]
        return [calls.index(call) for call in page.items]

    assert await numbers(state="answered") == [7, 5, 3, 1]
    assert await numbers(from_number="+14155550101") == [7, 4, 1]
    assert await numbers(to_number="+14155550100") == []
    assert await numbers(created_after=START + timedelta(seconds=6)) == [8, 7]
    assert await numbers(created_before=START + timedelta(seconds=2)) == [1, 0]
    assert await numbers(state="answered", from_number="+14155550101") == [7, 1]


async def test_legs_come_in_the_order_of_their_creation_page_by_page(durable: Durable) -> None:
    call = CallRecord(id=new_id(), direction="inbound", created_at=START)
    call.legs = [
        LegRecord(
            id=new_id(), call_session_id=call.id, direction="inbound", created_at=START + timedelta(seconds=number)
        )
        for number in range(5)
    ]
    await durable.save_call(call)
    first = await durable.list_legs(call.id, PageRequest(limit=3))
    rest = await durable.list_legs(call.id, PageRequest(limit=3, after=first.next_cursor))
    assert first.items + rest.items == call.legs
    assert not rest.has_more


@given(st.datetimes(min_value=datetime(1, 1, 2), max_value=datetime(9999, 12, 30)), st.uuids())
def test_a_cursor_reads_back(at: datetime, row_id: UUID) -> None:
    at = at.replace(tzinfo=UTC)
    assert decode_cursor(encode_cursor(at, row_id)) == (at, row_id)


@given(st.text(max_size=60) | st.binary(max_size=40).map(lambda raw: base64.urlsafe_b64encode(raw).decode()))
def test_no_text_but_a_cursor_is_read_as_one(text: str) -> None:
    try:
        at, row_id = decode_cursor(text)
    except InvalidCursor:
        return
    assert encode_cursor(at, row_id) == text


def test_a_page_after_and_before_is_refused() -> None:
    with pytest.raises(BadRequest):
        PageRequest(after="a", before="b")
