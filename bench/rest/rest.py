"""What a request to the REST API costs the node: requests a second per core, and how long the answer takes.

Two nodes, one with a few calls in its table and one with many, asked in turns: what grows with the table shows as a
ratio that does not depend on the machine. CPU time is user and system time of `longline serve` alone (/proc/PID/stat),
so a machine that is busy otherwise makes answers late, not dearer. The last line is one JSON object;
docs/reference/performance.md explains its fields.
"""

import argparse
import asyncio
import contextlib
import json
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(ROOT), str(HERE.parent), str(HERE)]

from busy_phone import open_busy_phone  # noqa: E402
from client import Connection  # noqa: E402
from node import API_KEY, Node, node  # noqa: E402

from longline.base.ids import new_id  # noqa: E402
from longline.store.durable import Durable  # noqa: E402
from longline.store.pages import encode_cursor  # noqa: E402
from longline.store.records import CallRecord, LegRecord  # noqa: E402

API = "/api/v1/voice/calls"
#: Requests under way while the cost is measured. The latency is that of one after the other.
AT_ONCE = 8
#: Before each turn: compiled statements and caches are no cost of a request.
WARM_UP = 50
#: Nobody listens here, and no call gets so far.
STREAM = "ws://127.0.0.1:9/"
#: The calls that `filtered` finds: one in so many.
ONE_IN = 50

Request = tuple[str, str, bytes]


@dataclass
class Turns:
    """What one kind of request took at one node, over all of its turns."""

    requests: int = 0
    failed: int = 0
    cpu_s: float = 0.0
    cpu_ms_of_turns: list[float] = field(default_factory=list)
    alone_ms: list[float] = field(default_factory=list)
    loaded_ms: list[float] = field(default_factory=list)
    answer_bytes: int = 0

    def figures(self) -> dict[str, Any]:
        return {
            "per_core": round(self.requests / self.cpu_s, 1) if self.cpu_s else None,
            "cpu_ms": round(1000 * self.cpu_s / max(self.requests, 1), 3),
            "cpu_ms_of_turns": [round(ms, 3) for ms in self.cpu_ms_of_turns],
            "alone_ms_p50": _quantile(self.alone_ms, 0.5),
            "alone_ms_p99": _quantile(self.alone_ms, 0.99),
            "loaded_ms_p50": _quantile(self.loaded_ms, 0.5),
            "loaded_ms_p99": _quantile(self.loaded_ms, 0.99),
            "requests": self.requests,
            "failed": self.failed,
            "answer_bytes": self.answer_bytes,
        }


def _quantile(values: list[float], share: float) -> float | None:
    ordered = sorted(values)
    return round(ordered[min(int(len(ordered) * share), len(ordered) - 1)], 2) if ordered else None


@dataclass
class Table:
    """A node, and what is in its table."""

    one: Node
    calls: list[CallRecord]


async def fill(data_dir: Path, count: int) -> list[CallRecord]:
    """Calls of the last days, each with its leg, as the node itself stores them."""
    data_dir.mkdir(parents=True)
    durable = await Durable.open(f"sqlite+aiosqlite:///{data_dir / 'longline.db'}")
    begin = datetime.now(UTC) - timedelta(days=7)
    calls = [_call(number, begin + timedelta(days=6) * (number / count)) for number in range(count)]
    for at in range(0, count, 1000):
        await asyncio.gather(*(durable.save_call(call) for call in calls[at : at + 1000]))
    await durable.close()
    return calls


def _call(number: int, at: datetime) -> CallRecord:
    call_id, to = new_id(), f"+1415555{number % ONE_IN:04d}"
    times = {"created_at": at, "answered_at": at, "ended_at": at + timedelta(minutes=3)}
    leg = LegRecord(
        id=new_id(), call_session_id=call_id, direction="outbound", state="completed", reason="normal",
        from_number="+14155550100", to_number=to, ended_by="callee", **times,
    )  # fmt: skip
    return CallRecord(
        id=call_id, direction="outbound", state="completed", reason="normal", from_number="+14155550100",
        to_number=to, legs=[leg], **times,
    )  # fmt: skip


