"""The media server as control sees it: started, watched over, restarted, and the sessions that live on it.

When the process dies, hangs or drops the connection, every session on it is lost at once and its owner told; the
server is then started again, with a pause that doubles from RESTART_MIN_S to RESTART_MAX_S. Meanwhile `is_available`
is false and a command raises MediaUnavailable, so that new calls are refused truthfully instead of waiting.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable
from typing import Any

from longline.base.clock import Clock, SystemClock
from longline.base.errors import MediaUnavailable
from longline.base.log import get_logger
from longline.media.connection import COMMAND_TIMEOUT_S, MediaConnection
from longline.media.errors import MediaCommandRefused
from longline.media.process import MediaProcess, MediaServerSettings
from longline.media.protocol.commands import Command, Hello, ServerStats, Shutdown
from longline.media.protocol.events import MediaEvent, SessionFailed, WorkerDied
from longline.media.session import MediaSession, Watch

RESTART_MIN_S = 0.1
RESTART_MAX_S = 5.0
START_TIMEOUT_S = 10.0
HEARTBEAT_S = 2.0
HEARTBEAT_TIMEOUT_S = 5.0
"""A server that leaves a command unanswered for this long is taken for hung, and killed."""
_CONNECT_PAUSE_S = 0.02

log = get_logger(__name__)


class MediaEngine:
    """Supervises the media server's process and gives out sessions on it.

    `counters`: `restarts`, `sessions_lost`, `orphan_events` (of a session nobody owns any more), `hung`.
    """

    def __init__(self, settings: MediaServerSettings, clock: Clock | None = None, watch: Watch | None = None) -> None:
        self._settings = settings
        self._watch = watch or Watch()
        self._clock = clock or SystemClock()
        self._process: MediaProcess | None = None
        self._connection: MediaConnection | None = None
        self._sessions: dict[str, MediaSession] = {}
        self._supervisor: asyncio.Task[None] | None = None
        self.counters: Counter[str] = Counter()
        self.latest_stats: dict[str, Any] = {}
        """What the server said of itself last, at most HEARTBEAT_S ago while it lives."""

    @property
    def is_available(self) -> bool:
        return self._connection is not None and not self._connection.closed.is_set()

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    async def start(self) -> None:
        """Start the server and greet it. Raise MediaUnavailable, with what is wrong, when that fails."""
        await self._launch()
        self._supervisor = asyncio.create_task(self._supervise(), name="media-supervisor")

    async def stop(self) -> None:
        """End the server; sessions that still live on it are lost."""
        if self._supervisor is not None:
            self._supervisor.cancel()
            await asyncio.wait([self._supervisor])
            self._supervisor = None
        if self.is_available:
            with contextlib.suppress(MediaUnavailable, MediaCommandRefused):
                await self.request(Shutdown())
        await self._bury("shutting_down")

    def session(
        self, session_id: str, on_event: Callable[[MediaEvent], None], on_lost: Callable[[str], None]
    ) -> MediaSession:
        """A session of this id; it comes to be on the server with its first leg."""
        session = MediaSession(session_id, self.request, on_event, on_lost, self._forget, self._watch)
        self._sessions[session_id] = session
        return session

    async def request(self, command: Command, timeout_s: float = COMMAND_TIMEOUT_S) -> dict[str, Any]:
        """Send a command. Raise MediaUnavailable or MediaCommandRefused."""
        if self._connection is None:
            raise MediaUnavailable
        return await self._connection.request(command, timeout_s)

    async def stats(self) -> dict[str, Any]:
        """The server's own statistics."""
        return await self.request(ServerStats())

    # --- the life of the process -----------------------------------------------------------------------------------

    async def _launch(self) -> None:
        process = await MediaProcess.spawn(self._settings)
        connection: MediaConnection | None = None
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                connection = await self._connect(process)
                hello = await connection.request(Hello())
        except BaseException as error:
            await self._take_down(connection, process)
            if isinstance(error, TimeoutError):
                raise MediaUnavailable(f"the media server did not start within {START_TIMEOUT_S:g} s") from error
            if isinstance(error, MediaCommandRefused):
                raise MediaUnavailable(f"the media server speaks another version: {error}") from error
            raise
        self._process, self._connection = process, connection
        log.info("media server started", pid=process.pid, server=hello.get("server"), workers=hello.get("workers"))

    async def _connect(self, process: MediaProcess) -> MediaConnection:
        while True:
            if process.exit_status is not None:
                raise MediaUnavailable(f"the media server ended at once (exit status {process.exit_status})")
            with contextlib.suppress(FileNotFoundError, ConnectionRefusedError):
                return await MediaConnection.open(process.socket_path, self._dispatch)
            await asyncio.sleep(_CONNECT_PAUSE_S)

    async def _supervise(self) -> None:
        while True:
            await self._until_lost()
            await self._bury("media_server_died")
            await self._relaunch()

    async def _until_lost(self) -> None:
        """Return when the process has exited, the connection has ended, or the server is hung."""
        assert self._process is not None and self._connection is not None
        watched = [
            asyncio.create_task(self._process.wait()),
            asyncio.create_task(self._connection.closed.wait()),
            asyncio.create_task(self._until_hung(self._connection)),
        ]
        try:
            await asyncio.wait(watched, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in watched:
                task.cancel()

    async def _until_hung(self, connection: MediaConnection) -> None:
        while True:
            await self._clock.sleep(HEARTBEAT_S)
            try:
                self.latest_stats = await connection.request(ServerStats(), HEARTBEAT_TIMEOUT_S)
            except MediaUnavailable as error:
                self.counters["hung"] += 1
                log.error("media server is hung", error=str(error))
                return
            except MediaCommandRefused as error:
                log.warning("media server refuses its statistics", error=str(error))

    async def _bury(self, reason: str) -> None:
        connection, process = self._connection, self._process
        self._connection = self._process = None
        self._lose(list(self._sessions), reason)
        if process is not None and reason == "media_server_died":
            log.error("media server died", pid=process.pid, exit_status=process.exit_status)
            process.kill()
        await self._take_down(connection, process)

    @staticmethod
    async def _take_down(connection: MediaConnection | None, process: MediaProcess | None) -> None:
        """Leave nothing of a run, also when this is cancelled in the middle."""
        try:
            if connection is not None:
                await connection.close()
        finally:
            if process is not None:
                await process.stop()

    async def _relaunch(self) -> None:
        pause_s = RESTART_MIN_S
        while True:
            await self._clock.sleep(pause_s)
            self.counters["restarts"] += 1
            try:
                return await self._launch()
            except MediaUnavailable as error:
                pause_s = min(pause_s * 2, RESTART_MAX_S)
                log.error("media server did not start", error=str(error), next_try_s=pause_s)

    # --- sessions --------------------------------------------------------------------------------------------------

    def _dispatch(self, event: MediaEvent) -> None:
        if isinstance(event, WorkerDied):
            log.error("media worker died", worker=event.worker, reason=event.reason, sessions=len(event.sessions))
            self._lose(event.sessions, "worker_died")
            return
        session = self._sessions.get(event.session or "")
        if session is None:
            self.counters["orphan_events"] += 1
        elif isinstance(event, SessionFailed):
            log.error("media session failed", session=session.id, reason=event.reason)
            self._lose([session.id], "session_failed")
        else:
            session.deliver(event)

    def _lose(self, session_ids: list[str], reason: str) -> None:
        for session_id in session_ids:
            session = self._sessions.pop(session_id, None)
            if session is not None:
                self.counters["sessions_lost"] += 1
                session.lose(reason)

    def _forget(self, session_id: str) -> None:
        self._sessions.pop(session_id, None)
