"""`longline rehearse`: scripted callers call an agent, over SIP and RTP, and say how it went."""

from __future__ import annotations

import asyncio
import json
import tempfile
import wave
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import typer
from rich.console import Console

from longline.agentkit.testing.mouth import speak, texts_of
from longline.agentkit.testing.script import Hears
from longline.agentkit.testing.script_file import Rehearsal, ScriptError, read_script
from longline.agentkit.tts.flite import FliteTts
from longline.base.errors import LonglineError
from longline.base.log import set_up_logging
from longline.cli.phone import local_address_toward
from longline.cli.rehearsal import report
from longline.cli.rehearsal.ears import Ears
from longline.cli.rehearsal.node import RehearsalNode
from longline.cli.rehearsal.real_call import Line, RealCall, RealCaller
from longline.cli.rehearsal.rtp import RATE_HZ
from longline.sip.syntax.uri import parse_uri
from longline.sip.user_agent import ListenAddress, UserAgent, UserAgentSettings

START_APART_S = 0.11
"""Calls of one round begin so long after each other: not all at the same tick."""


class BadTarget(LonglineError):
    """Nobody can be called there; the text says what can."""


def rehearse(
    scripts: Annotated[list[Path], typer.Argument(metavar="SCRIPT...", help="callers' scripts, YAML")],
    against: Annotated[
        str, typer.Option(help="sip:user@host:port to call it, or ws://… of an agent: a node is started before it")
    ],
    calls: Annotated[int, typer.Option(min=1, max=200, help="calls at the same time, of each script in turn")] = 1,
    repeat: Annotated[int, typer.Option(min=1, max=1000, help="times that each script is played")] = 1,
    seed: Annotated[int, typer.Option(help="of the bad network; call number N has SEED + N")] = 1,
    loss: Annotated[float | None, typer.Option(min=0, max=1, help="share of packets lost, each way")] = None,
    jitter_ms: Annotated[float | None, typer.Option(min=0, max=1000, help="packets late by up to so much")] = None,
    reorder: Annotated[float | None, typer.Option(min=0, max=1, help="share of packets overtaken")] = None,
    limit: Annotated[float, typer.Option(min=1, max=3600, help="seconds after which a call has failed")] = 120.0,
    dialect: Annotated[str, typer.Option(help="that the node speaks to a ws:// agent")] = "longline",
    json_file: Annotated[Path | None, typer.Option("--json", metavar="FILE", help="the report; - for stdout")] = None,
    junit: Annotated[Path | None, typer.Option(metavar="FILE", help="the report as JUnit's XML")] = None,
    recordings: Annotated[Path | None, typer.Option(metavar="FOLDER", help="what each caller heard, as WAV")] = None,
) -> None:
    """Play callers' scripts against an agent on real calls. Fails (1) when a call did not go as it should."""
    out = Console(stderr=True, soft_wrap=True, highlight=False, markup=False)
    set_up_logging("error")
    try:
        rehearsals = [read_script(path) for path in scripts]
        given = {"loss": loss, "jitter_ms": jitter_ms, "reorder": reorder}
        over = {name: value for name, value in given.items() if value is not None}
        rehearsals = [replace(each, network=replace(each.network, **over)) for each in rehearsals]
        done = asyncio.run(
            _rehearse(
                rehearsals * repeat, against, calls, seed, limit, dialect, lambda call: out.print(report.text(call))
            )
        )
        _write(done, against, json_file, junit, recordings)
    except (ScriptError, ImportError, BadTarget) as error:
        out.print(f"rehearse: {error}")
        raise typer.Exit(2) from error
    except (LonglineError, OSError) as error:
        out.print(f"rehearse: {error}")
        raise typer.Exit(1) from error
    out.print(report.summary(done))
    if any(call.failures for call in done):
        raise typer.Exit(1)


async def _rehearse(
    rehearsals: list[Rehearsal],
    against: str,
    at_once: int,
    seed: int,
    limit_s: float,
    dialect: str,
    on_call: Callable[[RealCall], None],
) -> list[RealCall]:
    scheme = urlsplit(against).scheme
    if scheme not in ("sip", "ws", "wss"):
        raise BadTarget(f"{against!r} is neither sip:user@host:port nor ws://host:port/")
    speeches = {}
    for voice in {each.voice for each in rehearsals}:
        texts = [text for each in rehearsals if each.voice == voice for text in texts_of(each.script)]
        speeches[voice] = await speak(FliteTts(voice=voice), dict.fromkeys(texts), RATE_HZ)
    with tempfile.TemporaryDirectory(prefix="longline-rehearse-") as folder:
        if scheme == "sip":
            return await _round(rehearsals, against, None, speeches, at_once, seed, limit_s, on_call)
        async with RehearsalNode(against, dialect, Path(folder)) as node:
            return await _round(rehearsals, node.target, node, speeches, at_once, seed, limit_s, on_call)


async def _round(
    rehearsals: list[Rehearsal],
    target: str,
    node: RehearsalNode | None,
    speeches: dict[str, dict[str, bytes]],
    at_once: int,
    seed: int,
    limit_s: float,
    on_call: Callable[[RealCall], None],
) -> list[RealCall]:
    try:
        uri = parse_uri(target)
    except LonglineError as error:
        raise BadTarget(f"{target!r} is not a SIP URI such as sip:agent@127.0.0.1:5060 ({error})") from error
    address = local_address_toward(uri.host, uri.port or 5060)
    line = Line(target, address)
    line.agent = UserAgent(UserAgentSettings(listen=(ListenAddress(address, 0),)), line.on_event)
    await line.agent.start()
    free = asyncio.Semaphore(at_once)
    try:
        async with Ears() as ears:
            words = any(isinstance(step, Hears) and step.words for each in rehearsals for step in each.script.steps)
            if node is None and words and not ears.is_there:
                raise BadTarget("to hear words over SIP takes ears: pip install longline[offline]")

            async def one(number: int, rehearsal: Rehearsal) -> RealCall:
                async with free:
                    await asyncio.sleep(number % at_once * START_APART_S)
                    said = speeches[rehearsal.voice]
                    caller = RealCaller(line, rehearsal, said, ears, node=node, seed=seed + number, limit_s=limit_s)
                    call = await caller.call()
                on_call(call)
                return call

            return list(await asyncio.gather(*(one(number, each) for number, each in enumerate(rehearsals))))
    finally:
        await line.agent.settle(2.0)
        await line.agent.stop()


def _write(
    calls: list[RealCall], against: str, json_file: Path | None, junit: Path | None, recordings: Path | None
) -> None:
    if json_file == Path("-"):
        print(json.dumps(report.facts(calls, against)))
    elif json_file is not None:
        report.write_json(json_file, calls, against)
    if junit is not None:
        report.write_junit(junit, calls)
    if recordings is not None:
        recordings.mkdir(parents=True, exist_ok=True)
        for number, call in enumerate(calls):
            with wave.open(str(recordings / f"{number + 1:03}.wav"), "wb") as file:
                file.setnchannels(1)
                file.setsampwidth(2)
                file.setframerate(RATE_HZ)
                file.writeframes(call.audio)
