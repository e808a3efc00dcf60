"""`longline serve` killed with SIGKILL at random points under load, again and again over one database; then all is
held against all: what the API and the webhooks have told, what is stored, and what has arrived.

`make chaos` (`python -m tests.chaos.kills 200`) makes so many kills and prints what it saw as JSON; a test makes few.
After every kill: the database opens clean, a call has the events that its state says, no event is without its call, and
no webhook has told what is not stored. At the end: every webhook that was stored has arrived, in the order of its call,
and each call that the API has accepted has been told of from its beginning to its end. Leaves out: power failures
(SQLite commits with synchronous=NORMAL in WAL mode, which a killed process cannot undo, and a dead machine can).
"""

import argparse
import asyncio
import contextlib
import itertools
import json
import math
import random
import signal
import sqlite3
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import httpx2

from longline.base.ids import decode_id
from tests.support.app import App, AppCall
from tests.support.node import Node
from tests.support.ports import free_ports
from tests.support.sipp import Sipp

CALLERS = 6
"""Who places calls, one after another, as fast as they are accepted."""
LONGEST_LOAD_S = 3.0
"""A kill comes up to so long after the node is ready."""
LONGEST_START_S = 2.5
"""Or, one time in five, up to so long after its process has begun: while it recovers."""
QUIET_S = 120.0
STARTS_MAX = 4
"""So often a start that is too slow is tried again."""

_END: Final = ("call.completed", "call.failed")


@dataclass
class Report:
    """What was seen. `faults` is empty when all is well."""

    seed: int
    kills: int = 0
    kills_while_starting: int = 0
    starts_too_slow: int = 0
    """The node was not ready in the time that tests give it (a crowded machine), and was stopped in order."""
    calls_accepted: int = 0
    calls_stored: int = 0
    webhooks_stored: int = 0
    webhooks_received: int = 0
    webhooks_repeated: int = 0
    webhooks_refused_by_the_application: int = 0
    undelivered_at_a_kill: int = 0
    """Webhooks that were stored and not yet delivered when the node died, over all kills: what an outbox is for."""
    faults: list[str] = field(default_factory=list)


class Application:
    """Answers flow requests, and receives webhooks: some it does not acknowledge, though it has received them."""

    def __init__(self, chance: random.Random, ws_url: str) -> None:
        self._chance = chance
        self._ws_url = ws_url
        self._server: asyncio.Server | None = None
        self.received: list[dict[str, Any]] = []
        self.refused = 0

    @property
    def url(self) -> str:
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError), contextlib.closing(writer):
            while request_line := await reader.readline():
                length = 0
                while (header := await reader.readline()).strip():
                    name, _, value = header.partition(b":")
                    if name.lower() == b"content-length":
                        length = int(value)
                body = json.loads(await reader.readexactly(length))
                status, answer = self._answer(request_line.split()[1].decode(), body)
                text = json.dumps(answer).encode()
                head = f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {len(text)}\r\n\r\n"
                writer.write(head.encode() + text)
                await writer.drain()

    def _answer(self, path: str, body: dict[str, Any]) -> tuple[int, Any]:
        if path.startswith("/flow"):
            stream = {"action": "stream", "ws_url": self._ws_url, "chunk_size": 20}
            return 200, stream if self._chance.random() < 0.6 else {"action": "hangup"}
        self.received.append(body)
        if self._chance.random() < 0.02:
            self.refused += 1
            return 503, {}
        return 200, {}


