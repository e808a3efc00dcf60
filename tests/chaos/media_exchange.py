"""Calls on the media server, with phones that say and hear identified audio over RTP."""

from pathlib import Path

from longline.media import engine
from tests.support.identified_audio import Identity
from tests.support.media_streams import MediaStreams
from tests.support.numbered_phones import Heard, NumberedPhones

PATIENCE_S = 60.0
WINDOW_MS = 120_000
"""Applications that share a busy machine with what breaks them may need long to answer."""


class MediaExchange:
    """`async with MediaExchange(ca_file)`."""

    def __init__(self, ca_file: Path) -> None:
        self._media = MediaStreams(ca_file=ca_file, listens=True)
        self._phones = NumberedPhones()
        self._numbers: dict[int, int] = {}
        self._heard: dict[int, Heard] = {}

    async def start(self) -> None:
        # Hundreds of applications live in this loop: that it is late says nothing about the media server.
        engine.HEARTBEAT_TIMEOUT_S = PATIENCE_S
        await self._media.__aenter__()
        await self._phones.__aenter__()

    async def open(self, call: int, url: str) -> None:
        port = await self._phones.open(call)
        self._numbers[call], rtp = await self._media.open(
            url, phone=("127.0.0.1", port), encoding="mulaw", window_ms=WINDOW_MS
        )
        await self._phones.connect(call, rtp)

    def is_alive(self, call: int) -> bool:
        return self._media.is_alive(self._numbers[call])

    def unheard(self, call: int) -> int:
        return self._heard[call].lost_packets

    async def finish(self) -> dict[int, list[Identity]]:
        self._heard = await self._phones.stop()
        await self._media.close()
        await self._media.__aexit__(None, None, None)
        await self._phones.__aexit__(None, None, None)
        return {call: heard.frames for call, heard in self._heard.items()}
