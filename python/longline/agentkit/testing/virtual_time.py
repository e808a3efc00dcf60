"""Virtual time: an asyncio loop whose clock stands while anything can happen, and then jumps to the next timer.

    result = run(main())        # an hour of `asyncio.sleep` takes as long as what is done in it

    @virtual_time               # the same for a test
    async def test_…() -> None: ...

What code reads of the time it must read of its loop, `asyncio.get_running_loop().time()`: `time.monotonic()` goes on
as ever. Work in the loop's executors (`asyncio.to_thread`) takes no time: the clock stands until it is done. A socket
or a pipe lives in real time, so it is refused; `sockets=True` allows them, when both ends are in this loop or answer
at once: then the clock jumps only after all have been still for QUIET_S of real time.
"""

from __future__ import annotations

import asyncio
import functools
import selectors
import time
from collections.abc import Callable, Coroutine
from typing import Any, Final, ParamSpec, TypeVar, overload

from longline.base.errors import LonglineError

BEGIN_S: Final = 1_000.0
"""What a clock shows first: not 0, which much code takes for never."""
LIMIT_S: Final = 7_200.0
"""Virtual seconds after which a run has failed: something in it ticks on that nobody waits for."""
THREAD_LIMIT_S: Final = 30.0
"""Real seconds that a thread may work while the clock stands."""
QUIET_S: Final = 0.005
_EVENTS = list[tuple[selectors.SelectorKey, int]]
_T = TypeVar("_T")
_P = ParamSpec("_P")


class VirtualTimeError(LonglineError):
    """What runs here cannot run in virtual time, or never ends in it; the text says why."""


class _Selector(selectors.DefaultSelector):
    """What the loop waits with: it moves the clock instead of waiting."""

    def __init__(self, *, sockets: bool, limit_s: float) -> None:
        super().__init__()
        self.now = BEGIN_S
        self.abroad = 0
        """Pieces of work in threads."""
        self.is_open = True
        """The loop's own pipe is let in, before anything else."""
        self.tasks: Callable[[], set[asyncio.Task[Any]]] = set
        self._sockets = sockets
        self._until = BEGIN_S + limit_s

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        if not self.is_open:
            raise VirtualTimeError(
                "a socket or a pipe lives in real time: use a fake in its place, or allow it with sockets=True"
            )
        return super().register(fileobj, events, data)

    def select(self, timeout: float | None = None) -> _EVENTS:
        ready = super().select(0)
        if ready or timeout == 0:
            return ready
        if self.abroad:
            return self._wait_for_threads()
        if self._sockets and (ready := super().select(QUIET_S)):
            return ready
        if timeout is None:
            raise VirtualTimeError(f"nothing will ever happen here any more; what waits for it:\n{self._waiting()}")
        self.now += timeout
        if self.now > self._until:
            raise VirtualTimeError(f"not over at {self.now - BEGIN_S:.0f} s of virtual time:\n{self._waiting()}")
        return ready

    def _wait_for_threads(self) -> _EVENTS:
        begun = time.monotonic()
        while time.monotonic() - begun < THREAD_LIMIT_S:
            if ready := super().select(THREAD_LIMIT_S):
                return ready
        raise VirtualTimeError(f"a thread has worked for {THREAD_LIMIT_S:g} s, and the clock stands while one works")

    def _waiting(self) -> str:
        return "\n".join(sorted(_told(task) for task in self.tasks()))


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """A loop factory: `asyncio.Runner(loop_factory=VirtualTimeLoop)`."""

    def __init__(self, *, sockets: bool = False, limit_s: float = LIMIT_S) -> None:
        self._virtual = _Selector(sockets=sockets, limit_s=limit_s)
        super().__init__(self._virtual)
        self._virtual.is_open = sockets
        self._virtual.tasks = lambda: asyncio.all_tasks(self)

    def time(self) -> float:
        return self._virtual.now

    def run_in_executor(self, executor: Any, func: Callable[..., _T], *args: Any) -> asyncio.Future[_T]:  # type: ignore[override]
        work: asyncio.Future[_T] = super().run_in_executor(executor, func, *args)
        self._virtual.abroad += 1
        work.add_done_callback(self._is_back)
        return work

    async def shutdown_default_executor(self, *args: Any, **kwargs: Any) -> None:
        self._virtual.abroad += 1
        try:
            await super().shutdown_default_executor(*args, **kwargs)
        finally:
            self._virtual.abroad -= 1

    def _is_back(self, _: object) -> None:
        self._virtual.abroad -= 1


def run(main: Coroutine[Any, Any, _T], *, sockets: bool = False, limit_s: float = LIMIT_S) -> _T:
    """What `asyncio.run` does, in virtual time. Raises VirtualTimeError when it never ends, with what it waits for."""
    with asyncio.Runner(loop_factory=lambda: VirtualTimeLoop(sockets=sockets, limit_s=limit_s)) as runner:
        return runner.run(main)


@overload
def virtual_time(test: Callable[_P, Coroutine[Any, Any, _T]], /) -> Callable[_P, _T]: ...
@overload
def virtual_time(
    *, sockets: bool = False, limit_s: float = LIMIT_S
) -> Callable[[Callable[_P, Coroutine[Any, Any, _T]]], Callable[_P, _T]]: ...
def virtual_time(test: Any = None, /, *, sockets: bool = False, limit_s: float = LIMIT_S) -> Any:
    """Make a plain function of a coroutine function, for any test runner: it runs in a virtual time of its own."""

    def wrap(function: Callable[..., Coroutine[Any, Any, Any]]) -> Callable[..., Any]:
        @functools.wraps(function)
        def in_virtual_time(*args: Any, **kwargs: Any) -> Any:
            return run(function(*args, **kwargs), sockets=sockets, limit_s=limit_s)

        return in_virtual_time

    return wrap if test is None else wrap(test)


def _told(task: asyncio.Task[Any]) -> str:
    """A task by where it stands."""
    where: str = task.get_name()
    if stack := task.get_stack(limit=1):
        frame = stack[-1]
        where = f"{frame.f_code.co_filename}:{frame.f_lineno} in {frame.f_code.co_name}"
    return f"  {where}"
