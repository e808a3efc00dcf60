"""The queue of speech toward one listener, and the truth about it (§3): played frame by frame, marks kept beside it."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from longline.streamkit import server_messages as told
from longline.streamkit.audio import Audio
from longline.streamkit.format import Format
from longline.streamkit.message import Message


@dataclass(slots=True)
class Utterance:
    """One thing that is said; `id` None: what came before any `speak`."""

    id: str | None
    played_ms: float = 0.0
    queued_ms: float = 0.0
    is_complete: bool = False
    is_dropped: bool = False


@dataclass(slots=True)
class Chunk:
    utterance: Utterance
    payload: bytes


@dataclass(slots=True)
class WaitingMark:
    name: str


@dataclass(slots=True)
class End:
    utterance: Utterance


class Playout:
    """Of one track. `heard` is every byte that was played, in order: what the parties heard."""

    def __init__(self, track: int, audio: Format) -> None:
        self.track = track
        self.format = audio
        self.heard: list[Audio] = []
        self.is_paused = False
        self._queue: deque[Chunk | WaitingMark | End] = deque()
        self._speaking = Utterance(None)
        self._audible: Utterance | None = None

    @property
    def queued_ms(self) -> float:
        return sum(self.format.milliseconds(each.payload) for each in self._queue if isinstance(each, Chunk))

    def speak(self, utterance_id: str) -> None:
        self.speak_end()
        self._speaking = Utterance(utterance_id)

    def speak_end(self) -> None:
        if not self._speaking.is_complete:
            self._speaking.is_complete = True
            if self._speaking.id is not None or self._speaking.queued_ms > 0:
                self._queue.append(End(self._speaking))

    def say(self, audio: Audio) -> None:
        if self._speaking.is_complete:
            self._speaking = Utterance(None)
        if not self._speaking.is_dropped:
            self._speaking.queued_ms += self.format.milliseconds(audio.payload)
            self._queue.append(Chunk(self._speaking, audio.payload))

    def mark(self, name: str) -> None:
        self._queue.append(WaitingMark(name))

    def play(self, at: int) -> list[Message]:
        """One frame: the caller hears it. `at`: the position in track 0."""
        out: list[Message] = []
        wanted = 0 if self.is_paused else self.format.frame_bytes or 1
        while self._queue and (wanted > 0 or not isinstance(self._queue[0], Chunk)):
            if self.is_paused:
                break
            each = self._queue.popleft()
            if isinstance(each, WaitingMark):
                out.append(told.MarkTold(name=each.name, outcome="played"))
            elif isinstance(each, End):
                out += self._finish(each.utterance, "played")
            else:
                out += self._begin(each.utterance, at)
                taken = each.payload if self.format.frame_bytes == 0 else each.payload[:wanted]
                wanted -= len(taken)
                each.utterance.played_ms += self.format.milliseconds(taken)
                self.heard.append(Audio(self.track, len(self.heard), taken, at))
                if len(taken) < len(each.payload):
                    self._queue.appendleft(Chunk(each.utterance, each.payload[len(taken) :]))
        return out

    def progress(self) -> Message | None:
        if self._audible is None:
            return None
        played, queued = int(self._audible.played_ms), int(self.queued_ms)
        return told.PlaybackProgress(
            utterance_id=self._audible.id, track=self.track, played_ms=played, queued_ms=queued
        )

    def clear(self) -> tuple[list[told.ClearedUtterance], list[str], list[Message]]:
        """Drop all: what was heard of each utterance, the marks, and what else is to be told."""
        touched: dict[int, Utterance] = {}
        dropped: dict[int, float] = {}
        marks = []
        for each in self._queue:
            if isinstance(each, WaitingMark):
                marks.append(each.name)
                continue
            touched[id(each.utterance)] = each.utterance
            if isinstance(each, Chunk):
                length = self.format.milliseconds(each.payload)
                dropped[id(each.utterance)] = dropped.get(id(each.utterance), 0.0) + length
        self._queue.clear()
        utterances = [
            told.ClearedUtterance(
                utterance_id=each.id, played_ms=int(each.played_ms), dropped_ms=int(dropped.get(key, 0.0))
            )
            for key, each in touched.items()
        ]
        out: list[Message] = [told.MarkTold(name=name, outcome="cleared") for name in marks]
        for each_dropped in touched.values():
            each_dropped.is_complete = True
            out += self._finish(each_dropped, "cleared")
        self._speaking = Utterance(None)
        return utterances, marks, out

    def interrupt(self, utterance_id: str) -> list[Message]:
        """Drop one utterance; marks stay where they are."""
        found = [each.utterance for each in self._queue if not isinstance(each, WaitingMark)]
        match = next((each for each in found if each.id == utterance_id), None)
        if match is None and self._speaking.id == utterance_id:
            match = self._speaking
        if match is None or match.is_dropped:
            return []
        match.is_dropped = True
        self._queue = deque(
            each for each in self._queue if isinstance(each, WaitingMark) or each.utterance is not match
        )
        return self._finish(match, "cleared")

    def _begin(self, utterance: Utterance, at: int) -> list[Message]:
        if self._audible is utterance:
            return []
        self._audible = utterance
        return [told.PlaybackStarted(utterance_id=utterance.id, track=self.track, at=at)]

    def _finish(self, utterance: Utterance, outcome: told.Outcome) -> list[Message]:
        if self._audible is utterance:
            self._audible = None
        return [
            told.PlaybackFinished(
                utterance_id=utterance.id, track=self.track, played_ms=int(utterance.played_ms), outcome=outcome
            )
        ]
