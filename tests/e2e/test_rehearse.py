"""`longline rehearse` as a program: callers with scripts against an agent, on real calls over a bad network."""

import asyncio
import contextlib
import json
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
KEYS = """\
name: presses keys
steps:
  - hears
  - presses: 4#
  - hears
  - is_hung_up: 15
expect:
  ended_by: agent
"""


@contextlib.asynccontextmanager
async def agent() -> AsyncIterator[str]:
    """Its URL."""
    (port,) = free_ports(1)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.support.rehearsed_agent", str(port), stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        assert await asyncio.wait_for(process.stdout.readline(), 30) == b"ready\n"
        yield f"ws://127.0.0.1:{port}/"
    finally:
        process.kill()
        await process.wait()


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
    async with agent() as url:
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


async def test_a_sip_uri_is_called_as_it_is_and_keys_are_pressed(tmp_path: Path) -> None:
    async with agent() as url, Node(tmp_path / "node", "--stream", url, "--dialect", "longline") as node:
        status, report, told = await rehearse(tmp_path, {"keys.yaml": KEYS}, "--against", node.uri)
        (call,) = report["rehearsals"]
        assert status == 0 and call["ended_by"] == "agent", told
        assert [turn["text"] for turn in call["turns"] if turn["role"] == "caller"] == ["[pressed 4#]"]
        (pressed,) = await node.calls()
        assert pressed["state"] == "completed"
