"""Serve an agent: a call that dials this, by longline.v1, Teler's or Twilio's protocol, is one `CallSession`.

    async def talk(call: CallSession) -> None: ...

    async with serve(talk, "0.0.0.0", 9000):
        await asyncio.Event().wait()

longline.v1 is known by its `start`, the others by their first messages. When a handler returns, its stream is stopped:
the call goes on with its flow. Bounds: those of `streamkit.server`, and five seconds for the first messages.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Final

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from longline.agentkit.line import Line
from longline.agentkit.lines.codec import Codec
from longline.agentkit.lines.native import NativeLine
from longline.agentkit.lines.paced_line import PacedLine
from longline.agentkit.lines.teler import TelerCodec
from longline.agentkit.lines.twilio import TwilioCodec
from longline.agentkit.ports import TextToSpeech
from longline.agentkit.session import CallSession
from longline.streamkit.app_messages import Hello
from longline.streamkit.server import StreamServer
from longline.streamkit.server import serve as serve_streams
from longline.streamkit.stream import Stream

FIRST_WITHIN_S: Final = 5.0
NOT_UNDERSTOOD: Final = 1002
Handler = Callable[[CallSession], Awaitable[None]]
_log = logging.getLogger(__name__)


def codec_for(message: Any) -> Codec | None:
    """The protocol whose `start` this is; None when it is none that is known."""
    if not isinstance(message, dict):
        return None
    if message.get("event") == "start":
        return TwilioCodec(message)
    return TelerCodec(message) if message.get("type") == "start" else None


def serve(
    handler: Handler,
    host: str,
    port: int,
    *,
    tts: TextToSpeech | None = None,
    hello: Hello | None = None,
    secret: str | None = None,
    **more: Any,
) -> StreamServer:
    """`tts` is the voice of `CallSession.say`. `hello` is what is asked of longline.v1 (with a format of `pcm_s16le`);
    left out, it is that of the handler, if it has one, as a `VoiceAgent` has. `more` is `streamkit.server.serve`'s."""
    if hello is None:
        hello = getattr(handler, "hello", None)

    async def native(stream: Stream) -> None:
        await stream.ready()  # speech needs the format that was agreed on
        await _talk(handler, NativeLine(stream), tts)

    async def other(socket: ServerConnection, first: str | bytes) -> None:
        codec = await _read_start(socket, first)
        if codec is None:
            await socket.close(NOT_UNDERSTOOD, "neither longline.v1 nor Teler nor Twilio")
            return
        await _talk(handler, PacedLine(socket, codec), tts)
        await socket.close()

    return serve_streams(native, host, port, hello=hello, secret=secret, otherwise=other, **more)


async def _read_start(socket: ServerConnection, first: str | bytes) -> Codec | None:
    """Twilio says `connected` before its `start`."""
    try:
        message = json.loads(first)
        if isinstance(message, dict) and message.get("event") == "connected":
            async with asyncio.timeout(FIRST_WITHIN_S):
                message = json.loads(await socket.recv())
    except (ConnectionClosed, TimeoutError, ValueError):
        return None
    return codec_for(message)


async def _talk(handler: Handler, line: Line, tts: TextToSpeech | None) -> None:
    async with CallSession(line, tts=tts) as call:
        try:
            await handler(call)
        except Exception:
            _log.exception("the handler of call %s failed", call.info.call_id)
