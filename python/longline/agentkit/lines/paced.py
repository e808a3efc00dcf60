"""Speech on a line whose far end cannot pause, and does not say what it has played: held here, sent just ahead of time.

At most `ahead_ms` wait at the far end; how much of what was sent has been played is reckoned from when it was sent. So
speech can be paused (the far end's queue is cleared, and what it had not played yet is sent again) and what was heard
is known to within the network's delay. Where the far end does confirm the end of an utterance, that is believed.

Pure: the shell says what time it is, sends what `poll` gives, and asks again at `next_timeout`.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from longline.agentkit.line import LineEvent, SpeechEnded, SpeechProgress, SpeechStarted

BYTES_PER_SAMPLE = 2


@dataclass(slots=True)
class _Utterance:
    id: str
    pcm: bytearray = field(default_factory=bytearray)
    sent: int = 0
    heard: int = 0
    is_whole: bool = False
    is_told: bool = False


@dataclass(frozen=True, slots=True)
class Chunk:
    """To be sent now; `is_last`: it ends its utterance, so that a mark may follow."""

    utterance_id: str
    pcm: bytes
    is_last: bool


class PacedSpeech:
    """`chunk_ms` at a time, at most `ahead_ms` ahead of what is heard. `confirms`: the far end says when an utterance
    has ended."""

    def __init__(
        self, rate_hz: int, *, chunk_ms: int = 100, ahead_ms: int = 400, progress_ms: int = 200, confirms: bool = False
    ) -> None:
        self._per_s = rate_hz * BYTES_PER_SAMPLE
        self._chunk = self._per_s * chunk_ms // 1000
        self._ahead_s = ahead_ms / 1000
        self._progress_s = progress_ms / 1000
        self._confirms = confirms
        self._queue: deque[_Utterance] = deque()
        self._far_until = 0.0
        """When the far end will have played all that it was sent."""
        self._next_progress = 0.0
        self.is_paused = False

    # What the agent commands.

    def say(self, utterance_id: str, pcm: bytes) -> None:
        if not self._queue or self._queue[-1].id != utterance_id:
            self._queue.append(_Utterance(utterance_id))
        self._queue[-1].pcm += pcm

    def say_end(self, utterance_id: str) -> None:
        for utterance in self._queue:
            if utterance.id == utterance_id:
                utterance.is_whole = True

    def clear(self, now: float) -> list[LineEvent]:
        """Everything is dropped; the shell clears the far end's queue."""
        events = self._listen(now)
        cut: list[LineEvent] = [SpeechEnded(each.id, self._ms(each.heard), True) for each in self._queue]
        self._queue.clear()
        self._far_until, self.is_paused = now, False
        return events + cut

    def pause(self, now: float) -> list[LineEvent]:
        """The shell clears the far end's queue; what was in it will be sent again."""
        events = self._listen(now)
        for utterance in self._queue:
            utterance.sent = utterance.heard
        self._far_until, self.is_paused = now, True
        return events

    def resume(self) -> None:
        self.is_paused = False

    # What the shell asks.

    def poll(self, now: float) -> Chunk | None:
        """The next piece to send, if there is one and it is time."""
        if self.is_paused or self._far_until - now > self._ahead_s:
            return None
        for utterance in self._queue:
            left = len(utterance.pcm) - utterance.sent
            if left <= 0 or (left < self._chunk and not utterance.is_whole):
                if left > 0 or not utterance.is_whole:
                    return None  # The rest of this one comes before the next.
                continue
            piece = bytes(utterance.pcm[utterance.sent : utterance.sent + self._chunk])
            utterance.sent += len(piece)
            self._far_until = max(self._far_until, now) + len(piece) / self._per_s
            return Chunk(utterance.id, piece, utterance.is_whole and utterance.sent == len(utterance.pcm))
        return None

    def handle_timeout(self, now: float) -> list[LineEvent]:
        """What the caller has heard meanwhile."""
        return self._listen(now)

    def confirmed(self, utterance_id: str, now: float) -> list[LineEvent]:
        """The far end says that it has played this one to its end."""
        events = self._listen(now)
        for utterance in list(self._queue):
            if utterance.id != utterance_id or utterance.sent < len(utterance.pcm):
                continue
            utterance.heard = len(utterance.pcm)
            events += self._begun(utterance)
            self._queue.remove(utterance)
            events.append(SpeechEnded(utterance.id, self._ms(utterance.heard), False))
        return events

    def next_timeout(self, now: float) -> float | None:
        """When to ask again; None while nothing is said."""
        if not self._queue or self.is_paused:
            return None
        send = self._far_until - self._ahead_s if self._is_unsent() else self._far_until
        return max(now + 0.005, min(send, max(self._next_progress, now + 0.02)))

    # How it is reckoned.

    def _is_unsent(self) -> bool:
        return any(each.sent < len(each.pcm) for each in self._queue)

    def _listen(self, now: float) -> list[LineEvent]:
        unplayed = round(max(0.0, self._far_until - now) * self._per_s)
        unplayed -= unplayed % BYTES_PER_SAMPLE
        heard = max(0, sum(each.sent for each in self._queue) - unplayed)
        events: list[LineEvent] = []
        current: _Utterance | None = None
        for utterance in list(self._queue):
            utterance.heard = max(utterance.heard, min(utterance.sent, heard))
            heard = max(0, heard - utterance.sent)
            if utterance.heard == 0:
                break
            events += self._begun(utterance)
            is_heard = utterance.is_whole and utterance.heard == len(utterance.pcm)
            if is_heard and not self._confirms:
                self._queue.remove(utterance)
                events.append(SpeechEnded(utterance.id, self._ms(utterance.heard), False))
            elif not is_heard:
                current = utterance
        if current is not None and now >= self._next_progress:
            self._next_progress = now + self._progress_s
            events.append(SpeechProgress(current.id, self._ms(current.heard)))
        return events

    def _begun(self, utterance: _Utterance) -> list[LineEvent]:
        if utterance.is_told:
            return []
        utterance.is_told = True
        return [SpeechStarted(utterance.id)]

    def _ms(self, octets: int) -> float:
        return octets * 1000 / self._per_s
