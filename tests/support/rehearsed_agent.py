"""An agent to be rehearsed, in a process of its own: `python -m tests.support.rehearsed_agent PORT`.

Whatever the caller says it takes for the next of its texts, and answers it at once; who presses a key is let go.
"""

import asyncio
import sys

from longline.agentkit.agent import VoiceAgent
from longline.agentkit.ports import Tool, ToolCall
from longline.agentkit.server import serve
from longline.agentkit.session import CallSession
from longline.agentkit.testing import FakeLlm, FakeStt, FakeTts

OPENING = "We open at nine in the morning and we close at six in the evening on all days of the week."


async def desk(call: CallSession) -> None:
    """A call of it."""

    async def let_go() -> str:
        await call.said()
        call.hangup()
        return "gone"

    goodbye: list[str | ToolCall] = ["Goodbye.", ToolCall("1", "let_go", {})]
    agent = VoiceAgent(
        FakeStt("When do you open?", "No, wait, please.", "Goodbye."),
        FakeLlm(when={"open": OPENING, "wait": "Monday at nine is yours.", "pressed": goodbye}),
        FakeTts(),
        greeting="Clinic, how can I help?",
        tools=[Tool("let_go", "Ends the call.", let_go)],
    )
    await agent(call)


async def _main(port: int) -> None:
    async with serve(desk, "127.0.0.1", port):
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_main(int(sys.argv[1])))
