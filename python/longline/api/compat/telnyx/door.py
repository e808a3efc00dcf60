"""How Telnyx's API is entered: by a bearer token; and how it says no."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from starlette.responses import JSONResponse, Response

from longline.api.doors import Door, bearer
from longline.base import telnyx
from longline.base.errors import CallNotLive, InvalidApiKey, InvalidState, NotFound, RequestError

PREFIX: Final = "/v2/"


class NotAnswered(InvalidState):
    code = "call_not_answered"
    default_message = "The call is not answered yet."


def refuse(error: RequestError, headers: Mapping[str, str]) -> Response:
    status, code, title = _facts(error)
    problem = {"code": code, "title": title, "detail": error.message}
    return JSONResponse({"errors": [problem]}, status_code=status, headers=dict(headers))


def _facts(error: RequestError) -> tuple[int, str, str]:
    """Telnyx has 401 where we have 403 for a key, and 422 for what cannot be done to a call."""
    if isinstance(error, InvalidApiKey):
        return 401, "10009", "Authentication failed"
    if isinstance(error, CallNotLive):
        return 422, telnyx.CALL_IS_OVER, "Call has already ended"
    if isinstance(error, NotAnswered):
        return 422, telnyx.CALL_IS_NOT_ANSWERED, "Call not answered yet"
    if isinstance(error, NotFound):
        return 404, "10005", "Resource not found"
    if error.status in (400, 409, 422):
        return 422, "10015", "Invalid value for parameter"
    return error.status, "10007" if error.status >= 500 else "10011", error.message.rstrip(".")


TELNYX_DOOR: Final = Door(PREFIX, lambda path, headers: bearer(headers), refuse)
