"""Checks of URLs and addresses that others hand us, for use in pydantic models. Each raises ValueError."""

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlencode, urlsplit, urlunsplit

URL_MAX_CHARS: Final = 2083
FORM: Final = "application/x-www-form-urlencoded; charset=utf-8"
"""The content type of a form that is posted."""


def http_url(text: str) -> str:
    """An absolute http:// or https:// URL in the characters of RFC 3986."""
    return _url(text, ("http", "https"), "must be an http:// or https:// URL")


def ws_url(text: str) -> str:
    """An absolute ws:// or wss:// URL in the characters of RFC 3986."""
    return _url(text, ("ws", "wss"), "must be a ws:// or wss:// URL")


def _url(text: str, schemes: tuple[str, ...], wanted: str) -> str:
    if len(text) > URL_MAX_CHARS:
        raise ValueError(f"must have at most {URL_MAX_CHARS} characters")
    if not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError(f"{wanted}, without spaces, and with other scripts percent-encoded")
    try:
        parts = urlsplit(text)
        _ = parts.port  # raises when it is not a number up to 65535
    except ValueError:
        raise ValueError(wanted) from None
    if parts.scheme not in schemes or not parts.hostname:
        raise ValueError(wanted)
    return text


def with_query(url: str, fields: Mapping[str, str]) -> str:
    """The URL with these fields in its query, behind what is there."""
    parts = urlsplit(url)
    query = "&".join(part for part in (parts.query, urlencode(fields)) if part)
    return urlunsplit((parts.scheme, parts.netloc, parts.path, query, ""))


def host_port(text: str) -> tuple[str, int]:
    """Split "host:port" or "[v6]:port". Raises ValueError."""
    match = re.fullmatch(r"(\[[0-9A-Fa-f:.]+\]|[^\s:\[\]]+):(\d{1,5})", text)
    if match is None or int(match[2]) > 65535:
        raise ValueError("must be host:port, such as 127.0.0.1:5060")
    return match[1].strip("[]"), int(match[2])
