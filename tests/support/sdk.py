"""The vendor's SDK 1.0.0, watched: which of its methods were called, and whether each answer had all declared fields.

Its synchronous and its asynchronous client are used alike.
"""

import asyncio
import inspect
from collections.abc import Callable, Iterator
from dataclasses import fields
from typing import Any

from teler.resources.base import BaseResource, CursorPage

NOT_ALWAYS = {
    "VoiceAppResource": {"code"},  # in no answer that is known
    "SipTrunkResource": {"code"},
    "MutationResource": {"playback_id"},  # of play alone
    "IpAclResource": {"addresses", "address_count", "updated_at"},  # in a list, or not in a list
}
"""Fields that an answer may be without."""

LISTED = {"SecretResource": {"id", "name"}}
"""What an item of a list has, where that is less."""


class Watched:
    """`Watched(client).voice.calls.create(…)` is awaited with either client; `used` are the methods that came back."""

    def __init__(self, client: Any) -> None:
        self.used: set[str] = set()
        self.client = client

    def __getattr__(self, name: str) -> Any:
        return _Part(self, getattr(self.client, name), name)

    def methods(self) -> set[str]:
        """Every method of the SDK that sends a request: "voice.calls.create"."""
        return set(_methods(self.client, ""))


class _Part:
    def __init__(self, watched: Watched, inner: Any, name: str) -> None:
        self._watched, self._inner, self._name = watched, inner, name

    def __getattr__(self, name: str) -> Any:
        return _Part(self._watched, getattr(self._inner, name), f"{self._name}.{name}")

    async def __call__(self, *arguments: Any, **named: Any) -> Any:
        if inspect.iscoroutinefunction(self._inner):
            answer = await self._inner(*arguments, **named)
        else:
            answer = await asyncio.to_thread(self._inner, *arguments, **named)
        if isinstance(answer, CursorPage):
            for item in answer.data:
                check(item, LISTED.get(type(item).__name__))
        else:
            check(answer)
        self._watched.used.add(self._name)
        return answer


def check(resource: BaseResource, expected: set[str] | None = None) -> None:
    """Every field that the SDK declares (or of those `expected`) was in the answer."""
    kind = type(resource).__name__
    declared = expected or {field.name for field in fields(resource)}
    assert declared - set(resource.raw) <= NOT_ALWAYS.get(kind, set()), (kind, resource.raw)


def _methods(part: Any, prefix: str) -> Iterator[str]:
    for name, value in vars(part).items():
        if name.startswith("_") or not type(value).__module__.startswith("teler.resources"):
            continue
        if hasattr(value, "paths"):
            for method in dir(type(value)):
                if _sends(value, method):
                    yield f"{prefix}{name}.{method}"
        else:
            yield from _methods(value, f"{prefix}{name}.")


def _sends(manager: Any, method: str) -> bool:
    """Methods that a manager has of its base class alone say that they are not implemented, if they have no path."""
    found: Callable[..., Any] | None = getattr(type(manager), method)
    is_own = method in vars(type(manager)) or method in manager.paths
    return not method.startswith("_") and callable(found) and is_own
