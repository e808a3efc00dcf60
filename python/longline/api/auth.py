"""Who may use the API: whoever knows an API key, sent as x-api-key, or as another platform's clients send theirs.

The key is checked before anything of the request is read, so a stranger learns neither which routes nor which calls
exist. Whose it is (`callers.py`) stands in the request's state from then on: every route gets it by `deps.CallerOf`,
and what the account may see by `deps.StoreOf`. What the key may do is asked by `check_scope`. A signed recording link
carries its own proof.
"""

import math
import re
from typing import Final

from fastapi import Request
from fastapi.routing import APIRoute
from fastapi.security import APIKeyHeader
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from longline.api.callers import PREFIX_CHARS, Caller, Callers, hash_key, new_key
from longline.api.doors import Door, door_of
from longline.api.problems import problem
from longline.api.rates import RequestRates
from longline.api.scopes import Scope as KeyScope
from longline.api.scopes import allows, scope_of
from longline.base.clock import Clock
from longline.base.errors import InvalidApiKey, MissingScope, TooManyRequests
from longline.base.ids import DEFAULT_ACCOUNT_ID, new_id
from longline.store.durable import Durable
from longline.store.records import ApiKeyRecord

API_KEY_HEADER: Final = "x-api-key"
PROTECTED: Final = "/api/"

_SIGNED: Final = re.compile(r"/api/v1/recordings/[^/]+/audio")

declared = APIKeyHeader(name=API_KEY_HEADER, scheme_name="ApiKey", auto_error=False)
"""For the OpenAPI document; `ApiKeyMiddleware` is what checks."""


async def ensure_api_key(durable: Durable, configured: str | None, clock: Clock) -> str | None:
    """Make a key of the default account when there is none at all. Returns it, to be shown once; None when there was
    one."""
    if configured is not None or await durable.accounts.has_keys():
        return None
    key = new_key()
    await durable.accounts.save_key(
        ApiKeyRecord(
            id=new_id(),
            account_id=DEFAULT_ACCOUNT_ID,
            name="first",
            prefix=key[:PREFIX_CHARS],
            hash=hash_key(key),
            scopes=[KeyScope.ADMIN],
            created_at=clock.now(),
        )
    )
    return key


OWN_DOOR: Final = Door(PROTECTED, lambda path, headers: headers.get(API_KEY_HEADER, ""), problem)


class ApiKeyMiddleware:
    def __init__(
        self, app: ASGIApp, callers: Callers, rates: RequestRates, clock: Clock, doors: tuple[Door, ...]
    ) -> None:
        self._app = app
        self._doors = (OWN_DOOR, *doors)
        self._callers = callers
        self._rates = rates
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        door = door_of(self._doors, scope["path"]) if scope["type"] == "http" else None
        if door is not None and not _SIGNED.fullmatch(scope["path"]):
            caller = await self._callers.of_key(door.key_of(scope["path"], Headers(scope=scope)))
            if caller is None:
                await door.refuse(InvalidApiKey(), {})(scope, receive, send)
                return
            wait_s = self._rates.take(caller, self._clock.monotonic())
            if wait_s > 0:
                headers = {"retry-after": str(math.ceil(wait_s))}
                await door.refuse(TooManyRequests(), headers)(scope, receive, send)
                return
            scope.setdefault("state", {})["caller"] = caller
        await self._app(scope, receive, send)


def caller_of(request: Request) -> Caller:
    """Who makes a request to a protected route."""
    caller: Caller = request.state.caller
    return caller


async def check_scope(request: Request) -> None:
    """A dependency of every protected route. Raises MissingScope."""
    route = request.scope["route"]
    wanted = scope_of(request.method, route.tags if isinstance(route, APIRoute) else ())
    if not allows(caller_of(request).scopes, wanted):
        raise MissingScope(f"This API key may not do that: it lacks the scope {wanted}.")
