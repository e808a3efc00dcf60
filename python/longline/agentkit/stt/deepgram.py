"""Deepgram's live transcription (`/v1/listen`, WebSocket), by its SDK: interim results, and a final when asked for one.

    stt = DeepgramStt(language="en-GB", keyterm=["Longline"])

Its own endpointing is off: when a turn is over is decided here. Needs `pip install longline[deepgram]`.
https://developers.deepgram.com/reference/speech-to-text/listen-streaming
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any, Final

from longline.agentkit.ports import ProviderError, Transcript
from longline.agentkit.stt.live import Heard, LiveRules, LiveSocket, listen_live
from longline.agentkit.vendor import abort, load, told_by

NAME: Final = "deepgram listen"
URL: Final = "https://api.deepgram.com"


class DeepgramStt:
    """`api_key` is that of the environment (`DEEPGRAM_API_KEY`) when it is not given. `rules`: how long is waited.
    `options` are parameters of the request, as the API names them (`keyterm`, `numerals`, …). `client` is a
    `deepgram.AsyncDeepgramClient` of your own in place of key and URL.

    Raises ImportError without the SDK, `deepgram.core.ApiError` without a key.
    """

    def __init__(
        self,
        *,
        model: str = "nova-3",
        language: str = "en",
        api_key: str | None = None,
        base_url: str = URL,
        rules: LiveRules | None = None,
        client: Any = None,
        **options: Any,
    ) -> None:
        self.model = model
        self.options = {
            "language": language,
            "interim_results": "true",
            "punctuate": "true",
            "endpointing": "false",
            **options,
        }
        if client is None:
            sdk = load("deepgram", extra="deepgram")
            environment = sdk.DeepgramClientEnvironment(
                base=base_url, production="ws" + base_url.removeprefix("http"), agent=base_url, agent_rest=base_url
            )
            client = sdk.AsyncDeepgramClient(**({"api_key": api_key} if api_key else {}), environment=environment)
        self._live = client.listen.v1  # imported now, and not while a caller waits
        self._rules = rules or LiveRules()

    def listen(self, audio: AsyncIterator[bytes], rate_hz: int) -> AsyncIterator[Transcript]:
        """`SpeechToText.listen`: one connection a call, made again when it drops."""
        return listen_live(NAME, self._connect, audio, rate_hz, self._rules)

    async def _connect(self, rate_hz: int) -> LiveSocket:
        stack = contextlib.AsyncExitStack()
        asked = {"model": self.model, **self.options, "encoding": "linear16", "sample_rate": rate_hz, "channels": 1}
        return _Socket(await stack.enter_async_context(self._live.connect(**asked)), stack)


class _Socket:
    def __init__(self, connection: Any, stack: contextlib.AsyncExitStack) -> None:
        self._connection = connection
        self._stack = stack

    async def send(self, pcm: bytes) -> None:
        await self._connection.send_media(pcm)

    async def finish(self) -> None:
        await self._connection.send_finalize()

    async def keep_alive(self) -> None:
        # Without audio the server closes after ten seconds.
        await self._connection.send_keep_alive()

    async def heard(self) -> AsyncIterator[Heard]:
        async for message in self._connection:
            kind = getattr(message, "type", None)
            if kind == "Error":
                raise ProviderError(NAME, told_by(message, "variant", "code", "description", "message"))
            if kind == "Results" and (heard := _heard(message)) is not None:
                yield heard

    async def close(self) -> None:
        try:
            await self._stack.aclose()
        finally:
            abort(getattr(self._connection, "_websocket", None))


def _heard(message: Any) -> Heard | None:
    try:
        best = message.channel.alternatives[0]
        return Heard(
            str(best.transcript).strip(),
            bool(message.is_final),
            ends_turn=bool(message.is_final and message.from_finalize),
            confidence=float(best.confidence),
            end_ms=(float(message.start) + float(message.duration)) * 1_000,
        )
    except (AttributeError, IndexError, TypeError, ValueError):
        return None
