"""One call of an agent: everything that happens comes in by one queue and is taken one at a time.

frames → voice activity → endpointing, barge-in     what they decide is done here
frames → speech to text → transcripts
turn over → Answer (a task) → line                  cut by an interruption
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from longline.agentkit.answer import Answer
from longline.agentkit.audio_clock import AudioClock
from longline.agentkit.conversation import Conversation, Turn
from longline.agentkit.ears import Deaf, Ears
from longline.agentkit.line import Digit, Frame, HeldBack, LineEvent, Over, SpeechEnded, SpeechStarted
from longline.agentkit.phrases import Phrases
from longline.agentkit.ports import ProviderError, Transcript
from longline.agentkit.report import Report
from longline.agentkit.session import CallSession
from longline.agentkit.turns.asides import Asides
from longline.agentkit.turns.barge_in import BargeIn, Decision, State
from longline.agentkit.turns.endpointing import Endpointer, TurnOver
from longline.agentkit.waterfall import Step, Waterfall

if TYPE_CHECKING:
    from longline.agentkit.agent import VoiceAgent

FINAL_WITHIN_S: Final = 0.6
"""How long a turn that is over waits for the last words of it."""
WORDS_OF_S: Final = 0.4
"""Of a voice so long words are expected: when none come, the caller is told so. What is shorter may be a noise."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Answered:
    answer: Answer


_Input = LineEvent | Transcript | Deaf | _Answered


