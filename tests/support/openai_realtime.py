"""A speech-to-speech model as OpenAI's Realtime API has it.

It hears voices by their level, answers by script, minds the rules of the API (what it is told of its own speech must be
so), and fails on demand.
"""

import asyncio
import base64
import contextlib
import http
import itertools
import json
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from types import TracebackType
from typing import Any, Self

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from longline.agentkit import mulaw
from longline.agentkit.turns.energy import EnergyRules, EnergyVad

DELTA_S = 0.1
RETRY_AFTER_S = 2


class Fault(Enum):
    """What a response does in place of what it should."""

    FAILS = "response.done with status failed"
    STALLS = "nothing comes behind response.created"
    STALLS_WITHIN = "nothing comes behind the first sound"
    CUT = "the connection is lost behind the first sound"
    GARBAGE = "messages that are none come first"


@dataclass
class Reply:
    """`seconds` of speech that say `text`, or calls of tools: name and arguments. It takes `wait_s` to begin; of one
    that `is_late` sound is on its way when it is cancelled."""

    text: str = ""
    seconds: float = 1.0
    calls: Mapping[str, str] = field(default_factory=dict)
    fault: Fault | None = None
    wait_s: float = 0.0
    is_late: bool = False


class RealtimeService:
    """`async with RealtimeService() as service`. What the caller says is understood as the next of `texts`, and
    answered by the next of `replies`."""

    def __init__(self) -> None:
        self.texts: deque[str] = deque()
        self.replies: deque[Reply] = deque()
        self.refusals: deque[int] = deque()
        """Statuses with which the next connections are refused."""
        self.session_error = ""
        self.never_agrees = False
        self.received: list[dict[str, Any]] = []
        """All that came, but for sound."""
        self.errors: list[str] = []
        """What a client has done that the API refuses."""
        self.heard_s = 0.0
        self.committed_ms: list[float] = []
        """How long the turns were that a client has cut out by itself."""
        self.connections = 0
        self.live: set[_Connection] = set()
        self._server: Server | None = None

    @property
    def base_url(self) -> str:
        assert self._server is not None
        return f"http://127.0.0.1:{next(iter(self._server.sockets)).getsockname()[1]}/v1"

    def of_type(self, name: str) -> list[dict[str, Any]]:
        return [event for event in self.received if event["type"] == name]

    async def hang_up(self, code: int = 1011) -> None:
        """The connections are lost."""
        for connection in list(self.live):
            await connection.socket.close(code)

    def freeze(self) -> None:
        """The connections hear nothing more, and do not say so."""
        for connection in list(self.live):
            connection.socket.transport.pause_reading()

    async def __aenter__(self) -> Self:
        self._server = await serve(self._run, "127.0.0.1", 0, process_request=self._admit, ping_interval=None)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        await self._server.wait_closed()

    def _admit(self, socket: ServerConnection, request: Request) -> Response | None:
        if not self.refusals:
            return None
        status = http.HTTPStatus(self.refusals.popleft())
        response = socket.respond(status, status.phrase)
        if status is http.HTTPStatus.TOO_MANY_REQUESTS:
            response.headers["Retry-After"] = str(RETRY_AFTER_S)
        return response

    async def _run(self, socket: ServerConnection) -> None:
        self.connections += 1
        connection = _Connection(self, socket)
        self.live.add(connection)
        try:
            with contextlib.suppress(ConnectionClosed):
                await connection.run()
        finally:
            self.live.discard(connection)
            connection.stop()


