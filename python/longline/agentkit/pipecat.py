"""A transport for pipecat: its pipelines on Longline's calls, with what no other transport knows, what was heard.

    async def bot(call: CallSession) -> None:
        transport = LonglineTransport(call)
        pipeline = Pipeline([transport.input(), stt, …, tts, transport.output(), …])
        …

    async with serve(bot, "0.0.0.0", 9000): ...

Made on a `CallSession`: sockets that drop and come back are none of the pipeline's business, and the same bot runs
behind Teler's and Twilio's protocols. Speech goes to the line `ahead_ms` ahead of its time, so that a busy process is
not heard as stutter; what pipecat tells of it (BotStartedSpeakingFrame, BotStoppedSpeakingFrame, the words that go into
its context, the audio that goes to a recorder) goes on only when the caller has heard it. An interruption empties the
line within a frame, and of the sentence it cuts, the words that were heard are told to the context.

Needs pipecat-ai 1.14 or later: pip install longline[pipecat].
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import itertools
from dataclasses import dataclass, field
from typing import Any

try:
    from pipecat.audio.dtmf.types import KeypadEntry
    from pipecat.audio.utils import create_stream_resampler
    from pipecat.frames.frames import (
        AggregatedTextFrame,
        BotStartedSpeakingFrame,
        BotStoppedSpeakingFrame,
        CancelFrame,
        EndFrame,
        Frame,
        InputAudioRawFrame,
        InputDTMFFrame,
        InputTransportMessageFrame,
        InterruptionFrame,
        OutputAudioRawFrame,
        OutputDTMFFrame,
        OutputDTMFUrgentFrame,
        OutputTransportMessageFrame,
        OutputTransportMessageUrgentFrame,
        StartFrame,
        SystemFrame,
        TTSAudioRawFrame,
        TTSTextFrame,
    )
    from pipecat.processors.frame_processor import FrameDirection, FrameProcessorSetup
    from pipecat.transports.base_input import BaseInputTransport
    from pipecat.transports.base_output import BaseOutputTransport
    from pipecat.transports.base_transport import BaseTransport, TransportParams
except ImportError as error:
    raise ImportError(f"{error}: pipecat's transport needs pipecat: pip install longline[pipecat]") from error

from longline.agentkit import line
from longline.agentkit.heard import heard_text
from longline.agentkit.line import NotOnThisLine
from longline.agentkit.played import Pace, Played
from longline.agentkit.session import CallSession
from longline.agentkit.utterance import Utterance

MAX_SENTENCES = 20
"""That are remembered while they are said: more do not wait at once."""
HEARD_WITHIN_S = 10.0
"""How long the end of a pipeline waits for its last words to be heard."""


class LonglineParams(TransportParams):
    """`ahead_ms`: so much speech waits at the line; with a mixer, whose sound never ends, it is the delay of what is
    said. `hang_up`: the call ends with the pipeline; otherwise only its stream does, and the call's flow goes on."""

    audio_in_enabled: bool = True
    audio_out_enabled: bool = True
    audio_out_end_silence_secs: int = 0
    audio_out_write_timeout_secs: float = 120.0
    ahead_ms: int = 600
    hang_up: bool = True


class LonglineTransport(BaseTransport):
    """Events: `on_client_connected(transport, call)`, `on_client_disconnected(transport, call)` once the call is over,
    `on_connection_lost(transport, call)` for a socket that dropped and will be back."""

    def __init__(self, call: CallSession, params: LonglineParams | None = None) -> None:
        super().__init__()
        self.call = call
        params = (params or LonglineParams()).model_copy(update={"audio_out_sample_rate": call.rate_hz})
        self._output = _Output(self, call, params)
        self._input = _Input(self, call, params, self._output)
        for name in ("on_client_connected", "on_client_disconnected", "on_connection_lost"):
            self._register_event_handler(name)

    def input(self) -> BaseInputTransport:
        return self._input

    def output(self) -> BaseOutputTransport:
        return self._output

    async def tell(self, event: str) -> None:
        await self._call_event_handler(event, self.call)


