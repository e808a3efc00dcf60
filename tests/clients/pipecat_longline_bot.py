"""The bot of pipecat_bot.py on Longline's own transport; what its context holds in the end is told."""

from __future__ import annotations

import asyncio
import os
import sys

from loguru import logger
from pipecat_bot import converse
from telling import tell

from longline.agentkit.pipecat import LonglineTransport
from longline.agentkit.server import serve
from longline.agentkit.session import CallSession


async def bot(call: CallSession) -> None:
    tell("stream", provider="longline", call={"call_id": call.info.call_id, "rate_hz": call.rate_hz}, headers={})
    transport = LonglineTransport(call)

    @transport.event_handler("on_connection_lost")
    async def on_connection_lost(_transport: LonglineTransport, _call: CallSession) -> None:
        tell("lost")

    await converse(transport)
    tell("said", heard=[(each.said_ms, each.heard_ms, each.was_cut) for each in call.utterances.values()])


async def main() -> None:
    async with serve(bot, "127.0.0.1", 0) as server:
        tell("listening", port=server.port)
        await asyncio.Event().wait()


if __name__ == "__main__":
    logger.remove()
    logger.add(sys.stderr, level=os.environ.get("PIPECAT_LOG", "WARNING"))
    asyncio.run(main())
