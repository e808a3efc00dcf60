"""Transcriptions as OpenAI has them (`/audio/transcriptions`), and local servers like speaches by `base_url`.

    stt = OpenAIStt()
    stt = OpenAIStt(base_url="http://localhost:8000/v1", api_key="none", model="whisper-large-v3", language="en")

This API takes whole recordings, so a turn is cut out of the call where there is voice, and sent. With `eager` that
happens at each pause already, while it is not yet known whether the turn is over: when it is, what was sent then is the
turn, and the transcript has come while the silence lasted; when the caller goes on, it was a partial, and all of the
turn is sent again. Without, it is one request for each turn, and nothing is understood before it is over.
"""

from __future__ import annotations

import asyncio
import io
import wave
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, Final, TypeVar

from longline.agentkit.ports import ProviderError, Transcript
from longline.agentkit.turns.energy import EnergyVad
from longline.agentkit.turns.vad import Vad
from longline.agentkit.vendor import faults, openai_client
from longline.agentkit.warm import warm_http

NAME: Final = "openai transcriptions"
BEFORE_MS: Final = 300.0
"""Of sound before the voice: first consonants are quiet."""
MAX_BEFORE: Final = 60
"""Frames of it."""
LEAST_VOICE_MS: Final = 100.0
"""A sound with less voice is not sent: transcribers hear words in noises."""
MAX_TURN_S: Final = 60.0
"""A longer turn is sent in pieces, each with a final of its own."""
MAX_TEXT: Final = 20_000
"""Characters of one turn."""
T = TypeVar("T")


class OpenAIStt:
    """`streams`: the transcript is asked for piece by piece, where the server can, and told as it comes: words
    are known sooner, and when the server stalls then, half a sentence is taken for all. `vad` makes what tells voice.
    `options` are fields of the request, as the API names them (`language`, `prompt`,
    `keywords`, …). The others are those of `OpenAILlm`."""

    def __init__(
        self,
        *,
        model: str = "gpt-transcribe",
        api_key: str | None = None,
        base_url: str | None = None,
        eager: bool = True,
        streams: bool = False,
        vad: Callable[[], Vad] = EnergyVad,
        timeout_s: float = 10.0,
        client: Any = None,
        **options: Any,
    ) -> None:
        self.model = model
        self.eager = eager
        self.options = options
        self._streams = streams
        self.vad = vad
        self._http: Any = None
        if client is None:
            client, self._http = openai_client(api_key, base_url, timeout_s)
        self._client = client
        self._transcriptions = client.audio.transcriptions  # imported now, and not while a caller waits

    async def listen(self, audio: AsyncIterator[bytes], rate_hz: int) -> AsyncIterator[Transcript]:
        """Partials at pauses, a final for each turn; of a turn without voice it is empty. Raises ProviderError."""
        call = _Listening(self, rate_hz)
        reading = asyncio.create_task(call.read(audio))
        try:
            while True:
                told = await call.told.get()
                if told is None:
                    return
                if isinstance(told, ProviderError):
                    raise told
                yield told
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
            await call.stop()

    async def transcribe(self, pcm: bytes, rate_hz: int, tell: Callable[[str], None] = lambda _: None) -> str:
        """What is said in a piece of sound; `tell` gets it as far as it is known. Raises ProviderError."""
        request = {"model": self.model, "file": ("turn.wav", wav(pcm, rate_hz), "audio/wav"), **self.options}
        if self._streams:
            request["stream"] = True
        with faults(NAME):
            async with self._transcriptions.with_streaming_response.create(**request) as response:
                if "text/event-stream" not in response.headers.get("content-type", ""):
                    return _text_of(await response.json())
                text = ""
                async for event in await response.parse():
                    if event.type == "transcript.text.delta":
                        text = (text + event.delta)[:MAX_TEXT]
                        tell(text)
                    elif event.type == "transcript.text.done":
                        return _text_of({"text": event.text})
                raise ProviderError(NAME, "the transcript ended before it was finished")

    async def warm(self) -> None:
        """Have a connection before it is needed."""
        await warm_http(self._http, str(self._client.base_url))

    async def aclose(self) -> None:
        """Close the connections that are kept."""
        await self._client.close()


