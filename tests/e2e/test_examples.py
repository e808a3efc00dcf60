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
from tests.support.openai_realtime import RealtimeService, Reply
from tests.support.openai_service import OpenAIService, words
from tests.support.ports import free_ports
from tests.support.raw_phone import SILENCE, RawPhone, RtpPacket
from tests.support.speech import speech
from tests.support.tone import from_ulaw, pitch_hz, to_ulaw, tone


class Example:
    """A program of `examples/`, and what it prints."""

    def __init__(self, name: str, *arguments: str, python: str = sys.executable, **environment: str) -> None:
        (self.port,) = free_ports(1)
        self._environment = environment
        self._command = [python, str(ROOT / "examples" / name), "--port", str(self.port), *arguments]
        self.printed = ""

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Example"]:
        environment = os.environ | {"PYTHONPATH": str(ROOT / "python"), "PYTHONUNBUFFERED": "1"}
        environment |= self._environment
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

    async def prints(self, text: str, caller: "Caller | None" = None) -> None:
        """Wait for it; the caller is silent meanwhile."""
        async with asyncio.timeout(20):
            while text not in self.printed:
                await (asyncio.sleep(0.05) if caller is None else caller.phone.speak(0.1, SILENCE))

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

    def __init__(self, phone: RawPhone, sip_port: int) -> None:
        self.phone, self.sip_port = phone, sip_port

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


LONGLINE = ("--dialect", "longline")
TELER = ("--chunk-size", "20")


@asynccontextmanager
async def calling(example: Example, folder: Path, how: tuple[str, ...] = LONGLINE) -> AsyncIterator[Caller]:
    stream = ("--stream", f"ws://127.0.0.1:{example.port}", *how)
    async with (
        example.running(),
        Node(folder / "node", *stream) as node,
        RawPhone(node.sip_port, keypad=True) as phone,
    ):
        assert await phone.call() == 200
        yield Caller(phone, node.sip_port)


async def test_echo(tmp_path: Path) -> None:
    async with calling(Example("echo.py"), tmp_path, TELER) as caller:
        await caller.phone.speak(1.0, to_ulaw(tone(440, 0.02)))
        await caller.until(lambda: len(caller.heard()) >= 45)
        assert pitch_hz(np.concatenate([from_ulaw(p.payload) for p in caller.heard()[5:40]])) == pytest.approx(440, 20)
        caller.phone.hang_up()


async def test_greeter(tmp_path: Path) -> None:
    """It greets who has spoken, gives way when he speaks again, and says goodbye."""
    voice = to_ulaw(tone(440, 0.02))
    async with calling(Example("greeter.py"), tmp_path, TELER) as caller:
        await caller.phone.speak(0.5, voice)
        await caller.hears(2.0)
        await caller.phone.speak(0.3, voice)
        heard = len(caller.heard())
        assert heard < 50 * 10, "the greeting takes fifteen seconds"
        await caller.phone.speak(0.4, voice)
        assert len(caller.heard()) < heard + 10, "it has given way"
        await caller.hears(1.5)
        await caller.is_hung_up()


async def test_interruptible(tmp_path: Path) -> None:
    """A cough pauses it; who stays on has it say another sentence."""
    voice = to_ulaw(tone(440, 0.02))
    example = Example("interruptible.py")
    async with calling(example, tmp_path) as caller:
        await caller.hears(1.0)
        await caller.phone.speak(0.2, voice)
        await caller.phone.speak(0.5, SILENCE)
        await caller.hears(1.0)
        assert "were heard" not in example.printed
        await caller.phone.speak(1.0, voice)
        await example.prints("ms were heard", caller)
        caller.phone.hang_up()


async def test_resumable(tmp_path: Path) -> None:
    example = Example("resumable.py")
    async with calling(example, tmp_path) as caller:
        await caller.phone.speak(1.0, to_ulaw(tone(440, 0.02)))
        await caller.until(lambda: len(caller.heard()) >= 45)
        caller.phone.hang_up()
        await example.prints("over: ")


async def test_echo_agent(tmp_path: Path) -> None:
    example = Example("echo_agent.py")
    async with calling(example, tmp_path) as caller:
        await caller.phone.speak(1.0, to_ulaw(tone(440, 0.02)))
        await caller.until(lambda: len(caller.heard()) >= 45)
        assert pitch_hz(np.concatenate([from_ulaw(p.payload) for p in caller.heard()[5:40]])) == pytest.approx(440, 20)
        await caller.presses("#")
        await caller.is_hung_up()
        await example.prints("s were heard")


