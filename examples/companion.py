"""A companion to talk to for as long as you like, who remembers you the next time you call.

Its memory is bounded: the last forty turns stand as they were said, what is older is a line each, and when the call is
over all of it is lines, the last two hundred, in a file for each caller. What was not heard was not said.

Run it (it needs longline[offline,openai], flite, and a server that speaks OpenAI's chat, at OPENAI_BASE_URL), then
`longline serve --stream ws://127.0.0.1:9000 --dialect longline`, and call.
"""

import argparse
import asyncio
import json
from pathlib import Path
from urllib.parse import quote

from longline.agentkit import CallSession, Conversation, Turn, VoiceAgent, serve
from longline.agentkit.llm.openai import OpenAILlm
from longline.agentkit.stt.pocketsphinx import PocketsphinxStt
from longline.agentkit.tts.flite import FliteTts

INSTRUCTIONS = (
    "You are good company on the telephone. Two sentences at most. Ask about what you were told before. What you hear "
    "was understood by a machine over a bad line: guess what was meant."
)
KEPT_TURNS, KEPT_LINES = 40, 200


def line_of(turn: Turn) -> str | None:
    """What remains of a turn."""
    return f"{turn.role}: {turn.told()[:200]}" if turn.role != "tool" and turn.told() else None


class Memory:
    """A file for each caller."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def recall(self, caller: str) -> Conversation:
        conversation = Conversation(INSTRUCTIONS, keep_turns=KEPT_TURNS, keep_notes=KEPT_LINES, note=line_of)
        if self._file(caller).exists():
            conversation.notes.extend(json.loads(self._file(caller).read_text()))
        return conversation

    def keep(self, caller: str, conversation: Conversation) -> None:
        lines = [*conversation.notes, *(line for turn in conversation.turns if (line := line_of(turn)))]
        self._file(caller).write_text(json.dumps(lines[-KEPT_LINES:], indent=1))

    def _file(self, caller: str) -> Path:
        return self.folder / f"{quote(caller or 'unknown', safe='')[:200]}.json"


async def main(port: int, memory: Memory, model: str) -> None:
    stt, llm, tts = PocketsphinxStt(least_confidence=0.0), OpenAILlm(model=model), FliteTts(voice="rms")

    async def talk(call: CallSession) -> None:
        conversation = memory.recall(call.info.from_number)
        greeting = "Hello again. How have you been?" if conversation.notes else "Hello. I am glad you call."
        agent = VoiceAgent(stt, llm, tts, greeting=greeting, silence=["Are you still there?"], silence_s=20)
        try:
            await agent(call, conversation)
        finally:
            memory.keep(call.info.from_number, conversation)

    async with serve(talk, "127.0.0.1", port, hello=VoiceAgent(stt, llm, tts).hello):
        await asyncio.Event().wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=9000)
    parser.add_argument("--memory", type=Path, default=Path("companion-memory"))
    parser.add_argument("--model", default="gpt-4.1-mini")
    args = parser.parse_args()
    asyncio.run(main(args.port, Memory(args.memory), args.model))
