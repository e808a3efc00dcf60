"""ElevenLabs' realtime transcription (Scribe, WebSocket), by its SDK: what is said is committed when a turn is over.

    stt = ElevenLabsStt(language_code="en")

Needs `pip install longline[elevenlabs]`. https://elevenlabs.io/docs/api-reference/speech-to-text/v-1-speech-to-text-realtime
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from typing import Any, Final

from longline.agentkit.ports import ProviderError, Transcript
from longline.agentkit.stt.live import Heard, LiveRules, LiveSocket, listen_live
from longline.agentkit.vendor import abort, load

NAME: Final = "elevenlabs scribe"
URL: Final = "https://api.elevenlabs.io"
NOTHING_SAID: Final = frozenset({"insufficient_audio_activity", "commit_throttled"})
"""What it answers to a commit of (nearly) nothing."""
_PARTIAL, _COMMITTED, _CLOSED = "partial_transcript", "committed_transcript", "close"


class ElevenLabsStt:
    """For lines of 8, 16, 22.05, 24, 44.1 and 48 kHz. `api_key` is that of the environment (`ELEVENLABS_API_KEY`) when
    it is not given. `rules`: how long is waited. `options` are those of the SDK's `RealtimeAudioOptions`
    (`language_code`, `keyterms`, …). `client` is an `elevenlabs.client.AsyncElevenLabs` of your own.

    Raises ImportError without the SDK.
    """

    def __init__(
        self,
        *,
        model: str = "scribe_v2_realtime",
        api_key: str | None = None,
        base_url: str = URL,
        rules: LiveRules | None = None,
        client: Any = None,
        **options: Any,
    ) -> None:
        self.model = model
        self.options = options
        self._sdk = load("elevenlabs.realtime", extra="elevenlabs")
        if client is None:
            sdk = load("elevenlabs.client", extra="elevenlabs")
            client = sdk.AsyncElevenLabs(**({"api_key": api_key} if api_key else {}), base_url=base_url)
        self._realtime = client.speech_to_text.realtime  # imported now, and not while a caller waits
        self._rules = rules or LiveRules(chunk_ms=100)

    def listen(self, audio: AsyncIterator[bytes], rate_hz: int) -> AsyncIterator[Transcript]:
        """`SpeechToText.listen`: one connection a call, made again when it drops."""
        return listen_live(NAME, self._connect, audio, rate_hz, self._rules)

    async def _connect(self, rate_hz: int) -> LiveSocket:
        asked = {
            "model_id": self.model,
            **self.options,
            "audio_format": self._sdk.AudioFormat(f"pcm_{rate_hz}"),
            "sample_rate": rate_hz,
            "commit_strategy": self._sdk.CommitStrategy.MANUAL,
        }
        return _Socket(await self._realtime.connect(asked))


class _Socket:
    """The SDK tells by callbacks; they go into a queue."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._told: asyncio.Queue[tuple[str, dict[str, Any]]] = asyncio.Queue()
        for name in (_PARTIAL, _COMMITTED, "error", _CLOSED):
            connection.on(name, self._taker(name))

    def _taker(self, name: str) -> Any:
        def take(data: Any) -> None:
            self._told.put_nowait((name, data if isinstance(data, dict) else {}))

        return take

    async def send(self, pcm: bytes) -> None:
        await self._connection.send({"audio_base_64": base64.b64encode(pcm).decode()})

    async def finish(self) -> None:
        await self._connection.commit()

    async def keep_alive(self) -> None:
        await self._connection.websocket.ping()

    async def heard(self) -> AsyncIterator[Heard]:
        while True:
            name, data = await self._told.get()
            kind, text = data.get("message_type"), data.get("text")
            if name == _CLOSED:
                return
            if name == "error" and kind in NOTHING_SAID:
                yield Heard("", is_final=True, ends_turn=True)
            elif name == "error" and kind == "session_time_limit_exceeded":
                return  # another session goes on where this one ends
            elif name == "error" and kind is not None:
                raise ProviderError(NAME, f"{kind}: {data.get('error', '')}"[:300].rstrip(": "))
            elif name != "error" and isinstance(text, str):
                yield Heard(text.strip(), name == _COMMITTED, ends_turn=name == _COMMITTED)

    async def close(self) -> None:
        try:
            await self._connection.close()
        finally:
            abort(self._connection.websocket)
