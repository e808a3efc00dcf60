"""Each example as its reader runs it: a program of its own, and a real call."""

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest

from tests.support.clients import PYTHON, ROOT, has_package
from tests.support.node import Node
from tests.support.ports import free_ports
from tests.support.raw_phone import SILENCE, RawPhone, RtpPacket
from tests.support.speech import speech
from tests.support.tone import from_ulaw, to_ulaw


class Example:
    """A program of `examples/`, and what it prints."""

    def __init__(self, name: str, python: str = sys.executable, *arguments: str) -> None:
        (self.port,) = free_ports(1)
        self._command = [python, str(ROOT / "examples" / name), "--port", str(self.port), *arguments]
        self.printed = ""

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Example"]:
        environment = os.environ | {"PYTHONPATH": str(ROOT / "python"), "PYTHONUNBUFFERED": "1"}
        process = await asyncio.create_subprocess_exec(
            *self._command, env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
        reading = asyncio.create_task(self._read(process))
        try:
            async with asyncio.timeout(30):
                while not await self._listens():
                    assert process.returncode is None, self.printed
                    await asyncio.sleep(0.05)
            yield self
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
            await reading
            print(f"--- {self._command[1]} printed ---\n{self.printed[-4000:]}")

    async def _listens(self) -> bool:
        with contextlib.suppress(OSError):
            _, writer = await asyncio.open_connection("127.0.0.1", self.port)
            writer.close()
            return True
        return False

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        async for line in process.stdout:
            self.printed += line.decode(errors="replace")


class Caller:
    """A phone whose line is never still."""

    def __init__(self, phone: RawPhone) -> None:
        self.phone = phone

    async def says(self, text: str) -> None:
        samples = await speech(text)
        for at in range(0, len(samples), 160):
            frame = np.zeros(160, dtype=np.int16)
            piece = samples[at : at + 160]
            frame[: len(piece)] = piece
            await self.phone.speak(0.02, to_ulaw(frame))

    async def presses(self, keys: str) -> None:
        for key in keys:
            await self.phone.press(key)
            await self.phone.speak(0.1, SILENCE)

    async def until(self, condition: Callable[[], bool], timeout_s: float = 20) -> None:
        async with asyncio.timeout(timeout_s):
            while not condition():
                await self.phone.speak(0.1, SILENCE)

    def heard(self) -> list[RtpPacket]:
        """What was not silence."""
        return [packet for packet in self.phone.packets() if not packet.is_silent]

    async def hears(self, seconds: float) -> None:
        """So much more than until now."""
        before = len(self.heard())
        await self.until(lambda: len(self.heard()) >= before + seconds * 50)

    async def hears_no_more(self, for_s: float = 0.5) -> None:
        async with asyncio.timeout(20):
            before = -1
            while before != len(self.heard()):
                before = len(self.heard())
                await self.phone.speak(for_s, SILENCE)

    async def is_hung_up(self) -> None:
        await self.until(lambda: any(data.startswith(b"BYE") for data in self.phone.sip.received))
        self.phone.answer_requests()
        self.phone.forget()

    def loudness(self) -> float:
        return float(np.abs(np.concatenate([from_ulaw(p.payload) for p in self.heard()]).astype(int)).max(initial=0))


@asynccontextmanager
async def calling(example: Example, folder: Path) -> AsyncIterator[Caller]:
    stream = ("--stream", f"ws://127.0.0.1:{example.port}", "--dialect", "longline")
    async with (
        example.running(),
        Node(folder / "node", *stream) as node,
        RawPhone(node.sip_port, keypad=True) as phone,
    ):
        assert await phone.call() == 200
        yield Caller(phone)


@pytest.mark.skipif(not has_package("pipecat"), reason="third-party applications are not installed")
async def test_pipecat_bot(tmp_path: Path) -> None:
    example = Example("pipecat_bot.py", str(PYTHON))
    async with calling(example, tmp_path) as caller:
        await caller.hears(1.5)
        await caller.says("Stop.")
        await caller.hears_no_more()
        await caller.presses("7")
        await caller.hears(0.8)
        await caller.hears_no_more(1.0)
        caller.phone.hang_up()
        async with asyncio.timeout(10):
            while "You have pressed 7." not in example.printed:
                await asyncio.sleep(0.05)
    greeting = example.printed.split("heard:")[1].splitlines()[1].strip()
    assert greeting.startswith("Welcome.") and "until you say something" not in greeting
