"""The agent that a crowd talks to, with providers that take no time; it says a second of a tone.

python bench/agent/crowd_agent.py --port 9000 --mode binary
"""

import argparse
import asyncio
from collections.abc import AsyncIterator

from instant import RATE_HZ, InstantLlm, InstantStt
from instant import TONE as SHORT

from longline.agentkit import EndpointingRules, Sound, TurnRules, VoiceAgent, serve
from longline.agentkit.turns.endpointing import cannot_tell
from longline.streamkit.app_messages import Hello
from longline.streamkit.format import FormatWish

ENDPOINTING_S = 0.3
TONE = (SHORT * 4)[: 2 * RATE_HZ]
PIECE = len(TONE) // 5


class Tts:
    async def say(self, text: str) -> AsyncIterator[Sound]:
        for at in range(0, len(TONE), PIECE):
            yield Sound(TONE[at : at + PIECE], RATE_HZ)


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--mode", default="binary")
    arguments = parser.parse_args()
    rules = EndpointingRules(ENDPOINTING_S, ENDPOINTING_S, ENDPOINTING_S)
    agent = VoiceAgent(InstantStt(), InstantLlm(), Tts(), turn=TurnRules(endpointing=rules, completeness=cannot_tell))
    wish = FormatWish(encoding="pcm_s16le", rate_hz=RATE_HZ, mode=arguments.mode)
    hello = Hello(audio=wish, barge_in=agent.hello.barge_in)
    async with serve(agent, "127.0.0.1", arguments.port, hello=hello):
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
