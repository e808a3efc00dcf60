"""Resume (docs/reference/longline-v1.md §6), in virtual time: nothing is lost within the ring, nothing comes twice."""

import itertools
import random

import pytest
from tests.unit.streamkit.stream_pair import Pair, numbered_voice

from longline.streamkit import server_messages as told
from longline.streamkit.app_messages import Hangup, Hello
from longline.streamkit.connection import Connection, Dropped, Over, Stalled, State
from longline.streamkit.line.line import Line
from longline.streamkit.resend import BufferFull, ResendBuffer


def spoken(number: int) -> bytes:
    """A frame of the application that says which it is."""
    return number.to_bytes(4, "little") * 80


def test_a_drop_loses_nothing_of_either_side() -> None:
    pair = Pair()
    pair.connect()
    pair.app.say(spoken(0))
    pair.advance(0.1)
    pair.app.say(spoken(1))
    pair.drop(deliver=0)
    pair.app.say(spoken(2))
    pair.advance(1.0)
    pair.connect()
    pair.advance(0.2)
    ready = pair.told(told.Ready)[-1]
    assert (ready.resumed, ready.received) == (True, 0)
    assert [frame.payload for frame in pair.line.heard] == [spoken(0), spoken(1), spoken(2)]
    assert [frame.sequence for frame in pair.audio] == list(range(len(pair.audio)))
    assert [frame.is_replay for frame in pair.audio] == [False] * 5 + [True] * 50 + [False] * 10
    replayed = [message for message in pair.line.messages if getattr(message, "is_replay", False)]
    assert [message.payload for message in replayed] == [spoken(1)], "only what was sent before is flagged"


@pytest.mark.parametrize("seed", range(20))
def test_whatever_arrives_before_a_cut_each_frame_is_heard_once(seed: int) -> None:
    pair, chance, said = Pair(seed=seed), random.Random(seed), 0
    for _ in range(30):
        pair.connect()
        for _ in range(chance.randint(0, 10)):
            pair.app.say(spoken(said))
            said += 1
            pair.advance(0.02, exchange=chance.random() < 0.7)
        pair.drop()
        pair.advance(chance.random() * 5)
    pair.connect()
    pair.advance(60)
    assert [frame.payload for frame in pair.line.heard] == [spoken(number) for number in range(said)]
    assert [frame.payload for frame in pair.audio] == [
        numbered_voice(0, number, pair.app.format) for number in range(len(pair.audio))
    ]
    assert len(pair.audio) == pair.line.position // 160
    assert pair.lost_on_the_way > 0
    assert pair.line.counters["holes"] == pair.app.counters["holes"] == 0


def test_what_the_ring_has_no_longer_is_told() -> None:
    pair = Pair()
    pair.connect()
    pair.advance(0.1)
    pair.drop()
    pair.advance(15.0)
    pair.connect()
    (gap,) = pair.told(told.Gap)
    assert (gap.from_, gap.to) == (5, 254), "a ring of 10 s has 500 frames; 750 were said"
    first = pair.audio[5]
    assert first.is_after_gap and first.is_replay and first.sequence == 255
    assert pair.app.counters["holes"] == 0


def test_speech_that_was_cleared_does_not_come_back_after_a_resume() -> None:
    pair = Pair()
    pair.connect()
    pair.app.say(spoken(0))
    pair.drop(deliver=0)
    pair.line.clear("control")
    pair.connect()
    pair.advance(0.5)
    assert pair.line.heard == []
    assert pair.app.generation == 1
    pair.app.say(spoken(1))
    pair.advance(0.5)
    assert [frame.payload for frame in pair.line.heard] == [spoken(1)]


def test_a_mark_under_way_is_answered_once() -> None:
    pair = Pair()
    pair.connect()
    pair.app.say(spoken(0))
    pair.app.mark("end")
    pair.drop(deliver=0)
    pair.connect()
    pair.advance(0.5)
    pair.drop()
    pair.connect()
    pair.advance(0.5)
    assert [mark.outcome for mark in pair.told(told.MarkTold)] == ["played"]


def test_a_wrong_token_is_refused_with_4401() -> None:
    pair = Pair()
    pair.connect()
    pair.drop()
    assert pair.app.start is not None and pair.app.start.resume is not None
    wrong = pair.app.start.resume.model_copy(update={"token": "another"})
    pair.app.start = pair.app.start.model_copy(update={"resume": wrong})
    pair.connect()
    assert pair.told(Over) == [Over("refused", 4401)]


def test_a_token_is_used_once() -> None:
    side = Line(f"token-{number}" for number in itertools.count(1))
    pair = Pair(line=side)
    pair.connect()
    pair.drop()
    pair.connect()
    assert not side.is_good("token-1")
    assert side.is_good("token-2")


def test_a_start_that_was_lost_with_its_socket_does_no_harm() -> None:
    pair = Pair()
    pair.connect()
    pair.drop()
    for _ in range(2):
        pair.is_up = True
        pair.line.socket_opened(pair.now)
        pair.app.socket_opened(pair.now)
        pair.drop(deliver=0)
    pair.connect()
    assert pair.told(told.Ready)[-1].resumed


