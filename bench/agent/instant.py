"""An agent whose providers take no time: what is left of an answer's delay is the platform's own.

    python bench/agent/instant.py --port 9000 --endpointing-ms 300

Prints a JSON line for each turn: its total, its steps, and who was called.
"""

import argparse
import asyncio
import json
import math
import struct
import sys
from collections.abc import AsyncIterator, Sequence
from typing import Any

from longline.agentkit import CallSession, EndpointingRules, Report, Sound, Transcript, TurnRules, VoiceAgent, serve
from longline.agentkit.conversation import Conversation
from longline.agentkit.ports import Tool, ToolCall
from longline.agentkit.turns.endpointing import cannot_tell

RATE_HZ = 8_000
SAYS_MS = 300
TONE = b"".join(
    struct.pack("<h", round(9_000 * math.cos(2 * math.pi * 500 * n / RATE_HZ)))
    for n in range(RATE_HZ * SAYS_MS // 1000)
)
"""Loud from its first sample: the first packet of an answer is heard as one."""


class InstantStt:
    async def listen(self, audio: AsyncIterator[bytes], rate_hz: int) -> AsyncIterator[Transcript]:
        async for frame in audio:
            if not frame:
                yield Transcript("Something.", is_final=True)


class InstantLlm:
    async def reply(self, conversation: Conversation, tools: Sequence[Tool]) -> AsyncIterator[str | ToolCall]:
        yield "Yes."


class InstantTts:
    async def say(self, text: str) -> AsyncIterator[Sound]:
        yield Sound(TONE, RATE_HZ)


CALLED: dict[str, str] = {}
"""By call, whom its caller had called: that is how the bench knows whose turn it is."""


class InstantAgent(VoiceAgent):
    async def __call__(self, call: CallSession) -> None:
        CALLED[call.info.call_id] = call.info.to_number
        await super().__call__(call)


def tell(report: Report) -> None:
    waterfall = report.waterfall
    line: dict[str, Any] = {"to": CALLED[report.call_id], "number": report.number, "total_ms": waterfall.total_ms}
    sys.stdout.write(json.dumps(line | {"parts_ms": waterfall.parts_ms()}) + "\n")
    sys.stdout.flush()


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--endpointing-ms", type=float, default=300)
    arguments = parser.parse_args()
    wait_s = arguments.endpointing_ms / 1000
    rules = TurnRules(endpointing=EndpointingRules(wait_s, wait_s, wait_s), completeness=cannot_tell)
    agent = InstantAgent(InstantStt(), InstantLlm(), InstantTts(), turn=rules, report=tell)
    async with serve(agent, "127.0.0.1", arguments.port):
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
