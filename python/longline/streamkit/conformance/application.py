"""Longline's part, played against an application: each scenario is a stream of its own, and looks at several rules.

What can be seen depends on what the application does: one that never speaks is not looked at in how it speaks. A voice
is to be heard on the line, so that one that answers answers.
"""

from __future__ import annotations

import asyncio
import itertools
import math
import secrets
import ssl
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Final

from websockets.exceptions import InvalidHandshake, WebSocketException

from longline.streamkit import app_messages as said
from longline.streamkit import server_messages as told
from longline.streamkit.audio import KNOWN_FLAGS, SEQUENCES, Audio, BadAudio, from_binary, from_fields
from longline.streamkit.conformance.application_rules import APPLICATION_RULES
from longline.streamkit.conformance.report import Report
from longline.streamkit.format import Format
from longline.streamkit.line.line import Line
from longline.streamkit.line.wire import Wire
from longline.streamkit.message import BadMessage, Message, object_of, read

TALK_S: Final = 1.5
"""How long the application is listened to in each scenario."""
HELLO_WITHIN_S: Final = 5.0
DIAL_IN_WITHIN_S: Final = 6.0
FORGOTTEN: Final = 3
"""Numbered messages that the line says it has not got."""

EVENTS: Final[tuple[Message, ...]] = (
    told.Ack(received=-1),
    told.Dtmf(track=1, digit="5", duration_ms=120, at=160),
    told.SpeechStarted(track=1, at=160, level_db=-20, paused=False),
    told.SpeechStopped(track=1, at=3200, duration_ms=380),
    told.Paused(played_ms=0, queued_ms=0, by="barge_in"),
    told.Resumed(by="timeout"),
    told.TrackAdded(track=2, leg_id="leg_2", role="dial_target"),
    told.TrackRemoved(track=2),
    told.Queue(state="drained", queued_ms=0),
    told.Clock(at=1_700_000_000_000, samples=160, rtt_ms=3),
    told.Result(request_id="conformance", ok=True),
    told.PlaybackStarted(utterance_id="nobody's", track=0, at=0),
    told.PlaybackProgress(utterance_id="nobody's", track=0, played_ms=20, queued_ms=0),
    told.PlaybackFinished(utterance_id="nobody's", track=0, played_ms=20, outcome="played"),
    told.MarkTold(name="nobody's", outcome="played"),
    told.ErrorTold(code="not_allowed", message="a conformance check"),
)


