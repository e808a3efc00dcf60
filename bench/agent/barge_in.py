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
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from agent.callers import Caller, Cues, Hearing, Interruption, Side, Speakers, Weather, hear_holds, is_loud, silent_at
from node import Node, node
from tests.support.listener import Echo, listen
from tests.support.raw_phone import RawPhone
from tests.support.scenes import Scene, not_meant
from tests.support.sounds import RATE_HZ, at_level, first_voiced_sample, flite, noise

from longline.agentkit.server import serve
from longline.agentkit.turns.barge_in import BargeInRules
from longline.agentkit.turns.energy import EnergyVad
from longline.agentkit.turns.rules import TurnRules
from longline.agentkit.turns.silero import silero
from longline.agentkit.turns.vad import Vad

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


def by_agent() -> TurnRules:
    """The line is not asked to pause by itself."""
    return TurnRules(barge_in=BargeInRules(local_s=None))


@contextlib.asynccontextmanager
async def agent_and_node(folder: Path, speakers: Speakers) -> AsyncIterator[Node]:
    async with serve(speakers, "127.0.0.1", 0, hello=speakers.hello) as server:
        url = f"ws://127.0.0.1:{server.port}/"
        async with node(folder, url, "--dialect", "longline") as one:
            yield one


async def interrupt(
    caller: Caller, cues: Cues, level: float, count: int, seed: int
) -> tuple[list[Interruption], Hearing]:
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
        words, voice = dice.choice(WORDS), dice.choice(VOICES)
        sound = at_level(flite(words, voice), level)
        caller.speak(sound)
        cues.say(words)
        while caller.speaks:
            await caller.tick()
        for _ in range(20):
            await caller.tick()
        one = Interruption(f"{voice}: {words}", level, caller.spoken_at(first_voiced_sample(sound)))
        silent = silent_at(caller.since(one.voiced_at - 0.3), one.voiced_at - 0.2)
        one.ended_at = silent if silent is not None else 0.0
        done.append(one)
    return done, hear_holds(caller.phone.packets())


def percentile(values: list[float], share: float) -> float | None:
    return round(float(np.percentile(values, share)), 1) if values else None


async def latency(folder: Path, by: str, weather: Weather, calls: int, count: int, seed: int) -> dict[str, Any]:
    """`count` interruptions in all, over so many calls at once."""
    speakers = Speakers(TurnRules if by == "line" else by_agent)
    async with agent_and_node(folder, speakers) as exchange, contextlib.AsyncExitStack() as stack:
        callers = []
        for number in range(calls):
            phone = await stack.enter_async_context(RawPhone(exchange.sip_port, to=f"call{number}"))
            if await phone.call() != 200:
                raise SystemExit("a call was not answered")
            callers.append(Caller(phone, number, weather, seed + number))
            await asyncio.sleep(0.013)
        told = await asyncio.gather(
            *(
                interrupt(one, speakers.side(f"call{n}").cues, LEVELS_DB[n % 4], count // calls, seed + n)
                for n, one in enumerate(callers)
            )
        )
    every = [each for done, _ in told for each in done]
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
        "holds_taken_back": sum(heard.holds for _, heard in told),
        "frames_lost_in_holds": sum(heard.lost for _, heard in told),
        "frames_repeated_in_holds": sum(heard.repeated for _, heard in told),
    }


# --- what is no interruption ------------------------------------------------------------------------------------------


async def hear_scene(caller: Caller, side: Side, scene: Scene) -> dict[str, Any]:
    """The caller has said something and is being answered; then the scene is played."""
    while not caller.since(0) or not any(is_loud(packet) for packet in caller.since(0)):
        await caller.tick()
    caller.speak(flite("I have a question about my bill.", "rms"))
    side.cues.say("I have a question about my bill")
    for _ in range(300):
        await caller.tick()
    pauses, clears, resumes = side.pauses, side.clears, side.resumes
    began = time.time()
    caller.speak(scene.audio)
    for begins, _, text in scene.words:
        asyncio.get_running_loop().call_later(begins, side.cues.say, text)
    while caller.speaks:
        await caller.tick()
    heard = [is_loud(packet) for packet in caller.since(began)]
    return {
        "sound": scene.name,
        "seconds": round(len(scene.audio) / RATE_HZ),
        "interruptions": side.clears - clears,
        "pauses_by_agent": side.pauses - pauses,
        "pauses_taken_back": side.resumes - resumes,
        "heard_share": round(sum(heard) / max(1, len(heard)), 2),
    }


