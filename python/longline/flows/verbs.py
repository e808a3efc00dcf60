"""The verbs of a call flow, as the Teler API has them: `stream`, `play` and `hangup`.

Leaves out `dial`. A key that a verb does not have is not a mistake: it is left alone, and `parse_flow` names it.
"""

from __future__ import annotations

from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, AliasChoices, BaseModel, ConfigDict, Field

from longline.base.urls import http_url, ws_url

CHUNK_SIZE_MIN_MS = 20
CHUNK_SIZE_MAX_MS = 2000
URL_MAX_CHARS = 2083


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


class Play(_Verb):
    """Play a WAV file; then ask `flow_url` for the next flow or, without one, hang up."""

    action: Literal["play"]
    media_url: Annotated[
        str,
        Field(min_length=1, max_length=URL_MAX_CHARS, validation_alias=AliasChoices("media_url", "file_url")),
        AfterValidator(_media_url),
    ]
    flow_url: Annotated[str, Field(max_length=URL_MAX_CHARS), AfterValidator(http_url)] | None = None


class Hangup(_Verb):
    """End the call; before it is answered, decline it."""

    action: Literal["hangup"]


Verb = Stream | Play | Hangup
VERBS: dict[str, type[Stream] | type[Play] | type[Hangup]] = {"stream": Stream, "play": Play, "hangup": Hangup}
