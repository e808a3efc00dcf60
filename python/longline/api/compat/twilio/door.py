"""How Twilio's API is entered: by Basic, with the account SID of the path (or the SID of an API key) and a key of ours
as the token; and how it says no."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from starlette.datastructures import Headers
from starlette.responses import JSONResponse, Response

from longline.api.doors import Door, basic
from longline.base.errors import (
    BadRequest,
    DestinationDenied,
    FromNumberNotProvisioned,
    InvalidApiKey,
    InvalidTarget,
    NotFound,
    RequestError,
    TooManyRequests,
)
from longline.base.twilio import API_VERSION

PREFIX: Final = f"/{API_VERSION}/"
API_KEY: Final = "SK"
"""With this the SID of an API key begins, which a client may have in the place of the account's."""


class TwilioRefusal(BadRequest):
    """What Twilio has a number of its own for (`number`)."""

    def __init__(self, number: int, message: str) -> None:
        super().__init__(message)
        self.number = number


def key_of(path: str, headers: Headers) -> str:
    name, key = basic(headers)
    account = path.removeprefix(PREFIX + "Accounts/").partition("/")[0].removesuffix(".json")
    return key if name and (name == account or name.startswith(API_KEY)) else ""


def refuse(error: RequestError, headers: Mapping[str, str]) -> Response:
    """Twilio's JSON: a number for programs, a message for people. It has 401 where we have 403 for a key, and 400 for
    what is wrong with a field."""
    status, number = _facts(error)
    message = "Authenticate" if number == 20003 else error.message
    more = f"https://www.twilio.com/docs/errors/{number}"
    sent = dict(headers) | ({"www-authenticate": 'Basic realm="Twilio API"'} if status == 401 else {})
    return JSONResponse(
        {"code": number, "message": message, "more_info": more, "status": status}, status_code=status, headers=sent
    )


def _facts(error: RequestError) -> tuple[int, int]:
    if isinstance(error, TwilioRefusal):
        return 400, error.number
    for kind, status, number in _NUMBERS:
        if isinstance(error, kind):
            return status, number
    status = 400 if error.status in (409, 422) else error.status
    return status, {400: 20001, 403: 20006, 503: 20503}.get(status, 20500 if status >= 500 else 20001)


_NUMBERS: Final[tuple[tuple[type[RequestError], int, int], ...]] = (
    (InvalidApiKey, 401, 20003),
    (TooManyRequests, 429, 20429),
    (NotFound, 404, 20404),
    (InvalidTarget, 400, 21211),
    (FromNumberNotProvisioned, 400, 21210),
    (DestinationDenied, 403, 21215),
)

TWILIO_DOOR: Final = Door(PREFIX, key_of, refuse)
