"""A speech-to-speech model as its clients see it: the events of OpenAI's Realtime API that a phone call needs.

It greets at once, far faster than real time; says when the caller starts to talk; and answers each message with a tone.
"""

import asyncio
import base64
import itertools
import json
from types import TracebackType
from typing import Any, Self

import numpy as np
from websockets.asyncio.server import Server, ServerConnection, serve

from tests.support.tone import Samples, from_ulaw, pitch_hz, to_ulaw, tone

DELTA_BYTES = 4000
LOUD = 1500
HEARD_S = 0.4


class RealtimeModel:
    """`async with RealtimeModel(greeting_hz, reply_hz) as model`. `received` is all that came, but for audio."""

    def __init__(self, greeting_hz: float, reply_hz: float) -> None:
        self._greeting, self._reply = tone(greeting_hz, 20), tone(reply_hz, 0.6)
        self._server: Server | None = None
        self._numbers = itertools.count(1)
        self.received: list[dict[str, Any]] = []
        self.voice: Samples = np.zeros(0, dtype=np.int16)

    @property
    def url(self) -> str:
        assert self._server is not None
        return f"ws://127.0.0.1:{next(iter(self._server.sockets)).getsockname()[1]}/v1/realtime"

    @property
    def heard_hz(self) -> float | None:
        """The pitch of the caller's voice, when there was enough of it."""
        return pitch_hz(self.voice) if len(self.voice) >= HEARD_S * 8000 else None

    def of_type(self, name: str) -> list[dict[str, Any]]:
        return [event for event in self.received if event["type"] == name]

    async def __aenter__(self) -> Self:
        self._server = await serve(self._run, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        await self._server.wait_closed()

    async def _run(self, socket: ServerConnection) -> None:
        await self._tell(socket, "session.created", session={"type": "realtime", "model": "gpt-realtime"})
        is_first = True
        async for text in socket:
            event = json.loads(text)
            if event["type"] != "input_audio_buffer.append":
                self.received.append(event)
            if event["type"] == "session.update":
                await self._tell(socket, "session.updated", session=event["session"])
            elif event["type"] == "response.create":
                await self._speak(socket, self._reply)
            elif event["type"] == "input_audio_buffer.append":
                if is_first:
                    is_first = False
                    await self._speak(socket, self._greeting)
                await self._listen(socket, from_ulaw(base64.b64decode(event["audio"])))

    async def _listen(self, socket: ServerConnection, samples: Samples) -> None:
        if self.heard_hz is not None or not (len(self.voice) or np.abs(samples.astype(int)).max(initial=0) > LOUD):
            return
        if not len(self.voice):
            await self._tell(socket, "input_audio_buffer.speech_started", item_id="caller-1", audio_start_ms=0)
        self.voice = np.concatenate([self.voice, samples])
        if self.heard_hz is not None:
            await self._tell(socket, "input_audio_buffer.speech_stopped", item_id="caller-1", audio_end_ms=400)

    async def _speak(self, socket: ServerConnection, samples: Samples) -> None:
        number = next(self._numbers)
        response, codes = f"response-{number}", to_ulaw(samples)
        where = {"response_id": response, "item_id": f"item-{number}", "output_index": 0, "content_index": 0}
        await self._tell(socket, "response.created", response={"id": response, "status": "in_progress"})
        for start in range(0, len(codes), DELTA_BYTES):
            delta = base64.b64encode(codes[start : start + DELTA_BYTES]).decode()
            await self._tell(socket, "response.output_audio.delta", delta=delta, **where)
            await asyncio.sleep(0)
        await self._tell(socket, "response.output_audio.done", **where)
        await self._tell(socket, "response.done", response={"id": response, "status": "completed", "output": []})

    async def _tell(self, socket: ServerConnection, kind: str, **fields: Any) -> None:
        await socket.send(json.dumps({"type": kind, "event_id": f"event-{next(self._numbers)}", **fields}))
