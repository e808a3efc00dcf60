"""What a call costs the signalling process: calls a second per core, set-up time, memory of an idle call, and the end.

The node under test is `longline serve` in a process of its own with its media server, SIPp is the caller, and the
application is a WebSocket server in this process that hears and says nothing. Recordings and webhooks are off. CPU time
is user and system time of the signalling process alone (/proc/PID/stat): a machine that is busy otherwise makes the
calls late, not dearer. The last line is one JSON object; docs/reference/performance.md explains its fields.
"""

import argparse
import asyncio
import contextlib
import json
import os
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from websockets.asyncio.server import ServerConnection, serve

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(ROOT), str(HERE.parent)]

from node import Node, node  # noqa: E402
from tests.support.ports import free_ports  # noqa: E402

#: Ended transactions are kept for 32 s (timers L and M); an idle call is one that has none left.
IDLE_AFTER_S = 36.0
LOOK_S = 5.0
#: How long the node may take to end its calls.
DEADLINE_S = 60
#: More than a core can do, and how many calls SIPp has open at a time: it begins the next when one has ended, so that
#: the node has always enough to do and nothing times out.
FULL_RATE, AT_ONCE = 500.0, 300
#: Calls before the first figure: imports, compiled statements and caches are no cost of a call.
WARM_UP_CALLS = 100

_HANG_UP = """<pause/>
  <send retrans="500">
    <![CDATA[

      BYE [next_url] SIP/2.0
      Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
      From: sipp <sip:sipp@[local_ip]:[local_port]>;tag=[pid]SIPpTag00[call_number]
      To: <sip:[service]@[remote_ip]:[remote_port]>[peer_tag_param]
      Call-ID: [call_id]
      CSeq: 2 BYE
      Max-Forwards: 70
      Content-Length: 0

    ]]>
  </send>
  <recv response="200"/>"""
_AWAIT_BYE = """<recv request="BYE"/>
  <send>
    <![CDATA[

      SIP/2.0 200 OK
      [last_Via:]
      [last_From:]
      [last_To:]
      [last_Call-ID:]
      [last_CSeq:]
      Content-Length: 0

    ]]>
  </send>
  <timewait milliseconds="4000"/>"""


@contextlib.asynccontextmanager
async def application() -> AsyncIterator[str]:
    async def hear(connection: ServerConnection) -> None:
        with contextlib.suppress(Exception):
            async for _ in connection:
                pass

    async with serve(hear, "127.0.0.1", 0, compression=None, max_size=None, backlog=1024) as server:
        yield f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}/"


@dataclass(frozen=True)
class Run:
    """What SIPp saw: calls that went as the scenario says, and the set-up time of each in ms."""

    succeeded: int
    set_up_ms: list[float]


