"""`longline rehearse` as a program: callers with scripts against an agent, on real calls over a bad network."""

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from tests.support.node import Node
from tests.support.ports import free_ports

GOOD = """\
name: interrupts and leaves
steps:
  - hears
  - says: When do you open?
  - interrupts: {text: "No, wait, please!", after_s: 1.2}
  - hears: {words: Monday at nine, within_s: 15}
expect:
  heard: [Monday at nine]
  not_heard: [Tuesday]
  ended_by: caller
"""
BAD = """\
name: wants too much
steps:
  - hears
  - says: When do you open?
  - hears: {words: We are closed for ever, within_s: 2}
"""
ORDER = """\
name: asks for an order
steps:
  - waits: 1
  - presses: 2
  - hears: {within_s: 15}
  - presses: 1002#
  - waits: 1
expect:
  ended_by: caller
"""


@contextlib.asynccontextmanager
async def agent(*command: str) -> AsyncIterator[tuple[str, list[str]]]:
    """Its URL, and what it has printed (of an example: the one that is told)."""
    (port,) = free_ports(1)
    printed: list[str] = []
    program = (*command, "--port") if command else ("-m", "tests.support.rehearsed_agent")
    process = await asyncio.create_subprocess_exec(
        sys.executable, *program, str(port),
        env=os.environ | {"PYTHONUNBUFFERED": "1"}, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    reading = asyncio.create_task(_read(process, printed))
    try:
        await until_listening(port)
        yield f"ws://127.0.0.1:{port}/", printed
    finally:
        process.kill()
        await process.wait()
        await reading


async def _read(process: asyncio.subprocess.Process, printed: list[str]) -> None:
    assert process.stdout is not None
    printed.extend([line.decode().rstrip() async for line in process.stdout])


async def until_listening(port: int) -> None:
    async with asyncio.timeout(30):
        while True:
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                return
            await asyncio.sleep(0.05)


async def rehearse(folder: Path, scripts: dict[str, str], *arguments: str) -> tuple[int, dict[str, Any], str]:
    """Its exit status, its JSON and what it told people."""
    for name, text in scripts.items():
        (folder / name).write_text(text)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "longline", "rehearse", *(str(folder / name) for name in scripts), *arguments,
        "--json", str(folder / "report.json"), stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    _, told = await asyncio.wait_for(process.communicate(), 120)
    text = told.decode()
    print(text)
    report = folder / "report.json"
    return process.returncode or 0, json.loads(report.read_text()) if report.exists() else {}, text


async def test_a_script_that_should_fails_and_one_that_should_not_does_not_in_parallel_and_with_loss(
    tmp_path: Path,
) -> None:
    junit = tmp_path / "report.xml"
    async with agent() as (url, _):
        status, report, told = await rehearse(
            tmp_path, {"good.yaml": GOOD, "bad.yaml": BAD}, "--against", url, "--calls", "4", "--repeat", "2",
            "--loss", "0.02", "--jitter-ms", "20", "--junit", str(junit), "--recordings", str(tmp_path / "heard"),
        )  # fmt: skip
    assert status == 1 and (report["calls"], report["failed"]) == (4, 2)
    good, bad, good_again, _ = report["rehearsals"]
    assert good["passed"] and good_again["passed"], told
    assert bad["failures"][0].startswith("wants too much: step 3 of 3, line 5, “hears 'We are closed for ever'")
    assert good["packets"]["lost_on_purpose"] > 0 and good["packets"]["received"] > 100
    roles = [turn["role"] for turn in good["turns"]]
    assert roles[:5] == ["agent", "caller", "agent", "caller", "agent"]
    (cut,) = [turn for turn in good["turns"] if turn["was_interrupted"]]
    assert cut["silent_after_ms"] is not None
    assert good["agent_turns"][-1]["heard"] == "Monday at nine is yours."
    cases = ElementTree.parse(junit).getroot().findall("./testsuite/testcase")
    assert [case.find("failure") is None for case in cases] == [True, True, False, False]
    assert len(list((tmp_path / "heard").glob("*.wav"))) == 4


async def test_an_example_is_called_by_sip_and_gets_the_keys_that_are_pressed(tmp_path: Path) -> None:
    async with (
        agent("examples/ivr.py") as (url, printed),
        Node(tmp_path / "node", "--stream", url, "--dialect", "longline") as node,
    ):
        status, report, told = await rehearse(tmp_path, {"order.yaml": ORDER}, "--against", node.uri)
        (call,) = report["rehearsals"]
        assert status == 0, told
        caller = [turn["text"] for turn in call["turns"] if turn["role"] == "caller"]
        assert caller == ["[pressed 2]", "[pressed 1002#]"]
        (pressed,) = await node.until_over(1)
        assert pressed["state"] == "completed"
    assert printed == ["asked for order 1002"]