class _Connection:
    def __init__(self, service: RealtimeService, socket: ServerConnection) -> None:
        self._service = service
        self.socket = socket
        self._numbers = itertools.count(1)
        self._vad: EnergyVad | None = EnergyVad(EnergyRules(stop_ms=300))
        self._buffer_ms = 0.0
        self._silence_ms = 300.0
        self._rate_hz = 8_000
        self._at_ms = 0.0
        self._responding: asyncio.Task[None] | None = None
        self._reply = Reply()
        self._response_id = ""
        self._spoken_ms: dict[str, float] = {}
        self._calls: set[str] = set()

    def stop(self) -> None:
        if self._responding is not None:
            self._responding.cancel()

    async def run(self) -> None:
        await self._tell("session.created", session={"type": "realtime"})
        async for text in self.socket:
            event = json.loads(text)
            if event["type"] == "input_audio_buffer.append":
                await self._hear(base64.b64decode(event["audio"]))
                continue
            self._service.received.append(event)
            await self._take(event)

    async def _take(self, event: dict[str, Any]) -> None:
        match event["type"]:
            case "session.update":
                if self._service.session_error:
                    await self._refuse(self._service.session_error)
                elif not self._service.never_agrees:
                    hears = event["session"]["audio"]["input"]
                    if hears["turn_detection"] is None:
                        self._vad = None
                    self._rate_hz = 8_000 if hears["format"]["type"] == "audio/pcmu" else 24_000
                    await self._tell("session.updated", session=event["session"])
            case "response.create":
                if self._responding is not None:
                    await self._refuse("conversation_already_has_active_response")
                else:
                    self._respond()
            case "response.cancel":
                if self._responding is None:
                    await self._refuse("response_cancel_not_active")
                else:
                    await self._cancel("client_cancelled")
            case "input_audio_buffer.clear":
                self._buffer_ms = 0.0
            case "input_audio_buffer.commit":
                self._service.committed_ms.append(self._buffer_ms)
                if self._buffer_ms < 100:
                    await self._refuse("input_audio_buffer_commit_empty")
                item_id, self._buffer_ms = self._id("caller"), 0.0
                await self._tell("input_audio_buffer.committed", item_id=item_id)
                await self._write(item_id)
            case "conversation.item.truncate":
                spoken_ms = self._spoken_ms.get(event["item_id"])
                if spoken_ms is None or event["audio_end_ms"] > spoken_ms:
                    await self._refuse(f"audio content of {spoken_ms} ms is shorter than {event['audio_end_ms']} ms")
                else:
                    await self._tell("conversation.item.truncated", **{**event, "type": "conversation.item.truncated"})
            case "conversation.item.create":
                item = event["item"]
                if item["type"] == "function_call":
                    self._calls.add(item["call_id"])
                elif item["type"] == "function_call_output" and item["call_id"] not in self._calls:
                    await self._refuse("no such call")

    async def _hear(self, data: bytes) -> None:
        pcm = mulaw.to_linear(data) if self._rate_hz == 8_000 else data
        change = None if self._vad is None else self._vad.hear(pcm, self._rate_hz, self._at_ms)
        length_ms = len(pcm) * 500 / self._rate_hz
        self._at_ms += length_ms
        self._buffer_ms += length_ms
        self._service.heard_s += length_ms / 1_000
        if change is None:
            return
        if change[0] == "started":
            await self._tell("input_audio_buffer.speech_started", item_id=self._id("caller"), audio_start_ms=change[1])
            if self._responding is not None:
                await self._cancel("turn_detected")
            return
        item_id = self._id("caller")
        end_ms = round(change[1] + self._silence_ms)
        await self._tell("input_audio_buffer.speech_stopped", item_id=item_id, audio_end_ms=end_ms)
        self._respond()
        await self._write(item_id)

    async def _write(self, item_id: str) -> None:
        text = self._service.texts.popleft() if self._service.texts else ""
        written = "conversation.item.input_audio_transcription.completed"
        await self._tell(written, item_id=item_id, content_index=0, transcript=text)

    def _respond(self) -> None:
        self._reply = reply = self._service.replies.popleft() if self._service.replies else Reply("Yes.")
        self._response_id = self._id("response")
        self._responding = asyncio.create_task(self._say(reply))

    async def _cancel(self, reason: str) -> None:
        assert self._responding is not None
        self._responding.cancel()
        self._responding = None
        if self._reply.is_late:
            await self._speak(self._reply)
        details = {"type": "cancelled", "reason": reason}
        await self._done("cancelled", [], details)

    async def _say(self, reply: Reply) -> None:
        await self._tell("response.created", response={"id": self._response_id, "status": "in_progress"})
        match reply.fault:
            case Fault.STALLS:
                await asyncio.Event().wait()
            case Fault.GARBAGE:
                for text in ("{", "[1]", '"x"', '{"type": 7}', '{"type": "response.output_audio.delta"}'):
                    await self.socket.send(text)
                await self._tell("response.done", response=[])
            case Fault.FAILS:
                self._responding = None
                error = {"code": "server_error", "message": "it broke"}
                await self._done("failed", [], {"type": "failed", "error": error})
                return
        await asyncio.sleep(reply.wait_s)
        output = []
        if reply.text:
            await self._speak(reply)
        for name, arguments in reply.calls.items():
            call_id = self._id("call")
            self._calls.add(call_id)
            output.append({"type": "function_call", "call_id": call_id, "name": name, "arguments": arguments})
        self._responding = None
        await self._done("completed", output)

    async def _speak(self, reply: Reply) -> None:
        item_id = self._id("item")
        where = {"response_id": self._response_id, "item_id": item_id, "output_index": 0, "content_index": 0}
        await self._tell("response.output_audio_transcript.delta", delta=reply.text, **where)
        pcm = (b"\x00\x20" * 10 + b"\x00\xe0" * 10) * round(self._rate_hz * DELTA_S / 20)
        data = mulaw.from_linear(pcm) if self._rate_hz == 8_000 else pcm
        for number in range(round(reply.seconds / DELTA_S)):
            self._spoken_ms[item_id] = (number + 1) * DELTA_S * 1_000
            await self._tell("response.output_audio.delta", delta=base64.b64encode(data).decode(), **where)
            await asyncio.sleep(0)
            if reply.fault is Fault.STALLS_WITHIN:
                await asyncio.Event().wait()
            if reply.fault is Fault.CUT:
                self.socket.transport.abort()
                await asyncio.Event().wait()
        await self._tell("response.output_audio.done", **where)

    async def _done(self, status: str, output: list[dict[str, Any]], details: Any = None) -> None:
        response = {"id": self._response_id, "status": status, "status_details": details, "output": output}
        await self._tell("response.done", response=response)

    async def _refuse(self, message: str) -> None:
        self._service.errors.append(message)
        await self._tell("error", error={"type": "invalid_request_error", "code": "invalid", "message": message})

    async def _tell(self, kind: str, **fields: Any) -> None:
        await self.socket.send(json.dumps({**fields, "type": kind, "event_id": self._id("event")}))

    def _id(self, kind: str) -> str:
        return f"{kind}-{id(self) % 10_000}-{next(self._numbers)}"