class Sipp:
    """One run of the caller. A call that waits for our BYE offers sendonly: it is sent no RTP."""

    def __init__(
        self,
        folder: Path,
        one: Node,
        calls: int,
        rate: float,
        *,
        talk_ms: int = 0,
        waits: bool = False,
        at_once: int | None = None,
    ) -> None:
        folder.mkdir(parents=True)
        self._folder = folder
        text = (HERE / "caller.xml").read_text()
        text = text.replace("ENDING", _AWAIT_BYE if waits else _HANG_UP)
        text = text.replace("DIRECTION", "sendonly" if waits else "sendrecv")
        (folder / "caller.xml").write_text(text)
        port = free_ports(1)[0]
        self._command = [
            "sipp", f"127.0.0.1:{one.sip_port}", "-sf", "caller.xml", "-i", "127.0.0.1", "-p", str(port),
            "-m", str(calls), "-l", str(at_once or calls), "-r", str(rate), "-d", str(talk_ms), "-nostdin",
            "-trace_rtt", "-rtt_freq", "1", "-trace_stat", "-fd", "1", "-stf", "stat.csv", "-trace_err",
            "-buff_size", "4194304", "-recv_timeout", "600000",
        ]  # fmt: skip
        self.process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        self.process = await asyncio.create_subprocess_exec(
            *self._command, cwd=self._folder, stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip

    async def until_current(self, calls: int, timeout_s: float) -> int:
        """Wait until so many calls have been answered, or no more are; how many were."""
        set_up, progress_at = 0, time.monotonic()
        while set_up < calls and time.monotonic() < progress_at + timeout_s:
            await asyncio.sleep(0.5)
            before, set_up = set_up, len(self._rtts())
            if set_up > before:
                progress_at = time.monotonic()
        return set_up

    async def finish(self, timeout_s: float) -> Run:
        assert self.process is not None
        try:
            await asyncio.wait_for(self.process.wait(), timeout_s)
        except TimeoutError:
            self.process.kill()
            await self.process.wait()
        return Run(int(self._stat("SuccessfulCall(C)")), self._rtts())

    def _rtts(self) -> list[float]:
        files = list(self._folder.glob("caller_*_rtt.csv"))
        lines = files[0].read_text().splitlines()[1:] if files else []
        return [float(line.split(";")[1]) for line in lines if line.count(";") >= 2]

    def _stat(self, name: str) -> str:
        rows = (self._folder / "stat.csv").read_text().splitlines()
        return dict(zip(rows[0].split(";"), rows[-1].split(";"), strict=False))[name]


async def load(folder: Path, app: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """Calls set up and torn down: at a steady rate, for the time that it takes, and as many as the core can do."""
    async with node(folder, app) as one:
        warm_up = Sipp(folder / "warm-up", one, WARM_UP_CALLS, 50)
        await warm_up.start()
        await warm_up.finish(60)
        await asyncio.sleep(1)
        steady = await _calls(folder / "steady", one, arguments.calls // 3, arguments.rate, AT_ONCE)
        full = await _calls(folder / "full", one, arguments.calls, FULL_RATE, AT_ONCE)
    return {
        "cps_per_core": full["cps_per_core"],
        "setup_ms_p50": steady["setup_ms_p50"],
        "setup_ms_p99": steady["setup_ms_p99"],
        "steady": steady,
        "full": full,
    }


async def _calls(folder: Path, one: Node, calls: int, rate: float, at_once: int) -> dict[str, Any]:
    before = one.sample()
    sipp = Sipp(folder, one, calls, rate, talk_ms=500, at_once=at_once)
    began = time.monotonic()
    await sipp.start()
    run = await sipp.finish(calls / rate * 8 + 60)
    took_s = time.monotonic() - began
    await asyncio.sleep(2)
    after = one.sample()
    cpu_s = after.cpu_s - before.cpu_s
    store_s = cpu_s - (after.main_cpu_s - before.main_cpu_s)
    times = sorted(run.set_up_ms)
    return {
        "cps_per_core": round(run.succeeded / cpu_s, 1),
        "cpu_ms_per_call": round(1000 * cpu_s / max(run.succeeded, 1), 3),
        "store_thread_ms_per_call": round(1000 * store_s / max(run.succeeded, 1), 3),
        "cores_used": round(cpu_s / took_s, 2),
        "setup_ms_p50": round(statistics.median(times), 1) if times else None,
        "setup_ms_p99": round(times[int(len(times) * 0.99)], 1) if times else None,
        "calls": calls,
        "succeeded": run.succeeded,
        "offered_cps": rate,
        "cps": round(run.succeeded / took_s, 1),
    }


async def idle(folder: Path, app: str, calls: int, rate: float) -> dict[str, Any]:
    """Calls that nothing happens to: what each takes, and how they end when the node is stopped.

    Two sockets of RTP and one of a stream a call: for more of them than there may be files the media server is a
    stand-in, which has none."""
    folder.mkdir(parents=True)
    settings = {"LONGLINE_SHUTDOWN_DEADLINE_S": str(DEADLINE_S)}
    is_real = calls * 3 + 200 < resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if not is_real:
        stand_in = folder / "silent-media"
        stand_in.write_text(f'#!/bin/sh\nexec {sys.executable} {HERE / "silent_media.py"} "$@"\n')
        stand_in.chmod(0o755)
        settings["LONGLINE_MEDIA_BINARY"] = str(stand_in)
    async with node(folder / "node", app, **settings) as one:
        warm_up = Sipp(folder / "warm-up", one, WARM_UP_CALLS, 50)
        await warm_up.start()
        await warm_up.finish(60)
        await asyncio.sleep(IDLE_AFTER_S)
        before = one.sample()
        sipp = Sipp(folder / "sipp", one, calls, rate, waits=True)
        await sipp.start()
        held = await sipp.until_current(calls, 20)
        await asyncio.sleep(IDLE_AFTER_S - LOOK_S)
        quiet = one.sample()
        await asyncio.sleep(LOOK_S)
        after = one.sample()
        stop_s = await one.stop()
        run = await sipp.finish(60)
    return {
        "kb_per_idle_call": round((after.kb - before.kb) / max(held, 1), 1),
        "idle_cpu_percent": round(100 * (after.cpu_s - quiet.cpu_s) / LOOK_S, 2),
        "media": "real" if is_real else "stand-in",
        "idle_calls": held,
        "idle_calls_ended": run.succeeded,
        "shutdown_s": round(stop_s, 1),
        "shutdown_deadline_s": DEADLINE_S,
    }


async def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    result: dict[str, Any] = {"bench": "signalling", "cores": os.cpu_count()}
    with contextlib.ExitStack() as stack:
        if arguments.folder is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="longline-bench-")))
        else:
            folder = arguments.folder
        async with application() as app:
            if "load" in arguments.parts:
                result |= await load(folder / "load", app, arguments)
                print(json.dumps(result), file=sys.stderr, flush=True)
            if "idle" in arguments.parts:
                result |= await idle(folder / "idle", app, arguments.idle, arguments.idle_rate)
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=3000, help="calls that are set up and torn down")
    parser.add_argument("--rate", type=float, default=60, help="calls a second while the set-up is timed")
    parser.add_argument("--idle", type=int, default=1000, help="calls that are held")
    parser.add_argument("--idle-rate", type=float, default=50, help="calls a second until they are there")
    parser.add_argument("--parts", nargs="*", default=["load", "idle"], choices=["load", "idle"])
    parser.add_argument("--folder", type=Path, help="leave logs and databases here")
    arguments = parser.parse_args()
    print(json.dumps(asyncio.run(measure(arguments))))


if __name__ == "__main__":
    main()
