"""What all JSON messages of longline.v1 have in common, and how one is read.

A field or a type that is not known is ignored; a field that is known and of another type or out of its range makes the
message wrong. Leaves out: audio, which is read by `audio.py`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Annotated, Any, ClassVar, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from longline.base.errors import RemoteProtocolError

MAX_TEXT_BYTES: Final = 64 << 10
"""A text message is no longer (§ introduction)."""
MAX_UTTERANCE_ID_CHARS: Final = 64
MAX_NAME_BYTES: Final = 512

Sequence = Annotated[int, Field(ge=0, lt=1 << 32)]
Received = Annotated[int, Field(ge=-1, lt=1 << 32, description="The last sequence that came; −1: none.")]
Track = Annotated[int, Field(ge=0, le=255)]
Milliseconds = Annotated[int, Field(ge=0)]
Position = Annotated[int, Field(ge=0, description="In samples.")]
UtteranceId = Annotated[str, Field(min_length=1, max_length=MAX_UTTERANCE_ID_CHARS, pattern=r"^[ !#-\[\]-~]+$")]
"""Printable ASCII but quotation mark and backslash."""
Generation = Annotated[int, Field(ge=0)]


class BadMessage(RemoteProtocolError):
    """A text message that is not what its type says."""


class Message(BaseModel):
    """A JSON message; `TYPE` is its `type`."""

    model_config = ConfigDict(frozen=True, strict=True)

    TYPE: ClassVar[str]

    def to_text(self) -> str:
        return json.dumps({"type": self.TYPE} | self.model_dump(by_alias=True))


class Numbered(Message):
    """A message of the application that is sent again until Longline has it (§3)."""

    sequence: Sequence = 0


def table(messages: Iterable[type[Message]]) -> dict[str, type[Message]]:
    """The messages by their types."""
    return {message.TYPE: message for message in messages}


def object_of(text: str) -> dict[str, Any]:
    """The JSON object of a text message. Raises BadMessage."""
    if len(text) > MAX_TEXT_BYTES or len(text.encode()) > MAX_TEXT_BYTES:
        raise BadMessage(f"a text message has at most {MAX_TEXT_BYTES} bytes")
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadMessage(f"no JSON: {error}") from None
    if not isinstance(fields, dict):
        raise BadMessage("a text message is a JSON object")
    if not isinstance(fields.get("type"), str):
        raise BadMessage("a message has a type")
    return fields


def read(fields: dict[str, Any], known: dict[str, type[Message]]) -> Message | None:
    """The message; None when its type is not known. Raises BadMessage with the first mistake."""
    kind = known.get(fields["type"])
    if kind is None:
        return None
    try:
        return kind.model_validate(fields)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise BadMessage(f"{fields['type']}: {place}: {first['msg']}") from None
