"""Deepgram's voices (Aura, `/v1/speak`), by its SDK: a request a sentence, streamed. It tells no word ends.

    tts = DeepgramTts(voice="aura-2-thalia-en")

Connections are kept between sentences and calls. Needs `pip install longline[deepgram]`.
https://developers.deepgram.com/reference/text-to-speech/speak-request
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Final

from longline.agentkit.ports import ProviderError, Sound
from longline.agentkit.tts.alignment import Samples
from longline.agentkit.vendor import faults, load, older_http_client
from longline.agentkit.warm import warm_http

NAME: Final = "deepgram speak"
URL: Final = "https://api.deepgram.com"
_FORMAT: Final = {"encoding": "linear16", "container": "none"}


class DeepgramTts:
    """`voice` is a model of theirs. `rate_hz` is that of the sound: 8, 16, 24, 32 or 48 kHz. `api_key` is that of the
    environment (`DEEPGRAM_API_KEY`) when it is not given. `timeout_s` without a byte is a fault. `options` are
    parameters of the request, as the API names them (`speed`, …). `client` is a `deepgram.AsyncDeepgramClient` of your
    own.

    Raises ImportError without the SDK, `deepgram.core.ApiError` without a key.
    """

    def __init__(
        self,
        *,
        voice: str = "aura-2-thalia-en",
        api_key: str | None = None,
        base_url: str = URL,
        rate_hz: int = 16_000,
        timeout_s: float = 5.0,
        client: Any = None,
        **options: Any,
    ) -> None:
        self.voice = voice
        self.rate_hz = rate_hz
        self.options = options
        self._http: Any = None
        self._url = base_url
        if client is None:
            sdk = load("deepgram", extra="deepgram")
            environment = sdk.DeepgramClientEnvironment(
                base=base_url, production=base_url, agent=base_url, agent_rest=base_url
            )
            self._http = older_http_client(timeout_s)
            key = {"api_key": api_key} if api_key else {}
            client = sdk.AsyncDeepgramClient(**key, environment=environment, timeout=timeout_s, httpx_client=self._http)
        self._speech = client.speak.v1.audio.with_raw_response  # imported now, and not while a caller waits

    async def say(self, text: str) -> AsyncIterator[Sound]:
        """`TextToSpeech.say`."""
        samples, is_silent = Samples(), True
        asked = {"model": self.voice, "sample_rate": self.rate_hz, **self.options, **_FORMAT}
        with faults(NAME):
            async with self._speech.generate(text=text, **asked, request_options={"max_retries": 0}) as response:
                kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
                if kind.startswith("text/") or kind == "application/json":
                    raise ProviderError(NAME, f"the answer is {kind}, not sound")
                async for chunk in response.data:
                    if pcm := samples.whole(chunk):
                        is_silent = False
                        yield Sound(pcm, self.rate_hz)
            if is_silent:
                raise ProviderError(NAME, "sent no sound")

    async def warm(self) -> None:
        """Have a connection before the first word."""
        await warm_http(self._http, self._url)

    async def aclose(self) -> None:
        """Close the connections that are kept."""
        if self._http is not None:
            await self._http.aclose()
