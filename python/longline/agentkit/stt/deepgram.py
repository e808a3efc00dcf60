"""Deepgram's live transcription (`/v1/listen`, WebSocket), by its SDK: interim results, and a final when asked for one.

Its own endpointing is off: when a turn is over is decided here. Needs `pip install longline[deepgram]`.
https://developers.deepgram.com/reference/speech-to-text/listen-streaming
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Final

from longline.agentkit.ports import ProviderError, Transcript
from longline.agentkit.stt.live import Heard, LiveRules, LiveSocket, listen_live
from longline.agentkit.vendor import abort, load

URL: Final = "https://api.deepgram.com"


class DeepgramStt:
    """`options` are further parameters of the request by their own names (`{"numerals": "true"}`). `api_key`: else
    DEEPGRAM_API_KEY. Raises ImportError when the SDK is missing."""

    def __init__(
        self,
        *,
        api_key: str | None = None,
        base_url: str = URL,
        model: str = "nova-3",
        language: str = "en",
        keyterms: Sequence[str] = (),
        options: Mapping[str, Any] | None = None,
        rules: LiveRules | None = None,
    ) -> None:
        sdk = load("deepgram", extra="deepgram")
        environment = sdk.DeepgramClientEnvironment(
            base=base_url, production="ws" + base_url.removeprefix("http"), agent=base_url, agent_rest=base_url
        )
        self._client = sdk.AsyncDeepgramClient(**({"api_key": api_key} if api_key else {}), environment=environment)
        self._asked = {
            "model": model,
            "language": language,
            "keyterm": list(keyterms) or None,
            "interim_results": "true",
            "punctuate": "true",
            "endpointing": "false",
            **(options or {}),
        }
        self._rules = rules or LiveRules()

    def listen(self, audio: AsyncIterator[bytes], rate_hz: int) -> AsyncIterator[Transcript]:
        """`SpeechToText.listen`: one connection a call, made again when it drops."""
        return listen_live("deepgram", self._connect, audio, rate_hz, self._rules)

    async def _connect(self, rate_hz: int) -> LiveSocket:
        stack = contextlib.AsyncExitStack()
        asked = {**self._asked, "encoding": "linear16", "sample_rate": rate_hz, "channels": 1}
        return _Socket(await stack.enter_async_context(self._client.listen.v1.connect(**asked)), stack)


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
                raise ProviderError("deepgram", _told(message))
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


def _told(message: Any) -> str:
    parts = [getattr(message, name, None) for name in ("variant", "code", "description", "message")]
    return ": ".join(str(part) for part in parts if part)[:300] or "an error"
