"""Several providers for one thing: who is asked first, and who rests because he has failed.

    ranking = Ranking((first, second))
    for provider in ranking.order(now): …        # the first that is well, and then the others

Time is told to it. Who has failed rests for `rest_s`, or for as long as he said himself, and is asked only after those
who are well; after his rest he has his old place.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from typing import Any, Final, Generic, TypeVar

from longline.agentkit.ports import ProviderError

Provider = TypeVar("Provider")
REST_S: Final = 30.0
_log = logging.getLogger(__name__)


class Ranking(Generic[Provider]):
    """Shared by all calls of an agent: what one call has found out, the others need not."""

    def __init__(self, providers: Sequence[Provider], rest_s: float = REST_S) -> None:
        if not providers:
            raise ValueError("at least one provider")
        self._providers = tuple(providers)
        self._rest_s = rest_s
        self._rests_until: dict[int, float] = {}
        self.failures: Counter[str] = Counter()
        """By the name that the fault gives."""

    def order(self, now: float) -> list[Provider]:
        """All of them, those who rest last: the one first whose rest is over first."""
        places = range(len(self._providers))
        until = {place: rest for place in places if (rest := self._rests_until.get(place, now)) > now}
        return [self._providers[place] for place in sorted(places, key=lambda place: (until.get(place, 0.0), place))]

    def failed(self, provider: Provider, error: ProviderError, now: float) -> None:
        self.failures[error.provider] += 1
        self._rests_until[self._place(provider)] = now + (error.retry_after_s or self._rest_s)
        _log.warning("another provider is asked: %s", error)

    def worked(self, provider: Provider) -> None:
        """It is well, whatever was before."""
        self._rests_until.pop(self._place(provider), None)

    def _place(self, provider: Provider) -> int:
        return next(place for place, known in enumerate(self._providers) if known is provider)


async def within(wait_s: float, stream: AsyncIterator[Any], provider: object) -> Any:
    """The next of it, None at its end. Raises ProviderError when it does not come in time."""
    try:
        async with asyncio.timeout(wait_s):
            return await anext(stream, None)
    except TimeoutError as error:
        raise ProviderError(type(provider).__name__, f"gave nothing for {wait_s:g} s") from error