async def not_interrupted(
    folder: Path, rules: Callable[[], TurnRules], scenes: list[Scene], seed: int, echo_loss_db: float | None = None
) -> list[dict[str, Any]]:
    """All of them at once, a call each."""
    speakers = Speakers(rules, talks=echo_loss_db is not None)
    async with agent_and_node(folder, speakers) as one, contextlib.AsyncExitStack() as stack:
        hearing = []
        for number, scene in enumerate(scenes):
            phone = await stack.enter_async_context(RawPhone(one.sip_port, to=f"call{number}"))
            if await phone.call() != 200:
                raise SystemExit("a call was not answered")
            caller = Caller(phone, number, CLEAN, seed + number, echo_loss_db=echo_loss_db)
            hearing.append(asyncio.create_task(hear_scene(caller, speakers.side(f"call{number}"), scene)))
            await asyncio.sleep(0.013)
        return list(await asyncio.gather(*hearing))


def judged(minutes: float, seed: int, silero_file: Path | None) -> list[dict[str, Any]]:
    """So many minutes of each sound in virtual time, by each detector: only what decides is real."""
    vads: list[tuple[str, Callable[[], Vad]]] = [("energy", EnergyVad)]
    try:
        vads.append(("silero", silero(silero_file)))
    except (ImportError, FileNotFoundError) as error:
        print(f"without Silero: {error}", file=sys.stderr)
    hiss = Scene("own echo", noise(60 * minutes, seed, -62.0, "white"))
    played: list[tuple[Scene, Echo | None]] = [(scene, None) for scene in not_meant(minutes, seed)]
    played += [(hiss, Echo(loss_db)) for loss_db in (30, 20, 14)]
    rows = []
    for name, vad in vads:
        for scene, echo in played:
            outcome = listen(scene, TurnRules(vad=vad), echo=echo)
            row = {
                "by": name,
                "sound": scene.name if echo is None else f"{scene.name}, {echo.loss_db:g} dB down",
                "minutes": minutes,
                "interruptions": len(outcome.interruptions),
                "pauses": len(outcome.pauses),
                "heard_share": round(outcome.heard_share, 2),
            }
            print(json.dumps(row), file=sys.stderr, flush=True)
            rows.append(row)
    return rows


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
        sounds: list[dict[str, Any]] = []
        if arguments.seconds:
            scenes = not_meant(arguments.seconds / 60, arguments.seed)
            hiss = [Scene("own echo, 20 dB down", noise(arguments.seconds, 1, -62.0, "white"))]
            for name, rules in (("energy, local", TurnRules), ("energy, agent alone", by_agent)):
                told = await not_interrupted(Path(folder) / f"n{len(sounds)}", rules, scenes, arguments.seed)
                told += await not_interrupted(Path(folder) / f"e{len(sounds)}", rules, hiss, arguments.seed, 20)
                for each in told:
                    sounds.append({"by": name, **each})
                    print(json.dumps(sounds[-1]), file=sys.stderr, flush=True)
    return {"barge_in": rows, "not_meant": sounds}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--interruptions", type=int, default=200, help="in each row")
    parser.add_argument("--calls", type=int, default=6, help="at once")
    parser.add_argument("--seconds", type=float, default=60, help="of each sound that is none; 0: leave them out")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=10, help="of each sound in virtual time; 0: leave them out")
    parser.add_argument("--silero", type=Path, help="the model's file; without, that of an installed package")
    arguments = parser.parse_args()
    told = judged(arguments.minutes, arguments.seed, arguments.silero) if arguments.minutes else []
    print(json.dumps({**asyncio.run(run(arguments)), "in_virtual_time": told}))


if __name__ == "__main__":
    main()
