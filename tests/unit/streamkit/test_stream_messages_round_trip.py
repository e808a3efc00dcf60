"""What is written is read, for every message of either side; what comes from a stranger is counted, never raised."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.streamkit.stream_pair import Pair

from longline.streamkit import app_messages as said
from longline.streamkit import server_messages as told
from longline.streamkit.audio import Audio, from_binary, from_fields
from longline.streamkit.connection import Connection
from longline.streamkit.message import Message, object_of, read
from longline.streamkit.schema import protocol_schema

SIDES: list[tuple[str, dict[str, type[Message]]]] = [("server", told.BY_TYPE), ("application", said.BY_TYPE)]
TYPES = sorted({*told.BY_TYPE, *said.BY_TYPE})
NUMBERS = st.one_of(
    st.integers(-2, 300), st.sampled_from([8000, 16000, 48000, 1 << 31, (1 << 32) - 1, 1 << 32, 1 << 64])
)
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), NUMBERS, st.floats(allow_nan=False), st.text(max_size=20)),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=8), inner, max_size=4)),
    max_leaves=8,
)
FIELDS = sorted(
    {
        name
        for definition in protocol_schema()["$defs"].values()
        for name in definition.get("properties", {})
        if name != "type"
    }
)


def instance(schema: dict[str, Any], draw: st.DrawFn) -> Any:
    """Something that a schema allows, drawn."""
    definitions = protocol_schema()["$defs"]
    if "$ref" in schema:
        return instance(definitions[schema["$ref"].rpartition("/")[2]], draw)
    if "anyOf" in schema:
        return instance(draw(st.sampled_from(schema["anyOf"])), draw)
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return draw(st.sampled_from(schema["enum"]))
    match schema.get("type"):
        case "object":
            required = schema.get("required", [])
            names = [name for name in schema.get("properties", {}) if name in required or draw(st.booleans())]
            return {name: instance(schema["properties"][name], draw) for name in names}
        case "array":
            return [instance(schema["items"], draw) for _ in range(draw(st.integers(0, 3)))]
        case "integer":
            least, most = schema.get("minimum", -60), schema.get("maximum", (1 << 32) - 1)
            return draw(st.integers(least, most))
        case "string" if "pattern" in schema:
            return draw(st.from_regex(schema["pattern"].removesuffix("$") + r"\Z"))
        case "string":
            return draw(st.text(min_size=schema.get("minLength", 0), max_size=min(64, schema.get("maxLength", 64))))
        case "boolean":
            return draw(st.booleans())
    return None


@pytest.mark.parametrize(("side", "kind"), [(side, kind) for side, known in SIDES for kind in known])
def test_what_is_written_is_read(side: str, kind: str) -> None:
    known = dict(SIDES)[side]
    impossible = ("start", "ready", "hello")  # Not every rate goes with every encoding: the schema does not say which.

    @settings(max_examples=25, deadline=None)
    @given(st.data())
    def round_trip(data: st.DataObject) -> None:
        fields = instance(protocol_schema()["$defs"][f"{side}.{kind}"], data.draw)  # type: ignore[arg-type]
        if kind in impossible and fields.get("audio"):
            fields["audio"] = {"encoding": "pcm_s16le", "rate_hz": 16000, "frame_ms": 20, "mode": "json"}
        if kind == "hello" and 0 < fields.get("progress_ms", 0) < 20:
            fields["progress_ms"] = 20
        message = read(object_of(json.dumps(fields)), known)
        assert message is not None
        again = read(object_of(message.to_text()), known)
        assert again == message

    round_trip()


@given(
    st.builds(
        Audio,
        track=st.integers(0, 255),
        sequence=st.integers(0, (1 << 32) - 1),
        payload=st.binary(max_size=100),
        timestamp=st.integers(0, (1 << 64) - 1),
        flags=st.integers(0, 0xFFFF),
    )
)
def test_audio_that_is_written_is_read(audio: Audio) -> None:
    assert from_binary(audio.to_binary()) == audio
    assert from_fields(json.loads(audio.to_text())) == audio


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.binary(max_size=60),
            st.binary(max_size=40).map(lambda rest: b"\x10" + rest),
            st.text(max_size=60),
            JSON.map(json.dumps),
            st.builds(
                lambda kind, fields: json.dumps({"type": kind} | fields),
                st.sampled_from(TYPES),
                st.dictionaries(st.sampled_from(FIELDS), JSON, max_size=6),
            ),
        ),
        max_size=12,
    )
)
def test_nothing_that_comes_raises(messages: list[str | bytes]) -> None:
    for is_ready in (False, True):
        pair = Pair(Connection())
        if is_ready:
            pair.connect()
        else:
            pair.app.socket_opened(0.0)
            pair.line.socket_opened(0.0)
        for message in messages:
            pair.app.receive(pair.now, message)
            pair.line.receive(pair.now, message)
            pair.app.handle_timeout(pair.now)
            while pair.app.poll_transmit() is not None or pair.app.poll_event() is not None:
                pass
            while pair.line.poll_transmit() is not None:
                pass
