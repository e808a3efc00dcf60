"""Deepgram's voices (Aura, `/v1/speak`), by its SDK: a request a sentence, streamed. It tells no word ends.

Connections are kept between sentences and calls. Needs `pip install longline[deepgram]`.
https://developers.deepgram.com/reference/text-to-speech/speak-request
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

from longline.agentkit.ports import ProviderError, Sound
from longline.agentkit.tts.alignment import Samples
from longline.agentkit.vendor import faults, load, older_http_client

URL: Final = "https://api.deepgram.com"


class DeepgramTts:
    """`voice` is a model of theirs. `options` are further parameters of the request. `api_key`: else DEEPGRAM_API_KEY.
    A voice that sends nothing for `stall_s` has failed. Raises ImportError when the SDK is missing."""

    def __init__(
        self,
        *,
        api_key: str | None = None,
        base_url: str = URL,
        voice: str = "aura-2-thalia-en",
        rate_hz: int = 16_000,
        options: Mapping[str, Any] | None = None,
        stall_s: float = 5.0,
    ) -> None:
        sdk = load("deepgram", extra="deepgram")
        environment = sdk.DeepgramClientEnvironment(
            base=base_url, production=base_url, agent=base_url, agent_rest=base_url
        )
        self._http = older_http_client(stall_s)
        self._client = sdk.AsyncDeepgramClient(
            **({"api_key": api_key} if api_key else {}),
            environment=environment,
            timeout=stall_s,
            httpx_client=self._http,
        )
        self._rate_hz = rate_hz
        self._asked = {"model": voice, "encoding": "linear16", "container": "none", "sample_rate": rate_hz}
        self._asked.update(options or {})

    async def say(self, text: str) -> AsyncIterator[Sound]:
        """`TextToSpeech.say`."""
        samples, is_silent = Samples(), True
        with faults("deepgram"):
            chunks = self._client.speak.v1.audio.generate(text=text, **self._asked, request_options={"max_retries": 0})
            async with contextlib.aclosing(chunks):
                async for chunk in chunks:
                    if pcm := samples.whole(chunk):
                        is_silent = False
                        yield Sound(pcm, self._rate_hz)
            if is_silent:
                raise ProviderError("deepgram", "sent no sound")

    async def aclose(self) -> None:
        """Give the connections back."""
        await self._http.aclose()