async def test_ivr(tmp_path: Path) -> None:
    """A key ends what is said; an order's number is keyed in before it is asked for to the end."""
    example = Example("ivr.py", "--operator", "sip:nobody@")
    async with calling(example, tmp_path) as caller:
        await caller.hears(1.0)
        await caller.presses("2")
        await caller.presses("1002#")
        await example.prints("asked for order 1002")
        await caller.hears(1.0)
        await caller.phone.speak(1.5, SILENCE)
        await caller.presses("0")
        await example.prints("SIP URI", caller)
        await caller.hears(0.5)


async def test_transcription(tmp_path: Path) -> None:
    """Both sides are heard, each by its name."""
    example = Example("transcription.py")
    async with calling(example, tmp_path) as caller:
        await caller.hears_no_more(1.0)
        await caller.says("I would like to talk about the weather in the morning.")
        await example.prints("caller: ", caller)
        await example.prints("we: ", caller)
    lines = dict(line.split(": ", 1) for line in example.printed.splitlines() if ": " in line)
    assert {"weather", "morning", "like", "talk"} & set(lines["caller"].split())
    assert {"call", "transcribed", "being"} & set(lines["we"].split())


async def test_companion(tmp_path: Path) -> None:
    """What was said in one call is told to the model in the next."""
    async with OpenAIService() as model:
        model.replies = [words("That is good to hear.") for _ in range(30)]
        settings = {"OPENAI_BASE_URL": model.base_url, "OPENAI_API_KEY": "key"}
        example = Example("companion.py", "--memory", str(tmp_path / "memory"), **settings)
        async with calling(example, tmp_path) as caller:
            await caller.hears(0.5)
            await caller.says("The garden is very green in the morning.")
            await caller.until(lambda: bool(model.requests))
            await caller.hears(0.6)
            caller.phone.hang_up()
            await caller.until(lambda: any((tmp_path / "memory").iterdir()))
            async with RawPhone(caller.sip_port) as again:
                assert await again.call() == 200
                second, before = Caller(again, caller.sip_port), len(model.requests)
                await second.hears(0.5)
                await second.says("Hello my friend.")
                await second.until(lambda: len(model.requests) > before)
        first, last = (request.fields["messages"][0]["content"] for request in (model.requests[0], model.requests[-1]))
        assert "agent: " not in first and "agent: Hello. I" in last and "agent: That" in last


async def test_openai_realtime(tmp_path: Path) -> None:
    """It greets, takes an order by its tool, and is told what of its answer was heard when it is interrupted."""
    async with RealtimeService() as model:
        model.texts.extend(["Two funghi.", "Stop."])
        model.replies.append(Reply("Hello, this is Pizza Longline.", 1.0))
        model.replies.append(Reply(calls={"order": '{"pizza": "funghi", "count": 2}'}))
        model.replies.append(Reply("Order one costs twenty-two euros and is ready in twenty minutes.", 8.0))
        settings = {"OPENAI_BASE_URL": model.base_url, "OPENAI_API_KEY": "key"}
        example = Example("openai_realtime.py", **settings)
        async with calling(example, tmp_path) as caller:
            await caller.hears(0.8)
            await caller.hears_no_more()
            await caller.says("Two funghi, please.")
            await example.prints("order 1: 2 x funghi", caller)
            await caller.hears(1.5)
            await caller.says("Stop, stop, stop it.")
            await caller.until(lambda: bool(model.of_type("conversation.item.truncate")))
            await example.prints("agent:  Order one costs", caller)
        cut = model.of_type("conversation.item.truncate")[0]
    assert 1_200 < cut["audio_end_ms"] < 6_000
    assert "twenty minutes." not in example.printed and model.errors == []


@pytest.mark.skipif(not has_package("pipecat"), reason="third-party applications are not installed")
async def test_pipecat_bot(tmp_path: Path) -> None:
    example = Example("pipecat_bot.py", python=str(PYTHON))
    async with calling(example, tmp_path) as caller:
        await caller.hears(1.5)
        await caller.says("Stop.")
        await caller.hears_no_more()
        await caller.presses("7")
        await caller.hears(0.8)
        await caller.hears_no_more(1.0)
        caller.phone.hang_up()
        await example.prints("You have pressed 7.")
    greeting = example.printed.split("heard:")[1].splitlines()[1].strip()
    assert greeting.startswith("Welcome.") and "until you say something" not in greeting
