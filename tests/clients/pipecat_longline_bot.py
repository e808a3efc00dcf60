"""The bot of pipecat_bot.py on Longline's own transport; what its context holds in the end is told."""

from __future__ import annotations

import asyncio
import os
import sys

from loguru import logger
from pipecat.frames.frames import (
    Frame,
    InputDTMFFrame,
    InputTransportMessageFrame,
    OutputDTMFFrame,
    OutputTransportMessageFrame,
)
from pipecat.processors.frame_processor import FrameDirection
from pipecat_bot import Mind, converse, speech
from telling import REPLY_HZ, REPLY_S, tell

from longline.agentkit.pipecat import LonglineTransport
from longline.agentkit.server import serve
from longline.agentkit.session import CallSession


class MindOfMarks(Mind):
    """Asks when what it says at the key 6 was heard, and sends keys at the key 8."""

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, InputTransportMessageFrame) and direction is FrameDirection.UPSTREAM:
            tell("mark", name=frame.message["name"], outcome=frame.message["outcome"])
        elif isinstance(frame, InputDTMFFrame) and frame.button.value == "6":
            await self.push_frame(speech(REPLY_HZ, REPLY_S))
            await self.push_frame(OutputTransportMessageFrame(message={"type": "mark", "name": "reply"}))
        elif isinstance(frame, InputDTMFFrame) and frame.button.value == "8":
            await self.push_frame(OutputDTMFFrame.from_string("42"))


async def bot(call: CallSession) -> None:
    tell("stream", provider="longline", call={"call_id": call.info.call_id, "rate_hz": call.rate_hz}, headers={})
    transport = LonglineTransport(call)

    @transport.event_handler("on_connection_lost")
    async def on_connection_lost(_transport: LonglineTransport, _call: CallSession) -> None:
        tell("lost")

    await converse(transport, MindOfMarks())
    tell("said", heard=[(each.said_ms, each.heard_ms, each.was_cut) for each in call.utterances.values()])


async def main() -> None:
    async with serve(bot, "127.0.0.1", 0) as server:
        tell("listening", port=server.port)
        await asyncio.Event().wait()


if __name__ == "__main__":
    logger.remove()
    logger.add(sys.stderr, level=os.environ.get("PIPECAT_LOG", "WARNING"))
    asyncio.run(main())