class _Input(BaseInputTransport):
    """What the line tells, as pipecat's frames."""

    def __init__(
        self, transport: LonglineTransport, call: CallSession, params: LonglineParams, output: _Output
    ) -> None:
        super().__init__(params)
        self._transport = transport
        self._call = call
        self._output = output
        self._reading: Any = None
        self._resampler = create_stream_resampler()

    async def start(self, frame: StartFrame) -> None:
        await super().start(frame)
        await self.set_transport_ready(frame)
        await self._transport.tell("on_client_connected")
        if self._reading is None:
            self._reading = self.create_task(self._read())

    async def stop(self, frame: EndFrame) -> None:
        await super().stop(frame)
        # The output still has to hear what becomes of the last words: reading ends with `cleanup`.

    async def cleanup(self) -> None:
        await super().cleanup()
        if self._reading is not None:
            await self.cancel_task(self._reading)
            self._reading = None
        await self._transport.cleanup()

    async def _read(self) -> None:
        async for event in self._call:
            self._output.take(event)
            match event:
                case line.Frame(pcm):
                    pcm = await self._resampler.resample(pcm, self._call.rate_hz, self.sample_rate)
                    heard = InputAudioRawFrame(audio=pcm, sample_rate=self.sample_rate, num_channels=1)
                    heard.transport_source = str(event.track) if event.track else None
                    await self.push_audio_frame(heard)
                case line.Digit(digit):
                    with contextlib.suppress(ValueError):  # A to D are no keys of pipecat's
                        await self.push_frame(InputDTMFFrame(KeypadEntry(digit)))
                case line.Lost():
                    await self._transport.tell("on_connection_lost")
        await self._transport.tell("on_client_disconnected")


@dataclass(slots=True)
class _Sentence:
    """How much sound has been made of it, whether that is all, and where it stands in the run once it is said."""

    frame: Any
    made_ms: float = 0.0
    is_whole: bool = False
    start_ms: float | None = None


@dataclass(slots=True)
class _Run:
    """Speech without a pause: one utterance of the line."""

    utterance: Utterance
    began_at: float
    played: Played = field(default_factory=Played)
    was_cut: bool = False
    must_end: bool = False
    """What was written last is of the kind that pipecat does not let be interrupted."""


