"""Who may use the API: whoever knows an API key, sent as x-api-key.

The check comes before anything of the request is read, so a stranger learns neither which routes nor which calls exist.
A key in the configuration is compared as it is; a generated one is known by its SHA-256 only (it is random enough that
a plain hash cannot be reversed). A signed recording link carries its own proof.
"""

import hashlib
import hmac
import re
import secrets
from typing import Final

from fastapi.security import APIKeyHeader
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from longline.api.problems import problem
from longline.base.errors import InvalidApiKey
from longline.store.durable import Durable

API_KEY_HEADER: Final = "x-api-key"
API_KEY_MAX_CHARS: Final = 255
PROTECTED: Final = "/api/"

_SIGNED: Final = re.compile(r"/api/v1/recordings/[^/]+/audio")

declared = APIKeyHeader(name=API_KEY_HEADER, scheme_name="ApiKey", auto_error=False)
"""For the OpenAPI document; `ApiKeyMiddleware` is what checks."""


def hash_key(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


async def ensure_api_key(durable: Durable, configured: str | None) -> str | None:
    """Make a key when there is none at all. Returns it, to be shown once; None when there was one."""
    if configured is not None or await durable.has_api_keys():
        return None
    key = f"ll_{secrets.token_urlsafe(32)}"
    await durable.add_api_key(hash_key(key))
    return key


class ApiKeyMiddleware:
    def __init__(self, app: ASGIApp, durable: Durable, configured: str | None) -> None:
        self._app = app
        self._durable = durable
        self._configured = configured

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].startswith(PROTECTED) and not _SIGNED.fullmatch(scope["path"]):
            key = Headers(scope=scope).get(API_KEY_HEADER, "")
            if not await self._is_valid(key):
                await problem(InvalidApiKey())(scope, receive, send)
                return
        await self._app(scope, receive, send)

    async def _is_valid(self, key: str) -> bool:
        if not key or len(key) > API_KEY_MAX_CHARS:
            return False
        if self._configured is not None and hmac.compare_digest(key.encode(), self._configured.encode()):
            return True
        return await self._durable.check_api_key(hash_key(key))
