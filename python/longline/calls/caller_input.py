"""What the party that a call began with does while its flow listens: the keys it presses, and whether it speaks.

Keys wait until a flow takes them, so that one pressed while the next flow is being asked for is not lost. Leaves out
what they mean (`flows/gathering.py`).
"""

from __future__ import annotations

import asyncio
from collections import deque

MAX_KEYS = 64
"""Keys that wait. Rule when full: a further one is not kept, and counted (`keys_dropped`); its event is told anyhow."""

VOICE_HANGOVER_S = 0.4
"""How long a voice has been silent when the media server tells that it has stopped."""


class CallerInput:
    """Written by the call's own task, read by that of its flow. Times are of the call's monotonic clock."""

    def __init__(self) -> None:
        self._keys: deque[str] = deque()
        self._changed = asyncio.Event()
        self.is_speaking = False
        self.silent_since = 0.0

    def press(self, key: str) -> bool:
        """False when there is no room for it."""
        if len(self._keys) >= MAX_KEYS:
            return False
        self._keys.append(key)
        self._changed.set()
        return True

    @property
    def has_keys(self) -> bool:
        return bool(self._keys)

    def take_key(self) -> str | None:
        """The key that was pressed first of those that wait."""
        return self._keys.popleft() if self._keys else None

    def drop_keys(self) -> None:
        self._keys.clear()

    def expect_voice(self, now: float) -> None:
        """It is silent now, as far as anybody knows."""
        self.is_speaking, self.silent_since = False, now

    def voice_started(self) -> None:
        self.is_speaking = True
        self._changed.set()

    def voice_stopped(self, now: float) -> None:
        self.is_speaking, self.silent_since = False, now - VOICE_HANGOVER_S
        self._changed.set()

    async def changed(self) -> None:
        """Return when something has been done since the last time; at once when keys wait."""
        if not self._keys:
            self._changed.clear()
            await self._changed.wait()
