"""Speech toward a far end that neither pauses nor tells: sent just ahead, paused by taking back, heard by reckoning."""

from longline.agentkit.line import LineEvent, SpeechEnded, SpeechProgress, SpeechStarted
from longline.agentkit.lines.paced import PacedSpeech

RATE = 8_000
PER_MS = 16


def pcm(ms: int, value: int = 1) -> bytes:
    return value.to_bytes(2, "little") * (8 * ms)


class Far:
    """The far end of the model: a queue that plays in real time."""

    def __init__(self, speech: PacedSpeech) -> None:
        self.speech = speech
        self.now = 100.0
        self.queue = bytearray()
        self.played = bytearray()
        self.events: list[LineEvent] = []
        self.longest_ms = 0.0

    def run(self, ms: int) -> None:
        for _ in range(ms):
            while (chunk := self.speech.poll(self.now)) is not None:
                self.queue += chunk.pcm
            self.longest_ms = max(self.longest_ms, len(self.queue) / PER_MS)
            self.played += self.queue[:PER_MS]
            del self.queue[:PER_MS]
            self.now += 0.001
            due = self.speech.next_timeout(self.now)
            if due is not None and due - self.now < 0.02:
                self.events += self.speech.handle_timeout(self.now)

    def clear(self) -> None:
        self.queue.clear()


def test_little_waits_at_the_far_end_and_all_of_it_is_played_in_order() -> None:
    speech = PacedSpeech(RATE, chunk_ms=100, ahead_ms=400)
    far = Far(speech)
    said = b"".join(pcm(100, number) for number in range(1, 31))
    speech.say("a", said[: len(said) // 2])
    speech.say("a", said[len(said) // 2 :])
    speech.say_end("a")
    far.run(3_100)
    assert bytes(far.played) == said
    assert far.longest_ms <= 500
    assert far.events[0] == SpeechStarted("a") and far.events[-1] == SpeechEnded("a", 3_000.0, False)
    progress = [event.heard_ms for event in far.events if isinstance(event, SpeechProgress)]
    assert progress == sorted(progress) and len(progress) >= 12


def test_speech_that_is_paused_goes_on_where_it_was() -> None:
    speech = PacedSpeech(RATE)
    far = Far(speech)
    said = b"".join(pcm(20, number) for number in range(1, 101))
    speech.say("a", said)
    speech.say_end("a")
    far.run(730)
    speech.pause(far.now)
    far.clear()
    far.run(1_000)
    heard = len(far.played)
    assert abs(heard / PER_MS - 730) <= 20, "nothing is said while it is paused"
    speech.resume()
    far.run(1_400)
    assert abs(len(far.played) - len(said)) <= 4 * PER_MS
    assert far.played[: heard - 4 * PER_MS] == said[: heard - 4 * PER_MS]
    assert far.played.endswith(said[-100 * PER_MS :])


def test_a_clear_tells_what_was_heard_of_each() -> None:
    speech = PacedSpeech(RATE)
    far = Far(speech)
    for name in ("a", "b"):
        speech.say(name, pcm(1_000))
        speech.say_end(name)
    far.run(1_250)
    events = speech.clear(far.now)
    (cut,) = [event for event in events if isinstance(event, SpeechEnded)]
    assert cut.utterance_id == "b" and cut.was_cut and abs(cut.heard_ms - 250) <= 2
    far.clear()
    assert speech.poll(far.now) is None and speech.next_timeout(far.now) is None


def test_a_far_end_that_confirms_is_believed_and_waited_for() -> None:
    speech = PacedSpeech(RATE, confirms=True)
    far = Far(speech)
    speech.say("a", pcm(200))
    speech.say_end("a")
    far.run(600)
    assert SpeechEnded("a", 200.0, False) not in far.events
    assert speech.confirmed("a", far.now) == [SpeechEnded("a", 200.0, False)]
    assert speech.confirmed("a", far.now) == []


def test_half_a_chunk_waits_for_its_other_half_or_for_the_end() -> None:
    speech = PacedSpeech(RATE, chunk_ms=100)
    speech.say("a", pcm(50))
    assert speech.poll(0.0) is None
    speech.say("a", pcm(70))
    chunk = speech.poll(0.0)
    assert chunk is not None and len(chunk.pcm) == 100 * PER_MS and not chunk.is_last
    assert speech.poll(0.0) is None
    speech.say_end("a")
    rest = speech.poll(0.0)
    assert rest is not None and len(rest.pcm) == 20 * PER_MS and rest.is_last
