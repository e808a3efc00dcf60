"""ElevenLabs' voices (`/v1/text-to-speech/…/stream/with-timestamps`), by its SDK: a request a sentence, with word ends.

Connections are kept between sentences and calls. Needs `pip install longline[elevenlabs]`.
https://elevenlabs.io/docs/api-reference/text-to-speech/stream-with-timestamps
"""

from __future__ import annotations

import base64
import contextlib
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

from longline.agentkit.heard import WordEnd
from longline.agentkit.ports import ProviderError, Sound
from longline.agentkit.tts.alignment import Alignment, Samples
from longline.agentkit.vendor import faults, load, older_http_client

URL: Final = "https://api.elevenlabs.io"


class ElevenLabsTts:
    """`voice` is its id. `options` are further parameters of the request by the SDK's names (`voice_settings`, `seed`).
    `api_key`: else ELEVENLABS_API_KEY. A voice that sends nothing for `stall_s` has failed. Raises ImportError when the
    SDK is missing."""

    def __init__(
        self,
        *,
        voice: str,
        api_key: str | None = None,
        base_url: str = URL,
        model: str = "eleven_flash_v2_5",
        rate_hz: int = 16_000,
        options: Mapping[str, Any] | None = None,
        stall_s: float = 5.0,
    ) -> None:
        sdk = load("elevenlabs.client", extra="elevenlabs")
        self._http = older_http_client(stall_s)
        self._client = sdk.AsyncElevenLabs(
            **({"api_key": api_key} if api_key else {}), base_url=base_url, timeout=stall_s, httpx_client=self._http
        )
        self._voice = voice
        self._rate_hz = rate_hz
        self._asked = {"model_id": model, "output_format": f"pcm_{rate_hz}", **(options or {})}

    async def say(self, text: str) -> AsyncIterator[Sound]:
        """`TextToSpeech.say`."""
        alignment, samples, is_silent = Alignment(text), Samples(), True
        with faults("elevenlabs"):
            chunks = self._client.text_to_speech.stream_with_timestamps(
                self._voice, text=text, **self._asked, request_options={"max_retries": 0}
            )
            async with contextlib.aclosing(chunks):
                async for chunk in chunks:
                    pcm = base64.b64decode(_audio(chunk))
                    ends = _ends(alignment, getattr(chunk, "alignment", None))
                    is_silent = is_silent and not pcm
                    if pcm or ends:
                        yield Sound(samples.whole(pcm), self._rate_hz, ends)
            if is_silent:
                raise ProviderError("elevenlabs", "sent no sound")

    async def aclose(self) -> None:
        """Give the connections back."""
        await self._http.aclose()


def _audio(chunk: Any) -> str:
    """Raises ProviderError for a chunk that tells of a fault."""
    audio = getattr(chunk, "audio_base_64", None)
    if isinstance(audio, str):
        return audio
    for name in ("detail", "error", "message"):
        if told := getattr(chunk, name, None):
            raise ProviderError("elevenlabs", str(told)[:300])
    return ""


def _ends(alignment: Alignment, told: Any) -> tuple[WordEnd, ...]:
    try:
        return alignment.characters(told.characters, told.character_end_times_seconds)
    except (AttributeError, TypeError, ValueError):
        return ()
