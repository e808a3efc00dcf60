"""Speech as OpenAI has it (`/audio/speech`), and local servers after it (Kokoro, Piper, speaches) by `base_url`.

    tts = OpenAITts(voice="marin", instructions="Speak calmly.")
    tts = OpenAITts(base_url="http://localhost:8880/v1", api_key="none", model="kokoro", voice="af_heart")

The sound is asked for as PCM and given on as it comes. A server that sends a WAV file all the same is understood: then
its rate is what the file says. Leaves out the ends of words, which this API does not tell.
"""

from __future__ import annotations

import struct
from collections.abc import AsyncIterator
from typing import Any, Final

from longline.agentkit.ports import ProviderError, Sound
from longline.agentkit.vendor import faults, openai_client
from longline.agentkit.warm import warm_http

NAME: Final = "openai speech"
RATE_HZ: Final = 24_000
"""Of the PCM of this API."""
MAX_HEAD: Final = 65_536
"""Bytes before the samples of a WAV file."""


class OpenAITts:
    """`rate_hz` is that of the server's PCM. `options` are fields of the request, as the API names them (`speed`,
    `instructions`, `extra_body`, …). The others are those of `OpenAILlm`."""

    def __init__(
        self,
        *,
        voice: str = "marin",
        model: str = "gpt-4o-mini-tts",
        api_key: str | None = None,
        base_url: str | None = None,
        rate_hz: int = RATE_HZ,
        timeout_s: float = 10.0,
        client: Any = None,
        **options: Any,
    ) -> None:
        self.voice = voice
        self.model = model
        self.rate_hz = rate_hz
        self.options = options
        self._http: Any = None
        if client is None:
            client, self._http = openai_client(api_key, base_url, timeout_s)
        self._client = client
        self._speech = client.audio.speech  # imported now, and not while a caller waits

    async def say(self, text: str) -> AsyncIterator[Sound]:
        """PCM as it is made. Raises ProviderError."""
        request = {"model": self.model, "voice": self.voice, "input": text, "response_format": "pcm", **self.options}
        speech = self._speech.with_streaming_response
        with faults(NAME):
            async with speech.create(**request) as response:
                kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
                if kind.startswith("text/") or kind == "application/json":
                    raise ProviderError(NAME, f"the answer is {kind}, not sound")
                head = _Head(self.rate_hz)
                async for piece in response.iter_bytes():
                    if pcm := head.take(piece):
                        yield Sound(pcm, head.rate_hz)
                if not head.has_sound:
                    raise ProviderError(NAME, "no sound came")

    async def warm(self) -> None:
        """Have a connection before it is needed."""
        await warm_http(self._http, str(self._client.base_url))

    async def aclose(self) -> None:
        """Close the connections that are kept."""
        await self._client.close()


class _Head:
    """Takes the head of a WAV file off, where there is one."""

    def __init__(self, rate_hz: int) -> None:
        self.rate_hz = rate_hz
        self.has_sound = False
        self._begun: bytes | None = b""

    def take(self, piece: bytes) -> bytes:
        if self._begun is not None:
            self._begun += piece
            if len(self._begun) < 4:
                return b""
            piece = self._begun
            if piece.startswith(b"RIFF"):
                at = piece.find(b"data", 12)
                if at < 0 or len(piece) < at + 8:
                    if len(piece) > MAX_HEAD:
                        raise ProviderError(NAME, "a WAV file without samples")
                    return b""
                self._read(piece)
                piece = piece[at + 8 :]
            self._begun = None
        self.has_sound = self.has_sound or len(piece) > 1
        return piece

    def _read(self, head: bytes) -> None:
        at = head.find(b"fmt ", 12)
        if at < 0 or len(head) < at + 24:
            raise ProviderError(NAME, "a WAV file that does not say what it is")
        kind, channels, rate_hz, _, _, bits = struct.unpack_from("<HHIIHH", head, at + 8)
        if kind not in (1, 0xFFFE) or channels != 1 or bits != 16 or not 4_000 <= rate_hz <= 192_000:
            raise ProviderError(NAME, f"a WAV file of {channels} channels, {bits} bits, {rate_hz} Hz")
        self.rate_hz = rate_hz
