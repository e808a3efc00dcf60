"""Pages of a listing: keyset pagination with opaque cursors.

A cursor names one row by its place in the order (time, id). A page asked for after it holds older rows, before it newer
ones; rows that are added in between move nothing. Leaves out: expiry, since a place in time does not go stale.
"""

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Generic, TypeVar
from uuid import UUID

from sqlalchemy import Column, Select, Table, bindparam, tuple_

from longline.base.errors import BadRequest, InvalidCursor

PAGE_LIMIT_DEFAULT: Final = 50
PAGE_LIMIT_MAX: Final = 100
_CURSOR_BYTES: Final = 24  # 8 of microseconds since 1970, 16 of the id
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class PageRequest:
    """Which page: `after` and `before` are cursors of an earlier page, at most one of them."""

    limit: int = PAGE_LIMIT_DEFAULT
    after: str | None = None
    before: str | None = None

    def __post_init__(self) -> None:
        if self.after is not None and self.before is not None:
            raise BadRequest("Give cursor_after or cursor_before, not both.")


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Rows, and the cursors of the pages beside it; None where there is nothing more."""

    items: list[T] = field(default_factory=list)
    next_cursor: str | None = None
    previous_cursor: str | None = None

    @property
    def has_more(self) -> bool:
        return self.next_cursor is not None


def encode_cursor(at: datetime, row_id: UUID) -> str:
    micros = (at - _EPOCH) // timedelta(microseconds=1)
    return base64.urlsafe_b64encode(micros.to_bytes(8, "big", signed=True) + row_id.bytes).decode()


def decode_cursor(text: str) -> tuple[datetime, UUID]:
    """Raises InvalidCursor."""
    try:
        raw = base64.b64decode(text.encode("ascii"), altchars=b"-_", validate=True)
        if len(raw) != _CURSOR_BYTES:
            raise InvalidCursor
        micros = int.from_bytes(raw[:8], "big", signed=True)
        return _EPOCH + timedelta(microseconds=micros), UUID(bytes=raw[8:])
    except (UnicodeEncodeError, binascii.Error, OverflowError) as error:
        raise InvalidCursor from error


@dataclass(frozen=True, slots=True)
class Order:
    """The order of a listing: by a time column, then by id. `newest_first` is the order shown."""

    at: Column[Any]
    row_id: Column[Any]
    newest_first: bool = True

    def apply(self, query: Select[Any], request: PageRequest) -> Select[Any]:
        """Restrict and order the query, asking for one row more than the page holds."""
        cursor = request.before if request.after is None else request.after
        descending = self.newest_first == (request.before is None)
        if cursor is not None:
            at, row_id = decode_cursor(cursor)
            # Compared as one row value, which an index on (…, time, id) is walked from: neither an OR nor an OFFSET is.
            place = tuple_(self.at, self.row_id)
            given = tuple_(bindparam(None, at, self.at.type), bindparam(None, row_id, self.row_id.type))
            query = query.where(place < given if descending else place > given)
        columns = (self.at.desc(), self.row_id.desc()) if descending else (self.at.asc(), self.row_id.asc())
        return query.order_by(*columns).limit(request.limit + 1)

    def page(self, rows: Sequence[T], request: PageRequest) -> Page[T]:
        """The page of the rows that `apply` found; rows need the two columns as attributes."""
        more = len(rows) > request.limit
        items = list(rows[: request.limit])
        if request.before is not None:
            items.reverse()
        if not items:
            return Page()
        has_next = more if request.before is None else True
        has_previous = more if request.before is not None else request.after is not None
        return Page(
            items, self._cursor(items[-1]) if has_next else None, self._cursor(items[0]) if has_previous else None
        )

    def _cursor(self, row: Any) -> str:
        return encode_cursor(getattr(row, self.at.name), getattr(row, self.row_id.name))


def owned(query: Select[Any], table: Table, account_id: UUID | None) -> Select[Any]:
    """Of what the query finds in the table that which is this account's. None: the node itself asks."""
    return query if account_id is None else query.where(table.c.account_id == account_id)
