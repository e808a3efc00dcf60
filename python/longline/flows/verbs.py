"""The verbs of a call flow, as the Teler API has them: `stream`, `play`, `dial` and `hangup`.

A key that a verb does not have is not a mistake: it is left alone, and `parse_flow` names it.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
)

from longline.base.urls import http_url, ws_url
from longline.calls.originate import is_target

CHUNK_SIZE_MIN_MS = 20
CHUNK_SIZE_MAX_MS = 2000
URL_MAX_CHARS = 2083
DIAL_TIMEOUT_MAX_S = 600
LOOP_MAX = 10
CUSTOM_HEADERS_MAX = 16
CUSTOM_HEADER_MAX_BYTES = 256
_HEADER_NAME = re.compile(r"[Xx]-[A-Za-z0-9\-_.!%*+`'~]{1,62}")  # RFC 3261 §25.1: a token


def _media_url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme in ("http", "https"):
        return http_url(text)
    if parts.scheme not in ("file", ""):
        raise ValueError("must be an http://, https:// or file:// URL, or a path in the media directory")
    if parts.scheme == "file" and parts.netloc not in ("", "localhost"):
        raise ValueError("a file:// URL must not name a host")
    return text


def _chunk_size(value: int) -> int:
    if value % CHUNK_SIZE_MIN_MS:
        raise ValueError(f"must be a multiple of {CHUNK_SIZE_MIN_MS}")
    return value


def _lower_case(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


def _target(text: str) -> str:
    if not is_target(text):
        raise ValueError("must be an E.164 number, such as +14155550100, or a sip: URI")
    return text


def _custom_headers(headers: dict[str, str]) -> dict[str, str]:
    if len(headers) > CUSTOM_HEADERS_MAX:
        raise ValueError(f"has more than {CUSTOM_HEADERS_MAX} headers")
    for name, value in headers.items():
        if not _HEADER_NAME.fullmatch(name):
            raise ValueError("has a name that does not begin with X-, or is no header name of at most 64 characters")
        # What could begin another header, or end the head, never gets into a message.
        if len(value.encode()) > CUSTOM_HEADER_MAX_BYTES or not value.isprintable():
            raise ValueError(f"{name} has a value of more than {CUSTOM_HEADER_MAX_BYTES} bytes, or with line breaks")
    return headers


class _Verb(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", strict=True, hide_input_in_errors=True)


class Stream(_Verb):
    """Join the call to a WebSocket; when that ends, the flow is over.

    `record` false keeps a call that would be recorded from being so; it cannot have a call recorded that is not to be.
    """

    action: Literal["stream"]
    ws_url: Annotated[str, Field(max_length=URL_MAX_CHARS), AfterValidator(ws_url)]
    chunk_size: Annotated[int, Field(ge=CHUNK_SIZE_MIN_MS, le=CHUNK_SIZE_MAX_MS), AfterValidator(_chunk_size)] = 400
    sample_rate: Literal["8k", "16k"] = "8k"
    record: bool | None = None
    dialect: Literal["teler"] = "teler"


MediaUrl = Annotated[str, Field(min_length=1, max_length=URL_MAX_CHARS), AfterValidator(_media_url)]
_AliasedMediaUrl = Annotated[MediaUrl, Field(validation_alias=AliasChoices("media_url", "file_url"))]


class Play(_Verb):
    """Play a WAV file; then ask `flow_url` for the next flow or, without one, hang up."""

    action: Literal["play"]
    media_url: _AliasedMediaUrl
    flow_url: Annotated[str, Field(max_length=URL_MAX_CHARS), AfterValidator(http_url)] | None = None


class Hangup(_Verb):
    """End the call; before it is answered, decline it."""

    action: Literal["hangup"]


class PlaySound(_Verb):
    """A nested `play`: a file, played once, `loop` times, or with true for as long as there is somebody to hear it."""

    action: Annotated[Literal["play"], BeforeValidator(_lower_case)]
    media_url: _AliasedMediaUrl
    loop: bool | Annotated[int, Field(ge=1, le=LOOP_MAX)] | None = None


class NestedHangup(_Verb):
    """A nested `hangup`."""

    action: Annotated[Literal["hangup"], BeforeValidator(_lower_case)]


def _nested_action(value: object) -> object:
    action = value.get("action") if isinstance(value, dict) else None
    return action.lower() if isinstance(action, str) else action


Nested = Annotated[
    Annotated[PlaySound, Tag("play")] | Annotated[NestedHangup, Tag("hangup")],
    Discriminator(
        _nested_action, custom_error_type="nested", custom_error_message='must be an action "play" or "hangup"'
    ),
]
CustomHeaders = Annotated[dict[str, str], AfterValidator(_custom_headers)]
DialTarget = Annotated[str, Field(max_length=255), AfterValidator(_target)]


class Dial(_Verb):
    """Call one more party and, when it answers, join it to the call; when it is gone, the flow is over.

    `record` is of the time in which the two are joined: true has the layout of the server's settings.
    """

    action: Literal["dial"]
    to: DialTarget
    timeout: Annotated[int, Field(ge=1, le=DIAL_TIMEOUT_MAX_S)] = 30
    record: bool | Literal["stereo", "mono", "per_leg"] = False
    custom_headers: CustomHeaders = Field(default_factory=dict)
    status_callback_url: Annotated[str, Field(max_length=URL_MAX_CHARS), AfterValidator(http_url)] | None = None
    ringback: Literal["passthrough", "suppress"] = "passthrough"
    dial_music: PlaySound | None = None
    confirm_sound: PlaySound | None = None
    on_no_answer: Nested | None = None
    on_busy: Nested | None = None
    on_failure: Nested | None = None


Verb = Stream | Play | Dial | Hangup
VERBS: dict[str, type[Stream] | type[Play] | type[Dial] | type[Hangup]] = {
    "stream": Stream,
    "play": Play,
    "dial": Dial,
    "hangup": Hangup,
}