class Killing:
    """One run over one folder."""

    def __init__(self, folder: Path, seed: int, longest_load_s: float = LONGEST_LOAD_S) -> None:
        self._folder = folder
        self._longest_load_s = longest_load_s
        self._chance = random.Random(seed)
        self._accepted: set[str] = set()
        self.report = Report(seed)

    async def run(self, kills: int, longest_s: float = math.inf) -> Report:
        """So many kills, or fewer if they take longer than `longest_s`; then the account."""
        deadline = time.monotonic() + longest_s
        (port,) = free_ports(1)

        async def speak(call: AppCall) -> None:
            await asyncio.sleep(self._chance.uniform(0, 0.2))

        sipp = Sipp(self._folder / "sipp", "uas", port=port)
        async with App(speak) as streams, Application(self._chance, streams.url) as application, sipp:
            node = Node(
                self._folder / "node",
                LONGLINE_TRUNKS__OUT__URI=f"sip:127.0.0.1:{port}",
                LONGLINE_TRUNKS__OUT__HEALTH_INTERVAL_S="0",
                LONGLINE_WEBHOOK_VERSION="2026-06-01",
                LONGLINE_LOG_LEVEL="warning",
            )
            for number in range(1, kills + 1):
                if time.monotonic() > deadline:
                    break
                await self._kill(node, application)
                self.report.kills += 1
                self._examine_after_a_kill(application, number)
                if number % 10 == 0:
                    print(f"{number} kills, {len(self._accepted)} calls, faults: {len(self.report.faults)}", flush=True)
            await self._start(node)
            try:
                await self._until_quiet()
            finally:
                await node.__aexit__(None, None, None)
            self._examine_at_the_end(application)
        self.report.calls_accepted = len(self._accepted)
        self.report.webhooks_refused_by_the_application = application.refused
        return self.report

    async def _kill(self, node: Node, application: Application) -> None:
        node.folder.mkdir(parents=True, exist_ok=True)
        if self.report.kills and self._chance.random() < 0.2:
            self.report.kills_while_starting += 1
            starting = asyncio.create_task(node.start())
            await asyncio.sleep(self._chance.uniform(0.05, LONGEST_START_S))
            await self._sigkill(node)
            with contextlib.suppress(AssertionError, httpx2.HTTPError, asyncio.CancelledError):
                starting.cancel()
                await starting
        else:
            await self._start(node)
            callers = [asyncio.create_task(self._place_calls(node, application, n)) for n in range(CALLERS)]
            await asyncio.sleep(self._chance.uniform(0, self._longest_load_s))
            await self._sigkill(node)
            for caller in callers:
                caller.cancel()
            for outcome in await asyncio.gather(*callers, return_exceptions=True):
                if isinstance(outcome, Exception):
                    self._fault(f"a caller failed: {outcome!r}")

    async def _start(self, node: Node) -> None:
        for _ in range(STARTS_MAX - 1):
            try:
                await node.start()
            except AssertionError:
                self.report.starts_too_slow += 1
            else:
                return
        await node.start()

    @staticmethod
    async def _sigkill(node: Node) -> None:
        if node.process is not None:
            with contextlib.suppress(ProcessLookupError):
                node.process.send_signal(signal.SIGKILL)
            await node.process.wait()

    async def _place_calls(self, node: Node, application: Application, caller: int) -> None:
        async with httpx2.AsyncClient(base_url=node.url, headers=node.api.headers, timeout=5) as api:
            for number in itertools.count():
                body = {
                    "from_number": "+15550100", "to_number": f"+1555{caller:02}{number % 100_000:05}",
                    "flow_url": f"{application.url}/flow", "status_callback_url": f"{application.url}/webhook",
                    "record": number % 4 == 0,
                }  # fmt: skip
                try:
                    answer = await api.post("/api/v1/voice/calls/initiate", json=body)
                except httpx2.TransportError:
                    return  # the node has been killed
                if answer.status_code == 202:
                    self._accepted.add(answer.json()["data"]["id"])
                else:
                    await asyncio.sleep(0.05)

    async def _until_quiet(self) -> None:
        try:
            async with asyncio.timeout(QUIET_S):
                while True:
                    with self._database() as database:
                        (live,) = database.execute("SELECT count(*) FROM calls WHERE ended_at IS NULL").fetchone()
                        (left,) = database.execute(
                            "SELECT count(*) FROM events WHERE delivery_status = 'pending'"
                        ).fetchone()
                    if not live and not left:
                        return
                    await asyncio.sleep(0.2)
        except TimeoutError:
            self._fault(f"not quiet after {QUIET_S:g} s: {live} live calls, {left} webhooks to be delivered")

    # --- what must hold --------------------------------------------------------------------------------------------

    def _examine_after_a_kill(self, application: Application, number: int) -> None:
        where = f"kill {number}"
        if not self._database_file.exists():
            return  # killed before it was made
        with self._database() as database:
            verdict = database.execute("PRAGMA integrity_check").fetchone()
            if verdict[0] != "ok":
                self._fault(f"{where}: the database is damaged: {verdict[0]}")
            if not database.execute("SELECT 1 FROM sqlite_master WHERE name = 'events'").fetchone():
                return
            self._examine_stored(database, where)
            self.report.undelivered_at_a_kill += database.execute(
                "SELECT count(*) FROM events WHERE delivery_status = 'pending'"
            ).fetchone()[0]
            stored = {row[0] for row in database.execute("SELECT id FROM events WHERE payload IS NOT NULL")}
            calls = {row[0] for row in database.execute("SELECT id FROM calls")}
        for hook in application.received:
            if decode_id(hook["id"], "evt").hex not in stored:
                self._fault(f"{where}: a webhook told {hook['type']} of {hook['call_id']}, which is not stored")
        for call_id in self._accepted:
            if decode_id(call_id, "cs").hex not in calls:
                self._fault(f"{where}: the API accepted {call_id}, which is not stored")

    def _examine_stored(self, database: sqlite3.Connection, where: str) -> None:
        """A state is stored if and only if the event that tells of it is."""
        types: dict[str, Counter[str]] = defaultdict(Counter)
        for call_id, kind in database.execute("SELECT call_id, type FROM events WHERE call_id IS NOT NULL"):
            types[call_id][kind] += 1
        calls = database.execute("SELECT id, answered_at, ended_at FROM calls").fetchall()
        for call_id in types.keys() - {row[0] for row in calls}:
            self._fault(f"{where}: events of {call_id}, which is no call: {dict(types[call_id])}")
        for call_id, answered_at, ended_at in calls:
            told = types[call_id]
            wanted = {
                "call.initiated": 1,
                "call.answered": int(answered_at is not None),
                "end": int(ended_at is not None),
            }
            seen = {"call.initiated": told["call.initiated"], "call.answered": told["call.answered"],
                    "end": sum(told[kind] for kind in _END)}  # fmt: skip
            if seen != wanted:
                self._fault(f"{where}: {call_id} is stored as {wanted} and told of as {seen}")
        streams: dict[str, list[int]] = defaultdict(lambda: [0, 0])
        for call_id, ended_at in database.execute("SELECT call_id, ended_at FROM streams"):
            streams[call_id][0] += 1
            streams[call_id][1] += ended_at is not None
        for call_id, (begun, ended) in streams.items():
            told = types[call_id]
            if [told["stream.initiated"], told["stream.completed"] + told["stream.failed"]] != [begun, ended]:
                self._fault(f"{where}: {call_id} has {begun} streams, {ended} ended, and is told of as {dict(told)}")

    def _examine_at_the_end(self, application: Application) -> None:
        with self._database() as database:
            self._examine_stored(database, "end")
            hooks = {
                row[0]: row[1:]
                for row in database.execute(
                    "SELECT id, type, call_id, delivery_status FROM events WHERE payload IS NOT NULL"
                )
            }
            (self.report.calls_stored,) = database.execute("SELECT count(*) FROM calls").fetchone()
        arrived: dict[str, list[str]] = defaultdict(list)
        for hook in application.received:
            arrived[hook["call_id"]].append(decode_id(hook["id"], "evt").hex)
        flat = [event for events in arrived.values() for event in events]
        self.report.webhooks_stored = len(hooks)
        self.report.webhooks_received = len(set(flat))
        self.report.webhooks_repeated = len(flat) - len(set(flat))
        for event_id in hooks.keys() - set(flat):
            self._fault(f"lost: {hooks[event_id]}")
        for kind, call_id, status in hooks.values():
            if status != "delivered":
                self._fault(f"{kind} of {call_id} is {status}")
        for call_id, events in arrived.items():
            # Ids are made in the order of what they tell. A repetition follows at once, or not at all.
            if events != sorted(events):
                self._fault(f"out of order: {call_id}: {[hooks[event][0] for event in events]}")
            kinds = [hooks[event][0] for event in events]
            if kinds[0] != "call.initiated" or not any(kind in _END for kind in kinds):
                self._fault(f"{call_id} was told of as {kinds}")
        for call_id in self._accepted - arrived.keys():
            self._fault(f"{call_id} was accepted, and nobody was told")

    @property
    def _database_file(self) -> Path:
        return self._folder / "node" / "data" / "longline.db"

    @contextlib.contextmanager
    def _database(self) -> Iterator[sqlite3.Connection]:
        with contextlib.closing(sqlite3.connect(self._database_file, timeout=10)) as database:
            yield database

    def _fault(self, what: str) -> None:
        self.report.faults.append(what)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kills", type=int, nargs="?", default=200)
    parser.add_argument("--minutes", type=float, default=math.inf, help="kill no more after so long")
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--folder", type=Path, help="where the node lives; a temporary one if not given")
    options = parser.parse_args()
    seed = options.seed if options.seed is not None else random.randrange(2**32)
    with tempfile.TemporaryDirectory() as temporary:
        report = asyncio.run(Killing(options.folder or Path(temporary), seed).run(options.kills, options.minutes * 60))
    print(json.dumps(asdict(report), indent=2))
    return 1 if report.faults else 0


if __name__ == "__main__":
    sys.exit(main())
