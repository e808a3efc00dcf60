"""What a page costs does not grow with the table: the same steps with 100,000 calls as with 2,000, whatever is asked.

Counted, not timed: in SQLite the steps of its virtual machine, in PostgreSQL the rows and blocks that were looked at.
The statements are those that the store sends. Half of the calls are another account's; what is filtered for is rare,
and among the oldest, so that whoever walked the table until the page is full would walk all of it.
"""

import contextlib
import json
import sqlite3
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import event, text
from tests.support.postgres import Cluster

from longline.base.ids import DEFAULT_ACCOUNT_ID
from longline.store.durable import Durable
from longline.store.pages import PageRequest, encode_cursor
from longline.store.records import CallFilter, EventFilter

MANY, FEW = 100_000, 2_000
START = datetime(2026, 1, 1, tzinfo=UTC)
RARE = 60
"""Calls and events of each account, the oldest ones, that the filters look for."""
OTHER = UUID(int=7)
TRUNK = UUID(int=9)
Sent = list[tuple[str, Any]]


def at(number: int) -> datetime:
    return START + timedelta(seconds=number)


def middle(count: int) -> str:
    return encode_cursor(at(count // 2), UUID(int=count // 2))


Ask = Callable[[Durable, int], Awaitable[Any]]


def calls(page: Callable[[int], PageRequest] = lambda count: PageRequest(), **filters: Any) -> Ask:
    return lambda durable, count: durable.of(DEFAULT_ACCOUNT_ID).list_calls(CallFilter(**filters), page(count))


def events(**filters: Any) -> Ask:
    return lambda durable, count: durable.of(DEFAULT_ACCOUNT_ID).list_events(EventFilter(**filters), PageRequest())


ASKED: dict[str, Ask] = {
    "the first page": calls(),
    "a page in the middle": calls(lambda count: PageRequest(after=middle(count))),
    "the page before": calls(lambda count: PageRequest(before=middle(count))),
    "by state": calls(state="failed"),
    "by state, backwards": calls(lambda count: PageRequest(before=encode_cursor(START, UUID(int=0))), state="failed"),
    "by from_number": calls(from_number="+15550000001"),
    "by to_number": calls(to_number="+15550000002"),
    "by trunk": calls(sip_trunk_id=TRUNK),
    "created before": calls(created_before=at(RARE)),
    "created after": calls(created_after=at(RARE)),
    "of nothing": calls(from_number="+15559999999"),
    "the newest events": events(),
    "events by type": events(type="call.failed"),
    "events by outcome": events(delivery_status="failed_permanent"),
    "events of a call": events(call_id=UUID(int=1)),
    "events of a trunk": events(sip_trunk_id=TRUNK),
}


def rows(count: int) -> Iterator[dict[str, Any]]:
    for number in range(count):
        is_rare = number < 2 * RARE
        yield {
            "id": UUID(int=number).hex, "account_id": (DEFAULT_ACCOUNT_ID if number % 2 else OTHER).hex,
            "state": "failed" if is_rare else "completed",
            "from_number": "+15550000001" if is_rare else "+15550000003",
            "to_number": "+15550000002" if is_rare else "+15550000004",
            "trunk": TRUNK.hex if is_rare else None,
            "type": "call.failed" if is_rare else "call.answered",
            "outcome": "failed_permanent" if is_rare else "delivered",
            "at": at(number),
        }  # fmt: skip


CALLS = (
    "INSERT INTO calls (id, account_id, direction, state, from_number, to_number, properties, created_at, "
    "sip_trunk_id) VALUES (:id, :account_id, 'inbound', :state, :from_number, :to_number, '{}', :at, :trunk)"
)
EVENTS = (
    "INSERT INTO events (id, account_id, type, call_id, sip_trunk_id, at, data, delivery_status, attempt_count) "
    "VALUES (:id, :account_id, :type, :id, :trunk, :at, '{}', :outcome, 1)"
)
COLUMNS = (
    "id uuid, account_id uuid, state text, from_number text, to_number text, trunk uuid, type text, outcome text, "
    "at timestamptz"
)


@contextlib.contextmanager
def sent_by(durable: Durable) -> Iterator[Sent]:
    """The statements that the store sends, with what is bound in them."""
    sent: Sent = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        sent.append((statement, parameters))

    engine = durable._engine.sync_engine
    event.listen(engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        event.remove(engine, "before_cursor_execute", note)


async def filled_sqlite(url: str, count: int) -> Durable:
    durable = await Durable.open(url)
    connection = sqlite3.connect(url.removeprefix("sqlite+aiosqlite:///"))
    with connection:
        for statement in (CALLS, EVENTS):
            given = ({**row, "at": row["at"].strftime("%Y-%m-%d %H:%M:%S.%f")} for row in rows(count))
            connection.executemany(statement, given)
    connection.close()
    return durable


def steps(connection: sqlite3.Connection, statement: str, parameters: Any) -> int:
    """How many instructions of its virtual machine SQLite takes, to ten."""
    taken = 0

    def count() -> int:
        nonlocal taken
        taken += 10
        return 0

    connection.set_progress_handler(count, 10)
    connection.execute(statement, parameters).fetchall()
    connection.set_progress_handler(None, 0)
    return taken


async def test_a_page_takes_sqlite_as_many_steps_with_100_000_calls_as_with_2_000(sqlite_url: str) -> None:
    taken: dict[int, dict[str, int]] = {}
    for count in (FEW, MANY):
        url = sqlite_url.replace("store.db", f"{count}.db")
        durable = await filled_sqlite(url, count)
        connection = sqlite3.connect(url.removeprefix("sqlite+aiosqlite:///"))
        taken[count] = {}
        for name, ask in ASKED.items():
            with sent_by(durable) as sent:
                assert (await ask(durable, count)).items or name == "of nothing", name
            for statement, parameters in sent:
                plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)]
                sorts = "TEMP B-TREE" in str(plan) and "FROM legs" not in statement  # those of one page's calls
                assert not sorts and not any(line.startswith("SCAN") for line in plan), (name, plan)
            taken[count][name] = sum(steps(connection, statement, parameters) for statement, parameters in sent)
        connection.close()
        await durable.close()
    for name in ASKED:
        assert taken[MANY][name] <= taken[FEW][name] * 1.2 + 100, (name, taken[FEW][name], taken[MANY][name])


async def test_a_page_makes_postgresql_look_at_no_more_than_its_own_rows(postgres: Cluster) -> None:
    durable = await Durable.open(await postgres.url())
    engine = durable._engine
    async with engine.begin() as connection:
        for statement in (CALLS, EVENTS):
            selected = statement.replace("VALUES (", "SELECT ").removesuffix(")").replace(":", "r.")
            selected = selected.replace("'{}'", "CAST('{}' AS json)")
            cast = f"CAST(:rows AS json)) AS r({COLUMNS})"
            given = json.dumps(list(rows(MANY)), default=str)
            await connection.execute(text(f"{selected} FROM json_to_recordset({cast}"), {"rows": given})
    async with engine.connect() as connection:
        autocommit = await connection.execution_options(isolation_level="AUTOCOMMIT")
        await autocommit.execute(text("VACUUM ANALYZE"))
    for name, ask in ASKED.items():
        with sent_by(durable) as sent:
            assert (await ask(durable, MANY)).items or name == "of nothing", name
        async with engine.connect() as connection:
            for statement, parameters in sent:
                explained = await connection.exec_driver_sql(
                    f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement}", parameters
                )
                plan = explained.scalar_one()
                top = (json.loads(plan) if isinstance(plan, str) else plan)[0]["Plan"]
                looked_at = max(_rows_of(top))
                assert looked_at <= 2 * RARE, (name, looked_at, top)
                assert top["Shared Hit Blocks"] + top["Shared Read Blocks"] <= 600, (name, top)
    await durable.close()


def _rows_of(node: dict[str, Any]) -> Iterator[int]:
    """Of each node of a plan the rows that it read, those too that it threw away."""
    yield (node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"]
    for child in node.get("Plans", ()):
        yield from _rows_of(child)
