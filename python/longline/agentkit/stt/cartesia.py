"""Cartesia's realtime transcription without turn detection (`/stt/websocket`), by its SDK: flushed when a turn is over.

    stt = CartesiaStt(keyterm=["Longline"])

Needs `pip install longline[cartesia]`. https://docs.cartesia.ai/api-reference/stt/stt
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Final

from longline.agentkit.ports import ProviderError, Transcript
from longline.agentkit.stt.live import Heard, LiveRules, LiveSocket, listen_live
from longline.agentkit.vendor import abort, load, told_by

NAME: Final = "cartesia listen"
URL: Final = "https://api.cartesia.ai"


class CartesiaStt:
    """`api_key` is that of the environment (`CARTESIA_API_KEY`) when it is not given. `rules`: how long is waited.
    `options` are parameters of the request, as the API names them (`language`, `keyterm`, …). `client` is a
    `cartesia.AsyncCartesia` of your own in place of key and URL.

    Raises ImportError without the SDK, `cartesia.CartesiaError` without a key.
    """

    def __init__(
        self,
        *,
        model: str = "ink-2",
        api_key: str | None = None,
        base_url: str = URL,
        rules: LiveRules | None = None,
        client: Any = None,
        **options: Any,
    ) -> None:
        self.model = model
        self.options = {"language": "en", **options}
        if client is None:
            sdk = load("cartesia", extra="cartesia")
            client = sdk.AsyncCartesia(
                api_key=api_key, base_url=base_url, websocket_base_url="ws" + base_url.removeprefix("http")
            )
        self._live = client.stt.manual_finalize  # imported now, and not while a caller waits
        self._rules = rules or LiveRules(chunk_ms=100)

    def listen(self, audio: AsyncIterator[bytes], rate_hz: int) -> AsyncIterator[Transcript]:
        """`SpeechToText.listen`: one connection a call, made again when it drops."""
        return listen_live(NAME, self._connect, audio, rate_hz, self._rules)

    async def _connect(self, rate_hz: int) -> LiveSocket:
        asked = {"model": self.model, **self.options, "encoding": "pcm_s16le", "sample_rate": rate_hz}
        return _Socket(await self._live.websocket(**asked).enter())


class _Socket:
    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._said = ""
        """The finals of this turn: each is a delta, with the spaces that belong to it."""

    async def send(self, pcm: bytes) -> None:
        await self._connection.send_raw(pcm)

    async def finish(self) -> None:
        await self._connection.send("finalize")

    async def keep_alive(self) -> None:
        await self._connection._connection.ping()

    async def heard(self) -> AsyncIterator[Heard]:
        while True:
            try:
                message = self._connection.parse_event(await self._connection.recv_bytes())
            except (AttributeError, TypeError, ValueError):
                continue  # no message of theirs
            kind = getattr(message, "type", None)
            if kind == "error":
                raise ProviderError(NAME, told_by(message, "status_code", "code", "title", "message"))
            if kind == "flush_done":
                said, self._said = self._said, ""
                yield Heard(said.strip(), is_final=True, ends_turn=True)
            elif kind == "transcript" and isinstance(text := getattr(message, "text", None), str):
                yield Heard((self._said + text).strip(), is_final=False)
                if message.is_final is True:
                    self._said += text

    async def close(self) -> None:
        try:
            await self._connection.close()
        finally:
            abort(self._connection._connection)
