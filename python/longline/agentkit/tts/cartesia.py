"""Cartesia's voices (`/tts/websocket`), by its SDK: one connection for all sentences and calls, a context for each.

    tts = CartesiaTts(voice="694f9389-aac1-45b6-b726-9d9369183238", language="en")

The connection is opened with the first sentence and kept; one that the server has closed (after five idle minutes) is
opened again. What is interrupted is cancelled. Needs `pip install longline[cartesia]`.
https://docs.cartesia.ai/api-reference/tts/websocket
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from typing import Any, Final

from longline.agentkit.heard import WordEnd
from longline.agentkit.ports import ProviderError, Sound
from longline.agentkit.tts.alignment import Alignment, Samples
from longline.agentkit.vendor import CONNECT_S, abort, faults, load, told_by

NAME: Final = "cartesia speech"
URL: Final = "https://api.cartesia.ai"
_CLOSE_S: Final = 1.0


class CartesiaTts:
    """`voice` is its id. `rate_hz` is that of the sound: 8, 16, 22.05, 24, 44.1 or 48 kHz. `api_key` is that of the
    environment (`CARTESIA_API_KEY`) when it is not given. `timeout_s` without a message is a fault. `options` are
    fields of the request, as the API names them (`language`, `generation_config`, …). `client` is a
    `cartesia.AsyncCartesia` of your own.

    Raises ImportError without the SDK, `cartesia.CartesiaError` without a key.
    """

    def __init__(
        self,
        *,
        voice: str,
        model: str = "sonic-3",
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
        if client is None:
            sdk = load("cartesia", extra="cartesia")
            client = sdk.AsyncCartesia(
                api_key=api_key, base_url=base_url, websocket_base_url="ws" + base_url.removeprefix("http")
            )
        self._client = client
        self._speech = client.tts  # imported now, and not while a caller waits
        self._timeout_s = timeout_s
        self._wire: _Wire | None = None
        self._opening: asyncio.Lock | None = None

    async def say(self, text: str) -> AsyncIterator[Sound]:
        """`TextToSpeech.say`."""
        request = {
            "model_id": self.model,
            "voice": {"mode": "id", "id": self.voice},
            "add_timestamps": True,
            **self.options,
            "output_format": {"container": "raw", "encoding": "pcm_s16le", "sample_rate": self.rate_hz},
            "context_id": str(uuid.uuid4()),
            "transcript": text,
            "continue": False,
        }
        with faults(NAME):
            async with contextlib.aclosing(self._events(request)) as events:
                async for sound in _sounds(events, text, self.rate_hz):
                    yield sound

    async def warm(self) -> None:
        """Have a connection before the first word."""
        with faults(NAME):
            await self._connected()

    async def aclose(self) -> None:
        """Close the connection that is kept."""
        if self._wire is not None:
            await self._wire.close()
        await self._client.close()

    async def _events(self, request: Mapping[str, Any]) -> AsyncGenerator[Any, None]:
        """Those of one context. A kept connection may be dead without anybody knowing: then it is asked again."""
        while True:
            wire, is_kept = await self._connected()
            try:
                async with contextlib.aclosing(wire.ask(request, self._timeout_s)) as events:
                    async for event in events:
                        is_kept = False
                        yield event
                return
            except TimeoutError:
                raise
            except Exception:
                if not is_kept:
                    raise

    async def _connected(self) -> tuple[_Wire, bool]:
        """The connection, and whether it was there before."""
        if self._is_open():
            assert self._wire is not None
            return self._wire, True
        self._opening = self._opening or asyncio.Lock()
        async with self._opening:
            if not self._is_open():
                async with asyncio.timeout(CONNECT_S):
                    self._wire = _Wire(await self._speech.websocket_connect().enter())
            assert self._wire is not None
            return self._wire, False

    def _is_open(self) -> bool:
        return self._wire is not None and not self._wire.is_closed


class _Wire:
    """One connection: what comes is handed to the contexts that wait for it."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._contexts: dict[str, asyncio.Queue[Any]] = {}
        """Bounded by the length of a sentence."""
        self._heard_at = asyncio.get_running_loop().time()
        self._is_stalled = False
        self._reading = asyncio.create_task(self._read())

    @property
    def is_closed(self) -> bool:
        return self._is_stalled or self._reading.done()

    async def ask(self, request: Mapping[str, Any], timeout_s: float) -> AsyncGenerator[Any, None]:
        """The events of its context. Closed before the last of them, it cancels the context."""
        context = request["context_id"]
        events = self._contexts[context] = asyncio.Queue()
        is_done = False
        try:
            await self._connection.send(request)
            while not is_done:
                event = await self._next(events, timeout_s)
                if isinstance(event, Exception):
                    is_done = True
                    raise event
                is_done = event.type in ("done", "error")
                yield event
        finally:
            del self._contexts[context]
            if self._is_stalled:
                self._reading.cancel()  # which closes the connection
            elif not is_done and not self.is_closed:
                with contextlib.suppress(Exception):
                    async with asyncio.timeout(_CLOSE_S):
                        await self._connection.send({"context_id": context, "cancel": True})

    async def close(self) -> None:
        self._reading.cancel()
        await asyncio.gather(self._reading, return_exceptions=True)

    async def _next(self, events: asyncio.Queue[Any], timeout_s: float) -> Any:
        """Raises TimeoutError; a connection on which nobody was told anything for so long is used no more."""
        try:
            async with asyncio.timeout(timeout_s):
                return await events.get()
        except TimeoutError:
            self._is_stalled = asyncio.get_running_loop().time() - self._heard_at >= timeout_s * 0.99
            raise

    async def _read(self) -> None:
        end: Exception = ConnectionError("the connection was closed")
        try:
            while True:
                raw = await self._connection.recv_bytes()
                self._heard_at = asyncio.get_running_loop().time()
                with contextlib.suppress(AttributeError, TypeError, ValueError):  # no message of theirs
                    event = self._connection.parse_event(raw)
                    name = event.context_id
                    for context in [name] if name is not None else list(self._contexts):
                        if (queue := self._contexts.get(context)) is not None and hasattr(event, "type"):
                            queue.put_nowait(event)
        except Exception as error:
            end = error
        finally:
            for queue in self._contexts.values():
                queue.put_nowait(end)
            with contextlib.suppress(Exception):
                async with asyncio.timeout(_CLOSE_S):
                    await self._connection.close()
            abort(self._connection._connection)


async def _sounds(events: AsyncIterator[Any], text: str, rate_hz: int) -> AsyncIterator[Sound]:
    alignment, samples = Alignment(text), Samples()
    ends: tuple[WordEnd, ...] = ()
    is_silent = True
    async for event in events:
        if event.type == "error":
            raise ProviderError(NAME, told_by(event, "status_code", "title", "message"))
        if event.type == "timestamps":
            # They may come before their sound, and are no sound.
            ends += _ends(alignment, event)
        elif event.type == "chunk" and (pcm := samples.whole(base64.b64decode(event.data or ""))):
            is_silent = False
            yield Sound(pcm, rate_hz, ends)
            ends = ()
    if is_silent:
        raise ProviderError(NAME, "sent no sound")
    if ends:
        yield Sound(b"", rate_hz, ends)


def _ends(alignment: Alignment, event: Any) -> tuple[WordEnd, ...]:
    try:
        return alignment.words(event.word_timestamps.words, event.word_timestamps.end)
    except (AttributeError, TypeError, ValueError):
        return ()
