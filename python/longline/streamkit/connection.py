"""One stream as its application has it, over all of its sockets: the protocol without I/O and clock.

The shell tells of sockets (`socket_opened`, `socket_closed`) and of what they bring (`receive`), gives on what the
application commands, writes what `poll_transmit` says and closes the socket when `closing` says so. `poll_event` gives
messages of Longline, `Audio`, and the three events below. What comes twice is told once; what is said while there is no
socket is said when there is one.

Docs: docs/reference/longline-v1.md. Leaves out: dialling, signatures, and pacing: who says more than `queue_limit_ms`
ahead is told `queue` with `overflow`.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass
from enum import Enum
from typing import Final

from longline.base.errors import LocalProtocolError
from longline.streamkit import server_messages as told
from longline.streamkit.app_messages import (
    AppMessage,
    Clear,
    Hangup,
    Hello,
    Interrupt,
    Mark,
    NumberedAppMessage,
    Pause,
    Pong,
    ResumeRequest,
    ResumeSpeech,
    SendDtmf,
    Speak,
    SpeakEnd,
    Stop,
    Subscribe,
    Turn,
    Unsubscribe,
)
from longline.streamkit.audio import MAX_AUDIO_BYTES, Audio, BadAudio, ahead, from_binary, from_fields
from longline.streamkit.format import Format
from longline.streamkit.message import BadMessage, Message, object_of, read
from longline.streamkit.resend import ResendBuffer

CLOSED_IN_ORDER: Final = 1000
FENCED: Final = 4409
MAX_WAITING: Final = 64
"""Requests that wait for a socket; one more is refused."""
STALLED_AFTER_S: Final = 3.0
"""Longline sends a frame every `frame_ms`: a socket that is silent for so long is dead, whatever TCP says."""


class State(Enum):
    OFFLINE = "no socket"
    OPENED = "the socket is open, `start` has not come"
    GREETED = "`hello` is said"
    READY = "audio flows"
    OVER = "nothing more comes"


class Input(Enum):
    SOCKET = "a socket opens"
    START = "start"
    READY = "ready"
    DROP = "the socket is lost"
    END = "stop, close code 1000, or the window has passed"


TABLE: Final = {
    (State.OFFLINE, Input.SOCKET): State.OPENED,
    (State.OPENED, Input.SOCKET): State.OPENED,
    (State.GREETED, Input.SOCKET): State.OPENED,
    (State.READY, Input.SOCKET): State.OPENED,
    (State.OPENED, Input.START): State.GREETED,
    (State.GREETED, Input.READY): State.READY,
    (State.OPENED, Input.DROP): State.OFFLINE,
    (State.GREETED, Input.DROP): State.OFFLINE,
    (State.READY, Input.DROP): State.OFFLINE,
    **{(state, Input.END): State.OVER for state in State},
}
"""A newer socket takes the place of an older one: Longline fences that. A pair that is not here changes nothing."""


@dataclass(frozen=True, slots=True)
class Dropped:
    """The socket is lost; the stream may be resumed until `until` (of the shell's clock, seconds)."""

    code: int | None
    until: float


@dataclass(frozen=True, slots=True)
class Stalled:
    """Nothing has come for a while: the shell should abandon the socket as lost."""


@dataclass(frozen=True, slots=True)
class Over:
    """The stream is over. `reason`: what `stop` said, `closed`, `window_passed` or `refused`."""

    reason: str
    code: int | None = None


Event = Message | Audio | Dropped | Stalled | Over


class Connection:
    """`hello` is said on every socket, with what resumes the stream added to it."""

    def __init__(self, hello: Hello | None = None, *, stalled_after_s: float = STALLED_AFTER_S) -> None:
        self._hello = (hello or Hello()).model_copy(update={"generations": True})
        self._stalled_after_s = stalled_after_s
        self._transmit: deque[str | bytes] = deque()
        self._events: deque[Event] = deque()
        self._waiting: deque[AppMessage] = deque()
        self._unheard = ResendBuffer()
        self._received: dict[int, int] = {}
        self._event = -1
        self._deadline: float | None = None
        self.state = State.OFFLINE
        self.start: told.Start | None = None
        """The last one; None before the first."""
        self.format = Format()
        self.tracks: list[int] = [0] if self._hello.tracks is None else self._hello.tracks
        self.generation = 0
        self.is_resumable = False
        self.closing: int | None = None
        """The code with which the shell is to close the socket, once all is written."""
        self.counters: Counter[str] = Counter()

    @property
    def unacknowledged(self) -> int:
        """Messages that Longline may not have."""
        return len(self._unheard)

    @property
    def stream_id(self) -> str | None:
        return self.start.stream_id if self.start else None

    # What the shell tells.

    def socket_opened(self, now: float) -> None:
        """A socket is open, dialled by either side. An older one is forgotten."""
        self._enter(Input.SOCKET)
        self._transmit.clear()
        self._deadline = None

    def socket_closed(self, now: float, code: int | None) -> None:
        """The socket is gone, with this close code (None or 1006: without one)."""
        if self.state in (State.OFFLINE, State.OVER):
            return
        offer = self.start.resume if self.start else None
        if code == CLOSED_IN_ORDER or offer is None:
            self._end(Over("closed", code))
            return
        if code is not None and 4400 <= code < 4409:
            self._end(Over("refused", code))
            return
        self._enter(Input.DROP)
        self._transmit.clear()
        self._deadline = now + offer.window_ms / 1000
        self._events.append(Dropped(code, self._deadline))

    def receive(self, now: float, data: str | bytes) -> None:
        """A whole WebSocket message. What is wrong is counted, and nothing else."""
        if self.state in (State.OFFLINE, State.OVER):
            return
        if self.state is State.READY:
            self._deadline = now + self._stalled_after_s
        try:
            if isinstance(data, bytes):
                self._on_audio(from_binary(data))
                return
            fields = object_of(data)
            if fields["type"] == "audio":
                self._on_audio(from_fields(fields))
                return
            message = read(fields, told.BY_TYPE)
        except (BadMessage, BadAudio):
            self.counters["bad_messages"] += 1
            return
        if message is None:
            self.counters["unknown_types"] += 1
        else:
            self._on_message(now, message)

    def next_timeout(self) -> float | None:
        """When `handle_timeout` is due."""
        return self._deadline

    def handle_timeout(self, now: float) -> None:
        if self._deadline is None or now < self._deadline:
            return
        self._deadline = None
        if self.state is State.OFFLINE:
            self._end(Over("window_passed"))
        elif self.state is State.READY and self.tracks and self.is_resumable:
            self.counters["stalls"] += 1
            self._events.append(Stalled())

    @property
    def has_to_write(self) -> bool:
        """Something for `poll_transmit`, or a socket to close."""
        return bool(self._transmit) or self.closing is not None

    def poll_transmit(self) -> str | bytes | None:
        return self._transmit.popleft() if self._transmit else None

    def poll_event(self) -> Event | None:
        return self._events.popleft() if self._events else None

    # What the application commands. Speech is kept until it is acknowledged; BufferFull when too much of it waits. What
    # comes when the stream is over is counted: the end may always be on its way.

    def say(self, payload: bytes, track: int = 0) -> int:
        """Speech in the agreed format (Opus: one packet), for all or for one party; the number of its last message."""
        step = MAX_AUDIO_BYTES if self.format.bytes_per_sample else max(1, len(payload))
        for at in range(0, len(payload), step):
            self._say(Audio(track, 0, payload[at : at + step], flags=(self.generation & 0xFF) << 8))
        return self._unheard.next_sequence - 1

    def speak(self, utterance_id: str, track: int = 0) -> None:
        self._say(Speak(utterance_id=utterance_id, track=track))

    def speak_end(self, track: int = 0) -> None:
        self._say(SpeakEnd(track=track))

    def mark(self, name: str, track: int = 0) -> None:
        self._say(Mark(name=name, track=track))

    def clear(self, track: int | None = None) -> None:
        self._say(Clear(track=track))
        self.generation += 1

    def interrupt(self, utterance_id: str) -> None:
        self._say(Interrupt(utterance_id=utterance_id))

    def pause(self) -> None:
        self._say(Pause())

    def resume(self) -> None:
        self._say(ResumeSpeech())

    def send_dtmf(self, digits: str, *, tone_ms: int | None = None, track: int | None = None) -> None:
        self._say(SendDtmf(digits=digits, tone_ms=tone_ms, track=track))

    def turn(self, turn: Turn) -> None:
        """Have the call's history keep it."""
        self._say(turn)

    def subscribe(self, *tracks: int) -> None:
        self.request(Subscribe(tracks=list(tracks)))

    def unsubscribe(self, *tracks: int) -> None:
        self.request(Unsubscribe(tracks=list(tracks)))

    def hangup(self, reason: str | None = None) -> None:
        self.request(Hangup(reason=reason))

    def stop(self) -> None:
        """End the stream; the call's flow goes on."""
        self.request(Stop())

    def request(self, message: AppMessage) -> None:
        """Any other message: a transfer, a recording, a ping."""
        if self.state is State.OVER:
            self.counters["too_late"] += 1
        elif self.state is State.READY:
            self._transmit.append(message.to_text())
        elif len(self._waiting) >= MAX_WAITING:
            raise LocalProtocolError(f"{MAX_WAITING} requests wait for a socket")
        else:
            self._waiting.append(message)

    def _say(self, message: Audio | NumberedAppMessage) -> None:
        if self.state is State.OVER:
            self.counters["too_late"] += 1
            return
        kept = self._unheard.put(message)
        if self.state is State.READY:
            kept.was_sent = True
            self._write(kept.message)

    def _write(self, message: Audio | NumberedAppMessage) -> None:
        if isinstance(message, Audio) and self.format.mode == "binary":
            self._transmit.append(message.to_binary())
        else:
            self._transmit.append(message.to_text())

    # What Longline says.

    def _on_message(self, now: float, message: Message) -> None:
        if isinstance(message, told.Start):
            self._on_start(message)
        elif isinstance(message, told.Ready):
            self._on_ready(now, message)
        elif isinstance(message, told.Ack):
            self._unheard.acknowledge(message.received)
        elif isinstance(message, told.PingTold):
            self._transmit.append(Pong(id=message.id).to_text())
        elif isinstance(message, told.EventTold) and self._had(message):
            self.counters["repeated_events"] += 1
        else:
            if isinstance(message, told.Cleared):
                self.generation = max(self.generation, message.generation)
            elif isinstance(message, told.Tracks):
                self.tracks = message.tracks
            elif isinstance(message, told.Gap):
                self.counters["gaps"] += 1
                # What is told as missing need not be told again after the next resume.
                if message.track not in self._received or ahead(message.to, self._received[message.track]) > 0:
                    self._received[message.track] = message.to
            self._events.append(message)
            if isinstance(message, told.StopTold):
                self.closing = CLOSED_IN_ORDER
                self._end(Over(message.reason, CLOSED_IN_ORDER))

    def _had(self, message: told.EventTold) -> bool:
        if message.event is None:
            return False
        if message.event <= self._event:
            return True
        if self._event >= 0 and message.event > self._event + 1:
            self.counters["lost_events"] += message.event - self._event - 1
        self._event = message.event
        return False

    def _on_start(self, start: told.Start) -> None:
        if self.state is not State.OPENED:
            self.counters["bad_messages"] += 1
            return
        hello, before = self._hello, self.start
        if before is not None:
            # §6: the token of the last `start` before this one; the first `hello` has fixed the format, and the
            # tracks stay.
            hello = hello.model_copy(update={"audio": None, "tracks": None})
            if before.resume is not None:
                received = {str(track): number for track, number in self._received.items()}
                again = ResumeRequest(token=before.resume.token, received=received, event=self._event)
                hello = hello.model_copy(update={"resume": again})
        self.start = start
        self.is_resumable = start.resume is not None
        self._enter(Input.START)
        self._transmit.append(hello.to_text())
        self._events.append(start)

    def _on_ready(self, now: float, ready: told.Ready) -> None:
        if self.state is not State.GREETED:
            self.counters["bad_messages"] += 1
            return
        self._enter(Input.READY)
        self._deadline = now + self._stalled_after_s
        self.format, self.tracks = ready.audio, ready.tracks
        if ready.resumed:
            self.generation = max(self.generation, ready.generation)
            self._unheard.acknowledge(ready.received)
        else:
            self.generation = ready.generation
            self._received.clear()
            self._event = -1
            self._unheard.renumber(ready.received + 1)
        self._events.append(ready)
        for message in self._unheard.again():
            self._write(message)
        while self._waiting:
            self._transmit.append(self._waiting.popleft().to_text())

    def _on_audio(self, audio: Audio) -> None:
        if self.state is not State.READY:
            self.counters["early_audio"] += 1
            return
        last = self._received.get(audio.track)
        if last is not None:
            step = ahead(audio.sequence, last)
            if step <= 0:
                self.counters["repeated_audio"] += 1
                return
            if step > 1 and not audio.is_after_gap:
                self.counters["holes"] += 1
        self._received[audio.track] = audio.sequence
        self._events.append(audio)

    def _end(self, over: Over) -> None:
        if self.state is not State.OVER:
            self._enter(Input.END)
            self._deadline = None
            self._events.append(over)

    def _enter(self, what: Input) -> None:
        self.state = TABLE.get((self.state, what), self.state)