class Watched(Line):
    """A line that looks at everything the application says."""

    def __init__(self, report: Report, tokens: Iterator[str], **settings: Any) -> None:
        super().__init__(tokens, **settings)
        self._report = report
        self._generation_said = 0
        self.generation_due = 0
        """What the application knows of by now, of clears that were not its own."""
        self._numbers: dict[int, Audio | said.NumberedAppMessage] = {}
        self._first_after: int | None = None
        self._again_until = -1
        self.hellos: list[said.Hello] = []
        self.after_stop = 0
        self.spoke = False

    def socket_opened(self, now: float) -> None:
        super().socket_opened(now)
        self._first_after = None

    def expect_again(self, count: int) -> int:
        """Forget the last so many numbered messages; how many that really are."""
        count = min(count, len(self._numbers))
        self._again_until = self.received
        self.received = (self.received - count) % SEQUENCES if self.received - count >= 0 else -1
        self._first_after = self.received + 1
        return count

    def receive(self, now: float, data: str | bytes) -> None:
        if self.is_over:
            self.after_stop += 1
        message = self._read(data)
        if isinstance(message, said.Hello):
            self.hellos.append(message)
            if message.resume is None:  # It begins anew, at `received` + 1.
                self._again_until = -1
                self._numbers.clear()
        if isinstance(message, Audio | said.NumberedAppMessage) and self.is_ready:
            self._look_at_number(message)
        super().receive(now, data)

    def _read(self, data: str | bytes) -> Any:
        report, is_first = self._report, not self.is_ready
        try:
            if isinstance(data, bytes):
                report.check("hello_first", not is_first, "audio came before `hello`")
                audio = from_binary(data)
                report.check("audio_has_a_header", True)
                self._look_at_audio(audio, "binary")
                return audio
            fields = object_of(data)
            if is_first:
                report.check("hello_first", fields["type"] == "hello", f"{fields['type']} came before `hello`")
            if fields["type"] == "audio":
                audio = from_fields(fields)
                self._look_at_audio(audio, "json")
                return audio
            message = read(fields, said.BY_TYPE)
        except BadAudio as error:
            report.check("audio_has_a_header", False, str(error))
            return None
        except BadMessage as error:
            report.check("hello_is_valid" if is_first else "messages_are_valid", False, str(error))
            return None
        if message is None:
            report.check("messages_are_valid", False, f"there is no type {fields['type']!r}")
        elif isinstance(message, said.Hello):
            report.check("hello_is_valid", True)
        else:
            report.check("messages_are_valid", True)
            if isinstance(message, said.NumberedAppMessage):
                report.check("messages_are_valid", "sequence" in fields, f"{message.TYPE} has no sequence")
        return message

    def _look_at_audio(self, audio: Audio, mode: str) -> None:
        self.spoke = True
        self._report.check("unknown_flags_are_zero", not audio.flags & ~KNOWN_FLAGS, f"flags {audio.flags:#06x}")
        if not self.is_ready:
            return
        wanted = self.format.mode
        self._report.check("audio_is_as_agreed", mode == wanted, f"{mode}, and {wanted} was agreed on")
        size = self.format.bytes_per_sample
        whole = not size or len(audio.payload) % size == 0
        self._report.check("audio_is_as_agreed", whole, f"{len(audio.payload)} bytes are no whole samples")
        if self.hello is not None and self.hello.generations and not audio.is_replay:
            wanted_generation = max(self.generation_due, self._generation_said)
            if wanted_generation:
                by = "clear" if self._generation_said == wanted_generation else "cleared"
                why = f"audio is of generation {audio.generation}, not {wanted_generation}"
                # A clear of its own may have crossed one that was not: then it may know of more than we count here.
                holds = (audio.generation - wanted_generation) % 256 <= max(0, self.generation - wanted_generation)
                self._report.check(f"{by}_raises_the_generation", holds, why)

    def _look_at_number(self, message: Audio | said.NumberedAppMessage) -> None:
        report, number = self._report, message.sequence
        is_replay = isinstance(message, Audio) and message.is_replay
        if self._first_after is not None:
            if self._first_after <= self._again_until:
                same = number == self._first_after
                report.check("says_again_what_was_lost", same, f"{number} came, not {self._first_after}")
            self._first_after = None
        elif number not in self._numbers:
            name = "numbers_have_no_holes" if self.epoch == 1 else "numbers_go_on"
            report.check(name, number == self.received + 1, f"{number} came after {self.received}")
        before = self._numbers.get(number)
        if before is not None and number <= self._again_until:
            if isinstance(before, Audio) and isinstance(message, Audio):
                report.check("flags_what_it_says_again", is_replay, f"{number} was said before")
                same = before.payload == message.payload
                report.check("says_again_what_was_lost", same, f"{number} is another frame now")
            else:
                same = type(before) is type(message)
                report.check("says_again_what_was_lost", same, f"{number} is another message now")
        elif isinstance(message, Audio) and before is None and self.epoch == 1:
            report.check("flags_what_it_says_again", not is_replay, f"{number} was not said before")
        if isinstance(message, said.Clear) and before is None:
            self._generation_said = max(self._generation_said, self.generation_due) + 1
        self._numbers[number] = message


