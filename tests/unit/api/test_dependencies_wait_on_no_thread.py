"""What a route depends on is looked up where the request is, not on a thread that it would wait for."""

from typing import Any

import pytest
from fastapi.dependencies import utils
from tests.unit.api.conftest import House

_ID = "00000000-0000-7000-8000-000000000001"


@pytest.fixture
def no_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuse(function: Any, *_: Any, **__: Any) -> None:
        raise AssertionError(f"{function} is called on a thread: make it a coroutine, or give it to at_once()")

    monkeypatch.setattr(utils, "run_in_threadpool", refuse)


@pytest.mark.usefixtures("no_threads")
async def test_no_route_looks_up_what_it_needs_on_a_thread(house: House) -> None:
    document = (await house.http.get("/openapi.json")).json()
    asked = 0
    for path, methods in document["paths"].items():
        url = path
        for name in [part[1:-1] for part in path.split("/") if part.startswith("{")]:
            url = url.replace(f"{{{name}}}", _ID)
        for method in methods:
            if "/live" in path:  # does not end
                continue
            await house.http.request(method, url, json={})  # whatever it answers
            asked += 1
    assert asked > 30
