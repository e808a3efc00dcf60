"""A node that is stopped ends all of its calls, however many do nothing, before it is gone."""

import asyncio
import sqlite3
from pathlib import Path

from tests.support.app import App, AppCall
from tests.support.node import Node
from tests.support.ports import free_ports
from tests.support.sipp import Sipp

CALLS = 150


async def test_every_idle_call_gets_its_bye_when_the_node_stops(tmp_path: Path) -> None:
    """The one with 10,000 is `make bench-signalling IDLE=10000`."""

    async def listen(call: AppCall) -> None:
        async for _ in call.socket:
            pass

    (port,) = free_ports(1)
    settings = {"LONGLINE_RECORDING": "false", "LONGLINE_SHUTDOWN_DEADLINE_S": "14"}
    async with App(listen) as app, Node(tmp_path / "node", "--stream", app.url, **settings) as node:
        limits = ("-m", str(CALLS), "-l", str(CALLS), "-r", "50")
        remote = f"127.0.0.1:{node.sip_port}"
        async with Sipp(tmp_path, "caller_waits_for_bye", *limits, port=port, remote=remote) as sipp:
            database = tmp_path / "node" / "data" / "longline.db"
            async with asyncio.timeout(40):
                while dialogs_in(database) < CALLS:
                    await asyncio.sleep(0.1)
            assert await node.stop() == 0
            (await sipp.finish()).check()
        assert dialogs_in(database) == 0
        assert "not ended in time" not in node.log.read_text()


def dialogs_in(database: Path) -> int:
    connection = sqlite3.connect(database)
    try:
        return int(connection.execute("SELECT count(*) FROM dialogs").fetchone()[0])
    finally:
        connection.close()
