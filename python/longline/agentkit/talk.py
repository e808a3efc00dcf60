"""One call of an agent: everything that happens comes in by one queue and is taken one at a time.

    frames → voice activity, speech to text → Listening: what the caller says, turn by turn
    the same → Interruptions: whether what is being said pauses, goes on or is stopped
    words so far, turns, keys → Answers: what the agent says to them, begun early on a guess

What they decide is done here; what they decide by stands in `turns/`. The queue is as long as what a busy loop leaves
in it: nothing waits in between.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from longline.agentkit.answer import Answer
from longline.agentkit.answers import Answers
from longline.agentkit.audio_clock import AudioClock
from longline.agentkit.conversation import Conversation, Turn
from longline.agentkit.ears import Deaf, Ears
from longline.agentkit.interruptions import Interruptions
from longline.agentkit.line import Digit, Frame, HeldBack, LineEvent, Over, SpeechEnded, SpeechStarted
from longline.agentkit.ports import Transcript
from longline.agentkit.session import CallSession
from longline.agentkit.tasks import Tasks
from longline.agentkit.tools import HandOver, HangUp, Outcome
from longline.agentkit.turns.asides import Aside
from longline.agentkit.turns.endpointing import Endpointer, Judge
from longline.agentkit.turns.energy import level_db
from longline.agentkit.turns.keys import Entry, KeyEntry
from longline.agentkit.turns.listening import (
    Amended,
    FinalWanted,
    Listening,
    Spoke,
    StillWaiting,
    Told,
    WentOn,
    Wordless,
)
from longline.agentkit.turns.pauses import Pauses
from longline.agentkit.turns.silence import Act, Silence
from longline.agentkit.warm import warm
from longline.agentkit.waterfall import Step, Waterfall

if TYPE_CHECKING:
    from longline.agentkit.agent import VoiceAgent

CALLER: Final = 0
"""The track of who is talked with."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Answered:
    answer: Answer


@dataclass(frozen=True, slots=True)
class _Judged:
    """Somebody has said how finished these words are."""

    text: str
    finished: float | None


@dataclass(frozen=True, slots=True)
class _Keyed:
    """What the application makes of an entry of keys: words for the model, or nothing."""

    text: str | None


_Input = LineEvent | Transcript | Deaf | _Answered | _Judged | _Keyed