def reads(table: Table, random_: random.Random) -> dict[str, Callable[[], Request]]:
    """The kinds of request that only read."""
    calls = table.calls

    def deep() -> str:
        call = random_.choice(calls[len(calls) // 4 : -len(calls) // 4])
        return encode_cursor(call.created_at, call.id)

    return {
        "get": lambda: ("GET", f"{API}/{random_.choice(calls).id}", b""),
        "list": lambda: ("GET", API, b""),
        "list_deep": lambda: ("GET", f"{API}?cursor_after={deep()}", b""),
        "list_filtered": lambda: ("GET", f"{API}?limit=10&to_number=%2B1415555{random_.randrange(ONE_IN):04d}", b""),
    }


async def turn(one: Node, make: Callable[[], Request], count: int, expected: int, turns: Turns) -> None:
    """Half of the requests several at once, for what they cost; half one by one, for how long they take."""
    connections = [await Connection.open(one.http_port, API_KEY) for _ in range(AT_ONCE)]

    async def ask(connection: Connection, many: int, took_ms: list[float]) -> None:
        for _ in range(many):
            status, body, took_s = await connection.request(*make())
            took_ms.append(1000 * took_s)
            turns.answer_bytes = len(body)
            if status != expected:
                turns.failed += 1

    await ask(connections[0], WARM_UP, [])
    each = max(count // 2 // AT_ONCE, 1)
    before = one.sample().cpu_s
    await asyncio.gather(*(ask(connection, each, turns.loaded_ms) for connection in connections))
    if expected == 202:
        await asyncio.sleep(1)  # what was begun has its end
    cpu_s = one.sample().cpu_s - before
    turns.cpu_s += cpu_s
    turns.requests += each * AT_ONCE
    turns.cpu_ms_of_turns.append(1000 * cpu_s / (each * AT_ONCE))
    await ask(connections[0], count // 2, turns.alone_ms)
    for connection in connections:
        connection.close()


async def in_turns(count: int, act: Callable[[bool], Awaitable[None]]) -> None:
    """Small, large, large, small …: a drift of the machine hits both."""
    for number in range(count):
        first = number % 2 == 0
        await act(not first)
        await act(first)


async def measure(arguments: argparse.Namespace, folder: Path) -> dict[str, Any]:
    result: dict[str, Any] = {"bench": "rest", "cores": os.cpu_count(), "load_average": os.getloadavg()[0]}
    sizes = {"small": arguments.few, "large": arguments.many}
    async with contextlib.AsyncExitStack() as stack:
        phone, _, port = await open_busy_phone()
        tables: dict[str, Table] = {}
        for name, count in sizes.items():
            began = time.monotonic()
            calls = await fill(folder / name / "data", count)
            print(f"{name}: {count} calls stored in {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
            tables[name] = Table(await stack.enter_async_context(node(folder / name, STREAM)), calls)
        makers = {name: reads(table, random.Random(1)) for name, table in tables.items()}
        body = {"from_number": "bench", "to_number": f"sip:busy@127.0.0.1:{port}", "flow": {"action": "hangup"}}
        for kind in (*makers["small"], "create"):
            turns = {name: Turns() for name in sizes}

            async def act(is_large: bool, kind: str = kind, turns: dict[str, Turns] = turns) -> None:
                name = "large" if is_large else "small"
                if kind == "create":
                    request = ("POST", f"{API}/initiate", json.dumps(body).encode())
                    await turn(tables[name].one, lambda: request, arguments.requests // 2, 202, turns[name])
                else:
                    await turn(tables[name].one, makers[name][kind], arguments.requests, 200, turns[name])

            await in_turns(arguments.turns, act)
            ratios = zip(turns["large"].cpu_ms_of_turns, turns["small"].cpu_ms_of_turns, strict=True)
            result[kind] = {
                "large": turns["large"].figures(),
                "small": turns["small"].figures(),
                "large_to_small": round(statistics.median(large / small for large, small in ratios), 2),
            }
            print(json.dumps({kind: result[kind]}), file=sys.stderr, flush=True)
        result |= {"calls": sizes, "rejected_by_the_phone": phone.rejected}
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--many", type=int, default=100_000, help="calls in the table of one node")
    parser.add_argument("--few", type=int, default=1000, help="calls in the table of the other")
    parser.add_argument(
        "--requests", type=int, default=800, help="requests of a kind in a turn; of create half as many"
    )
    parser.add_argument("--turns", type=int, default=2)
    parser.add_argument("--output", type=Path, default=ROOT / "bench/results/rest.json")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="longline-bench-") as folder:
        result = asyncio.run(measure(arguments, Path(folder)))
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
