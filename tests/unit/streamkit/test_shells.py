"""The asyncio shells over real sockets of this host: an application against a line that dials it and breaks."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from tests.unit.streamkit.stream_pair import numbered_voice
from websockets.exceptions import InvalidStatus

from longline.streamkit import server_messages as told
from longline.streamkit.app_messages import Hello
from longline.streamkit.audio import Audio
from longline.streamkit.connection import Over
from longline.streamkit.line.line import Line
from longline.streamkit.line.wire import Wire
from longline.streamkit.server import StreamServer, serve
from longline.streamkit.stream import Stream

FRAME = 320


def line(**settings: Any) -> Line:
    return Line((f"token-{number}" for number in itertools.count(1)), voice=numbered_voice, **settings)


def server(handler: Callable[[Stream], Awaitable[None]], **settings: Any) -> StreamServer:
    return serve(handler, "127.0.0.1", 0, **settings)


async def echo(stream: Stream) -> None:
    async for event in stream:
        if isinstance(event, Audio):
            stream.say(event.payload)


async def test_a_stream_that_breaks_goes_on_in_the_same_handler() -> None:
    heard: list[int] = []
    runs = 0

    async def listen(stream: Stream) -> None:
        nonlocal runs
        runs += 1
        async for event in stream:
            if isinstance(event, Audio):
                heard.append(event.sequence)
                stream.say(event.payload)

    async with server(listen) as app, Wire(line(), f"ws://127.0.0.1:{app.port}/x?y=1") as wire:
        for _ in range(5):
            await wire.dial()
            assert await wire.until(lambda: wire.line.is_ready, 5)
            await asyncio.sleep(0.1)
            await wire.drop()
            await asyncio.sleep(0.05)
        await wire.dial()
        assert await wire.until(lambda: wire.line.is_ready, 5)
        assert await wire.until(lambda: len(heard) >= 25, 5)
        assert await wire.until(lambda: len(wire.line.heard) >= 25, 5)
    assert runs == 1
    assert heard == list(range(len(heard)))
    said = [frame.payload for frame in wire.line.heard]
    assert said == [numbered_voice(0, number, wire.line.format) for number in range(len(said))]
    assert wire.line.counters["holes"] == 0


async def test_an_application_dials_in_when_nobody_dials_it() -> None:
    async with server(echo, dial_in_after_s=0.05) as app:
        side = line()
        async with Wire(side, f"ws://127.0.0.1:{app.port}/") as wire:
            side.url = await wire.listen()
            await wire.dial()
            assert await wire.until(lambda: side.is_ready, 5)
            await wire.drop()
            assert await wire.until(lambda: side.is_ready and wire.dialled_in == 1, 5)
            assert side.hello is not None and side.hello.resume is not None
            assert wire.subprotocol == "longline.v1"


async def test_a_handler_that_returns_stops_the_stream() -> None:
    async def say_and_go(stream: Stream) -> None:
        stream.say(b"\x01" * FRAME)
        await stream.drained()

    async with server(say_and_go, hello=Hello(progress_ms=20)) as app:
        async with Wire(line(), f"ws://127.0.0.1:{app.port}/") as wire:
            await wire.dial()
            assert await wire.until(lambda: not wire.is_up, 5)
            assert wire.close_code == 1000
            assert len(wire.line.heard) == 1
        await asyncio.sleep(0.05)
        assert app.streams == {}


async def test_a_handler_that_fails_ends_its_own_stream_alone(caplog: pytest.LogCaptureFixture) -> None:
    async def fail(stream: Stream) -> None:
        raise ValueError("a mistake")

    async with server(fail) as app:
        for _ in range(2):
            async with Wire(line(), f"ws://127.0.0.1:{app.port}/") as wire:
                await wire.dial()
                assert await wire.until(lambda wire=wire: not wire.is_up, 5)  # type: ignore[misc]
                assert wire.close_code == 1000
    assert "a mistake" in caplog.text


async def test_what_is_not_signed_is_refused_before_the_upgrade() -> None:
    async with server(echo, secret="s3cret") as app:
        url = f"ws://127.0.0.1:{app.port}/call?tenant=7"
        for faulty in ({}, {"secret": "another"}, {"secret": "s3cret", "signed_at": 1_000_000_000}):
            async with Wire(line(), url) as wire:
                with pytest.raises(InvalidStatus, match="401"):
                    await wire.dial(**faulty)  # type: ignore[arg-type]
        async with Wire(line(), url, secret="s3cret") as wire:
            await wire.dial()
            assert await wire.until(lambda: wire.line.is_ready, 5)


async def test_over_is_told_when_the_line_stops() -> None:
    events: list[Any] = []

    async def keep(stream: Stream) -> None:
        events.extend([event async for event in stream])

    async with server(keep) as app, Wire(line(), f"ws://127.0.0.1:{app.port}/") as wire:
        await wire.dial()
        assert await wire.until(lambda: wire.line.is_ready, 5)
        wire.line.stop("hangup")
        wire.flush()
        assert await wire.until(lambda: not wire.is_up, 5)
        await asyncio.sleep(0.05)
    assert events[-2:] == [told.StopTold(reason="hangup"), Over("hangup", 1000)]