class ApplicationKit:
    """`await ApplicationKit("ws://…").run()` is the report."""

    def __init__(self, url: str, *, secret: str | None = None, tls: ssl.SSLContext | None = None) -> None:
        self.report = Report(url, APPLICATION_RULES)
        self._url = url
        self._secret = secret
        self._tls = tls
        self._streams = itertools.count(1)
        self._run_id = secrets.token_hex(4)

    async def run(self, *, at_once: bool = False) -> Report:
        """Every scenario, one after another in about half a minute, or all at once."""
        scenarios: list[Callable[[], Awaitable[None]]] = [
            self.opening,
            self.conversation,
            self.resuming,
            self.a_lost_start,
            self.a_gap,
            self.fencing,
            self.without_resume,
            self.every_offer,
            self.dialling_in,
            self.ending,
            self.signatures,
        ]
        if at_once:
            await asyncio.gather(*map(self._attempt, scenarios))
        else:
            for scenario in scenarios:
                await self._attempt(scenario)
        for name, result in self.report.results.items():
            if not result.times and not result.why:
                self.report.skip(name, "the application did nothing that could have shown it")
        return self.report

    # Scenarios.

    async def opening(self) -> None:
        _, wire = self._stream()
        async with wire:
            await wire.dial()
            self.report.check("takes_the_subprotocol", wire.subprotocol in (None, "longline.v1"), str(wire.subprotocol))
            await self._greeted(wire)

    async def conversation(self) -> None:
        """News that it does not know, every message there is, a `ping`, a clear from outside."""
        line, wire = self._stream()
        async with wire:
            await wire.dial()
            if not await self._greeted(wire):
                return
            await asyncio.sleep(TALK_S / 2)
            for text in (
                '{"type": "conformance.news", "number": 1, "nested": {"list": [1, null, "x"]}}',
                '{"type": "ack", "received": -1, "conformance": {"is": ["not", "known"]}}',
            ):
                line.tell_raw(text)
            wire.flush()
            await self._is_borne(wire, "ignores_what_it_does_not_know")
            for message in EVENTS:
                line.tell(message)
            wire.flush()
            await self._is_borne(wire, "bears_every_message")
            line.tell(told.PingTold(id=4711, at=1_700_000_000_000))
            wire.flush()
            answered = await wire.until(lambda: said.Pong(id=4711) in line.messages, 2)
            self.report.check("answers_ping", answered, "no `pong` within 2 s")
            line.clear("control")
            wire.flush()
            await asyncio.sleep(0.3)  # What was under way is of the generation before.
            line.generation_due = line.generation
            await asyncio.sleep(TALK_S / 2)
            await self._end(wire)

    async def resuming(self) -> None:
        """A drop, and a line that has not got the last that was said."""
        line, wire = self._stream()
        async with wire:
            await wire.dial()
            if not await self._greeted(wire):
                return
            await asyncio.sleep(TALK_S)
            first_token = line.token
            await wire.drop()
            line.expect_again(FORGOTTEN)
            await asyncio.sleep(0.1)
            await wire.dial()
            ready = await self._ready(wire)
            self.report.check("takes_a_stream_up_again", len(line.hellos) > 1, "no `hello` after a drop")
            if len(line.hellos) > 1:
                self._look_at_resume(line, first_token)
            if not ready:
                return
            await asyncio.sleep(TALK_S)
            await self._end(wire)

    async def a_lost_start(self) -> None:
        """Sockets that end before `ready`: a token is good until a `hello` was answered."""
        _, wire = self._stream()
        async with wire:
            await wire.dial()
            if not await self._greeted(wire):
                return
            await wire.drop()
            for _ in range(2):
                await wire.dial()
                await wire.drop()
            await wire.dial()
            ready = await self._ready(wire)
            self.report.check("a_lost_start_does_no_harm", ready, f"close code {wire.close_code}")
            await self._end(wire)

    async def a_gap(self) -> None:
        """A ring so small that it overflows."""
        _, wire = self._stream(ring_ms=100)
        async with wire:
            await wire.dial()
            if not await self._greeted(wire):
                return
            await asyncio.sleep(0.2)
            await wire.drop()
            await asyncio.sleep(0.5)
            await wire.dial()
            if await self._ready(wire):
                await self._is_borne(wire, "bears_a_gap")
            await self._end(wire)

    async def fencing(self) -> None:
        """A second socket while the first is open."""
        _, wire = self._stream()
        async with wire:
            await wire.dial()
            if not await self._greeted(wire):
                return
            await wire.dial()
            took = await self._ready(wire)
            self.report.check("the_newer_socket_counts", took, "no `hello` on the second socket")
            if took:
                await self._is_borne(wire, "the_newer_socket_counts")
            await self._end(wire)

    async def without_resume(self) -> None:
        _, wire = self._stream(window_ms=0)
        async with wire:
            await wire.dial()
            self.report.check("works_without_resume", await self._ready(wire), "no `hello`")
            await asyncio.sleep(0.3)
            await self._end(wire)

    async def every_offer(self) -> None:
        """Each format in turn is the one that is offered."""
        for encoding, rate_hz, frame_ms, mode in (
            ("pcm_s16le", 16000, 20, "binary"),
            ("pcm_s16le", 48000, 10, "binary"),
            ("mulaw", 8000, 60, "binary"),
            ("alaw", 8000, 30, "json"),
            ("opus", 48000, 20, "binary"),
        ):
            wanted = {"encoding": encoding, "rate_hz": rate_hz, "frame_ms": frame_ms, "mode": mode}
            _, wire = self._stream(offered=Format.model_validate(wanted))
            async with wire:
                await wire.dial()
                ready = await self._ready(wire)
                self.report.check("speaks_every_offer", ready, f"{wanted}: close code {wire.close_code}")
                await asyncio.sleep(0.2)
                await self._end(wire)

    async def dialling_in(self) -> None:
        """Nobody dials it again: will it dial?"""
        line, wire = self._stream()
        async with wire:
            line.url = await wire.listen()
            await wire.dial()
            if not await self._greeted(wire):
                return
            await wire.drop()
            if not await wire.until(lambda: wire.dialled_in + len(wire.refused) > 0, DIAL_IN_WITHIN_S):
                self.report.skip("dials_in_with_the_token", f"it did not dial in within {DIAL_IN_WITHIN_S:.0f} s")
                return
            why = f"refused: {wire.refused}" if wire.refused else ""
            self.report.check("dials_in_with_the_token", not wire.refused, why)
            await self._ready(wire)
            await self._end(wire)

    async def ending(self) -> None:
        line, wire = self._stream()
        async with wire:
            line.url = await wire.listen()
            await wire.dial()
            if not await self._greeted(wire):
                return
            await asyncio.sleep(TALK_S / 2)
            line.stop("hangup")
            wire.flush()
            await wire.until(lambda: not wire.is_up, 3)
            line.after_stop = 0
            await asyncio.sleep(1.0)
            why = f"{line.after_stop} messages and {wire.dialled_in} sockets came after it"
            self.report.check("stop_is_the_end", not line.after_stop and not wire.dialled_in, why)

    async def signatures(self) -> None:
        if self._secret is None:
            for name in APPLICATION_RULES:
                if name.endswith("_signature"):
                    self.report.skip(name, "no secret was given")
            return
        now = time.time()
        for name, secret, at, is_good in (
            ("refuses_no_signature", None, now, False),
            ("refuses_a_wrong_signature", self._secret + "x", now, False),
            ("refuses_an_old_signature", self._secret, now - 301, False),
            ("takes_a_true_signature", self._secret, now, True),
        ):
            line, _ = self._stream()
            async with Wire(line, self._url, secret=secret, tls=self._tls) as wire:
                try:
                    await wire.dial(signed_at=at)
                    taken = await self._ready(wire)
                except (InvalidHandshake, ConnectionError):
                    taken = False
                self.report.check(name, taken is is_good, "it was taken" if taken else "it was refused")

    # What they share.

    async def _attempt(self, scenario: Callable[[], Awaitable[None]]) -> None:
        try:
            await scenario()
        except (OSError, WebSocketException, TimeoutError) as error:
            self.report.check("takes_a_stream_up_again", False, f"{scenario.__name__}: {error!r}")

    def _stream(self, **settings: Any) -> tuple[Watched, Wire]:
        tokens = (f"{self._run_id}-{number}-{secrets.token_hex(8)}" for number in itertools.count(1))
        stream_id = f"conformance-{self._run_id}-{next(self._streams)}"
        line = Watched(self.report, tokens, stream_id=stream_id, voice=tone, **settings)
        return line, Wire(line, self._url, secret=self._secret, tls=self._tls)

    async def _ready(self, wire: Wire) -> bool:
        await wire.until(lambda: wire.line.is_ready or not wire.is_up, HELLO_WITHIN_S)
        return wire.line.is_ready

    async def _greeted(self, wire: Wire) -> bool:
        ready = await self._ready(wire)
        self.report.check("hello_within_5_s", ready, f"close code {wire.close_code}")
        return ready

    async def _is_borne(self, wire: Wire, name: str) -> None:
        await asyncio.sleep(0.4)
        self.report.check(name, wire.is_up, f"it closed the socket with {wire.close_code}")

    async def _end(self, wire: Wire) -> None:
        wire.line.stop("conformance")
        wire.flush()
        await wire.until(lambda: not wire.is_up, 2)

    def _look_at_resume(self, line: Watched, token: str) -> None:
        hello, report = line.hellos[-1], self.report
        if hello.resume is None:
            for name in ("resumes", "resume_has_the_last_token", "resume_has_true_numbers", "says_again_what_was_lost"):
                report.skip(name, "it says `hello` without `resume`, as one that has lost its memory")
            return
        report.check("resumes", True)
        why = f"the token is {hello.resume.token!r}, not {token!r}"
        report.check("resume_has_the_last_token", hello.resume.token == token, why)
        for track, sent in line.sent_before.items():
            number = hello.resume.received.get(str(track), -1)
            # What was on the wire when it broke may or may not have come.
            why = f"track {track}: {number}, of {sent} that were sent"
            report.check("resume_has_true_numbers", sent - 20 <= number <= sent, why)
        again = [name for name in ("audio", "tracks") if getattr(hello, name) is not None]
        report.check("resume_fixes_nothing_anew", not again, f"it has {again}")


def tone(track: int, number: int, audio: Format) -> bytes:
    """One second of a tone of 400 Hz, one second of nothing, and so on; Opus: a packet of silence."""
    if audio.encoding == "opus":
        return b"\xf8\xff\xfe"
    first = number * audio.frame_samples
    samples = []
    for at in range(first, first + audio.frame_samples):
        loud = (at // audio.rate_hz) % 2 == 0
        samples.append(int(8000 * math.sin(2 * math.pi * 400 * at / audio.rate_hz)) if loud else 0)
    if audio.encoding == "pcm_s16le":
        return b"".join(sample.to_bytes(2, "little", signed=True) for sample in samples)
    # Of µ-law and A-law: a square wave is a tone as well.
    high, low, none = {"mulaw": (0x90, 0x10, 0xFF), "alaw": (0xBA, 0x3A, 0xD5)}[audio.encoding]
    return bytes(high if sample > 0 else low if sample < 0 else none for sample in samples)