class Talk:
    """`run` returns when the call is over."""

    def __init__(self, agent: VoiceAgent, call: CallSession, conversation: Conversation) -> None:
        self._call = call
        self.conversation = conversation
        self._inputs: asyncio.Queue[_Input] = asyncio.Queue()
        self._tasks = Tasks()
        self._answers = Answers(agent, call, conversation, lambda answer: self._inputs.put_nowait(_Answered(answer)))
        self._owed: HandOver | None = None
        """It was interrupted in its last words."""
        self._clock = AudioClock()
        self._take_over(agent, Pauses())

    def _take_over(self, agent: VoiceAgent, pauses: Pauses) -> None:
        """This agent has the call from now on; `pauses` are what is known of the caller's."""
        self._agent = agent
        turn = agent.turn
        self.endpointer = Endpointer(turn.endpointing, turn.completeness, pauses)
        self.listening = Listening(self.endpointer, wait_s=agent.patience.first_s, give_up_s=agent.patience.all_s)
        self._interruptions = Interruptions(
            turn,
            self._call,
            words=lambda: self.listening.text,
            wordless_s=self.listening.wordless_s,
            stop=self._stop_answer,
            give_up_s=agent.patience.all_s,
        )
        self._keys = KeyEntry(turn.keys)
        self._silence = Silence(agent.silence, agent.silence_s)
        self._vad = turn.vad()
        self._ears = Ears(agent.stt, self._call.rate_hz, self._inputs.put_nowait)
        self._tasks.begin(agent.phrases.prepare(agent.tts, self._call.rate_hz))
        self._hearing = self._tasks.begin(self._ears.run())
        self._tasks.begin(warm(agent.llm, agent.tts, agent.stt))

    async def run(self) -> None:
        self._tasks.begin(self._read_line())
        if self._call.voice is None:
            self._call.voice = self._agent.tts
        if self._agent.greeting:
            self._answers.say(self._agent.greeting, is_interruptible=self._agent.greeting_interruptible)
        try:
            while self._call.over is None:
                due = self._due()
                given: _Input | None = None
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout_at(due):
                        given = await self._inputs.get()
                if given is not None:
                    self._take(given)
                self._decide()
        finally:
            await self._tasks.cancel()
            await self._answers.over()

    # Inputs.

    def _take(self, given: _Input) -> None:
        match given:
            case Frame():
                if given.track == CALLER:
                    self._hear(given)
            case Transcript():
                self._understand(given)
            case Digit(digit):
                self._press(digit)
            case SpeechStarted(utterance_id, at_ms, waited_ms):
                self._is_heard(utterance_id, at_ms, waited_ms)
            case SpeechEnded():
                if self._answers.current is None or not self._answers.current.is_speaking:
                    self._interruptions.agent_silent()
            case HeldBack():
                self._interruptions.held(given)
            case _Answered(answer):
                self._has_answered(answer)
            case _Judged(text, finished):
                self.endpointer.judged(text, finished)
                self._guess()
            case _Keyed(str(text)):
                self._take_turn(text, self._now())
            case Deaf():
                self._is_deaf(given)
            case _:
                pass

    def _hear(self, frame: Frame) -> None:
        length_ms = len(frame.pcm) * 500 / self._call.rate_hz
        self._clock.heard(frame.at_ms + length_ms, self._now(), is_late=frame.is_late)
        self._ears.hear(frame.pcm)
        self._interruptions.hear(level_db(frame.pcm), length_ms)
        change = self._vad.hear(frame.pcm, self._call.rate_hz, frame.at_ms)
        if change is None:
            self._interruptions.voice(None, is_voiced=self.listening.is_voiced)
            return
        kind, at_ms = change
        if self._answers.current is not None and self._answers.current.has_acted:
            self.endpointer.answered()  # what it did cannot be taken back: that turn was one
        self._obey(self.listening.voice(kind, self._clock.at(at_ms)))
        self._interruptions.voice(kind, is_voiced=self.listening.is_voiced)
        if kind == "stopped":
            self._words_changed()

    def _understand(self, transcript: Transcript) -> None:
        text, is_final = transcript.text, transcript.is_final
        told = self.listening.transcript(text, is_final=is_final, now=self._now())
        self._obey(told)
        if not told:
            if text:
                self._interruptions.voice(None, is_voiced=self.listening.is_voiced)
            self._interruptions.transcript(text, is_final=is_final)
            self._words_changed()

    def _is_heard(self, utterance_id: str, at_ms: float | None, waited_ms: float) -> None:
        self._interruptions.agent_speaks()
        self.endpointer.answered()
        answer = self._answers.current
        if answer is not None and answer.says(utterance_id):
            now = self._now()
            answer.waterfall.waited(waited_ms / 1000)
            answer.waterfall.tell(Step.HEARD, now if at_ms is None else min(now, self._clock.at(at_ms)))

    def _press(self, digit: str) -> None:
        if self._agent.turn.keys.interrupt and self._interruptions.are_allowed and self._call.speaking is not None:
            self._stop_answer()
        entry = self._keys.press(digit, self._now())
        if entry is not None:
            self._key_in(entry)

    def _key_in(self, entry: Entry) -> None:
        self._silence.answered()
        if self._agent.on_keys is None:
            self._take_turn(f"[pressed {entry.keys or self._agent.turn.keys.ends}]", self._now())
        else:
            self._tasks.begin(self._ask_for_keys(entry))

    async def _ask_for_keys(self, entry: Entry) -> None:
        assert self._agent.on_keys is not None
        try:
            text = self._agent.on_keys(self._call, entry.keys)
            self._inputs.put_nowait(_Keyed(await text if inspect.isawaitable(text) else text))
        except Exception:
            _log.exception("call %s: on_keys failed", self._call.info.call_id)
            self._apologise()

    # Decisions.

    def _due(self) -> float | None:
        dues = [
            self.listening.deadline,
            self._interruptions.deadline,
            self._keys.deadline,
            self._silence.deadline,
        ]
        return min((due for due in dues if due is not None), default=None)

    def _decide(self) -> None:
        now = self._now()
        self._interruptions.decide(now)
        self._obey(self.listening.decide(now))
        entry = self._keys.decide(now)
        if entry is not None:
            self._key_in(entry)
        if self._agent.silence:
            self._silence.tell(self._is_quiet, now)
            prompt = self._silence.decide(now)
            if isinstance(prompt, str):
                self._answers.say(prompt)
            elif prompt is Act.HANG_UP:
                self._call.hangup()

    @property
    def _is_quiet(self) -> bool:
        """Nobody says anything, or is about to."""
        is_idle = self.listening.is_idle or self._interruptions.is_nobody
        return is_idle and not self._answers.is_busy and not self._call.is_speaking

    def _obey(self, told: list[Told]) -> None:
        for each in told:
            match each:
                case FinalWanted():
                    self._ears.end_turn()
                case Spoke(text, until, over_at):
                    self._spoke(text, until, over_at)
                case Wordless(has_failed):
                    self._answers.drop_guess()
                    self._interruptions.nothing_said()
                    if has_failed:
                        self._apologise()
                case StillWaiting():
                    self._agent.phrases.play(self._call, self._agent.phrases.wait)
                case WentOn():
                    self._went_on()
                case Amended(text):
                    self.conversation.amend(text)

    # What the caller says.

    def _spoke(self, text: str, until: float, over_at: float) -> None:
        if self._interruptions.said_aside(Aside(text, until, over_at)):
            self._answers.drop_guess()
        else:
            self._take_turn(text, until, over_at)

    def _take_turn(self, text: str, spoke_until: float, over_at: float | None = None) -> None:
        now = self._now()
        self._silence.answered()
        waterfall = Waterfall()
        waterfall.tell(Step.END_OF_SPEECH, spoke_until)
        waterfall.tell(Step.ENDPOINT, over_at if over_at is not None else now)
        waterfall.tell(Step.TRANSCRIPT, now)
        self._hand_over_if_owed()
        if self._answers.keep_guess(text, waterfall):
            return
        waits = not self._interruptions.are_allowed
        if not waits and (self._answers.current is not None or self._call.is_speaking):
            self._stop_answer()
            self._hand_over_if_owed()
        self.conversation.add(Turn("caller", text, spoke_until))
        self._answers.begin(waterfall, question=text, waits=waits)

    def _went_on(self) -> None:
        """The turn was not over: what was begun of an answer to it is forgotten."""
        self._answers.drop_guess()
        answer = self._stop_answer()
        if answer is not None:
            answer.forget()
            if self.conversation.turns and self.conversation.turns[-1].role == "caller":
                self.conversation.turns.pop()

    def _is_deaf(self, deaf: Deaf) -> None:
        """Who has just said something is told; else it is mended without a word."""
        _log.warning("call %s: %s", self._call.info.call_id, deaf.error)
        if deaf.for_good:
            self._agent.phrases.play(self._call, self._agent.phrases.goodbye)
            self._tasks.begin(self._hang_up_when_said())
        elif self.listening.deaf():
            self._answers.drop_guess()
            self._apologise()

    def _apologise(self) -> None:
        self._agent.phrases.play(self._call, self._agent.phrases.sorry)

    async def _hang_up_when_said(self) -> None:
        await self._call.said()
        self._call.hangup()

    def _words_changed(self) -> None:
        self._guess()
        judge, text = self._agent.turn.judge, self.listening.text
        if judge is not None and text and not self.endpointer.is_speaking:
            self._tasks.begin(self._judge(judge, text))

    async def _judge(self, judge: Judge, text: str) -> None:
        try:
            self._inputs.put_nowait(_Judged(text, await judge(text)))
        except Exception:
            _log.exception("call %s: the judge of the end of turns failed", self._call.info.call_id)

    def _guess(self) -> None:
        words, finished = self.listening.text, self.endpointer.finished
        self._answers.guess(words, finished, is_speaking=self.endpointer.is_speaking)

    # Answers.

    def _stop_answer(self) -> Answer | None:
        self._call.interrupt()
        self._interruptions.stopped()
        answer = self._answers.stop()
        if answer is not None and isinstance(answer.outcome, HandOver):
            self._owed = answer.outcome  # the model knows of it: another agent answers what the caller says now
        return answer

    def _has_answered(self, answer: Answer) -> None:
        if not self._answers.ended(answer):
            return
        if answer.outcome is not None:
            self._conclude(answer.outcome)
        elif self._answers.current is None and (aside := self._interruptions.agent_done()) is not None:
            self._take_turn(aside.text, aside.until, aside.over_at)

    def _conclude(self, outcome: Outcome) -> None:
        if isinstance(outcome, HangUp):
            self._call.hangup()
        elif isinstance(outcome, HandOver):
            self._hand_over(outcome)
            if outcome.greets:
                self._answers.say(outcome.greets)
            else:
                self._answers.begin()

    def _hand_over(self, outcome: HandOver) -> None:
        self._owed = None
        self._hearing.cancel()
        self._call.voice = outcome.agent.tts
        self.conversation.instructions = outcome.agent.instructions
        self._answers.take_over(outcome.agent)
        self._take_over(outcome.agent, self.endpointer.pauses)

    def _hand_over_if_owed(self) -> None:
        if self._owed is not None:
            self._hand_over(self._owed)

    # Tasks.

    async def _read_line(self) -> None:
        async for event in self._call:
            self._inputs.put_nowait(event)
            if isinstance(event, Over):
                return

    def _now(self) -> float:
        return asyncio.get_running_loop().time()
