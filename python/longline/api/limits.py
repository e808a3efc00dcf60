"""How large a request may be. The body is read here, as far as it may go, and handed on whole."""

import asyncio
import contextlib
from typing import Final

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from longline.api.problems import problem
from longline.base.errors import BodyTooLarge

BODY_MAX_BYTES: Final = 256 * 1024
"""A larger body is answered 413, and none of it is kept."""

DISCARD_MAX_BYTES: Final = 8 * 1024 * 1024
DISCARD_TIMEOUT_S: Final = 2.0
"""How much of too large a body is read all the same: a client that is still sending would not see the answer."""


class BodyLimitMiddleware:
    def __init__(self, app: ASGIApp, body_max_bytes: int = BODY_MAX_BYTES) -> None:
        self._app = app
        self._max = body_max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            body = await self._read(scope, receive)
        except BodyTooLarge as error:
            await problem(error, {"connection": "close"})(scope, receive, send)
            return
        if body is not None:
            await self._app(scope, _replay(body, receive), send)

    async def _read(self, scope: Scope, receive: Receive) -> bytes | None:
        """The whole body; None when the client left before its end, since half a request must not be acted on. Raises
        BodyTooLarge."""
        length = Headers(scope=scope).get("content-length", "")
        if length.isdecimal() and int(length) > self._max:
            await _discard(receive)
            raise BodyTooLarge
        body = bytearray()
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return None
            body += message.get("body", b"")
            more = message.get("more_body", False)
            if len(body) > self._max:
                if more:
                    await _discard(receive)
                raise BodyTooLarge
            if not more:
                return bytes(body)


async def _discard(receive: Receive) -> None:
    """Read what follows, until its end or a bound."""
    discarded = 0
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(DISCARD_TIMEOUT_S):
            while discarded < DISCARD_MAX_BYTES:
                message = await receive()
                if message["type"] != "http.request" or not message.get("more_body", False):
                    return
                discarded += len(message.get("body", b""))


def _replay(body: bytes, receive: Receive) -> Receive:
    is_sent = False

    async def replay() -> Message:
        nonlocal is_sent
        if is_sent:
            return await receive()
        is_sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay
