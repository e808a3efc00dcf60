"""Interruptions of a real call: from the caller's first voiced sample to silence on the wire. Ends in one JSON object.

A node, its media server and an agent that speaks without a pause; phones that interrupt it with real words (flite) at
several levels, at any moment of a packet. docs/reference/performance.md explains the fields.
"""

import argparse
import asyncio
import contextlib
import json
import os
import random
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from agent.callers import Caller, Hearing, Interruption, Speakers, Weather, hear_holds, is_loud, silent_at
from node import Node, node
from tests.support.raw_phone import RawPhone
from tests.support.sounds import RATE_HZ, at_level, first_voiced_sample, flite

from longline.agentkit.server import serve
from longline.agentkit.turns.barge_in import BargeInRules
from longline.agentkit.turns.rules import TurnRules

CLEAN = Weather("clean")
ROUGH = Weather("1 % loss, 20 ms jitter", loss=0.01, jitter_ms=20)
WORDS = (
    "Wait a moment, please.",
    "No, that is not what I asked for.",
    "Stop, I have a question.",
    "Actually, can I change the time?",
    "Excuse me, could you say that again?",
    "Hello? Who is this?",
)
VOICES = ("rms", "slt", "awb")
LEVELS_DB = (-16.0, -22.0, -28.0, -34.0)
SLOW = bool(os.environ.get("SLOW"))
"""Tell the slowest."""


@contextlib.asynccontextmanager
async def agent_and_node(folder: Path, speakers: Speakers) -> AsyncIterator[Node]:
    async with serve(speakers, "127.0.0.1", 0, hello=speakers.hello) as server:
        url = f"ws://127.0.0.1:{server.port}/"
        async with node(folder, url, "--dialect", "longline") as one:
            yield one


async def interrupt(caller: Caller, count: int, seed: int) -> tuple[list[Interruption], list[int], Hearing]:
    """So many interruptions of one call."""
    dice = random.Random(seed)
    done: list[Interruption] = []
    while len(done) < count:
        # Until the agent speaks, and a while longer.
        speaks_since = time.time()
        pause = dice.uniform(0.5, 1.5)
        deadline = time.time() + 20
        while True:
            await caller.tick()
            recent = caller.since(time.time() - 0.1)
            if not recent or not all(is_loud(packet) for packet in recent):
                speaks_since = time.time()
            if time.time() - speaks_since > pause:
                break
            if time.time() > deadline:
                raise SystemExit(f"call {caller.number}: the agent is not heard")
        words, voice, level = dice.choice(WORDS), dice.choice(VOICES), dice.choice(LEVELS_DB)
        sound = at_level(flite(words, voice), level)
        began = caller.speak(sound)
        one = Interruption(f"{voice}: {words}", level, began + first_voiced_sample(sound) / RATE_HZ)
        while caller.speaks:
            await caller.tick()
        for _ in range(20):
            await caller.tick()
        silent = silent_at(caller.since(one.voiced_at - 0.3), one.voiced_at - 0.2)
        one.ended_at = silent if silent is not None else 0.0
        done.append(one)
    return done, [], hear_holds(caller.phone.packets())


def percentile(values: list[float], share: float) -> float | None:
    return round(float(np.percentile(values, share)), 1) if values else None


async def latency(folder: Path, by: str, weather: Weather, calls: int, count: int, seed: int) -> dict[str, Any]:
    """`count` interruptions in all, over so many calls at once."""
    rules = BargeInRules() if by == "line" else BargeInRules(local_s=None)
    speakers = Speakers(lambda: TurnRules(barge_in=rules))
    async with agent_and_node(folder, speakers) as one, contextlib.AsyncExitStack() as stack:
        callers = []
        for number in range(calls):
            phone = await stack.enter_async_context(RawPhone(one.sip_port, to=f"call{number}"))
            if await phone.call() != 200:
                raise SystemExit("a call was not answered")
            callers.append(Caller(phone, number, weather, seed + number))
            await asyncio.sleep(0.013)
        told = await asyncio.gather(*(interrupt(caller, count // calls, seed + n) for n, caller in enumerate(callers)))
    every = [each for done, _, _ in told for each in done]
    took = [1_000 * (each.ended_at - each.voiced_at) for each in every if each.ended_at]
    if SLOW:
        for each in sorted(every, key=lambda e: e.voiced_at - e.ended_at)[:8]:
            print(round(1000 * (each.ended_at - each.voiced_at)), each.level_db, each.what, file=sys.stderr)
    by_level = {
        f"{level:g}": percentile(
            [1_000 * (e.ended_at - e.voiced_at) for e in every if e.ended_at and e.level_db == level], 95
        )
        for level in LEVELS_DB
    }
    return {
        "by": by,
        "network": weather.name,
        "interruptions": len(every),
        "missed": len(every) - len(took),
        "p50_ms": percentile(took, 50),
        "p95_ms": percentile(took, 95),
        "max_ms": percentile(took, 100),
        "p95_ms_by_level_db": by_level,
        "clears": sum(side.clears for side in speakers.sides.values()),
        "holds_taken_back": sum(heard.holds for _, _, heard in told),
        "frames_lost_in_holds": sum(heard.lost for _, _, heard in told),
        "frames_repeated_in_holds": sum(heard.repeated for _, _, heard in told),
    }


async def run(arguments: argparse.Namespace) -> dict[str, Any]:
    rows: list[dict[str, Any]] = []
    for voice in VOICES:
        for words in WORDS:
            flite(words, voice)  # not in the middle of a call
    with tempfile.TemporaryDirectory(prefix="barge-", dir="/tmp") as folder:
        for by in ("agent", "line"):
            for weather in (CLEAN, ROUGH):
                name = f"{by}-{weather.name[:1]}"
                row = await latency(
                    Path(folder) / name, by, weather, arguments.calls, arguments.interruptions, arguments.seed
                )
                print(json.dumps(row), file=sys.stderr, flush=True)
                rows.append(row)
    return {"barge_in": rows}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--interruptions", type=int, default=200, help="in each row")
    parser.add_argument("--calls", type=int, default=8, help="at once")
    parser.add_argument("--seed", type=int, default=1)
    print(json.dumps(asyncio.run(run(parser.parse_args()))))


if __name__ == "__main__":
    main()
