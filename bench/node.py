"""`longline serve` in a process of its own, as the benches measure it: CPU time, memory, start and end."""

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import httpx2

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.support.ports import free_ports  # noqa: E402

API_KEY = "key-of-the-bench"


@dataclass(frozen=True)
class Sample:
    """The process at one moment: CPU seconds it has used, and the memory that is its alone."""

    cpu_s: float
    kb: int
    main_cpu_s: float
    """Of the thread of the event loop; the rest is the store's."""


class Node:
    def __init__(self, process: asyncio.subprocess.Process, http_port: int, sip_port: int, log: Path) -> None:
        self.process, self.http_port, self.sip_port, self.log = process, http_port, sip_port, log
        self.url = f"http://127.0.0.1:{http_port}"

    def sample(self) -> Sample:
        pid = self.process.pid
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
        private = [line.split()[1] for line in rollup.splitlines() if line.startswith("Private_")]
        return Sample(cpu_s(f"/proc/{pid}/stat"), sum(map(int, private)), cpu_s(f"/proc/{pid}/task/{pid}/stat"))

    async def until_ready(self) -> None:
        async with httpx2.AsyncClient(base_url=self.url, headers={"x-api-key": API_KEY}) as api:
            for _ in range(600):
                with contextlib.suppress(httpx2.TransportError):
                    if (await api.get("/readyz")).status_code == 200:
                        return
                await asyncio.sleep(0.05)
        raise SystemExit(f"the node did not start:\n{self.log.read_text()[-3000:]}")

    async def stop(self, timeout_s: float = 120) -> float:
        """SIGTERM; how long it took to end."""
        began = time.monotonic()
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(self.process.wait(), timeout_s)
        except TimeoutError:
            self.process.kill()
            await self.process.wait()
        return time.monotonic() - began


def cpu_s(stat: str) -> float:
    """User and system time."""
    fields = Path(stat).read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextlib.asynccontextmanager
async def node(folder: Path, stream: str, *more: str, **settings: str) -> AsyncIterator[Node]:
    http_port, sip_port = free_ports(2)
    folder.mkdir(parents=True, exist_ok=True)
    environment = os.environ | {
        "LONGLINE_HTTP_LISTEN": f"127.0.0.1:{http_port}",
        "LONGLINE_SIP_LISTEN": f"127.0.0.1:{sip_port}",
        "LONGLINE_DATA_DIR": str(folder / "data"),
        "LONGLINE_API_KEY": API_KEY,
        "LONGLINE_API_REQUESTS_PER_KEY": "0",
        "LONGLINE_API_REQUESTS_PER_ACCOUNT": "0",
        "LONGLINE_LOG_FORMAT": "json",
        "LONGLINE_RECORDING": "false",
        "LONGLINE_QUALITY_INTERVAL_S": "0",
        "LONGLINE_MAX_CALLS": "20000",
        "LONGLINE_RTP_PORTS": "10000-65000",
        **settings,
    }
    log = folder / "node.log"
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "longline", "serve", "--stream", stream, *more,
            env=environment, stdout=output, stderr=output, stdin=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
    one = Node(process, http_port, sip_port, log)
    try:
        await one.until_ready()
        yield one
    finally:
        await one.stop()
