"""The golden transcript: what both sides say to each other, message for message, and each by the schema."""

import json
from pathlib import Path

import jsonschema_rs
import pytest
from tests.unit.streamkit.transcript import transcript

from longline.streamkit.schema import protocol_schema

GOLDEN = Path(__file__).with_name("longline-v1.jsonl")
OF_THE_MEDIA_SERVER = sorted((Path(__file__).parents[3] / "rust/media/tests/golden").glob("longline*.jsonl"))
SIDES = {"application": "server", "longline": "application"}
"""Whose message it is, by whom it goes to."""


def test_both_sides_say_what_they_said() -> None:
    golden = [json.loads(line) for line in GOLDEN.read_text().splitlines()]
    assert list(transcript()) == golden, "python -m tests.unit.streamkit.transcript"


@pytest.mark.parametrize("file", [GOLDEN, *OF_THE_MEDIA_SERVER], ids=lambda file: file.name)
def test_every_message_is_as_the_schema_says(file: Path) -> None:
    looked_at = 0
    for line in map(json.loads, file.read_text().splitlines()):
        message = line.get("message")
        if not isinstance(message, dict) or "type" not in message:
            continue
        side = SIDES.get(line["to"], "application")
        schema = protocol_schema() | {"anyOf": [{"$ref": f"#/$defs/{side}.{message['type']}"}]}
        jsonschema_rs.Draft202012Validator(schema).validate(message)
        looked_at += 1
    assert looked_at > 10