class Talk:
    """`run` returns when the call is over."""

    def __init__(self, agent: VoiceAgent, call: CallSession, conversation: Conversation, phrases: Phrases) -> None:
        self._agent = agent
        self._call = call
        self._phrases = phrases
        self.conversation = conversation
        self.endpointer = Endpointer(agent.turn.endpointing, agent.turn.completeness)
        self.barge_in = BargeIn(agent.turn.barge_in)
        self._asides = Asides()
        self._vad = agent.turn.vad()
        self._inputs: asyncio.Queue[_Input] = asyncio.Queue()
        self._ears = Ears(agent.stt, call.rate_hz, self._inputs.put_nowait)
        self._tasks: set[asyncio.Task[None]] = set()
        self._answer: Answer | None = None
        self._answering: asyncio.Task[None] | None = None
        self._caller_said = ""
        self._over: TurnOver | None = None
        self._final_by: float | None = None
        self._voice_since: float | None = None
        self._voiced_s = 0.0
        """How much voice of the caller has not been understood yet."""
        self._quiet_since: float | None = None
        self._prompts = list(agent.silence)
        self._clock = AudioClock()
        self._turns = itertools.count(1)

    async def run(self) -> None:
        self._begin(self._read_line())
        self._begin(self._ears.run())
        await self._phrases.prepare(self._agent.tts, self._call.rate_hz)
        if self._agent.greeting:
            self._say(self._agent.greeting)
        try:
            while self._call.over is None:
                due = self._due()
                wait = None if due is None else max(0.0, due - self._now())
                given: _Input | None = None
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(wait):
                        given = await self._inputs.get()
                if given is not None:
                    self._take(given)
                self._decide()
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            if self._answer is not None:
                self._settle(self._answer, was_interrupted=True)

    # Inputs.

    def _take(self, given: _Input) -> None:
        match given:
            case Frame():
                self._hear(given)
            case Transcript():
                self._understand(given)
            case Digit(digit):
                self._take_turn(f"[pressed {digit}]", self._now())
            case SpeechStarted(utterance_id, at_ms, waited_ms):
                self.barge_in.agent_speaks()
                self.endpointer.answered()
                if self._answer is not None and self._answer.says(utterance_id):
                    now = self._now()
                    self._answer.waterfall.waited(waited_ms / 1000)
                    self._answer.waterfall.tell(Step.HEARD, now if at_ms is None else min(now, self._clock.at(at_ms)))
            case SpeechEnded():
                if self._answer is None or not self._answer.is_speaking:
                    self._do(self.barge_in.agent_silent())
                    self._quiet_since = self._now()
                if self._answer is None:
                    self._answer_aside()
            case HeldBack(True, "barge_in"):
                self.barge_in.line_held(self._now())
            case HeldBack(False, "timeout"):
                self.barge_in.line_went_on()
            case _Answered(answer) if answer is self._answer:
                self._answer = self._answering = None
                self._settle(answer, was_interrupted=False)
                self._answer_aside()
            case Deaf():
                self._is_deaf(given)
            case _:
                pass

    def _hear(self, frame: Frame) -> None:
        now = self._now()
        self._clock.heard(frame.at_ms + len(frame.pcm) * 500 / self._call.rate_hz, now)
        self._ears.hear(frame.pcm)
        change = self._vad.hear(frame.pcm, self._call.rate_hz, frame.at_ms)
        if change is None:
            return
        kind, at_ms = change
        at = self._clock.at(at_ms)
        if kind == "started":
            self._quiet_since, self._voice_since = None, at
            if self.endpointer.speech_started(at) is not None:
                self._go_on_with_turn()
            self._do(self.barge_in.speech_started(now))
        else:
            if self._voice_since is not None:
                self._voiced_s += at - self._voice_since
                self._voice_since = None
            self.endpointer.speech_stopped(at)
            self._do(self.barge_in.speech_stopped(now))

    def _understand(self, transcript: Transcript) -> None:
        if self._over is not None:  # the last words of a turn that is over
            self._caller_said = transcript.text if transcript.is_final else self._caller_said or transcript.text
            if transcript.is_final:
                self._finish_turn(f"{self._over.final} {transcript.text}".strip())
            return
        self.endpointer.transcript(transcript.text, is_final=transcript.is_final)
        self._do(self.barge_in.transcript(transcript.text, is_final=transcript.is_final))

    # Decisions.

    def _due(self) -> float | None:
        dues = [self.endpointer.deadline, self.barge_in.deadline, self._final_by, self._silence_due()]
        return min((due for due in dues if due is not None), default=None)

    def _silence_due(self) -> float | None:
        if self._quiet_since is None or self._answering is not None or not self._agent.silence:
            return None
        return self._quiet_since + self._agent.silence_s

    def _decide(self) -> None:
        now = self._now()
        self._do(self.barge_in.decide(now))
        over = self.endpointer.decide(now)
        if over is not None:
            self._over, self._final_by = over, now + FINAL_WITHIN_S
            self._ears.end_turn()
        if self._final_by is not None and now >= self._final_by and self._over is not None:
            self._go_without_final(now, self._over)
        silent = self._silence_due()
        if silent is not None and now >= silent:
            self._break_silence()

    def _do(self, decision: Decision | None) -> None:
        if decision is Decision.PAUSE:
            self._call.pause()
        elif decision is Decision.RESUME:
            self._call.resume()
        elif decision is Decision.CLEAR:
            self._stop_answer()

    def _stop_answer(self) -> Answer | None:
        """What was heard of it is told by the line a moment later."""
        self._call.interrupt()
        self.barge_in.cut()
        answer, self._answer = self._answer, None
        if self._answering is not None:
            self._answering.cancel()
            self._answering = None
        if answer is not None:
            self._begin(self._settle_when_told(answer))
        return answer

    async def _settle_when_told(self, answer: Answer) -> None:
        await answer.silent()
        self._settle(answer, was_interrupted=True)

    def _break_silence(self) -> None:
        self._quiet_since = None
        if self._prompts:
            self._say(self._prompts.pop(0))
        else:
            self._call.hang_up()

    # Turns.

    def _go_without_final(self, now: float, over: TurnOver) -> None:
        """The transcriber is late. What it has said so far is the turn; if that is nothing, it is waited for as long as
        any provider is, and the caller is told."""
        text = f"{over.final} {self._caller_said}".strip() if self._caller_said else over.text
        waited_s, patience = now - over.at, self._agent.patience
        if text or self._voiced_s < WORDS_OF_S or waited_s >= patience.all_s:
            if not text and self._voiced_s >= WORDS_OF_S:
                self._apologise()
            self._finish_turn(text)
        else:
            if waited_s >= patience.first_s:
                self._call.play(self._phrases.sounds.get(self._phrases.wait, b""), self._phrases.wait)
            next_s = patience.first_s if waited_s < patience.first_s else patience.all_s
            self._final_by = over.at + next_s

    def _is_deaf(self, deaf: Deaf) -> None:
        """Who has just said something is told; else it is mended without a word."""
        _log.warning("call %s: %s", self._call.info.call_id, deaf.error)
        if deaf.for_good:
            self._call.play(self._phrases.sounds.get(self._phrases.goodbye, b""), self._phrases.goodbye)
            self._begin(self._hang_up_when_said())
        elif self._over is not None or self._voice_since is not None or self._voiced_s >= WORDS_OF_S:
            self._apologise()
            self._over = self._final_by = None
            self._caller_said, self._voiced_s = "", 0.0

    def _apologise(self) -> None:
        self._call.play(self._phrases.sounds.get(self._phrases.sorry, b""), self._phrases.sorry)

    async def _hang_up_when_said(self) -> None:
        await self._call.said()
        self._call.hang_up()

    def _finish_turn(self, text: str) -> None:
        over, self._over, self._final_by, self._caller_said = self._over, None, None, ""
        self._voiced_s = 0.0
        agent_speaks = self.barge_in.state is not State.LISTENING
        if not text:  # A noise: who waited for the caller to speak still does.
            self._quiet_since = self._quiet_since if agent_speaks else self._now()
        elif over is not None and self._asides.takes(text, over, agent_speaks=agent_speaks):
            self._do(self.barge_in.transcript(text, is_final=True))
        elif over is not None:
            self._take_turn(text, over.spoke_until, over.at)

    def _answer_aside(self) -> None:
        """The agent has said all: what was said aside just before may have been the answer."""
        if (aside := self._asides.agent_silent(self._now())) is not None:
            self._take_turn(aside.text, aside.spoke_until, aside.at)

    def _go_on_with_turn(self) -> None:
        """The turn was not over: what was begun of an answer to it is forgotten."""
        self._over = self._final_by = None
        answer = self._stop_answer()
        if answer is not None:
            answer.forget()
            if self.conversation.turns and self.conversation.turns[-1].role == "caller":
                self.conversation.turns.pop()

    def _take_turn(self, text: str, spoke_until: float, over_at: float | None = None) -> None:
        if self._answering is not None:
            self._stop_answer()
        now = self._now()
        waterfall = Waterfall()
        waterfall.tell(Step.END_OF_SPEECH, spoke_until)
        waterfall.tell(Step.ENDPOINT, over_at if over_at is not None else now)
        waterfall.tell(Step.TRANSCRIPT, now)
        self.conversation.add(Turn("caller", text, spoke_until))
        self._prompts = list(self._agent.silence)
        self._answer = Answer(
            self._call,
            self.conversation,
            self._agent.llm,
            self._agent.tts,
            tools=self._agent.tools,
            phrases=self._phrases,
            patience=self._agent.patience,
            waterfall=waterfall,
            question=text,
        )
        self._answering = self._begin(self._run_answer(self._answer))

    async def _run_answer(self, answer: Answer) -> None:
        await answer.run()
        self._inputs.put_nowait(_Answered(answer))

    def _settle(self, answer: Answer, *, was_interrupted: bool) -> None:
        answer.settle(was_interrupted=was_interrupted)
        self._quiet_since = self._now()
        if answer.is_forgotten:
            return
        failure = None if answer.failure is None else str(answer.failure)
        report = Report(
            answer.question,
            answer.text,
            answer.heard,
            was_interrupted,
            answer.waterfall,
            next(self._turns),
            failure,
            self._call.info.call_id,
        )
        self._call.keep_turn(report)
        if self._agent.report is not None:
            self._agent.report(report)

    def _say(self, text: str) -> None:
        """Words of the agent's own, which the model is told of."""
        self._begin(self._speak(text))

    async def _speak(self, text: str) -> None:
        turn = self.conversation.add(Turn("agent", text, self._now()))
        utterance = self._call.begin(text)
        try:
            async for sound in self._agent.tts.say(text):
                self._call.add(utterance, sound.pcm)
        except ProviderError as error:
            _log.warning("call %s: %s", self._call.info.call_id, error)
        self._call.finish(utterance)
        await utterance.ended
        turn.heard = text if not utterance.was_cut else ""

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    # Tasks.

    async def _read_line(self) -> None:
        async for event in self._call:
            self._inputs.put_nowait(event)
            if isinstance(event, Over):
                return

    def _begin(self, work: object) -> asyncio.Task[None]:
        task: asyncio.Task[None] = asyncio.create_task(work)  # type: ignore[arg-type]
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
