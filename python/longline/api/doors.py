"""The doors of the API: our own, and one for each platform whose clients are understood.

A door is a prefix of paths, the place where its clients put the key, and how it says no. Whose key it is, what that key
may do and how often is asked behind each of them alike.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from starlette.datastructures import Headers
from starlette.responses import Response

from longline.base.errors import RequestError

Refuse = Callable[[RequestError, Mapping[str, str]], Response]


@dataclass(frozen=True, slots=True)
class Door:
    """`key_of` finds the key in the path and the headers of a request; "" when there is none. `refuse` writes why a
    request is not carried out, with these headers."""

    prefix: str
    key_of: Callable[[str, Headers], str]
    refuse: Refuse


def door_of(doors: tuple[Door, ...], path: str) -> Door | None:
    return next((door for door in doors if path.startswith(door.prefix)), None)


def basic(headers: Headers) -> tuple[str, str]:
    """Name and password of HTTP's Basic scheme (RFC 7617); ("", "") when there is nothing of the kind."""
    scheme, _, text = headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic" or len(text) > _CREDENTIALS_MAX_CHARS:
        return "", ""
    try:
        name, colon, password = base64.b64decode(text, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return (name, password) if colon else ("", "")


def bearer(headers: Headers) -> str:
    """The token of HTTP's Bearer scheme (RFC 6750); "" when there is none."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


_CREDENTIALS_MAX_CHARS: Final = 1024
