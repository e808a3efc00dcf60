"""Connections are made when a call begins, not when its first word wants them: a handshake takes several round trips.

A provider that has something to open has a method for it, `async def warm(self) -> None`; nobody needs one.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any, Final

WITHIN_S: Final = 5.0


async def warm(*providers: object) -> None:
    """All of them at once. What goes wrong is for the first word to tell."""
    await asyncio.gather(*(_warm(provider) for provider in providers))


async def warm_http(client: Any, url: str) -> None:
    """Any answer leaves a connection behind, and this question costs nothing."""
    if client is not None:
        await client.head(url)


async def _warm(provider: object) -> None:
    open_ahead = getattr(provider, "warm", None)
    if open_ahead is not None:
        with contextlib.suppress(Exception):
            async with asyncio.timeout(WITHIN_S):
                await open_ahead()
