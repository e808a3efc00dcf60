"""The control protocol: frames, commands and events, there and back."""

import json

import pytest

from longline.media.protocol.commands import Hello, LegOpen
from longline.media.protocol.events import (
    EVENTS,
    LegMediaStarted,
    PlayoutInterrupted,
    StreamClosed,
    WorkerDied,
    parse_event,
)
from longline.media.protocol.framing import (
    MAX_FRAME_BYTES,
    FrameReader,
    ProtocolError,
    encode_frame,
    format_address,
    parse_address,
)


def test_frames_are_found_however_the_bytes_are_cut() -> None:
    messages = [{"n": 1}, {"text": "ä" * 300}, {}]
    data = b"".join(encode_frame(message) for message in messages)
    for size in (1, 3, 7, len(data)):
        reader = FrameReader()
        found = [frame for start in range(0, len(data), size) for frame in reader.feed(data[start : start + size])]
        assert found == messages


def test_a_frame_over_the_limit_is_refused_from_its_length_alone() -> None:
    with pytest.raises(ProtocolError, match="over the limit"):
        FrameReader().feed((MAX_FRAME_BYTES + 1).to_bytes(4, "big"))
    with pytest.raises(ValueError, match="over the limit"):
        encode_frame({"text": "x" * MAX_FRAME_BYTES})


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"x"', b"\xff"])
def test_a_frame_that_is_no_json_object_is_refused(body: bytes) -> None:
    with pytest.raises(ProtocolError):
        FrameReader().feed(len(body).to_bytes(4, "big") + body)


def test_a_command_is_its_name_its_number_and_its_fields() -> None:
    opened = {"id": 7, "cmd": "leg.open", "session": "cs_1", "leg": "leg"}
    assert LegOpen("cs_1", "leg").to_message(7) == opened | {"family": None, "leg_id": "", "role": ""}
    assert Hello().to_message(1) == {"id": 1, "cmd": "hello", "version": 2}


def test_an_event_is_read_with_its_optional_fields_left_out() -> None:
    event = parse_event(json.loads('{"event":"stream.closed","session":"s","at":1,"stream":"x","reason":"tls_failed"}'))
    assert event == StreamClosed(at=1, session="s", stream="x", reason="tls_failed")


def test_from_on_the_wire_is_the_remote_address() -> None:
    event = parse_event({"event": "leg.media_started", "session": "s", "at": 1.5, "leg": "l", "from": "192.0.2.1:4000"})
    assert event == LegMediaStarted(at=1.5, session="s", leg="l", remote="192.0.2.1:4000")


def test_a_chunk_id_is_whatever_the_application_called_it() -> None:
    for chunk_id in (0, "a", None):
        event = parse_event(
            {
                "event": "playout.interrupted",
                "session": "s",
                "at": 1.0,
                "stream": "x",
                "chunk_id": chunk_id,
                "dropped_ms": 2,
            }
        )
        assert isinstance(event, PlayoutInterrupted) and event.chunk_id == chunk_id


def test_unknown_events_and_fields_of_a_newer_server_are_ignored() -> None:
    assert parse_event({"event": "leg.teleported", "session": "s", "at": 1.0}) is None
    event = parse_event({"event": "worker.died", "at": 1.0, "worker": 0, "sessions": ["a"], "reason": "r", "new": 1})
    assert event == WorkerDied(at=1.0, worker=0, sessions=["a"], reason="r")


@pytest.mark.parametrize("name", sorted(EVENTS))
def test_an_event_without_its_fields_is_a_protocol_error(name: str) -> None:
    with pytest.raises(ProtocolError, match=name):
        parse_event({"event": name, "session": "s"})


def test_a_field_of_another_type_is_a_protocol_error() -> None:
    with pytest.raises(ProtocolError, match="connect_ms"):
        parse_event({"event": "stream.connected", "session": "s", "at": 1.0, "stream": "x", "connect_ms": "fast"})


@pytest.mark.parametrize("address", [("127.0.0.1", 20004), ("2001:db8::1", 5)])
def test_addresses_go_there_and_back(address: tuple[str, int]) -> None:
    assert parse_address(format_address(address)) == address


@pytest.mark.parametrize("text", ["", "host", "host:", "host:port", ":x"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ProtocolError):
        parse_address(text)
