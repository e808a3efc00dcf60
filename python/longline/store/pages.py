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

from sqlalchemy import Column, Select, and_, or_

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
            beyond = self.at < at if descending else self.at > at
            tie = self.row_id < row_id if descending else self.row_id > row_id
            query = query.where(or_(beyond, and_(self.at == at, tie)))
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
