"""The fields that the verbs of a flow share, each with its bounds: URLs, texts, keys, targets, headers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, AliasChoices, Field, ValidationInfo

from longline.base.stream_tracks import MAX_PARTY, MAX_TRACK, MAX_TRACKS, TRACKS, ListenerName, TrackName
from longline.base.urls import http_url, ws_url
from longline.calls.dialects import DIALECTS, check_listener, check_tracks
from longline.calls.originate import is_sip_user, is_target
from longline.calls.stream import StreamRequest

CHUNK_SIZE_MIN_MS = 20
CHUNK_SIZE_MAX_MS = 2000
URL_MAX_CHARS = 2083
OTHER_URLS_MAX = 7
RESUME_WINDOW_MAX_S = 3600
DIAL_TIMEOUT_MAX_S = 600
LOOP_MAX = 10
TEXT_MAX_CHARS = 4096
DIGITS_MAX = 64
CUSTOM_HEADERS_MAX = 16
CUSTOM_HEADER_MAX_BYTES = 256
PARAMETERS_MAX = 99
PARAMETER_MAX_BYTES = 500
PARAMETERS_MAX_BYTES = 8 * 1024
AUTH_MAX_CHARS = 4000
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


def _tracks(value: list[TrackName | int]) -> list[TrackName | int]:
    if len(set(track_numbers(value))) != len(value):
        raise ValueError("must not name a track twice")
    return value


def _chunk_size(value: int) -> int:
    if value % CHUNK_SIZE_MIN_MS:
        raise ValueError(f"must be a multiple of {CHUNK_SIZE_MIN_MS}")
    return value


def stream_url(text: str, info: ValidationInfo) -> str:
    """A ws:// or wss:// URL, or, where the dialect has that, one that answers it."""
    terms = DIALECTS.get(info.data.get("dialect", "teler"))
    if terms is not None and terms.takes_https and text.startswith(("http://", "https://")):
        return http_url(text)
    return ws_url(text)


def check_stream(request: StreamRequest) -> None:
    """Raise ValueError when its dialect has no such format, or no words for the tracks."""
    _ = request.format, request.input_format
    check_tracks(request.dialect, request.tracks, request.together)
    check_listener(request.dialect, request.speak_to)


def listener_number(listener: ListenerName | int) -> int:
    """As the media server numbers who is spoken to."""
    return track_numbers((listener,))[0]


def all_parties() -> list[TrackName | int]:
    return ["all"]


def track_numbers(tracks: Sequence[TrackName | int]) -> tuple[int, ...]:
    """As the media server numbers them."""
    return tuple(track if isinstance(track, int) else TRACKS[track] for track in tracks)


def lower_case(value: object) -> object:
    """Actions are compared whatever their case."""
    return value.lower() if isinstance(value, str) else value


def _target(text: str) -> str:
    if not is_target(text):
        raise ValueError("must be an E.164 number, such as +14155550100, or a sip: URI")
    return text


def _caller(text: str) -> str:
    if not is_sip_user(text):
        raise ValueError("must be a telephone number or the user part of a SIP URI")
    return text


def _spoken(text: str) -> str:
    if not text.strip():
        raise ValueError("has nothing to say")
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


def check_parameters(parameters: dict[str, str]) -> dict[str, str]:
    """Raise ValueError."""
    if len(parameters) > PARAMETERS_MAX:
        raise ValueError(f"has more than {PARAMETERS_MAX} parameters")
    for name, value in parameters.items():
        if not 1 <= len(name.encode()) <= PARAMETER_MAX_BYTES or len(value.encode()) > PARAMETER_MAX_BYTES:
            raise ValueError(f"has a name or a value of more than {PARAMETER_MAX_BYTES} bytes, or an empty name")
    if sum(len(name.encode()) + len(value.encode()) for name, value in parameters.items()) > PARAMETERS_MAX_BYTES:
        raise ValueError(f"has more than {PARAMETERS_MAX_BYTES} bytes of names and values")
    return parameters


def _stream_auth(auth: dict[str, str]) -> dict[str, str]:
    if set(auth) not in ({"token"}, {"username", "password"}):
        raise ValueError("must have a token, or username and password")
    # What ends a line would begin another header.
    if not all(value.isascii() and value.isprintable() and len(value) <= AUTH_MAX_CHARS for value in auth.values()):
        raise ValueError(f"has a value of more than {AUTH_MAX_CHARS} characters, or one that is not printable ASCII")
    return auth


def _ws_urls(urls: list[str]) -> list[str]:
    return [ws_url(url) for url in urls]


HttpUrl = Annotated[str, Field(max_length=URL_MAX_CHARS), AfterValidator(http_url)]
StreamUrl = Annotated[str, Field(max_length=URL_MAX_CHARS), AfterValidator(stream_url)]
"""It stands behind `dialect`."""
OtherWsUrls = Annotated[
    list[Annotated[str, Field(max_length=URL_MAX_CHARS)]],
    Field(max_length=OTHER_URLS_MAX, description="Tried in turn when ws_url cannot be reached, or was lost."),
    AfterValidator(_ws_urls),
]
ResumeWindow = Annotated[int, Field(ge=0, le=RESUME_WINDOW_MAX_S)]
MediaUrl = Annotated[str, Field(min_length=1, max_length=URL_MAX_CHARS), AfterValidator(_media_url)]
AliasedMediaUrl = Annotated[
    MediaUrl,
    Field(
        validation_alias=AliasChoices("media_url", "file_url"),
        description="A WAV file (PCM, µ-law or A-law, any rate): an http:// or https:// URL, or a path in the media "
        "directory. `file_url` is the same.",
    ),
]
ChunkSize = Annotated[int, Field(ge=CHUNK_SIZE_MIN_MS, le=CHUNK_SIZE_MAX_MS), AfterValidator(_chunk_size)]
Tracks = Annotated[
    list[TrackName | Annotated[int, Field(ge=0, le=MAX_TRACK)]],
    Field(
        min_length=1,
        max_length=MAX_TRACKS,
        description="What the application hears: all (parties, mixed), inbound (what the call's first party says), "
        "outbound (what it is sent), said (what streams and playbacks say), or numbers of tracks.",
    ),
    AfterValidator(_tracks),
]
Listener = Annotated[
    ListenerName | Annotated[int, Field(ge=0, le=MAX_PARTY)],
    Field(
        description="Who hears what the application says: all, inbound (the call's first party), or the number of one. "
        "In longline each message says so itself."
    ),
]
Loop = Annotated[int, Field(ge=1, le=LOOP_MAX)]
Parameters = Annotated[dict[str, str], AfterValidator(check_parameters)]
StreamAuthField = Annotated[dict[str, str], AfterValidator(_stream_auth)]
CustomHeaders = Annotated[dict[str, str], AfterValidator(_custom_headers)]
DialTarget = Annotated[str, Field(max_length=255), AfterValidator(_target)]
Caller = Annotated[str, Field(max_length=64), AfterValidator(_caller)]
SpokenText = Annotated[str, Field(min_length=1, max_length=TEXT_MAX_CHARS), AfterValidator(_spoken)]
# Never an option of a command line: it begins with a letter or a digit.
Voice = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_+.\-]{0,63}$")]
Language = Annotated[str, Field(pattern=r"^[A-Za-z]{2,3}([-_][A-Za-z0-9]{1,8}){0,3}$")]
Key = Annotated[str, Field(pattern=r"^[0-9A-D*#]?$")]
