"""pytest: coroutine tests run in virtual time, and a failed call shows its transcript and nothing else.

    # conftest.py
    pytest_plugins = ["longline.agentkit.testing.plugin"]

    @pytest.mark.virtual_time                       # or, for a whole file, pytestmark = pytest.mark.virtual_time
    async def test_…(caller: Caller) -> None:
        call = await caller.hears("hello").calls(agent)

Marked tests need no other plugin for asyncio, and take none: their fixtures are plain functions.
"""

from __future__ import annotations

import inspect
from collections.abc import Generator, Iterator
from typing import Any

import pytest

from longline.agentkit.testing.call import CallFailed
from longline.agentkit.testing.caller import Caller
from longline.agentkit.testing.virtual_time import virtual_time

MARK = "virtual_time"


@pytest.fixture
def caller(request: pytest.FixtureRequest) -> Caller:
    """A caller with the name of the test, and nothing to do yet."""
    return Caller().named(request.node.name)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", f"{MARK}(sockets=False, limit_s=7200): run a coroutine test in virtual time")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_pycollect_makeitem(collector: pytest.Module | pytest.Class, name: str, obj: object) -> Any:
    """Before others take a coroutine for theirs, it is made a plain function."""
    if not collector.istestfunction(obj, name) or not inspect.iscoroutinefunction(obj):
        return (yield)
    mark = next(_marks(collector, obj), None)
    if mark is None:
        return (yield)
    plain = virtual_time(**mark.kwargs)(obj)
    holder: Any = collector.obj
    setattr(holder, name, plain)
    yield
    return list(collector._genfunctions(name, plain))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, Any]:
    report: Any = yield
    if call.excinfo is not None and isinstance(call.excinfo.value, CallFailed):
        report.longrepr = f"{report.location[0]}: {call.excinfo.value}"
    return report


def _marks(collector: Any, function: object) -> Iterator[pytest.Mark]:
    """The function's own first, then those of its class and its module."""
    own = getattr(function, "pytestmark", [])
    yield from (mark for mark in own if mark.name == MARK)
    yield from collector.iter_markers(MARK)
