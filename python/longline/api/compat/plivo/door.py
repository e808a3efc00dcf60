"""How Plivo's API is entered: the auth id stands in the path and as the name of Basic, the key is the password."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from starlette.datastructures import Headers
from starlette.responses import JSONResponse, Response

from longline.api.doors import Door, basic
from longline.base.errors import InvalidApiKey, RequestError
from longline.base.ids import new_id

PREFIX: Final = "/v1/Account/"


def key_of(path: str, headers: Headers) -> str:
    auth_id, key = basic(headers)
    return key if auth_id and auth_id == path.removeprefix(PREFIX).partition("/")[0] else ""


def refuse(error: RequestError, headers: Mapping[str, str]) -> Response:
    """Plivo's envelope: `api_id` and `error`. It has 401 where we have 403 for a key, and 400 for what cannot be."""
    status = 401 if isinstance(error, InvalidApiKey) else 400 if error.status == 422 else error.status
    message = "authentication failed" if status == 401 else error.message
    return JSONResponse(envelope(error=message), status_code=status, headers=dict(headers))


def envelope(**fields: Any) -> dict[str, Any]:
    return {"api_id": str(new_id()), **fields}


PLIVO_DOOR: Final = Door(PREFIX, key_of, refuse)
