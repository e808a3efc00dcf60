"""`Line`: Longline's side of one stream over all of its sockets, without I/O, clock or call.

`handle_timeout` is due every `frame_ms`: each party says a frame (`voice` makes it), and what the application has said
is played. Tokens come from whoever makes the line, so that a run can be repeated.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterator
from typing import Final

from longline.streamkit import app_messages as said
from longline.streamkit import server_messages as told
from longline.streamkit.audio import Audio, BadAudio, ahead, from_binary, from_fields
from longline.streamkit.format import EVERYTHING, Format
from longline.streamkit.line.playout import Playout
from longline.streamkit.line.ring import Ring
from longline.streamkit.message import BadMessage, Message, object_of, read

HELLO_WITHIN_S: Final = 5.0
HELLO_REFUSED: Final = 4400
TOKEN_REFUSED: Final = 4401
KEPT_EVENTS: Final = 256
NO_HELLO: Final = 4408
Voice = Callable[[int, int, Format], bytes]


def silence(track: int, number: int, audio: Format) -> bytes:
    """A voice that says nothing."""
    return {"mulaw": b"\xff", "alaw": b"\xd5"}.get(audio.encoding, b"\x00") * (audio.frame_bytes or 3)


class Line:
    """One stream. `received` keeps every message of the application, as it came."""

    def __init__(
        self,
        tokens: Iterator[str],
        *,
        stream_id: str = "st_1",
        offered: Format | None = None,
        voice: Voice = silence,
        window_ms: int = 30_000,
        ring_ms: int = 10_000,
        queue_limit_ms: int = 60_000,
        url: str | None = None,
    ) -> None:
        self._tokens = tokens
        self._voice = voice
        self._window_ms, self._ring_ms, self._queue_limit_ms, self.url = window_ms, ring_ms, queue_limit_ms, url
        self.stream_id = stream_id
        self.format = offered or Format()
        self.hello: said.Hello | None = None
        self.epoch = 0
        self.generation = 0
        self.received = -1
        self.position = 0
        self.is_open = False
        self.is_ready = False
        self.is_over = False
        self.closing: int | None = None
        self.tracks: list[int] = []
        self.playouts: dict[int, Playout] = {}
        self.counters: Counter[str] = Counter()
        self.messages: list[Message | Audio] = []
        """What the application has said, in order, over all connections."""
        self.sent_before: dict[int, int] = {}
        """The last sequence of each track that was sent when the last socket ended."""
        self._rings: dict[int, Ring] = {}
        self._good: list[str] = []
        self._transmit: deque[str | bytes] = deque()
        self._next_frame: float | None = None
        self._ready_at = self._frame_s = 0.0
        self._hello_until: float | None = None
        self._progress_left_ms = 0
        self._told_ack = -1
        self._event = self._told_event = -1
        self._kept: deque[tuple[int, str]] = deque(maxlen=KEPT_EVENTS)

    # Sockets.

    def socket_opened(self, now: float) -> None:
        self._transmit.clear()
        self.is_open, self.is_ready, self.closing = True, False, None
        self.epoch += 1
        self._hello_until = now + HELLO_WITHIN_S
        token = next(self._tokens)
        self._good.append(token)
        resume = told.ResumeOffer(token=token, window_ms=self._window_ms, ring_ms=self._ring_ms, url=self.url)
        start = {
            "account_id": "ac_1",
            "call_app_id": "app_1",
            "call_id": "call_1",
            "stream_id": self.stream_id,
            "from": "+15550100",
            "to": "+15550101",
            "epoch": self.epoch,
            "audio": self.format,
            "offers": EVERYTHING,
            "tracks": [told.Party(track=1, leg_id="leg_1", role="caller")],
            "queue_limit_ms": self._queue_limit_ms,
            "resume": resume if self._window_ms else None,
        }
        self._tell(told.Start.model_validate(start))

    def socket_closed(self, now: float, code: int | None) -> None:
        if self.is_ready:
            self.sent_before = {track: self._rings[track].next_sequence - 1 for track in self.tracks}
        self.is_open = self.is_ready = False
        self._hello_until = None
        self._transmit.clear()
        if code == 1000 or not self._window_ms:
            self.is_over = True

    def is_good(self, token: str) -> bool:
        """May a connection that shows this token be let in?"""
        return token in self._good

    def receive(self, now: float, data: str | bytes) -> None:
        try:
            if isinstance(data, bytes):
                self._on_numbered(from_binary(data))
                return
            fields = object_of(data)
            if fields["type"] == "audio":
                self._on_numbered(from_fields(fields))
                return
            message = read(fields, said.BY_TYPE)
        except (BadMessage, BadAudio) as error:
            self.counters["bad_messages"] += 1
            if self.hello is None or not self.is_ready:
                self._close(HELLO_REFUSED, str(error))
            else:
                self._tell(told.ErrorTold(code="bad_message", message=str(error)))
            return
        if message is None:
            self.counters["unknown_types"] += 1
        elif isinstance(message, said.Hello):
            self.messages.append(message)
            self._on_hello(now, message)
        elif not self.is_ready:
            self._close(HELLO_REFUSED, "hello is the first message")
        elif isinstance(message, said.NumberedAppMessage):
            self._on_numbered(message)
        else:
            self.messages.append(message)
            self._on_request(now, message)

    def poll_transmit(self) -> str | bytes | None:
        return self._transmit.popleft() if self._transmit else None

    # Time.

    def next_timeout(self) -> float | None:
        times = [at for at in (self._next_frame, self._hello_until) if at is not None]
        return min(times) if times and not self.is_over else None

    def handle_timeout(self, now: float) -> None:
        if self._hello_until is not None and now >= self._hello_until:
            self._hello_until = None
            self._close(NO_HELLO, "no hello within 5 s")
        while self._next_frame is not None and now >= self._next_frame and not self.is_over:
            self._frame()
            # From the beginning each time: sums of rounded seconds would drift.
            self._next_frame = self._ready_at + (self.position // self.format.frame_samples + 1) * self._frame_s

    def _frame(self) -> None:
        number = self.position // self.format.frame_samples
        for track in self.tracks:
            frame = self._rings[track].put(self._voice(track, number, self.format), self.position)
            if self.is_ready:
                self._write(frame)
        for playout in self.playouts.values():
            was_queued = playout.queued_ms > 0
            for message in playout.play(self.position):
                self._tell(message)
            if was_queued and playout.queued_ms == 0:
                self._tell(told.Queue(state="drained", queued_ms=0))
        self.position += self.format.frame_samples
        self._progress_left_ms -= self.format.frame_ms
        if self.hello is not None and self.hello.progress_ms and self._progress_left_ms <= 0:
            self._progress_left_ms = self.hello.progress_ms
            for playout in self.playouts.values():
                if progress := playout.progress():
                    self._tell(progress)
            if self.received != self._told_ack:
                self._told_ack = self.received
                self._tell(told.Ack(received=self.received))

    # What a call or a person does.

    def clear(self, by: told.Cause = "control", tracks: list[int] | None = None) -> None:
        """Drop speech."""
        self.generation += 1
        utterances: list[told.ClearedUtterance] = []
        marks: list[str] = []
        after: list[Message] = []
        for track, playout in self.playouts.items():
            if tracks is None or track in tracks:
                parts = playout.clear()
                utterances += parts[0]
                marks += parts[1]
                after += parts[2]
        played = sum(each.played_ms for each in utterances)
        dropped = sum(each.dropped_ms for each in utterances)
        self._tell(
            told.Cleared(
                generation=self.generation,
                played_ms=played,
                dropped_ms=dropped,
                marks=marks,
                utterances=utterances,
                by=by,
            )
        )
        for message in after:
            self._tell(message)

    def tell(self, message: Message) -> None:
        """Say this as well."""
        self._tell(message)

    def tell_raw(self, text: str) -> None:
        """Say what no class of ours would."""
        self._transmit.append(text)

    def stop(self, reason: str) -> None:
        """The stream is over."""
        self._tell(told.StopTold(reason=reason))
        self.closing, self.is_over = 1000, True

    @property
    def token(self) -> str:
        """That of the last `start`."""
        return self._good[-1]

    @property
    def heard(self) -> list[Audio]:
        """What the parties together have heard of the application."""
        return self.playouts[0].heard if 0 in self.playouts else []

    # What the application says.

    def _on_hello(self, now: float, hello: said.Hello) -> None:
        if self.is_ready or self._hello_until is None:
            self.counters["bad_messages"] += 1
            return
        self._hello_until = None
        if hello.resume is not None and (hello.resume.token not in self._good[:-1] or self.hello is None):
            self._close(TOKEN_REFUSED, "wrong or used token")
            return
        if self.hello is None:
            try:
                self.format = hello.audio.meet(self.format) if hello.audio else self.format
            except ValueError as error:
                self._close(HELLO_REFUSED, str(error))
                return
            self.playouts = {track: Playout(track, self.format) for track in (0, 1)}
            capacity = self._ring_ms // self.format.frame_ms
            self._rings = {track: Ring(track, capacity) for track in (0, 1)}
            self._ready_at, self._frame_s = now, self.format.frame_ms / 1000
            self._next_frame = now + self._frame_s
        elif hello.audio is not None and hello.resume is not None:
            self.counters["format_in_resume"] += 1
        self.hello = hello
        if hello.resume is None:
            wanted = [0] if hello.tracks is None else hello.tracks
            self.tracks = [track for track in wanted if track in self._rings]
        self.is_ready = True
        self._good = self._good[-1:]
        resumed = hello.resume is not None
        self._tell(
            told.Ready(
                audio=self.format,
                tracks=self.tracks,
                received=self.received,
                generation=self.generation,
                resumed=resumed,
            )
        )
        last = hello.resume.event if hello.resume is not None and hello.resume.event is not None else self._told_event
        for number, text in self._kept:
            if number > last:
                self._transmit.append(text)
        self._told_event = self._event
        if self.epoch > 1:
            self._replay(hello)

    def _replay(self, hello: said.Hello) -> None:
        for track in self.tracks:
            ring = self._rings[track]
            if hello.resume is None:
                if ring.next_sequence:
                    self._tell(told.Gap.model_validate({"track": track, "from": 0, "to": ring.next_sequence - 1}))
                continue
            lost, kept = ring.after(hello.resume.received.get(str(track), -1))
            if lost is not None:
                self._tell(told.Gap.model_validate({"track": track, "from": lost[0], "to": lost[1]}))
            for frame in kept:
                self._write(frame)

    def _on_numbered(self, message: Audio | said.NumberedAppMessage) -> None:
        if not self.is_ready:
            self._close(HELLO_REFUSED, "hello is the first message")
            return
        self.messages.append(message)
        step = ahead(message.sequence, self.received)
        if step <= 0:
            self.counters["repeated"] += 1
            return
        if step > 1:
            self.counters["holes"] += 1
        self.received = message.sequence
        if isinstance(message, Audio):
            self._on_audio(message)
            return
        playout = self.playouts.get(getattr(message, "track", None) or 0)
        if playout is None:
            self._tell(told.ErrorTold(code="unknown_track", message="nobody has this track"))
        elif isinstance(message, said.Speak):
            playout.speak(message.utterance_id)
        elif isinstance(message, said.SpeakEnd):
            playout.speak_end()
        elif isinstance(message, said.Mark):
            playout.mark(message.name)
        elif isinstance(message, said.Clear):
            self.clear("application", None if message.track is None else [message.track])
        elif isinstance(message, said.Interrupt):
            for each in self.playouts.values():
                for answer in each.interrupt(message.utterance_id):
                    self._tell(answer)
        elif isinstance(message, said.Pause):
            self._pause(True)
            queued = int(sum(each.queued_ms for each in self.playouts.values()))
            self._tell(told.Paused(played_ms=0, queued_ms=queued, by="application"))
        elif isinstance(message, said.ResumeSpeech):
            self._pause(False)
            self._tell(told.Resumed(by="application"))
        elif isinstance(message, said.SendDtmf):
            for left, digit in zip(range(len(message.digits) - 1, -1, -1), message.digits.upper(), strict=True):
                if digit in "0123456789ABCD*#":
                    self._tell(told.DtmfSent(digit=digit, left=left))

    def _on_audio(self, audio: Audio) -> None:
        playout = self.playouts.get(audio.track)
        if playout is None:
            self._tell(told.ErrorTold(code="unknown_track", message=f"nobody has track {audio.track}"))
        elif self.hello is not None and self.hello.generations and 0 < (self.generation - audio.generation) % 256 < 128:
            self.counters["old_generation"] += 1
        elif playout.queued_ms + self.format.milliseconds(audio.payload) > self._queue_limit_ms:
            dropped = int(self.format.milliseconds(audio.payload))
            self._tell(told.Queue(state="overflow", queued_ms=int(playout.queued_ms), dropped_ms=dropped))
        else:
            playout.say(audio)

    def _pause(self, is_paused: bool) -> None:
        for playout in self.playouts.values():
            playout.is_paused = is_paused

    def _on_request(self, now: float, message: Message) -> None:
        if isinstance(message, said.Subscribe | said.Unsubscribe):
            unknown = [track for track in message.tracks if track not in self._rings]
            if unknown:
                self._tell(told.ErrorTold(code="unknown_track", message=f"nobody has the tracks {unknown}"))
                return
            if isinstance(message, said.Subscribe):
                self.tracks = sorted({*self.tracks, *message.tracks})
            else:
                self.tracks = [track for track in self.tracks if track not in message.tracks]
            self._tell(told.Tracks(tracks=self.tracks))
        elif isinstance(message, said.Ping):
            at = int(now * 1000)
            self._tell(told.PongTold(id=message.id, at=message.at, server_at=at))
        elif isinstance(message, said.Hangup):
            self.stop("hangup")
        elif isinstance(message, said.Stop):
            self.stop("stopped")
        elif isinstance(message, said.Transfer | said.RecordStart | said.RecordStop):
            failure = told.Failure(code="not_allowed", message="there is no call on this line")
            self._tell(told.Result(request_id=message.request_id, ok=False, error=failure))

    def _tell(self, message: Message) -> None:
        if isinstance(message, told.EventTold):
            self._event += 1
            message = message.model_copy(update={"event": self._event})
            self._kept.append((self._event, message.to_text()))
            if not self.is_ready:
                return
            self._told_event = self._event
        if self.is_open:
            self._transmit.append(message.to_text())

    def _write(self, audio: Audio) -> None:
        self._transmit.append(audio.to_binary() if self.format.mode == "binary" else audio.to_text())

    def _close(self, code: int, why: str) -> None:
        self._tell(told.ErrorTold(code="bad_message", message=why))
        self.closing = code
