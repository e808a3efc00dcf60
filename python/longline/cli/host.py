"""What the commands share that work on the database of this host, whether or not a node runs on it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

import typer

from longline.api.key_admin import KeyAdmin
from longline.base.clock import SystemClock
from longline.base.config import Config
from longline.store.durable import Durable

T = TypeVar("T")

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_MAX_DAYS = 36_500


def on_host(config_file: Path | None, work: Callable[[Durable, KeyAdmin, Config], Awaitable[T]]) -> T:
    """Open the database of the configuration, do the work, close it."""
    config = Config.load(config_file)

    async def run() -> T:
        durable = await Durable.open(config.durable_url)
        try:
            return await work(durable, KeyAdmin(durable.accounts, SystemClock()), config)
        finally:
            await durable.close()

    return asyncio.run(run())


def duration(text: str) -> timedelta:
    """Such as 90d, 24h, 30m or 0s."""
    match = re.fullmatch(r"(\d{1,9})([smhd])", text)
    if match is not None:
        given = timedelta(**{_UNITS[match[2]]: int(match[1])})
        if given <= timedelta(days=_MAX_DAYS):
            return given
    raise typer.BadParameter("must be a number and s, m, h or d, such as 90d")