def test_an_application_without_memory_starts_anew() -> None:
    pair = Pair()
    pair.connect()
    for number in range(3):
        pair.app.say(spoken(number))
    pair.advance(0.2)
    pair.drop()
    pair.app = Connection()
    pair.app.say(spoken(3))
    pair.connect()
    ready = pair.told(told.Ready)[-1]
    assert (ready.resumed, ready.received) == (False, 2)
    pair.advance(0.2)
    assert [frame.payload for frame in pair.line.heard] == [spoken(number) for number in range(4)]
    assert pair.line.counters["repeated"] == 0


def test_after_the_window_the_stream_is_over() -> None:
    pair = Pair()
    pair.connect()
    pair.drop(None)
    (dropped,) = pair.told(Dropped)
    assert dropped.until == 30.0
    pair.advance(31)
    assert pair.told(Over) == [Over("window_passed")]
    pair.app.say(spoken(0))
    pair.app.hangup()
    assert pair.app.counters["too_late"] == 2


def test_without_a_window_a_drop_is_the_end() -> None:
    pair = Pair(line=Line((str(number) for number in itertools.count()), window_ms=0))
    pair.connect()
    pair.drop(None)
    assert pair.app.state is State.OVER
    assert pair.line.is_over


def test_being_fenced_is_a_drop_and_not_the_end() -> None:
    pair = Pair()
    pair.connect()
    pair.app.socket_opened(pair.now)  # The newer one.
    assert pair.app.state is State.OPENED
    pair.connect()
    pair.drop(4409)
    assert pair.app.state is State.OFFLINE


def test_a_socket_that_is_silent_is_told() -> None:
    pair = Pair(Connection(stalled_after_s=3.0))
    pair.connect()
    pair.advance(1.0)
    pair.line.is_ready = False  # A black hole: nothing comes, nothing fails.
    pair.line.is_open = False
    pair.advance(3.5)
    assert pair.told(Stalled) == [Stalled()]


def test_a_hangup_while_there_is_no_socket_is_said_when_there_is_one() -> None:
    pair = Pair(Connection(Hello(tracks=[])))
    pair.connect()
    pair.drop()
    pair.app.hangup("enough")
    pair.connect()
    assert Hangup(reason="enough") in pair.line.messages
    assert pair.told(Over) == [Over("hangup", 1000)]


def test_what_is_not_acknowledged_is_bounded() -> None:
    buffer = ResendBuffer(max_messages=2)
    app = Connection()
    app._unheard = buffer
    app.mark("1")
    app.mark("2")
    with pytest.raises(BufferFull):
        app.mark("3")
    buffer.acknowledge(0)
    app.mark("3")
    assert [kept.sequence for kept in buffer] == [1, 2]


def test_numbers_go_on_through_their_wrap() -> None:
    buffer = ResendBuffer()
    buffer.renumber((1 << 32) - 2)
    app = Connection()
    app._unheard = buffer
    for name in "abcd":
        app.mark(name)
    assert [kept.sequence for kept in buffer] == [(1 << 32) - 2, (1 << 32) - 1, 0, 1]
    buffer.acknowledge(0)
    assert [kept.sequence for kept in buffer] == [1]
    buffer.acknowledge(77)
    assert len(buffer) == 1, "a number that was never said is ignored"


def test_events_of_an_outage_are_told_after_it_and_none_twice() -> None:
    pair = Pair()
    pair.connect()
    pair.app.say(spoken(0) * 10)
    pair.app.mark("heard while nobody listened")
    pair.exchange()
    pair.line.tell(told.Dtmf(track=1, digit="1", duration_ms=100, at=0))
    pair.drop(deliver=0)
    pair.advance(1.0)
    pair.connect()
    pair.drop()
    pair.connect()
    assert [key.digit for key in pair.told(told.Dtmf)] == ["1"], "it was under way when the wire was cut"
    assert [(mark.name, mark.outcome) for mark in pair.told(told.MarkTold)] == [
        ("heard while nobody listened", "played")
    ]
    numbers = [message.event for message in pair.messages if isinstance(message, told.EventTold)]
    assert numbers == list(range(len(numbers)))
    assert pair.app.counters["lost_events"] == 0


def test_events_that_are_kept_no_longer_are_counted_by_their_numbers() -> None:
    pair = Pair()
    pair.connect()
    pair.line.tell(told.Dtmf(track=1, digit="0", duration_ms=100, at=0))
    pair.exchange()
    pair.drop()
    for _ in range(300):
        pair.line.tell(told.Dtmf(track=1, digit="1", duration_ms=100, at=0))
    pair.connect()
    assert len(pair.told(told.Dtmf)) == 1 + 256
    assert pair.app.counters["lost_events"] == 44


def test_what_was_told_as_a_gap_is_not_replayed_after_the_next_drop() -> None:
    pair = Pair()
    pair.connect()
    pair.advance(1.0)
    pair.drop()
    pair.app = Connection()
    pair.events.clear()
    pair.connect()
    pair.drop()
    pair.advance(0.1)
    pair.connect()
    assert [(gap.from_, gap.to) for gap in pair.told(told.Gap)] == [(0, 49)]
    assert [frame.sequence for frame in pair.audio] == list(range(50, 55))
