"""What the caller heard (docs/reference/longline-v1.md §3, §5), told by the line, understood by the application."""

from tests.unit.streamkit.stream_pair import Pair

from longline.streamkit import server_messages as told
from longline.streamkit.app_messages import Hello
from longline.streamkit.connection import Connection

FRAME = bytes(320)


def ready() -> Pair:
    pair = Pair(Connection(Hello(progress_ms=100)))
    pair.connect()
    return pair


def test_an_utterance_is_started_played_and_finished() -> None:
    pair = ready()
    pair.app.speak("u1")
    pair.app.say(FRAME * 10)
    pair.app.speak_end()
    pair.app.mark("after")
    pair.exchange()
    pair.advance(0.5)
    assert [event.utterance_id for event in pair.told(told.PlaybackStarted)] == ["u1"]
    progress = [(event.played_ms, event.queued_ms) for event in pair.told(told.PlaybackProgress)]
    assert progress[0] == (20, 180)
    assert progress[1] == (120, 80)
    assert [(event.played_ms, event.outcome) for event in pair.told(told.PlaybackFinished)] == [(200, "played")]
    assert [(event.name, event.outcome) for event in pair.told(told.MarkTold)] == [("after", "played")]
    assert pair.app.unacknowledged == 0


def test_clear_tells_what_was_heard_and_what_was_not() -> None:
    pair = ready()
    pair.app.speak("u1")
    pair.app.say(FRAME * 10)
    pair.app.mark("one")
    pair.app.speak("u2")
    pair.app.say(FRAME * 5)
    pair.exchange()
    pair.advance(0.1)
    pair.app.clear()
    pair.app.say(FRAME)
    pair.exchange()
    (cleared,) = pair.told(told.Cleared)
    assert (cleared.generation, cleared.by, cleared.marks) == (1, "application", ["one"])
    assert [(each.utterance_id, each.played_ms, each.dropped_ms) for each in cleared.utterances] == [
        ("u1", 100, 100),
        ("u2", 0, 100),
    ]
    assert [(event.name, event.outcome) for event in pair.told(told.MarkTold)] == [("one", "cleared")]
    pair.advance(0.1)
    assert len(pair.line.heard) == 6, "what is said after a clear is heard"
    assert pair.line.counters["old_generation"] == 0


def test_speech_under_way_when_it_is_cleared_by_the_line_does_not_come_back() -> None:
    pair = ready()
    pair.line.clear("control")
    pair.app.say(FRAME)
    pair.exchange()
    assert pair.line.counters["old_generation"] == 1
    assert pair.app.generation == 1
    pair.app.say(FRAME)
    pair.advance(0.1)
    assert len(pair.line.heard) == 1


def test_pause_keeps_the_queue_and_resume_goes_on_where_it_was() -> None:
    pair = ready()
    pair.app.say(bytes(range(1, 201)) * 16)  # 200 ms
    pair.exchange()
    pair.advance(0.1)
    pair.app.pause()
    pair.exchange()
    pair.advance(1.0)
    assert len(pair.line.heard) == 5
    assert [event.queued_ms for event in pair.told(told.Paused)] == [100]
    pair.app.resume()
    pair.exchange()
    pair.advance(1.0)
    assert b"".join(frame.payload for frame in pair.line.heard) == bytes(range(1, 201)) * 16


def test_one_utterance_is_interrupted_and_the_next_is_heard() -> None:
    pair = ready()
    pair.app.speak("long")
    pair.app.say(FRAME * 100)
    pair.app.speak("short")
    pair.app.say(b"\x05" * 640)
    pair.exchange()
    pair.advance(0.1)
    pair.app.interrupt("long")
    pair.exchange()
    pair.advance(0.2)
    assert [(event.utterance_id, event.outcome) for event in pair.told(told.PlaybackFinished)] == [("long", "cleared")]
    assert pair.line.heard[-1].payload == b"\x05" * 320
    assert pair.line.generation == 0


def test_keys_and_tracks() -> None:
    pair = ready()
    pair.app.send_dtmf("12#")
    pair.app.subscribe(1)
    pair.exchange()
    pair.advance(0.02)
    assert [(event.digit, event.left) for event in pair.told(told.DtmfSent)] == [("1", 2), ("2", 1), ("#", 0)]
    assert pair.app.tracks == [0, 1]
    assert {frame.track for frame in pair.audio} == {0, 1}
    pair.app.subscribe(9)
    pair.exchange()
    assert [event.code for event in pair.told(told.ErrorTold)] == ["unknown_track"]
