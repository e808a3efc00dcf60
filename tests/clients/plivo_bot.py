"""A bot on plivo-stream-sdk, as its users write it. It says all in one burst, and a checkpoint after it."""

from __future__ import annotations

import asyncio
from typing import Any

from plivo_stream import PlivoWebsocketStreamingHandler
from telling import (
    END_KEY,
    GREETING_HZ,
    GREETING_S,
    RATE_HZ,
    REPLY_HZ,
    REPLY_KEY,
    REPLY_S,
    Ear,
    from_mulaw,
    tell,
    to_mulaw,
    tone,
)
from websockets.asyncio.server import ServerConnection, serve


async def converse(socket: ServerConnection) -> None:
    stream, ear = PlivoWebsocketStreamingHandler(), Ear()

    async def say(pitch_hz: float, seconds: float, name: str) -> None:
        await stream.send_media(to_mulaw(tone(pitch_hz, seconds)), content_type="audio/x-mulaw", sample_rate=RATE_HZ)
        await stream.send_checkpoint(name)

    @stream.on_start
    async def on_start(event: Any) -> None:
        assert socket.request is not None
        tell("stream", provider="plivo", call=event.start.model_dump(), headers=dict(socket.request.headers))
        await say(GREETING_HZ, GREETING_S, "greeting")

    @stream.on_media
    async def on_media(event: Any) -> None:
        if ear.feed(from_mulaw(event.get_raw_media()), RATE_HZ):
            await stream.send_clear_audio()
            tell("interrupted")

    @stream.on_cleared_audio
    async def on_cleared(event: Any) -> None:
        tell("cleared", number=event.sequence_number)

    @stream.on_played_stream
    async def on_played(event: Any) -> None:
        tell("played", name=event.name)

    @stream.on_dtmf
    async def on_dtmf(event: Any) -> None:
        tell("dtmf", digit=event.dtmf.digit)
        if event.dtmf.digit == REPLY_KEY:
            await say(REPLY_HZ, REPLY_S, "reply")
        elif event.dtmf.digit == END_KEY:
            await stream.stop()

    @stream.on_error
    async def on_error(error: Exception) -> None:
        tell("error", error=repr(error))

    await stream.handle(socket)
    tell("ended")


async def main() -> None:
    async with serve(converse, "127.0.0.1", 0) as server:
        tell("listening", port=next(iter(server.sockets)).getsockname()[1])
        await asyncio.Future()


if __name__ == "__main__":
    asyncio.run(main())
