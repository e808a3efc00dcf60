"""The opening of a stream (docs/reference/longline-v1.md §1), and what is agreed in it."""

import itertools
import json

import pytest
from tests.unit.streamkit.stream_pair import Pair, numbered_voice

from longline.streamkit import app_messages as said
from longline.streamkit import server_messages as told
from longline.streamkit.app_messages import Hello
from longline.streamkit.connection import Connection, Over, State
from longline.streamkit.format import RATES, Format, FormatWish
from longline.streamkit.line.line import Line


def line(**settings: object) -> Line:
    tokens = (f"token-{number}" for number in itertools.count(1))
    return Line(tokens, voice=numbered_voice, **settings)  # type: ignore[arg-type]


def test_start_hello_ready_then_audio() -> None:
    pair = Pair()
    pair.connect()
    pair.advance(0.1)
    assert [type(event) for event in pair.messages[:2]] == [told.Start, told.Ready]
    assert [frame.sequence for frame in pair.audio] == list(range(5))
    assert [frame.timestamp for frame in pair.audio] == [number * 160 for number in range(5)]
    assert pair.audio[3].payload == numbered_voice(0, 3, Format())


@pytest.mark.parametrize("mode", ["binary", "json"])
@pytest.mark.parametrize("encoding", list(RATES))
def test_every_encoding_is_spoken_in_both_modes(encoding: str, mode: str) -> None:
    for rate in RATES[encoding]:
        wish = FormatWish.model_validate({"encoding": encoding, "rate_hz": rate, "frame_ms": 40, "mode": mode})
        pair = Pair(Connection(Hello(audio=wish)))
        pair.connect()
        pair.app.say(b"\x01" * (pair.app.format.frame_bytes or 7))
        pair.advance(0.2)
        assert pair.app.format.encoding == encoding
        assert pair.app.format.rate_hz == rate
        assert len(pair.audio) == 5
        assert [frame.payload for frame in pair.line.heard] == [b"\x01" * (pair.app.format.frame_bytes or 7)]


def test_a_wish_for_another_encoding_alone_takes_a_rate_that_it_has() -> None:
    assert FormatWish(encoding="opus").meet(Format()) == Format(encoding="opus", rate_hz=48000)
    assert FormatWish(encoding="mulaw").meet(Format(rate_hz=16000)).rate_hz == 8000


@pytest.mark.parametrize(
    "audio",
    [
        {"encoding": "mulaw", "rate_hz": 16000},
        {"encoding": "opus", "rate_hz": 48000, "frame_ms": 30},
        {"encoding": "mp3"},
        {"frame_ms": 25},
        {"rate_hz": "8000"},
    ],
)
def test_a_hello_that_cannot_be_met_is_closed_with_4400(audio: dict[str, object]) -> None:
    side = line()
    side.socket_opened(0.0)
    side.receive(0.0, json.dumps({"type": "hello", "audio": audio}))
    assert side.closing == 4400


def test_anything_but_hello_first_is_closed_with_4400() -> None:
    for first in (b"\x10" + bytes(15), '{"type": "clear", "sequence": 0}', "no JSON"):
        side = line()
        side.socket_opened(0.0)
        side.receive(0.0, first)
        assert side.closing == 4400, first


def test_no_hello_within_five_seconds_is_closed_with_4408() -> None:
    side = line()
    side.socket_opened(1.0)
    assert side.next_timeout() == 6.0
    side.handle_timeout(6.0)
    assert side.closing == 4408


def test_what_is_not_known_is_ignored_and_what_is_wrong_is_counted() -> None:
    pair = Pair()
    pair.connect()
    for text in ('{"type": "news"}', '{"type": "ack", "received": "3"}', "[]", "{", '{"type": 3}', '{"ack": 1}'):
        pair.app.receive(pair.now, text)
    pair.app.receive(pair.now, b"\x20" + bytes(20))
    pair.app.receive(pair.now, '{"type": "ack", "received": -1, "more": {"than": "before"}}')
    assert pair.is_ready
    assert pair.app.counters == {"unknown_types": 1, "bad_messages": 6}


def test_stop_ends_the_stream_in_order() -> None:
    pair = Pair()
    pair.connect()
    pair.app.stop()
    pair.exchange()
    assert pair.told(Over) == [Over("stopped", 1000)]
    assert pair.app.state is State.OVER
    assert pair.line.is_over


def test_a_ping_is_answered() -> None:
    pair = Pair()
    pair.connect()
    pair.line.tell(told.PingTold(id=7, at=5))
    pair.app.request(said.Ping(id="x", at=3))
    pair.exchange()
    assert said.Pong(id=7) in pair.line.messages
    assert [pong.id for pong in pair.told(told.PongTold)] == ["x"]
