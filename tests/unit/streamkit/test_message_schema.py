"""docs/reference/longline-v1.schema.json: made of the classes that read the messages, and true of what they write."""

import json
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from tests.unit.streamkit.stream_pair import Pair

from longline.streamkit import app_messages as said
from longline.streamkit.schema import protocol_schema
from longline.streamkit.server_messages import SERVER_MESSAGES

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs/reference/longline-v1.schema.json"
SPECIFICATION = ROOT / "docs/reference/longline-v1.md"


def validator(name: str) -> Any:
    return jsonschema_rs.Draft202012Validator(protocol_schema() | {"anyOf": [{"$ref": f"#/$defs/{name}"}]})


def test_the_page_is_up_to_date() -> None:
    assert json.loads(PAGE.read_text()) == protocol_schema(), "make docs"


def test_the_specification_names_every_message() -> None:
    text = SPECIFICATION.read_text()
    for message in (*SERVER_MESSAGES, *said.APP_MESSAGES):
        assert f"`← {message.TYPE}" in text or f"→ {message.TYPE}" in text or f"`{message.TYPE}`" in text, message.TYPE


def test_what_is_written_is_what_the_schema_says() -> None:
    pair = Pair()
    pair.connect()
    written: list[tuple[str, str | bytes]] = []
    for commands in range(3):
        pair.app.speak(f"u{commands}")
        pair.app.say(bytes(3200))
        pair.app.mark("m")
        pair.app.send_dtmf("1")
        pair.app.subscribe(1, 99)
        if commands == 1:
            pair.app.clear()
            pair.app.pause()
        for side, other, name in ((pair.app, pair.line, "application"), (pair.line, pair.app, "server")):
            side.handle_timeout(pair.now)
            while (data := side.poll_transmit()) is not None:
                written.append((name, data))
                other.receive(pair.now, data)
        pair.advance(0.5)
    texts = [(name, json.loads(data)) for name, data in written if isinstance(data, str)]
    assert len({fields["type"] for _, fields in texts}) > 8
    for name, fields in texts:
        validator(f"{name}.{fields['type']}").validate(fields)


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("application.speak", {"type": "speak", "utterance_id": "", "sequence": 0}),
        ("application.speak", {"type": "speak", "utterance_id": "x" * 65, "sequence": 0}),
        ("application.clear", {"type": "clear"}),
        ("application.hello", {"type": "hello", "progress_ms": "200"}),
        ("server.mark", {"type": "mark", "name": "x", "outcome": "expired"}),
        ("server.dtmf", {"type": "dtmf", "track": 1, "digit": "12", "duration_ms": 1, "at": 0}),
    ],
)
def test_what_is_wrong_does_not_fit(name: str, fields: dict[str, Any]) -> None:
    assert not validator(name).is_valid(fields)
