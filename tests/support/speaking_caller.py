"""A caller on the wire: packets of µ-law every 20 ms, voiced or silent, and the kernel's time of what comes back.

He speaks, is answered, waits, and speaks again. Of each turn: when his last voiced packet left, and when the first
voiced one of the answer came.
"""

import asyncio
import math
import random
import time
from dataclasses import dataclass

from tests.support.raw_phone import SILENCE, RawPhone

FRAME_S = 0.02
ANSWERED_WITHIN_S = 5.0
IS_OVER_S = 0.2
"""The answer is over when so long nothing voiced has come."""


def mu_law(sample: int) -> int:
    """G.711, from 16 bits."""
    magnitude = min(abs(sample), 32_635) + 132
    exponent = magnitude.bit_length() - 8
    return ~((0x80 if sample < 0 else 0) | exponent << 4 | magnitude >> (exponent + 3) & 0xF) & 0xFF


VOICE = bytes(mu_law(round(8_000 * math.sin(2 * math.pi * 400 * n / 8_000))) for n in range(160))


@dataclass(slots=True)
class Turn:
    """Unix seconds. `heard_at` None: there was no answer."""

    spoke_until: float
    heard_at: float | None = None

    @property
    def delay_ms(self) -> float | None:
        return None if self.heard_at is None else 1000 * (self.heard_at - self.spoke_until)


class SpeakingCaller:
    """`begin` when the phone is answered; `ask` is one turn. He is never without a packet for long."""

    def __init__(self, phone: RawPhone, chance: random.Random) -> None:
        self._phone, self._chance = phone, chance
        self._seen = 0
        self._due = time.monotonic()
        self.turns: list[Turn] = []

    async def begin(self) -> None:
        self._due = time.monotonic() + self._chance.uniform(0, FRAME_S)  # any phase to the node's frames
        await self.say(SILENCE, 0.6)

    async def ask(self, answered_within_s: float = ANSWERED_WITHIN_S) -> Turn:
        """Speak, and be silent until the answer is over."""
        turn = Turn(await self.say(VOICE, self._chance.uniform(0.3, 0.7)))
        self.turns.append(turn)
        until = time.time() + answered_within_s
        while turn.heard_at is None and time.time() < until:
            await self.say(SILENCE, FRAME_S)
            turn.heard_at = self.first_voiced()
        last = time.time()
        while time.time() - last < IS_OVER_S:
            await self.say(SILENCE, FRAME_S)
            last = time.time() if self.first_voiced() is not None else last
        return turn

    async def wait(self) -> None:
        """Between two turns."""
        await self.say(SILENCE, self._chance.uniform(0.1, 0.4))
        self.first_voiced()

    async def say(self, payload: bytes, seconds: float) -> float:
        """When the last packet of it left: its last sample was said then."""
        left = 0.0
        for _ in range(max(1, round(seconds / FRAME_S))):
            self._due += FRAME_S
            await asyncio.sleep(max(0.0, self._due - time.monotonic()))
            self._phone.send_rtp(payload)
            left = time.time()
        return left

    def first_voiced(self) -> float | None:
        """Of the packets that have come since this was asked last."""
        new = self._phone.rtp.received[self._seen :]
        self._seen += len(new)
        return next((at for at, data in new if is_voiced(data)), None)

    def voiced(self, since: float) -> list[float]:
        """When each voiced packet came."""
        return [at for at, data in self._phone.rtp.received if at >= since and is_voiced(data)]


def is_voiced(data: bytes) -> bool:
    return len(data) > 12 and data[1] & 0x7F == 0 and any(code & 0x7F < 0x60 for code in data[12:])
