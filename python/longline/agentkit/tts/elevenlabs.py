"""ElevenLabs' voices (`/v1/text-to-speech/…/stream/with-timestamps`), by its SDK: a request a sentence, with word ends.

    tts = ElevenLabsTts(voice="21m00Tcm4TlvDq8ikWAM", language_code="en")

Connections are kept between sentences and calls. Needs `pip install longline[elevenlabs]`.
https://elevenlabs.io/docs/api-reference/text-to-speech/stream-with-timestamps
"""

from __future__ import annotations

import base64
import contextlib
from collections.abc import AsyncIterator
from typing import Any, Final

from longline.agentkit.heard import WordEnd
from longline.agentkit.ports import ProviderError, Sound
from longline.agentkit.tts.alignment import Alignment, Samples
from longline.agentkit.vendor import faults, load, older_http_client
from longline.agentkit.warm import warm_http

NAME: Final = "elevenlabs speech"
URL: Final = "https://api.elevenlabs.io"
_BACK_S: Final = 0.25


class ElevenLabsTts:
    """`voice` is its id. `rate_hz` is that of the sound: 8, 16, 22.05, 24, 44.1 or 48 kHz. `api_key` is that of the
    environment (`ELEVENLABS_API_KEY`) when it is not given. `timeout_s` without a byte is a fault. `options` are
    parameters of the request, as the SDK names them (`voice_settings`, `seed`, …). `client` is an
    `elevenlabs.client.AsyncElevenLabs` of your own.

    Raises ImportError without the SDK.
    """

    def __init__(
        self,
        *,
        voice: str,
        model: str = "eleven_flash_v2_5",
        api_key: str | None = None,
        base_url: str = URL,
        rate_hz: int = 16_000,
        timeout_s: float = 5.0,
        client: Any = None,
        **options: Any,
    ) -> None:
        self.voice = voice
        self.model = model
        self.rate_hz = rate_hz
        self.options = options
        self._http: Any = None
        self._url = base_url
        if client is None:
            sdk = load("elevenlabs.client", extra="elevenlabs")
            self._http = older_http_client(timeout_s)
            key = {"api_key": api_key} if api_key else {}
            client = sdk.AsyncElevenLabs(**key, base_url=base_url, timeout=timeout_s, httpx_client=self._http)
        self._speech = client.text_to_speech  # imported now, and not while a caller waits

    async def say(self, text: str) -> AsyncIterator[Sound]:
        """`TextToSpeech.say`."""
        alignment, samples, is_silent, said_s = Alignment(text), Samples(), True, 0.0
        asked = {"model_id": self.model, "output_format": f"pcm_{self.rate_hz}", **self.options}
        with faults(NAME):
            chunks = self._speech.stream_with_timestamps(
                self.voice, text=text, **asked, request_options={"max_retries": 0}
            )
            async with contextlib.aclosing(chunks):
                async for chunk in chunks:
                    pcm = base64.b64decode(_audio(chunk))
                    ends = _ends(alignment, getattr(chunk, "alignment", None), said_s)
                    said_s += len(pcm) / 2 / self.rate_hz
                    is_silent = is_silent and not pcm
                    if pcm or ends:
                        yield Sound(samples.whole(pcm), self.rate_hz, ends)
            if is_silent:
                raise ProviderError(NAME, "sent no sound")

    async def warm(self) -> None:
        """Have a connection before the first word."""
        await warm_http(self._http, self._url)

    async def aclose(self) -> None:
        """Close the connections that are kept."""
        if self._http is not None:
            await self._http.aclose()


def _audio(chunk: Any) -> str:
    """Raises ProviderError for a chunk that tells of a fault."""
    audio = getattr(chunk, "audio_base_64", None)
    if isinstance(audio, str):
        return audio
    for name in ("detail", "error", "message"):
        if told := getattr(chunk, name, None):
            raise ProviderError(NAME, str(told)[:300])
    return ""


def _ends(alignment: Alignment, told: Any, said_s: float) -> tuple[WordEnd, ...]:
    try:
        ends_s = [float(end_s) for end_s in told.character_end_times_seconds]
        # They are of the whole sentence; should they begin anew with each piece, they are of the piece.
        begin_s = said_s if ends_s and ends_s[0] < alignment.end_s - _BACK_S else 0.0
        return alignment.characters(told.characters, [begin_s + end_s for end_s in ends_s])
    except (AttributeError, TypeError, ValueError):
        return ()