class _Output(BaseOutputTransport):
    """Writes ahead of time; holds what pipecat tells of its speech until it was heard."""

    def __init__(self, transport: LonglineTransport, call: CallSession, params: LonglineParams) -> None:
        super().__init__(params)
        self._transport = transport
        self._call = call
        self._params: LonglineParams = params
        self._run: _Run | None = None
        self._held: list[tuple[float, int, Any, Any]] = []
        """By position in the run, and by when they came: frames with their directions."""
        self._unheard: list[tuple[float, int, Any, Any]] = []
        """What was held for speech that nobody will hear."""
        self._numbers = itertools.count()
        self._news = asyncio.Event()
        self._releasing: Any = None
        self._pace = Pace()
        self._sentences: list[_Sentence] = []
        """That are being made, or said in this run."""
        self._is_cutting = False
        self._is_ended = False

    async def setup(self, setup: FrameProcessorSetup) -> None:
        await super().setup(setup)
        self._releasing = self.create_task(self._release_in_time())

    async def start(self, frame: StartFrame) -> None:
        await super().start(frame)
        await self.set_transport_ready(frame)

    async def stop(self, frame: EndFrame) -> None:
        await super().stop(frame)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(HEARD_WITHIN_S):
                while self._run is not None and self._call.over is None:
                    await self._until_news(0.02)
        self._end()

    async def cancel(self, frame: CancelFrame) -> None:
        await super().cancel(frame)
        self._end()

    async def cleanup(self) -> None:
        await super().cleanup()
        if self._releasing is not None:
            await self.cancel_task(self._releasing)
            self._releasing = None

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        if not isinstance(frame, InterruptionFrame):
            if direction is FrameDirection.DOWNSTREAM:
                self._note(frame)
            await super().process_frame(frame, direction)
            return
        # The line first, for the caller's ear; what pipecat has queued must then not follow what was cleared.
        self._is_cutting = True
        try:
            await self._cut()
            await super().process_frame(frame, direction)
        finally:
            self._is_cutting = False

    # To the line.

    async def write_audio_frame(self, frame: OutputAudioRawFrame) -> bool:
        """Returns when the line has room for more."""
        if self._call.over is not None or (self._is_cutting and frame.interruptible):
            return False
        run = self._run or self._begin()
        run.must_end = not frame.interruptible
        self._call.add(run.utterance, frame.audio)
        run.played.say(len(frame.audio) * 500 / self._call.rate_hz)
        self._tell()
        while self._run is run and self._call.over is None:
            room_at = run.played.due(run.played.said_ms - self._params.ahead_ms)
            if run.played.said_ms <= self._params.ahead_ms or (room_at is not None and room_at <= self._now()):
                break
            await self._until_news(None if room_at is None else room_at - self._now())
        return not run.was_cut

    async def send_message(self, frame: OutputTransportMessageFrame | OutputTransportMessageUrgentFrame) -> None:
        """`{"type": "mark", "name": …}` is told back by an InputTransportMessageFrame with an `outcome`, `played` or
        `cleared`. What else can be asked of a call is a method of `transport.call`."""
        if isinstance(frame.message, dict) and frame.message.get("type") == "mark":
            await self._hold(InputTransportMessageFrame(message=frame.message), FrameDirection.UPSTREAM)

    def _supports_native_dtmf(self) -> bool:
        return True

    async def _write_dtmf_native(self, frame: OutputDTMFFrame | OutputDTMFUrgentFrame) -> None:
        try:
            self._call.send_dtmf("".join(button.value for button in frame.buttons or ()))
        except NotOnThisLine:
            await self._write_dtmf_audio(frame)

    def _begin(self) -> _Run:
        self._run = _Run(self._call.begin(), self._now())
        return self._run

    def _end(self) -> None:
        if not self._is_ended and self._params.hang_up and self._call.over is None:
            self._call.hangup()
        self._is_ended = True

    # From the line, by way of the input.

    def take(self, event: line.LineEvent) -> None:
        run, now = self._run, self._now()
        match event:
            case line.SpeechStarted(name) if run is not None and name == run.utterance.id:
                run.played.started(now)
            case line.SpeechProgress(name, heard_ms) if run is not None and name == run.utterance.id:
                run.played.told(now, heard_ms)
            case line.SpeechEnded(name, heard_ms, was_cut) if run is not None and name == run.utterance.id:
                run.played.told(now, heard_ms if was_cut else run.played.said_ms)
                if was_cut:
                    self._forget(run)
            case line.HeldBack(is_held) if run is not None:
                (run.played.held if is_held else run.played.resumed)(now)
            case line.Over():
                if run is not None:
                    self._forget(run)
            case _:
                return
        self._tell()

    # What pipecat tells, as it is heard.

    async def push_frame(self, frame: Frame, direction: FrameDirection = FrameDirection.DOWNSTREAM) -> None:
        speaks = isinstance(frame, (BotStartedSpeakingFrame, BotStoppedSpeakingFrame))
        is_of_speech = direction is FrameDirection.DOWNSTREAM and not isinstance(frame, (SystemFrame, EndFrame))
        if speaks or is_of_speech:
            await self._hold(frame, direction)
        else:
            await super().push_frame(frame, direction)

    async def _hold(self, frame: Frame, direction: FrameDirection) -> None:
        if self._is_cutting and frame.interruptible and not isinstance(frame, SystemFrame):
            return  # It has come out of the queue that is about to be emptied.
        run = self._run
        if isinstance(frame, BotStartedSpeakingFrame) and run is None:
            run = self._begin()
        for sentence in self._sentences:
            if sentence.frame is frame:
                sentence.start_ms = 0.0 if run is None else run.played.said_ms
        if run is None:
            await self._give_on(frame, direction)
            return
        position = run.played.said_ms
        if isinstance(frame, BotStartedSpeakingFrame):
            position += 1.0
        elif frame.pts:
            # A word whose time the synthesiser told: it is where its time is in this run's.
            position = min(position, (self._now() - run.began_at) * 1000)
        heapq.heappush(self._held, (position, next(self._numbers), frame, direction))
        self._tell()

    def _note(self, frame: Frame) -> None:
        """What has been made, before it waits for its time: text ahead of its sound, and again behind all of it."""
        if _announces(frame):
            self._sentences = [*self._sentences[-MAX_SENTENCES:], _Sentence(frame)]
        elif isinstance(frame, TTSAudioRawFrame) and self._sentences:
            self._sentences[-1].made_ms += len(frame.audio) * 500 / frame.sample_rate / frame.num_channels
        elif isinstance(frame, TTSTextFrame):
            for sentence in self._sentences:
                if sentence.frame.id == frame.segment_id and not sentence.frame.pts:
                    sentence.is_whole = True
                    self._pace.learn(frame.text, sentence.made_ms)

    async def _release_in_time(self) -> None:
        while True:
            await self._release()
            run = self._run
            due = None
            if run is not None:
                due = run.played.due(self._held[0][0] if self._held else run.played.said_ms)
            await self._until_news(None if due is None else due - self._now())

    async def _release(self) -> None:
        while self._unheard:
            _, _, frame, direction = self._unheard.pop(0)
            if isinstance(frame, SystemFrame) or not frame.interruptible:  # What must not be lost.
                await self._give_on(frame, direction, "cleared")
        while (run := self._run) is not None:
            heard_ms = run.played.heard_ms(self._now()) + 0.5
            if self._held and self._held[0][0] <= heard_ms:
                _, _, frame, direction = heapq.heappop(self._held)
                await self._give_on(frame, direction)
            elif heard_ms >= run.played.said_ms > 0 and not self._held:
                self._call.finish(run.utterance)
                self._run = None
                self._sentences = [sentence for sentence in self._sentences if sentence.start_ms is None]
                self._tell()
            else:
                return

    async def _give_on(self, frame: Frame, direction: FrameDirection, outcome: str = "played") -> None:
        if isinstance(frame, InputTransportMessageFrame):
            told = {**frame.message, "outcome": outcome}
            await self.broadcast_frame(InputTransportMessageFrame, message=told)
        else:
            await super().push_frame(frame, direction)

    async def _cut(self) -> None:
        """An interruption: the line falls silent, and the context is told the words that were heard."""
        run = self._run
        if run is None or run.must_end:
            return
        await self._release()
        heard_ms = run.played.heard_ms(self._now())
        for sentence in self._sentences:
            start_ms, length_ms = sentence.start_ms, sentence.made_ms
            if not sentence.is_whole:
                length_ms = self._pace.length_ms(sentence.frame.text, length_ms)
            if start_ms is None or sentence.frame.pts or not start_ms <= heard_ms < start_ms + length_ms:
                continue
            if words := heard_text(sentence.frame.text, length_ms, heard_ms - start_ms):
                await super().push_frame(_spoken(sentence.frame, words))
            break
        self._sentences = []
        self._call.interrupt()
        self._forget(run)
        await self._release()

    def _forget(self, run: _Run) -> None:
        run.was_cut = True
        if self._run is run:
            self._run = None
            self._unheard += sorted(self._held, key=lambda each: each[:2])
            self._held = []
        self._tell()

    def _tell(self) -> None:
        """Something has changed, for all who wait."""
        news, self._news = self._news, asyncio.Event()
        news.set()

    async def _until_news(self, timeout_s: float | None) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(None if timeout_s is None else max(0.002, timeout_s)):
                await self._news.wait()

    def _now(self) -> float:
        return asyncio.get_running_loop().time()


def _announces(frame: Frame) -> bool:
    """Whether it tells the sentence whose sound comes next."""
    return isinstance(frame, AggregatedTextFrame) and not isinstance(frame, TTSTextFrame) and bool(frame.will_be_spoken)


def _spoken(sentence: Any, words: str) -> Frame:
    frame = TTSTextFrame(words, text_type=sentence.text_type, segment_id=sentence.id)
    frame.will_be_spoken = True
    frame.context_id = sentence.context_id
    return frame
