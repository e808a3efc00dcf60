"""The media server with legs toward plain UDP ports and streams of longline.v1: what a node has, without the node."""

import asyncio
import itertools
import socket
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from longline.media.engine import MediaEngine
from longline.media.process import MediaServerSettings
from longline.media.protocol.commands import PayloadType, StreamResume, StreamTarget
from longline.media.protocol.events import MediaEvent, StreamClosed, StreamRequested
from longline.media.session import LegRemote, MediaSession
from tests.support.ports import free_ports

WINDOW_MS, RING_MS = 30_000, 10_000


class MediaStreams:
    """`async with MediaStreams() as media: await media.open(url)`: a leg, and a stream to the application there."""

    def __init__(self, *, ca_file: Path | None = None, secrets: tuple[str, ...] = (), listens: bool = False) -> None:
        self._listen = f"127.0.0.1:{free_ports(1)[0]}" if listens else None
        # Whoever shares this machine may keep an application from answering for seconds.
        arguments = ("--stream-connect-timeout", "20", *(("--stream-listen", self._listen) if self._listen else ()))
        self._engine = MediaEngine(
            MediaServerSettings(ca_files=(ca_file,) if ca_file else (), extra_arguments=arguments)
        )
        self._secrets = secrets
        self._sink = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._sink.bind(("127.0.0.1", 0))
        self._numbers = itertools.count(1)
        self._answers: set[asyncio.Task[None]] = set()
        self.sessions: dict[int, MediaSession] = {}
        self.events: dict[int, list[MediaEvent]] = {}

    async def __aenter__(self) -> Self:
        await self._engine.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._engine.stop()
        self._sink.close()

    @property
    def pid(self) -> int:
        assert self._engine.pid is not None
        return self._engine.pid

    async def open(
        self, url: str, *, phone: tuple[str, int] | None = None, window_ms: int = WINDOW_MS, **settings: Any
    ) -> tuple[int, tuple[str, int]]:
        """The number of the call, and where its phone is to send RTP (µ-law)."""
        number = next(self._numbers)
        self.events[number] = []
        session = self._engine.session(
            f"call-{number}", lambda event: self._receive(number, event), lambda reason: None
        )
        self.sessions[number] = session
        address = await session.open_leg("leg")
        remote = LegRemote(
            rtp=phone or self._sink.getsockname(),
            rtcp=None,
            payload_types=(PayloadType(0, "PCMU"),),
            telephone_event=None,
            direction="sendrecv",
            rtcp_mux=False,
        )
        await session.connect_leg("leg", remote)
        parts = urlsplit(url)
        fields: dict[str, Any] = {"encoding": "pcm_s16le", "rate_hz": 8000, "chunk_ms": 20} | settings
        target = StreamTarget(
            url=url,
            addresses=(f"127.0.0.1:{parts.port}",),
            dialect="longline",
            account_id="ac_1",
            call_app_id="app_1",
            call_id=f"call_{number}",
            stream_id=f"st_{number}",
            from_number="+15550100",
            to_number="+15550101",
            call_direction="inbound",
            subprotocols=("longline.v1",),
            secrets=self._secrets,
            resume=StreamResume(window_ms, RING_MS, self._resume_url) if window_ms else None,
            **fields,
        )
        await session.open_stream("stream", target)
        return number, address.rtp

    def _receive(self, number: int, event: MediaEvent) -> None:
        self.events[number].append(event)
        if isinstance(event, StreamRequested):
            if event.action == "turn" and "number" in event.fields:
                return  # it would be kept
            refused = ("not_allowed", "There is no call behind this stream.")
            answer = self.sessions[number].answer_stream(event.stream, event.request_id, refused)
            self._answers.add(task := asyncio.create_task(answer))
            task.add_done_callback(self._answers.discard)

    def is_alive(self, number: int) -> bool:
        """The stream has not ended."""
        return not any(isinstance(event, StreamClosed) for event in self.events[number])

    def told(self, number: int, kind: type[MediaEvent]) -> list[Any]:
        return [event for event in self.events[number] if isinstance(event, kind)]

    async def close(self) -> None:
        await asyncio.gather(*(session.close() for session in self.sessions.values()))

    @property
    def _resume_url(self) -> str | None:
        return f"ws://{self._listen}/" if self._listen else None
