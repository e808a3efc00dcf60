"""Values of the fields of other platforms' requests. Each raises BadRequest, with the field's name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from pydantic import ValidationError

from longline.base.errors import BadRequest
from longline.base.urls import http_url
from longline.flows.verbs import SaySound

NUMBER_MAX_CHARS: Final = 9


def text(fields: Mapping[str, Any], name: str) -> str | None:
    """None when it is not there, or empty."""
    given = fields.get(name)
    if given is None or given == "":
        return None
    if not isinstance(given, str | int) or isinstance(given, bool):
        raise BadRequest(f"{name} must be a text.")
    return str(given)


def spoken(fields: Mapping[str, Any], name: str) -> SaySound:
    """A text to say, in its `language`; whose voice it is, is our affair."""
    try:
        return SaySound(action="say", text=required(fields, name), language=text(fields, "language"))
    except ValidationError as error:
        raise BadRequest(f"{name}: {error.errors()[0]['msg'].removeprefix('Value error, ')}.") from None


def required(fields: Mapping[str, Any], name: str) -> str:
    given = text(fields, name)
    if given is None:
        raise BadRequest(f"{name} is missing.")
    return given


def optional_url(fields: Mapping[str, Any], name: str) -> str | None:
    """An http:// or https:// URL."""
    given = text(fields, name)
    try:
        return None if given is None else http_url(given)
    except ValueError as error:
        raise BadRequest(f"{name} {error}.") from None


def one_of(fields: Mapping[str, Any], name: str, values: Sequence[str], default: str) -> str:
    """Whatever its case."""
    given = (text(fields, name) or default).upper()
    found = next((value for value in values if value.upper() == given), None)
    if found is None:
        raise BadRequest(f"{name} must be {' or '.join(values)}.")
    return found


def number(fields: Mapping[str, Any], name: str, default: int, least: int, most: int) -> int:
    given = text(fields, name)
    if given is None:
        return default
    if not given.isdecimal() or len(given) > NUMBER_MAX_CHARS or not least <= int(given) <= most:
        raise BadRequest(f"{name} must be a number from {least} to {most}.")
    return int(given)
