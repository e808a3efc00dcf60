"""The field types that requests and answers are made of."""

import re
from datetime import UTC, datetime
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import Path
from pydantic import AfterValidator, BeforeValidator, PlainSerializer, StringConstraints, WithJsonSchema

from longline.base.clock import rfc3339
from longline.base.errors import (
    AclNotFound,
    AppNotFound,
    CallNotFound,
    EventNotFound,
    InvalidLink,
    NumberNotFound,
    RequestError,
    SecretNotFound,
    StreamNotFound,
    TrunkNotFound,
)
from longline.base.ids import MalformedId, Prefix, decode_id, id_pattern
from longline.base.urls import URL_MAX_CHARS, http_url
from longline.calls.metadata import MAX_METADATA_BYTES, MAX_METADATA_DEPTH, check_metadata
from longline.flows.fields import stream_url

E164: Final = r"\+[0-9]{7,15}"


def _utc(at: datetime) -> datetime:
    """A time without a zone is UTC."""
    try:
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except OverflowError:
        raise ValueError("is out of range") from None


def _not_a_number(value: Any) -> Any:
    """Whether a bare number were seconds or milliseconds, nobody could tell."""
    if not isinstance(value, str) or re.match(r"\d{4}-\d\d-\d\d", value) is None:
        raise ValueError("must be a time in RFC 3339, such as 2026-01-31T12:00:00Z")
    return value


def _id_field(prefix: Prefix) -> Any:
    def read(value: Any) -> UUID:
        if not isinstance(value, str):
            raise ValueError(f"must be a string: a UUID, or {prefix}_ and 26 characters")
        return decode_id(value, prefix)

    described = f"`{prefix}_…`, or the same id as a UUID."
    schema = {"type": "string", "pattern": id_pattern(prefix), "description": described}
    return (BeforeValidator(read), WithJsonSchema(schema))


_ACCOUNT = _id_field(Prefix.ACCOUNT)
_CALL, _LEG, _RECORDING = (_id_field(prefix) for prefix in (Prefix.CALL, Prefix.LEG, Prefix.RECORDING))
_APP, _NUMBER, _SECRET, _LOCATION = (
    _id_field(prefix) for prefix in (Prefix.VOICE_APP, Prefix.VIRTUAL_NUMBER, Prefix.SECRET, Prefix.LOCATION)
)
_TRUNK, _ACL = (_id_field(prefix) for prefix in (Prefix.SIP_TRUNK, Prefix.IP_ACL))

AccountIdField = Annotated[UUID, *_ACCOUNT]
CallIdField = Annotated[UUID, *_CALL]
LegIdField = Annotated[UUID, *_LEG]
RecordingIdField = Annotated[UUID, *_RECORDING]
TrunkIdField = Annotated[UUID, *_TRUNK]
VoiceAppIdField = Annotated[UUID, *_APP]
NumberIdField = Annotated[UUID, *_NUMBER]
SecretIdField = Annotated[UUID, *_SECRET]
LocationIdField = Annotated[UUID, *_LOCATION]
IpAclIdField = Annotated[UUID, *_ACL]


def _url_schema(scheme: str) -> dict[str, Any]:
    return {"type": "string", "format": "uri", "pattern": f"^{scheme}s?://[0-9A-Za-z\\[]", "maxLength": URL_MAX_CHARS}


HttpUrlField = Annotated[str, AfterValidator(http_url), WithJsonSchema(_url_schema("http"))]
StreamUrlField = Annotated[str, AfterValidator(stream_url), WithJsonSchema(_url_schema("ws"))]
"""It stands behind `dialect`."""

_VISIBLE_ASCII: Final = r"[\x21-\x7e]"
Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=255)]
"""What somebody calls something: not blank."""
Number = Annotated[str, StringConstraints(max_length=255, pattern=rf"^{_VISIBLE_ASCII}+$")]
Target = Annotated[str, StringConstraints(max_length=255, pattern=rf"^({E164}|sips?:{_VISIBLE_ASCII}+)$")]
InstantField = Annotated[datetime, BeforeValidator(_not_a_number), AfterValidator(_utc)]

_METADATA_SCHEMA: Final = {
    "type": "object",
    "additionalProperties": True,
    "description": f"At most {MAX_METADATA_BYTES} bytes of JSON, nested at most {MAX_METADATA_DEPTH} deep.",
}
Metadata = Annotated[dict[str, Any], AfterValidator(check_metadata), WithJsonSchema(_METADATA_SCHEMA)]

_TIME_SCHEMA: Final = {"type": "string", "format": "date-time"}
Timestamp = Annotated[datetime, PlainSerializer(rfc3339, return_type=str), WithJsonSchema(_TIME_SCHEMA)]


def _read_path(text: str, prefix: Prefix, otherwise: type[RequestError]) -> UUID:
    try:
        return decode_id(text, prefix)
    except MalformedId:
        raise otherwise from None


_ANY_ID: Final = Path(description="The id, with its prefix or as a UUID.")


async def path_call_id(call_id: Annotated[str, _ANY_ID]) -> UUID:
    """A malformed id in a path is that of nothing: 404."""
    return _read_path(call_id, Prefix.CALL, CallNotFound)


async def path_stream_id(stream_id: Annotated[str, _ANY_ID]) -> UUID:
    return _read_path(stream_id, Prefix.STREAM, StreamNotFound)


async def path_event_id(event_id: Annotated[str, _ANY_ID]) -> UUID:
    return _read_path(event_id, Prefix.EVENT, EventNotFound)


async def path_trunk_id(trunk_id: Annotated[str, _ANY_ID]) -> UUID:
    return _read_path(trunk_id, Prefix.SIP_TRUNK, TrunkNotFound)


async def path_acl_id(ip_acl_id: Annotated[str, _ANY_ID]) -> UUID:
    return _read_path(ip_acl_id, Prefix.IP_ACL, AclNotFound)


async def path_app_id(voice_app_id: Annotated[str, _ANY_ID]) -> UUID:
    return _read_path(voice_app_id, Prefix.VOICE_APP, AppNotFound)


async def path_number_id(vn_id: Annotated[str, _ANY_ID]) -> UUID:
    return _read_path(vn_id, Prefix.VIRTUAL_NUMBER, NumberNotFound)


async def path_secret_id(secret_id: Annotated[str, _ANY_ID]) -> UUID:
    return _read_path(secret_id, Prefix.SECRET, SecretNotFound)


async def path_signed_recording_id(recording_id: Annotated[str, _ANY_ID]) -> UUID:
    """No link was ever signed for a malformed id."""
    return _read_path(recording_id, Prefix.RECORDING, InvalidLink)
