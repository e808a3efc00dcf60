"""Whether every part that a call needs is there."""

import asyncio
from collections.abc import Mapping
from typing import Final

from longline.api.answers import Readiness
from longline.base.log import get_logger
from longline.store.durable import Durable

CHECK_TIMEOUT_S: Final = 2.0

log = get_logger(__name__)


async def check(durable: Durable, parts: Mapping[str, bool]) -> Readiness:
    checks = {**parts, "database": await _answers(durable)}
    return Readiness(status="ready" if all(checks.values()) else "not_ready", checks=checks)


async def _answers(durable: Durable) -> bool:
    try:
        async with asyncio.timeout(CHECK_TIMEOUT_S):
            await durable.check()
    except Exception as error:
        log.warning("the database does not answer", error_type=type(error).__name__)
        return False
    return True
