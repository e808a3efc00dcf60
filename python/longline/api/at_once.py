"""Dependencies that wait for nothing, called where they stand.

FastAPI calls a plain function that a route depends on on a thread, in case it blocks: a hop there and back for each of
the five or six that a request of ours has. One that only looks something up is made a coroutine instead.
"""

import functools
import inspect
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


def at_once(function: Callable[..., T]) -> Callable[..., Coroutine[Any, Any, T]]:
    """The same dependency, as a coroutine function."""

    @functools.wraps(function)
    async def called(*arguments: Any, **named: Any) -> T:
        return function(*arguments, **named)

    del called.__dict__["__wrapped__"]  # else FastAPI looks at the plain function, and takes the thread
    called.__signature__ = inspect.signature(function, eval_str=True)  # type: ignore[attr-defined]
    return called
