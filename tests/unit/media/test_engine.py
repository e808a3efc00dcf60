"""The media server's process: started, lost, restarted; and what its sessions are told of that."""

import asyncio
import os
import signal
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.support.media_server import write_program

from longline.base.errors import MediaUnavailable
from longline.media import process
from longline.media.engine import MediaEngine
from longline.media.errors import MediaCommandRefused
from longline.media.process import MediaProcess, MediaServerSettings, find_binary
from longline.media.protocol.commands import SessionClose
from longline.media.protocol.events import SessionFailed, WorkerDied
from longline.media.session import MediaSession


@asynccontextmanager
async def running(folder: Path, **script: Any) -> AsyncIterator[MediaEngine]:
    engine = MediaEngine(MediaServerSettings(binary=write_program(folder, **script)))
    await engine.start()
    try:
        yield engine
    finally:
        await engine.stop()


def watched(engine: MediaEngine, session_id: str = "s") -> tuple[MediaSession, "asyncio.Future[str]"]:
    lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    return engine.session(session_id, lambda event: None, lost.set_result), lost


async def until_available(engine: MediaEngine) -> None:
    async with asyncio.timeout(10):
        while not engine.is_available:
            await asyncio.sleep(0.01)


@pytest.fixture
def short_path() -> Iterator[Path]:
    """A folder near the root: the name of a Unix socket has at most 107 octets."""
    with tempfile.TemporaryDirectory(prefix="ll-") as folder:
        yield Path(folder)


async def test_a_session_opens_its_leg(tmp_path: Path) -> None:
    async with running(tmp_path) as engine:
        session, _ = watched(engine)
        assert (await session.open_leg("l")).rtp == ("127.0.0.1", 20004)
        assert await session.close() == {"duration_ms": 5}


async def test_an_error_is_told_with_its_code(tmp_path: Path) -> None:
    async with running(tmp_path, refuse={"leg.open": ["no_ports", "all 10000 are taken"]}) as engine:
        session, _ = watched(engine)
        with pytest.raises(MediaCommandRefused) as refused:
            await session.open_leg("l")
        assert refused.value.code == "no_ports"


async def test_a_killed_server_loses_its_sessions_and_is_started_again(tmp_path: Path) -> None:
    async with running(tmp_path) as engine:
        session, lost = watched(engine)
        killed = engine.pid
        assert killed is not None
        os.kill(killed, signal.SIGKILL)
        assert await asyncio.wait_for(lost, 10) == "media_server_died"
        assert not engine.is_available
        with pytest.raises(MediaUnavailable):
            await session.open_leg("l")
        await until_available(engine)
        assert engine.pid != killed
        again, _ = watched(engine, "t")
        await again.open_leg("l")


async def test_a_command_that_waits_when_the_server_dies_fails_at_once(tmp_path: Path) -> None:
    async with running(tmp_path, die_on=["leg.open"]) as engine:
        session, lost = watched(engine)
        with pytest.raises(MediaUnavailable, match="went away"):
            await session.open_leg("l")
        await asyncio.wait_for(lost, 10)


@pytest.mark.parametrize("turns", [0, 1, 2, 3, 5, 10, 100])
async def test_stopping_while_a_dead_server_is_buried_or_restarted_comes_to_an_end(
    short_path: Path, monkeypatch: pytest.MonkeyPatch, turns: int
) -> None:
    monkeypatch.setattr(process.tempfile, "tempdir", str(short_path))
    engine = MediaEngine(MediaServerSettings(binary=write_program(short_path)))
    await engine.start()
    _, lost = watched(engine)
    assert engine.pid is not None
    os.kill(engine.pid, signal.SIGKILL)
    await asyncio.wait_for(lost, 10)
    for _ in range(turns):
        await asyncio.sleep(0)
    await asyncio.wait_for(engine.stop(), 10)
    assert not engine.is_available
    assert not [path for path in short_path.iterdir() if path.name.startswith("longline-media-")]


async def test_a_command_without_an_answer_times_out(tmp_path: Path) -> None:
    async with running(tmp_path, silent=["session.close"]) as engine:
        with pytest.raises(MediaUnavailable, match=r"did not answer session\.close"):
            await engine.request(SessionClose("s"), timeout_s=0.05)
        assert engine.is_available


async def test_a_server_of_another_version_is_refused(tmp_path: Path) -> None:
    engine = MediaEngine(
        MediaServerSettings(binary=write_program(tmp_path, refuse={"hello": ["bad_request", "version 2 only"]}))
    )
    with pytest.raises(MediaUnavailable, match="version 2 only"):
        await engine.start()


async def test_a_program_that_ends_at_once_is_told_with_its_status(tmp_path: Path) -> None:
    program = tmp_path / "broken"
    program.write_text("#!/bin/sh\nexit 7\n")
    program.chmod(0o755)
    with pytest.raises(MediaUnavailable, match="exit status 7"):
        await MediaEngine(MediaServerSettings(binary=program)).start()


async def test_stopping_leaves_neither_process_nor_socket(short_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process.tempfile, "tempdir", str(short_path))
    async with running(short_path) as engine:
        pid = engine.pid
        assert pid is not None
        assert [path for path in short_path.iterdir() if path.name.startswith("longline-media-")]
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert not [path for path in short_path.iterdir() if path.name.startswith("longline-media-")]


async def test_a_dead_worker_takes_only_its_own_sessions(tmp_path: Path) -> None:
    async with running(tmp_path) as engine:
        _, first_lost = watched(engine, "first")
        second, second_lost = watched(engine, "second")
        engine._dispatch(WorkerDied(at=0.0, worker=1, sessions=["first", "unknown"], reason="panic"))
        assert first_lost.done() and not second_lost.done()
        engine._dispatch(SessionFailed(at=0.0, session="second", reason="bug"))
        assert second_lost.result() == "session_failed" and second.is_lost
        assert engine.counters["sessions_lost"] == 2


def test_the_binary_is_found_by_its_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = write_program(tmp_path)
    monkeypatch.setenv("LONGLINE_MEDIA_BINARY", str(program))
    assert find_binary() == program
    monkeypatch.setenv("LONGLINE_MEDIA_BINARY", str(tmp_path / "nothing"))
    with pytest.raises(MediaUnavailable, match="LONGLINE_MEDIA_BINARY"):
        find_binary()


async def test_a_folder_too_deep_for_a_socket_is_named_in_the_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deep = tmp_path / ("d" * 100)
    deep.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(deep))
    with pytest.raises(MediaUnavailable, match="set TMPDIR to a shorter one"):
        await MediaProcess.spawn(MediaServerSettings(binary=Path("/bin/true")))
    assert list(deep.iterdir()) == []
