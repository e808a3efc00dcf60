"""A loop whose clock jumps, and what it says of those that would wait for ever."""

import asyncio
import socket
import time

import pytest

from longline.agentkit.testing import VirtualTimeError, run, virtual_time


def now() -> float:
    return asyncio.get_running_loop().time()


@virtual_time
async def test_an_hour_takes_no_time_and_timers_keep_their_order() -> None:
    begun, really = now(), time.monotonic()
    seen: list[tuple[str, float]] = []

    async def nap(name: str, for_s: float) -> None:
        await asyncio.sleep(for_s)
        seen.append((name, round(now() - begun, 6)))

    await asyncio.gather(nap("c", 3_600.0), nap("a", 0.02), nap("b", 0.021))
    assert seen == [("a", 0.02), ("b", 0.021), ("c", 3_600.0)]
    assert time.monotonic() - really < 5


@virtual_time
async def test_a_timeout_is_over_when_its_time_has_come() -> None:
    begun = now()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(12.5):
            await asyncio.Event().wait()
    assert now() - begun == pytest.approx(12.5)


@virtual_time
async def test_the_clock_stands_while_a_thread_works() -> None:
    begun = now()
    async with asyncio.timeout(0.01):
        assert await asyncio.to_thread(lambda: time.sleep(0.05) or 7) == 7  # type: ignore[func-returns-value]
    assert now() == begun


def test_who_waits_for_nothing_is_named() -> None:
    async def waits_for_a_word_that_nobody_says() -> None:
        await asyncio.Event().wait()

    with pytest.raises(VirtualTimeError, match="in waits_for_a_word_that_nobody_says"):
        run(waits_for_a_word_that_nobody_says())


def test_what_ticks_for_ever_is_ended() -> None:
    async def ticks() -> None:
        while True:
            await asyncio.sleep(1)

    with pytest.raises(VirtualTimeError, match=r"not over at 61 s[\s\S]* in ticks"):
        run(ticks(), limit_s=60)


async def over_a_socket() -> str:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(20)
        writer.write(await reader.readline())
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    writer.write(b"hello\n")
    heard = await reader.readline()
    writer.close()
    server.close()
    return heard.decode()


def test_a_socket_is_refused_unless_it_is_allowed() -> None:
    with pytest.raises(VirtualTimeError, match="sockets=True"):
        run(over_a_socket())
    really = time.monotonic()
    assert run(over_a_socket(), sockets=True) == "hello\n"
    assert time.monotonic() - really < 10


def test_nothing_is_left_open() -> None:
    mine, theirs = socket.socketpair()
    with mine, theirs:
        first = mine.fileno()
    for _ in range(20):
        run(asyncio.sleep(1))
    mine, theirs = socket.socketpair()
    with mine, theirs:
        assert mine.fileno() == first
