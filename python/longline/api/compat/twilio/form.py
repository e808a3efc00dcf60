"""The form of a request, as Twilio's clients send it: names may stand in it more than once."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import parse_qsl

from fastapi import Depends, Request

from longline.api.compat.fields import FIELDS_MAX
from longline.api.compat.twilio.door import TwilioRefusal
from longline.base.errors import BadRequest
from longline.base.urls import http_url
from longline.calls.manner import Method


class Form:
    """The readers raise TwilioRefusal, with Twilio's number for what is wrong, or BadRequest."""

    def __init__(self, pairs: list[tuple[str, str]]) -> None:
        self._pairs = pairs

    def all(self, name: str) -> list[str]:
        return [value for key, value in self._pairs if key == name and value]

    def one(self, name: str) -> str | None:
        """The last; None when it is not there, or empty."""
        return next(reversed(self.all(name)), None)

    def url(self, name: str, number: int = 21205) -> str | None:
        given = self.one(name)
        try:
            return None if given is None else http_url(given)
        except ValueError as error:
            raise TwilioRefusal(number, f"{name} is not a valid URL: it {error}") from None

    def method(self, name: str) -> Method:
        given = (self.one(name) or "POST").upper()
        if given not in ("GET", "POST"):
            raise BadRequest(f"{name} must be GET or POST.")
        return "GET" if given == "GET" else "POST"

    def flag(self, name: str) -> bool:
        return (self.one(name) or "").lower() == "true"

    def number(self, name: str, default: int, least: int, most: int) -> int:
        """One that is beyond the bounds is taken for the bound."""
        given = self.one(name)
        if given is None:
            return default
        if not given.isdecimal() or not given.isascii():
            raise BadRequest(f"{name} must be a number from {least} to {most}.")
        return min(max(int(given[:12]), least), most)


async def read_form(request: Request) -> Form:
    """The query, and over it the body. Raises BadRequest."""
    pairs = list(request.query_params.multi_items())
    try:
        body = (await request.body()).decode()
        return Form(pairs + parse_qsl(body, keep_blank_values=True, max_num_fields=FIELDS_MAX))
    except ValueError:
        raise BadRequest("The body is no form in UTF-8.") from None


FormOf = Annotated[Form, Depends(read_form)]