class _Listening:
    """One call: `read` takes its sound, `told` has what is to be told of it."""

    def __init__(self, stt: OpenAIStt, rate_hz: int) -> None:
        self._stt = stt
        self._rate_hz = rate_hz
        self._vad = stt.vad()
        self._before: deque[bytes] = deque(maxlen=MAX_BEFORE)
        self._at_ms = 0.0
        self._turn: bytearray | None = None
        """From its first voice on; None: no voice yet."""
        self._voice_since: float | None = None
        self._voiced_ms = 0.0
        self._asked: asyncio.Task[str] | None = None
        """What has been sent of the turn and is all of it, as far as is known."""
        self._last: asyncio.Task[None] | None = None
        """Of the turn before: finals come in the order of their turns."""
        self._tasks: set[asyncio.Task[Any]] = set()
        self.told: asyncio.Queue[Transcript | ProviderError | None] = asyncio.Queue()

    async def read(self, audio: AsyncIterator[bytes]) -> None:
        async for frame in audio:
            if frame:
                self._hear(frame)
            else:
                self._end_turn()
        self._end_turn()
        if self._last is not None:
            await self._last
        self.told.put_nowait(None)

    async def stop(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _hear(self, frame: bytes) -> None:
        change = self._vad.hear(frame, self._rate_hz, self._at_ms)
        self._at_ms += len(frame) * 500 / self._rate_hz
        if self._turn is None:
            self._before.append(frame)
        else:
            self._turn += frame
        if change is not None:
            kind, at_ms = change
            if kind == "started":
                self._begin(at_ms)
            else:
                self._pause(at_ms)
        if self._turn is not None and len(self._turn) >= MAX_TURN_S * 2 * self._rate_hz:
            self._end_turn()

    def _begin(self, at_ms: float) -> None:
        self._voice_since = at_ms
        if self._asked is not None:  # there is more to come
            self._asked.cancel()
            self._asked = None
        if self._turn is None:
            wanted = round((self._at_ms - at_ms + BEFORE_MS) * self._rate_hz / 1_000) * 2
            self._turn = bytearray(b"".join(self._before)[-wanted:])
            self._before.clear()

    def _pause(self, at_ms: float) -> None:
        if self._voice_since is not None:
            self._voiced_ms += at_ms - self._voice_since
            self._voice_since = None
        if self._stt.eager and self._turn is not None and self._voiced_ms >= LEAST_VOICE_MS:
            self._asked = self._ask(bytes(self._turn), self._partial)

    def _end_turn(self) -> None:
        turn, self._turn = self._turn, None
        asked, self._asked = self._asked, None
        if self._voice_since is not None:  # it goes on without a pause
            self._voiced_ms += self._at_ms - self._voice_since
            self._voice_since, self._turn = self._at_ms, bytearray()
        has_voice, self._voiced_ms = self._voiced_ms >= LEAST_VOICE_MS, 0.0
        self._last = self._begin_task(self._finish(bytes(turn) if turn and has_voice else b"", asked, self._last))

    async def _finish(self, turn: bytes, asked: asyncio.Task[str] | None, after: asyncio.Task[None] | None) -> None:
        """What was asked at the last pause is the answer, unless it has failed: then it is asked once more."""
        text = ""
        if turn:
            try:
                if asked is not None:
                    await asyncio.wait({asked})
                failed = asked is None or asked.cancelled() or asked.exception() is not None
                text = await (self._ask(turn) if asked is None or failed else asked)
            except ProviderError as error:
                self.told.put_nowait(error)
                return
        if after is not None:
            await asyncio.wait({after})
        self.told.put_nowait(Transcript(text, is_final=True))

    def _partial(self, text: str) -> None:
        if self._asked is asyncio.current_task():
            self.told.put_nowait(Transcript(text, is_final=False))

    def _ask(self, pcm: bytes, tell: Callable[[str], None] = lambda _: None) -> asyncio.Task[str]:
        async def ask() -> str:
            try:
                text = await self._stt.transcribe(pcm, self._rate_hz, tell)
            except ProviderError:
                tell("")  # what it has said so far is not what was said
                raise
            tell(text)
            return text

        task = self._begin_task(ask())
        task.add_done_callback(lambda done: done.cancelled() or done.exception())  # it may be that nobody asks
        return task

    def _begin_task(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _text_of(body: Any) -> str:
    text = body.get("text") if isinstance(body, dict) else None
    if not isinstance(text, str):
        raise ProviderError(NAME, "the answer has no text")
    return " ".join(text[:MAX_TEXT].split())


def wav(pcm: bytes, rate_hz: int) -> bytes:
    """A file of it."""
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(rate_hz)
        sound.writeframes(pcm)
    return file.getvalue()
