"""Values of the fields of other platforms' requests. Each raises BadRequest, with the field's name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from longline.base.errors import BadRequest
from longline.base.urls import http_url


def text(fields: Mapping[str, Any], name: str) -> str | None:
    """None when it is not there, or empty."""
    given = fields.get(name)
    if given is None or given == "":
        return None
    if not isinstance(given, str | int) or isinstance(given, bool):
        raise BadRequest(f"{name} must be a text.")
    return str(given)


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
    if not given.isdecimal() or not least <= int(given) <= most:
        raise BadRequest(f"{name} must be a number from {least} to {most}.")
    return int(given)
