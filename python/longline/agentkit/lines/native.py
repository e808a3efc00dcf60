"""The line of longline.v1, the only one that outlives its sockets and tells what was heard instead of reckoning it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

from longline.agentkit.line import (
    Answered,
    CallInfo,
    Digit,
    Frame,
    HeldBack,
    LineEvent,
    Lost,
    NotOnThisLine,
    Over,
    SpeechEnded,
    SpeechProgress,
    SpeechStarted,
    TrackAdded,
    TrackRemoved,
    VoiceStarted,
    VoiceStopped,
)
from longline.agentkit.report import Report
from longline.streamkit import connection
from longline.streamkit import server_messages as told
from longline.streamkit.app_messages import MAX_TURN_CHARS, AppMessage, RecordStart, RecordStop, Transfer, Turn
from longline.streamkit.audio import Audio
from longline.streamkit.stream import Stream

NODE_FRAME_MS: Final = 20
"""What is heard at a position was heard with the frame that begins there."""
MAX_STEP_MS: Final = 600_000
REQUESTS: dict[str, type[AppMessage]] = {"transfer": Transfer, "record.start": RecordStart, "record.stop": RecordStop}


class NativeLine:
    """A `Stream` whose format is linear."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._speaking: str | None = None
        start = stream.start
        self.info = CallInfo(
            start.call_id,
            start.stream_id,
            start.from_,
            start.to,
            start.direction,
            dict(start.metadata),
            {party.track: party.role for party in start.tracks},
        )

    @property
    def rate_hz(self) -> int:
        return self._stream.format.rate_hz

    async def events(self) -> AsyncIterator[LineEvent]:
        async for event in self._stream:
            if isinstance(event, Audio):
                yield Frame(event.payload, self._ms(event.timestamp), event.track, event.is_replay)
            else:
                translated = self._translate(event)
                if translated is not None:
                    yield translated

    def _translate(self, event: connection.Event) -> LineEvent | None:
        match event:
            case told.PlaybackStarted(utterance_id=str(name)):
                return SpeechStarted(name, self._ms(event.at) + NODE_FRAME_MS, event.waited_ms)
            case told.PlaybackProgress(utterance_id=str(name)):
                return SpeechProgress(name, event.played_ms)
            case told.PlaybackFinished(utterance_id=str(name)):
                return SpeechEnded(name, event.played_ms, event.outcome == "cleared")
            case told.Dtmf():
                return Digit(event.digit)
            case told.SpeechStarted():
                return VoiceStarted(self._ms(event.at), event.paused)
            case told.SpeechStopped():
                return VoiceStopped(self._ms(event.at))
            case told.Paused():
                return HeldBack(True, event.by)
            case told.Resumed():
                return HeldBack(False, event.by)
            case told.Result():
                return Answered(event.request_id, None if event.error is None else event.error.message)
            case told.TrackAdded():
                return TrackAdded(event.track, event.role)
            case told.TrackRemoved():
                return TrackRemoved(event.track)
            case connection.Dropped():
                return Lost()
            case connection.Over():
                return Over(event.reason)
        return None

    def say(self, utterance_id: str, pcm: bytes) -> None:
        if self._speaking != utterance_id:
            self._stream.speak(utterance_id)
            self._speaking = utterance_id
        self._stream.say(pcm)

    def say_end(self, utterance_id: str) -> None:
        if self._speaking == utterance_id:
            self._stream.speak_end()
            self._speaking = None

    def clear(self) -> None:
        self._speaking = None
        self._stream.clear()

    def pause(self) -> None:
        self._stream.pause()

    def resume(self) -> None:
        self._stream.resume()

    def send_digits(self, digits: str) -> None:
        self._stream.send_dtmf(digits)

    def request(self, request_id: str, action: str, fields: Mapping[str, Any]) -> None:
        if action in ("subscribe", "unsubscribe"):
            (self._stream.subscribe if action == "subscribe" else self._stream.unsubscribe)(*fields["tracks"])
            return
        message = REQUESTS.get(action)
        if message is None:
            raise NotOnThisLine(f"longline.v1 has no {action}; it has {', '.join(REQUESTS)}")
        self._stream.request(message.model_validate({"request_id": request_id, **fields}))

    def keep_turn(self, report: Report) -> None:
        parts = {step: min(MAX_STEP_MS, round(part)) for step, part in report.waterfall.parts_ms().items()}
        total_ms = report.waterfall.total_ms
        turn = Turn(
            number=report.number,
            caller=report.caller[:MAX_TURN_CHARS],
            agent=report.agent[:MAX_TURN_CHARS],
            heard=report.heard[:MAX_TURN_CHARS],
            was_interrupted=report.was_interrupted,
            total_ms=None if total_ms is None else max(0, min(MAX_STEP_MS, round(total_ms))),
            parts_ms=parts,
            failure=None if report.failure is None else report.failure[:200],
        )
        self._stream.turn(turn)

    def hang_up(self) -> None:
        self._stream.hangup()

    def _ms(self, samples: int) -> float:
        return samples * 1000 / self.rate_hz
