"""The pytest plugin, in a pytest of its own: with and without another plugin for asyncio."""

import subprocess
import sys
from pathlib import Path

import pytest

TESTS = """\
import asyncio
import pytest
from longline.agentkit.session import CallSession

pytestmark = pytest.mark.virtual_time

async def test_an_hour(tmp_path):
    await asyncio.sleep(3_600)

class TestMore:
    @pytest.mark.parametrize("hours", [1, 2])
    async def test_hours(self, hours):
        await asyncio.sleep(hours)

@pytest.mark.virtual_time(limit_s=10)
async def test_too_long():
    await asyncio.sleep(11)

async def test_silent(caller):
    async def silent(call: CallSession) -> None:
        async for _ in call:
            pass
    await caller.hears("hello").calls(silent)
"""


@pytest.mark.parametrize("more", [["-p", "no:asyncio"], ["-o", "asyncio_mode=auto"]], ids=["alone", "with asyncio"])
def test_marked_tests_run_in_virtual_time(tmp_path: Path, more: list[str]) -> None:
    (tmp_path / "conftest.py").write_text('pytest_plugins = ["longline.agentkit.testing.plugin"]\n')
    (tmp_path / "test_agent.py").write_text(TESTS)
    command = [sys.executable, "-m", "pytest", "-q", "--strict-markers", "-p", "no:cacheprovider", "--rootdir", "."]
    done = subprocess.run([*command, *more], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert "3 passed" in done.stdout and "2 failed" in done.stdout, done.stdout + done.stderr
    assert "not over at 11 s of virtual time" in done.stdout
    assert "test_silent: step 1 of 1, “hears 'hello' within 10 s”: the agent said nothing" in done.stdout
