"""The JSON Schema (draft 2020-12) of every text message of longline.v1, made of the classes that read them.

    python -m longline.streamkit.schema > docs/reference/longline-v1.schema.json

`$defs/server` and `$defs/application` are any message of one side; each message is a definition of its own.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from functools import cache
from typing import Any, Final

from longline.streamkit.app_messages import APP_MESSAGES
from longline.streamkit.message import Message
from longline.streamkit.server_messages import PROTOCOL, SERVER_MESSAGES

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"


@cache
def protocol_schema() -> dict[str, Any]:
    """The document."""
    definitions: dict[str, Any] = {}
    for side, messages in (("server", SERVER_MESSAGES), ("application", APP_MESSAGES)):
        names = list(_define(side, messages, definitions))
        definitions[side] = {"oneOf": [{"$ref": f"#/$defs/{name}"} for name in names]}
    return {
        "$schema": DIALECT,
        "title": PROTOCOL,
        "description": "Text messages. `server`: from Longline to the application; `application`: the other way. "
        "Fields that are not named are allowed and ignored.",
        "anyOf": [{"$ref": "#/$defs/server"}, {"$ref": "#/$defs/application"}],
        "$defs": definitions,
    }


def _define(side: str, messages: Iterable[type[Message]], definitions: dict[str, Any]) -> Iterable[str]:
    for message in messages:
        schema = message.model_json_schema(by_alias=True, ref_template="#/$defs/{model}")
        definitions |= schema.pop("$defs", {})
        schema.pop("title", None)
        schema["properties"] = {"type": {"const": message.TYPE}} | schema.get("properties", {})
        schema["required"] = ["type", *_required(message, schema)]
        name = f"{side}.{message.TYPE}"
        definitions[name] = {"title": message.TYPE} | schema
        yield name


def _required(message: type[Message], schema: dict[str, Any]) -> list[str]:
    required: list[str] = schema.get("required", [])
    return ["sequence", *required] if "sequence" in schema["properties"] and "sequence" not in required else required


if __name__ == "__main__":
    json.dump(protocol_schema(), sys.stdout, indent=1)
    sys.stdout.write("\n")
