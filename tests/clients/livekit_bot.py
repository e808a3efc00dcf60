"""An agent of LiveKit Agents, as its users write it, on a call of Longline: no room, and no server of LiveKit's.

Its speech to text hears that there is a voice, its model and its voice are tones; keys are told as everywhere here.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
from livekit import rtc
from livekit.agents import Agent, AgentSession
from telling import END_KEY, GREETING_HZ, GREETING_S, REPLY_HZ, REPLY_KEY, REPLY_S, Ear, tell, tone

from longline.agentkit.line import Digit, Frame, LineEvent
from longline.agentkit.livekit import converse
from longline.agentkit.server import serve
from longline.agentkit.session import CallSession

GREETING = " ".join(["One", "two", "three", "four", "five"] * 20)


async def speech(pitch_hz: float, seconds: float) -> AsyncIterator[rtc.AudioFrame]:
    """At a rate of its own, as a voice has."""
    samples = tone(pitch_hz, seconds, 24_000)
    for at in range(0, len(samples), 1_200):
        piece = samples[at : at + 1_200]
        yield rtc.AudioFrame(piece.tobytes(), 24_000, 1, len(piece))


class Desk(Agent):
    async def on_enter(self) -> None:
        self.session.say(GREETING, audio=speech(GREETING_HZ, GREETING_S))


async def talk(call: CallSession) -> None:
    tell("stream", provider="livekit", call={"call_id": call.info.call_id, "rate_hz": call.rate_hz}, headers={})
    session: AgentSession = AgentSession()
    ear = Ear()

    def note(event: LineEvent) -> None:
        if isinstance(event, Digit):
            tell("dtmf", digit=event.digit)
            if event.digit == REPLY_KEY:
                session.say("Reply.", audio=speech(REPLY_HZ, REPLY_S))
            elif event.digit == END_KEY:
                session.shutdown()
        elif isinstance(event, Frame) and ear.feed(np.frombuffer(event.pcm, dtype=np.int16), call.rate_hz):
            session.interrupt()
            tell("interrupted")

    await converse(session, Desk(instructions=""), call, on_event=note)
    told: list[Any] = [
        (item.text_content, item.interrupted) for item in session.history.items if item.type == "message"
    ]
    tell("said", history=told, heard=[(u.said_ms, u.heard_ms, u.was_cut) for u in call.utterances.values()])
    tell("ended")


async def main() -> None:
    async with serve(talk, "127.0.0.1", 0) as server:
        tell("listening", port=server.port)
        await asyncio.Event().wait()


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING)
    asyncio.run(main())
