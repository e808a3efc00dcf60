"""The platform's own share of an answer's delay, on the wire: real calls, a node, and an agent that takes no time.

    make bench-agent-share                      # CALLS= TURNS= ENDPOINTING_MS=

Voice to voice is from the caller's last voiced packet to the first voiced one of the answer, by the clock of one
kernel; the share is what is left of it without the agent's endpointing. What the agent itself says of each turn (its
waterfall) is held against the packets: `waterfall_error_ms`. Ends in one JSON object.
"""

import argparse
import asyncio
import json
import os
import random
import statistics
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "bench")]

from node import Node, node  # noqa: E402
from tests.support.ports import free_ports  # noqa: E402
from tests.support.raw_phone import RawPhone  # noqa: E402
from tests.support.speaking_caller import SpeakingCaller  # noqa: E402

TARGET_MS = 60.0
SETTLES_S = 1.0


def figures(values: list[float]) -> dict[str, float]:
    """Of none: nothing."""
    if not values:
        return {}
    ordered = sorted(values)
    rank = lambda share: ordered[min(len(ordered) - 1, round(share * len(ordered)))]  # noqa: E731
    return {
        "p50": round(statistics.median(ordered), 1),
        "p95": round(rank(0.95), 1),
        "least": round(ordered[0], 1),
        "most": round(ordered[-1], 1),
    }


def name_of(seed: int) -> str:
    return f"desk{seed}"


async def one_call(one: Node, turns: int, seed: int) -> SpeakingCaller:
    async with RawPhone(one.sip_port, to=name_of(seed)) as phone:
        caller = SpeakingCaller(phone, random.Random(seed))
        if await phone.call() != 200:
            raise SystemExit("the call was not answered")
        await caller.begin()
        for _ in range(turns):
            await caller.ask()
            await caller.wait()
    return caller


async def measure(arguments: argparse.Namespace, folder: Path) -> dict[str, Any]:
    (port,) = free_ports(1)
    agent = await asyncio.create_subprocess_exec(
        sys.executable, str(ROOT / "bench/agent/instant.py"), "--port", str(port),
        "--endpointing-ms", str(arguments.endpointing_ms), stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    told: dict[str, list[dict[str, Any]]] = defaultdict(list)

    async def read() -> None:
        assert agent.stdout is not None
        async for line in agent.stdout:
            turn = json.loads(line)
            told[turn["to"]].append(turn)

    reading = asyncio.create_task(read())
    load = os.getloadavg()[0]
    try:
        async with node(folder, f"ws://127.0.0.1:{port}/", "--dialect", "longline") as one:
            callers: dict[str, SpeakingCaller] = {}
            per_call = arguments.turns // arguments.calls
            for first in range(0, arguments.calls, arguments.at_once):
                seeds = range(first, min(first + arguments.at_once, arguments.calls))
                done = await asyncio.gather(*(one_call(one, per_call, seed) for seed in seeds))
                callers |= {name_of(seed): caller for seed, caller in zip(seeds, done, strict=True)}
            await asyncio.sleep(SETTLES_S)
    finally:
        agent.terminate()
        await agent.wait()
        await reading
    return summary(arguments, callers, told) | {"cores": os.cpu_count(), "load_average": load}


def summary(
    arguments: argparse.Namespace, callers: dict[str, SpeakingCaller], told: dict[str, list[dict[str, Any]]]
) -> dict[str, Any]:
    delays = [turn.delay_ms for caller in callers.values() for turn in caller.turns]
    heard = [delay for delay in delays if delay is not None]
    share = [delay - arguments.endpointing_ms for delay in heard]
    parts: dict[str, list[float]] = defaultdict(list)
    for turn in (turn for call in told.values() for turn in call):
        for step, ms in turn["parts_ms"].items():
            parts[step].append(ms)
    errors = [
        turn["total_ms"] - delay
        for name, caller in callers.items()
        for turn, delay in zip(told[name], (turn.delay_ms for turn in caller.turns), strict=False)
        if delay is not None and turn["total_ms"] is not None and len(told[name]) == len(caller.turns)
    ]
    result = {
        "bench": "agent-share",
        "turns": len(delays),
        "unanswered": len(delays) - len(heard),
        "endpointing_ms": arguments.endpointing_ms,
        "voice_to_voice_ms": figures(heard),
        "share_ms": figures(share),
        "steps_ms": {step: figures(values) for step, values in parts.items()},
        "waterfall_error_ms": figures(errors) | {"turns": len(errors)},
        "target_ms": TARGET_MS,
    }
    return result | {"is_within": bool(share) and result["share_ms"]["p95"] <= TARGET_MS}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=12)
    parser.add_argument("--at-once", type=int, default=4)
    parser.add_argument("--turns", type=int, default=120, help="in all")
    parser.add_argument("--endpointing-ms", type=float, default=300)
    parser.add_argument("--output", type=Path, default=ROOT / "bench/results/agent-share.json")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="longline-bench-") as folder:
        result = asyncio.run(measure(arguments, Path(folder)))
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
