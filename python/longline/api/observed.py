"""What is told of every request: how long it took and how it ended, under an id that its log lines and answer carry."""

import time
from collections.abc import Callable
from typing import Any, Final

import structlog
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from longline.base.ids import new_request_id
from longline.base.log import get_logger

REQUEST_ID_HEADER: Final = b"x-request-id"
NO_ROUTE: Final = "(none)"
_PREFIX: Final = "/api/v1"
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

Observe = Callable[[str, str, int, float], None]
"""Told method, route, status and seconds."""
BeginTrace = Callable[[str, str | None], Callable[[str, int], None]]
"""Told the method and the `traceparent` of a request; what it returns is told route and status at the end."""

log = get_logger(__name__)


class ObservedMiddleware:
    """The outermost: it sees also what is refused. A request that nobody answered is told as 499: its client left."""

    def __init__(self, app: ASGIApp, observe: Observe | None = None, begin_trace: BeginTrace | None = None) -> None:
        self._app = app
        self._begin_trace = begin_trace
        self._observe = observe

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = new_request_id()
        begun = time.perf_counter()
        status = 499

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), (REQUEST_ID_HEADER, request_id.encode())]
            await send(message)

        method = scope["method"] if scope["method"] in _METHODS else "OTHER"
        end_trace = None
        if self._begin_trace is not None:
            end_trace = self._begin_trace(method, Headers(scope=scope).get("traceparent"))
        with structlog.contextvars.bound_contextvars(request_id=request_id):
            try:
                await self._app(scope, receive, answer)
            except Exception:
                status = 500
                raise
            finally:
                seconds = time.perf_counter() - begun
                route = _route(scope)
                if end_trace is not None:
                    end_trace(route, status)
                if self._observe is not None:
                    self._observe(method, route, status, seconds)
                log.debug("request", method=method, route=route, status=status, ms=round(seconds * 1000, 1))


def _route(scope: Scope) -> str:
    """As the code has it, with its parameters' names: a path has ids in it. The route knows itself without the prefix
    under which it is included."""
    route: Any = scope.get("route")
    path = getattr(route, "path", None)
    if path is None:
        return NO_ROUTE
    is_included = scope["path"].startswith(_PREFIX) and not path.startswith(_PREFIX)
    return f"{_PREFIX}{path}" if is_included else str(path)
