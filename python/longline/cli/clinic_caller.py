"""The caller of the demo: somebody who wants an appointment, and talks about it on a real line.

Who he is comes from a seed: which day and hour he wants, how much he says at once, which words, whether he asks for
something to be said again, and where he interrupts. He hears with his own ear when the agent is silent; what it said he
reads in the call's history, where the agent's turns stand: it is the agent's ears that are tried here, not his.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

from longline.agentkit import CallSession, EnergyVad, Frame

DAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday")
HOURS: Final = ("nine", "ten", "eleven", "two", "three", "four")
POPULAR: Final = (
    ("Monday", "nine"),
    ("Tuesday", "ten"),
    ("Wednesday", "two"),
    ("Thursday", "eleven"),
    ("Friday", "four"),
)
"""What many want, and the clinic has not."""
SILENT_MS: Final = 300.0
"""So long the agent must have been silent before he speaks."""
PATIENCE_S: Final = 12.0
"""When nothing comes for so long, he says again what he said last."""
POLL_S: Final = 0.15

Turns = Callable[[], Awaitable[list[dict[str, Any]]]]
"""The agent's turns so far, as the call's history has them."""


@dataclass(slots=True)
class Persona:
    """`wants` is what he is after now; `said` all that he has said."""

    seed: int = 0
    wants: tuple[str, str] = ("", "")
    is_brief: bool = False
    """He names the day and the hour only when he is asked."""
    asks_again: bool = False
    said: list[str] = field(default_factory=list)
    _random: Random = field(default_factory=Random)

    @classmethod
    def of(cls, seed: int) -> Persona:
        random = Random(f"clinic/{seed}")
        wants = random.choice(POPULAR) if random.random() < 0.3 else (random.choice(DAYS), random.choice(HOURS))
        return cls(seed, wants, random.random() < 0.5, random.random() < 0.4, [], random)

    @property
    def first(self) -> str:
        """What he calls for."""
        day, hour = self.wants
        if self.is_brief:
            return self._one_of("I need an appointment please.", "I would like to book an appointment.")
        return self._one_of(
            f"I would like an appointment on {day} at {hour}, please.",
            f"I need an appointment on {day} at {hour}.",
            f"How about {day} at {hour}?",
        )

    def answer(self, text: str) -> str | None:
        """What he says to that; None: he listens on."""
        day, hour = self.wants
        if "goodbye" in text.lower():
            return None
        if "understand" in text or "in other words" in text or "still there" in text:
            return self.said[-1] if self.said else self.first
        if self.asks_again and "?" in text:
            self.asks_again = False
            return self._one_of("Say that again please.", "Repeat that please.")
        if "Shall I book it" in text:
            if f"{day} at {hour} is free" in text:
                return self._one_of("Yes please.", "Book it please.")
            return f"No, {day} at {hour}."
        if " is taken. " in text:
            offered = text.partition(" is taken. ")[2].partition(" would be free")[0].split(" or ")
            self.wants = (day, self._one_of(*offered))
            return f"How about {self.wants[1]}?" if f"{day} at {hour} is taken" in text else f"No, {day} at {hour}."
        if "At what time" in text:
            return self._one_of(f"At {hour}.", f"At {hour} please.", f"At {hour} o'clock.")
        return self._one_of(f"On {day}.", f"On {day} please.")

    def _one_of(self, *texts: str) -> str:
        return self._random.choice(texts)


class Caller:
    """`talk` is his side of a call: give it to `serve`, with a voice."""

    def __init__(self, persona: Persona, turns: Turns, on_said: Callable[[str], None] = lambda _: None) -> None:
        self._persona = persona
        self._turns = turns
        self._on_said = on_said
        self._vad = EnergyVad()
        self._hears_voice = asyncio.Event()
        self._hears_silence = asyncio.Event()
        self._silent_ms = 0.0
        self._known = 0
        self.interruptions = 0

    async def talk(self, call: CallSession) -> None:
        conversation = asyncio.create_task(self._converse(call))
        async for event in call:
            if isinstance(event, Frame):
                self._listen(event, call.rate_hz)
        conversation.cancel()
        await asyncio.gather(conversation, return_exceptions=True)

    def _listen(self, frame: Frame, rate_hz: int) -> None:
        self._vad.hear(frame.pcm, rate_hz, frame.at_ms)
        if self._vad.is_voiced:
            self._silent_ms = 0.0
            self._hears_voice.set()
            self._hears_silence.clear()
        else:
            self._silent_ms += len(frame.pcm) * 500 / rate_hz
            if self._silent_ms >= SILENT_MS:
                self._hears_silence.set()

    async def _converse(self, call: CallSession) -> None:
        await self._interrupt(call, after_s=1.5 + self._persona.seed % 4)
        while True:
            turn = await self._next_turn()
            if turn is not None and turn.get("was_interrupted"):
                continue
            await self._hears_silence.wait()
            text = self._persona.said[-1] if turn is None else self._persona.answer(str(turn.get("agent", "")))
            if text is not None:
                await self._say(call, text)

    async def _interrupt(self, call: CallSession, after_s: float) -> None:
        """The greeting is long, and he knows what he wants."""
        await self._hears_voice.wait()
        await asyncio.sleep(after_s)
        self.interruptions += self._silent_ms < 500  # between two sentences is still within the greeting
        await self._say(call, self._persona.first)

    async def _say(self, call: CallSession, text: str) -> None:
        self._persona.said.append(text)
        self._on_said(text)
        await call.say(text).ended

    async def _next_turn(self) -> dict[str, Any] | None:
        """The next that is over; None: nothing came."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE_S):
                while True:
                    turns = await self._turns()
                    if len(turns) > self._known:
                        self._known += 1
                        return turns[self._known - 1]
                    await asyncio.sleep(POLL_S)
        return None
