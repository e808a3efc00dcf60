"""How many calls one agent process bears on one core, and what a call takes of memory, beside a pipecat bot that does
the same in the same run. Ends in one JSON object.

    python bench/agent/concurrency.py [--calls 20] [--seconds 8] [--only native-binary,…]

Each subject is a process on a core of its own, under the interpreter that third-party applications have here; callers,
RTP and the media server are on another core. First its CPU time with a few calls says how many would fill the core.
Then a crowd of seven tenths of that is let in, and what it waits for its answers is measured.
"""

import argparse
import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "bench"), str(Path(__file__).parent)]

from crowd import Crowd  # noqa: E402
from node import cpu_s  # noqa: E402
from tests.support.ports import free_ports  # noqa: E402

AGENT_CORE, CROWD_CORE = 0, 1
ENDPOINTING_MS = 300
FULL = 0.7
LATE_MS = 250
"""Later than that behind the wait for its end, an answer says that the process does not keep up."""
MOST = 250
"""Callers that the crowd's core can carry without being late itself."""


@dataclass(frozen=True)
class Subject:
    name: str
    dialect: str
    program: str
    arguments: tuple[str, ...] = ()


SUBJECTS = (
    Subject("agentkit, longline.v1 binary", "longline", "crowd_agent.py", ("--mode", "binary")),
    Subject("agentkit, longline.v1 json", "longline", "crowd_agent.py", ("--mode", "json")),
    Subject("agentkit, twilio", "twilio", "crowd_agent.py"),
    Subject("pipecat, twilio serializer", "twilio", "crowd_pipecat.py", ("--transport", "twilio")),
    Subject("pipecat, longline transport", "longline", "crowd_pipecat.py", ("--transport", "longline")),
)


class Agent:
    """One of them, running."""

    def __init__(self, process: subprocess.Popen[bytes], port: int) -> None:
        self.process, self.port = process, port

    @property
    def cpu_s(self) -> float:
        return cpu_s(f"/proc/{self.process.pid}/stat")

    @property
    def kb(self) -> int:
        rollup = Path(f"/proc/{self.process.pid}/smaps_rollup").read_text()
        return sum(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Private_"))


@contextlib.contextmanager
def running(subject: Subject) -> Iterator[Agent]:
    (port,) = free_ports(1)
    python = ROOT / ".venv-clients/bin/python"
    program = ["taskset", "-c", str(AGENT_CORE), str(python), str(Path(__file__).parent / subject.program)]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "python")}
    process = subprocess.Popen([*program, "--port", str(port), *subject.arguments], env=environment)
    try:
        for _ in range(600):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                break
            time.sleep(0.05)
        yield Agent(process, port)
    finally:
        process.kill()
        process.wait()


def measure(subject: Subject, calls: int, seconds: float) -> dict[str, Any]:
    with running(subject) as agent, Crowd(CROWD_CORE) as crowd:
        url = f"ws://127.0.0.1:{agent.port}/"
        crowd.open(calls, url, subject.dialect)
        crowd.talk(3)
        crowd.forget()
        few, few_kb = agent.cpu_s, agent.kb
        crowd.talk(seconds)
        ms_per_call_s = 1000 * (agent.cpu_s - few) / calls / seconds
        few_kept_up = _kept_up(crowd)
        bears = 1000 / ms_per_call_s
        crowded = max(calls + 5, min(MOST, round(FULL * bears)))
        crowd.open(crowded - calls, url, subject.dialect)
        crowd.talk(4.5)
        crowd.forget()
        before = agent.cpu_s
        crowd.talk(seconds)
        full_ms = 1000 * (agent.cpu_s - before) / crowded / seconds
        # Who does not keep up does less than he should, and costs little: that says nothing.
        cost = full_ms if _kept_up(crowd) else ms_per_call_s if few_kept_up else None
        delays = crowd.delays_ms
        return {
            "subject": subject.name,
            "calls_per_core": None if cost is None else round(1000 / cost),
            "kept_up": _kept_up(crowd),
            "cpu_ms_per_call_s": round(full_ms, 2),
            "cpu_ms_per_call_s_with_few": round(ms_per_call_s, 2),
            "calls_held": crowded,
            "answers": len(delays),
            "unanswered": crowd.unanswered,
            "delay_ms_p50": _quantile(delays, 0.5),
            "delay_ms_p95": _quantile(delays, 0.95),
            "kb_per_call": round((agent.kb - few_kb) / (crowded - calls)),
        }


def _quantile(rising: list[float], part: float) -> int | None:
    return round(rising[min(len(rising) - 1, int(part * len(rising)))]) if rising else None


def _kept_up(crowd: Crowd) -> bool:
    first, late = (_quantile(crowd.delays_ms, part) for part in (0.0, 0.95))
    if first is None or late is None or crowd.unanswered:
        return False
    # An answer that comes before its wait is over is that of the turn before.
    return first > 0.8 * ENDPOINTING_MS and late < ENDPOINTING_MS + LATE_MS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--only", default="")
    arguments = parser.parse_args()
    rows = []
    for subject in SUBJECTS:
        if arguments.only and not any(part in subject.name for part in arguments.only.split(",")):
            continue
        rows.append(measure(subject, arguments.calls, arguments.seconds))
        print(json.dumps(rows[-1]), file=sys.stderr, flush=True)
    print(json.dumps({"bench": "agent_concurrency", "endpointing_ms": ENDPOINTING_MS, "rows": rows}))


if __name__ == "__main__":
    main()
