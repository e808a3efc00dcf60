"""Identifiers: UUIDs inside, prefixed Crockford base 32 outside.

A UUID is RFC 9562 version 7 (ordered by time; within one process strictly increasing). On the wire it is written either
raw, or as a prefix and 26 characters of Crockford base 32, which is the same 128 bits and can be read back. Which of
the two a client sees depends on the webhook version; that choice is made here, in `render_id`, and nowhere else.
Leaves out: ids chosen by others (SIP Call-ID, chunk ids).
"""

import secrets
import time
from datetime import datetime
from enum import StrEnum
from typing import Final
from uuid import UUID

_ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_VALUES: Final = {char: value for value, char in enumerate(_ALPHABET)} | {"O": 0, "I": 1, "L": 1}
_LENGTH: Final = 26  # 26 * 5 = 130 bits, so the first character is 0..7

PREFIXED_IDS_SINCE: Final = "2026-06-01"
"""The first webhook version under which REST, flows and webhooks show prefixed ids; earlier ones show raw UUIDs."""


class Prefix(StrEnum):
    """The prefixes of our ids, by what they name."""

    ACCOUNT = "acc"
    CALL = "cs"
    LEG = "cl"
    VOICE_APP = "va"
    STREAM = "ms"
    EVENT = "evt"
    RECORDING = "rec"
    PLAYBACK = "pb"
    OPERATION = "op"
    SIP_TRUNK = "st"
    IP_ACL = "acl"
    VIRTUAL_NUMBER = "vn"
    API_KEY = "key"
    SECRET = "sk"
    LOCATION = "loc"


DEFAULT_ACCOUNT_ID: Final = UUID("00000000-0000-7000-8000-00000000acc0")
"""The account of a server that has one: whoever hosts for himself. It owns what the configuration file names."""

DEFAULT_VOICE_APP_ID: Final = UUID("00000000-0000-7000-8000-00000000a990")
"""And one voice app: that of its configuration file."""


class MalformedId(ValueError):
    """The text is neither a UUID nor an id with the expected prefix."""


class _Sequence:
    """The last time part given out, so that ids never go backwards (RFC 9562 §6.2, method 3)."""

    last = 0


def new_id() -> UUID:
    """A new UUID version 7. Its first 60 time bits (1/4096 ms) strictly increase within this process."""
    ticks = time.time_ns() * 4096 // 1_000_000
    _Sequence.last = ticks = max(ticks, _Sequence.last + 1)
    high = (ticks >> 12 & 0xFFFF_FFFF_FFFF) << 16 | 0x7000 | ticks & 0xFFF
    low = 1 << 63 | secrets.randbits(62)
    return UUID(int=high << 64 | low)


def first_id_at(at: datetime) -> UUID:
    """No id that was made at this time or later is smaller, none made before is larger: ids are a calendar."""
    milliseconds = int(at.timestamp() * 1000)
    return UUID(int=milliseconds << 80 | 7 << 76 | 1 << 63)


def new_request_id() -> str:
    """An id for one request to a live call: `req_` and 24 hexadecimal digits."""
    return f"req_{secrets.token_hex(12)}"


def encode_id(prefix: str, value: UUID) -> str:
    """`encode_id("cs", uuid)` is "cs_" and 26 characters; `decode_id` reverses it."""
    number = value.int
    chars = [_ALPHABET[number >> shift & 31] for shift in range(5 * (_LENGTH - 1), -1, -5)]
    return f"{prefix}_{''.join(chars)}"


def decode_id(text: str, prefix: str) -> UUID:
    """Read an id written raw or with its prefix. Raises MalformedId."""
    head, separator, tail = text.partition("_")
    if separator:
        if head != prefix or len(tail) != _LENGTH:
            raise MalformedId(f"must be {prefix}_ and {_LENGTH} characters")
        return _decode_tail(tail)
    try:
        return UUID(text)
    except ValueError as error:
        raise MalformedId(f"must be a UUID, or {prefix}_ and {_LENGTH} characters") from error


def id_pattern(prefix: str) -> str:
    """A regular expression (ECMA 262) for what `decode_id` reads, but for the rarer ways to write a UUID."""
    uuid = "[0-9A-Fa-f]{8}(-?[0-9A-Fa-f]{4}){3}-?[0-9A-Fa-f]{12}"
    return f"^({prefix}_[0-7][0-9A-TV-Za-tv-z]{{{_LENGTH - 1}}}|{uuid})$"


def _decode_tail(tail: str) -> UUID:
    number = 0
    for char in tail.upper():
        value = _VALUES.get(char)
        if value is None:
            raise MalformedId("has a character that is not of Crockford base 32")
        number = number << 5 | value
    if number >> 128:
        raise MalformedId("is larger than 128 bits")
    return UUID(int=number)


def render_id(prefix: str, value: UUID, webhook_version: str) -> str:
    """An id as REST, the flow request and webhooks show it under this webhook version."""
    return encode_id(prefix, value) if webhook_version >= PREFIXED_IDS_SINCE else str(value)
