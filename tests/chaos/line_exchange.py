"""Calls without a phone: lines (`longline.streamkit.line`) that say and hear identified audio."""

import ssl
from pathlib import Path
from typing import Any

from longline.streamkit.format import Format
from longline.streamkit.line.line import Line
from tests.support.identified_audio import TOWARD_APPLICATION, Identity, frames, read, write
from tests.support.line_server import LineServer


class LineExchange:
    """What the harness is tried with, and a faulty line is found by."""

    def __init__(self, ca_file: Path, make: type[Line] = Line) -> None:
        self._server = LineServer(make, tls=ssl.create_default_context(cafile=str(ca_file)))
        self._lines: dict[int, Line] = {}

    async def start(self) -> None:
        pass

    async def open(self, call: int, url: str) -> None:
        def voice(track: int, number: int, audio: Format) -> bytes:
            count = audio.frame_ms // 20
            numbers = range(number * count, (number + 1) * count)
            return b"".join(write(Identity(call, TOWARD_APPLICATION, each)) for each in numbers)

        settings: dict[str, Any] = {"offered": Format(encoding="mulaw", frame_ms=60), "voice": voice}
        await self._server.open(url, **settings)
        self._lines[call] = self._server.lines[-1]

    def is_alive(self, call: int) -> bool:
        return not self._lines[call].is_over

    def unheard(self, call: int) -> int:
        return 0

    async def finish(self) -> dict[int, list[Identity]]:
        heard = {}
        for call, line in self._lines.items():
            payload = b"".join(frame.payload for frame in line.heard)
            heard[call] = [identity for frame in frames(payload) if (identity := read(frame)) is not None]
        await self._server.__aexit__()
        return heard
