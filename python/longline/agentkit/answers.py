"""What an agent says in a call: the answer of now, the one before it that is being settled, and one that is begun on a
guess. Each that was an answer to something is reported when it is over.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from longline.agentkit.answer import Answer, Says
from longline.agentkit.conversation import Conversation, Turn
from longline.agentkit.ports import LanguageModel, ProviderError
from longline.agentkit.report import Report
from longline.agentkit.session import CallSession
from longline.agentkit.tasks import Tasks
from longline.agentkit.turns.guessing import Guess, Guesser
from longline.agentkit.waterfall import Waterfall

if TYPE_CHECKING:
    from longline.agentkit.agent import VoiceAgent

SUMMARY_WITHIN_S: Final = 30.0
_log = logging.getLogger(__name__)


class Answers:
    """`tell` gets each answer that has been given to its end: it is then to be `ended`."""

    def __init__(
        self, agent: VoiceAgent, call: CallSession, conversation: Conversation, tell: Callable[[Answer], None]
    ) -> None:
        self._call = call
        self._conversation = conversation
        self._tell = tell
        self._tasks = Tasks()
        self._tools = Tasks()
        """They outlive the answers that want them, and the call."""
        self._settling: asyncio.Task[None] | None = None
        self._summary: asyncio.Task[None] | None = None
        self._guess: tuple[Answer, asyncio.Task[None]] | None = None
        self._task: asyncio.Task[None] | None = None
        self._numbers = itertools.count(1)
        self.current: Answer | None = None
        self.take_over(agent)

    def take_over(self, agent: VoiceAgent) -> None:
        """This agent gives the answers from now on."""
        self._cancel_guess()
        self._agent = agent
        self._guesser = Guesser(agent.turn.guesses)

    @property
    def is_busy(self) -> bool:
        """An answer is being thought of or given, or a tool still runs."""
        return self._task is not None or bool(self._tools)

    def begin(
        self,
        waterfall: Waterfall | None = None,
        *,
        question: str = "",
        llm: LanguageModel | None = None,
        is_interruptible: bool = True,
        waits: bool = False,
    ) -> None:
        """An answer, by `llm` in place of the agent's model. `waits`: the one of now is said to its end before."""
        answer = Answer(
            self._agent,
            self._call,
            self._conversation,
            waterfall or Waterfall(),
            keep=self._tools.begin,
            llm=llm,
            question=question,
            after=self._task if waits else self._settling,
            is_interruptible=is_interruptible,
        )
        self.current, self._task = answer, self._tasks.begin(self._run(answer))

    def say(self, text: str, *, is_interruptible: bool = True) -> None:
        """Words of the agent's own, which the model is told of."""
        self.begin(llm=Says(text), is_interruptible=is_interruptible)

    def stop(self) -> Answer | None:
        """What was heard of it is told by the line a moment later."""
        answer, self.current = self.current, None
        if self._task is not None:
            self._task.cancel()
            self._task = None
        if answer is not None:
            self._settling = self._tasks.begin(self._settle_when_told(answer))
        return answer

    def ended(self, answer: Answer) -> bool:
        """It was given to its end. False: it was stopped before that was known."""
        if answer is self.current:
            self.current = self._task = None
        elif answer.is_settled or answer.is_forgotten:
            return False
        self._settle(answer, was_interrupted=False)
        return True

    async def over(self) -> None:
        """The call is over: nobody is answered, and tools that run on end."""
        try:
            await self._tasks.cancel()
            await self._tools.done()
        finally:
            await self._tools.cancel()
            if self.current is not None:
                self._settle(self.current, was_interrupted=True)

    # Guesses.

    def guess(self, text: str, finished: float | None, *, is_speaking: bool) -> None:
        """These are the words so far: whether to begin an answer to them, or to drop the one that was begun."""
        is_settled = self._settling is None or self._settling.done()
        if self.current is not None or not is_settled or not getattr(self._agent.llm, "may_be_guessed", True):
            return
        guess = self._guesser.understood(text, finished, is_speaking=is_speaking)
        if guess is not None:
            self._cancel_guess()
        if guess is Guess.BEGIN:
            fork = self._conversation.fork()
            fork.add(Turn("caller", text, asyncio.get_running_loop().time()))
            answer = Answer(self._agent, self._call, fork, Waterfall(), keep=self._tools.begin, is_held=True)
            self._guess = answer, self._tasks.begin(self._run(answer))

    def keep_guess(self, text: str, waterfall: Waterfall) -> bool:
        """The turn is over: what was guessed is the answer, or (False) it was wrong, or has failed, and is dropped."""
        is_right = self._guesser.is_right(text)
        if self._guess is None or not is_right or self._guess[0].failure is not None or self._task is not None:
            self._cancel_guess()
            return False
        (answer, task), self._guess = self._guess, None
        answer.waterfall.at = waterfall.at | answer.waterfall.at
        answer.question = text
        answer.keep(self._conversation)
        self._conversation.amend(text)
        self.current, self._task = answer, task
        return True

    def drop_guess(self) -> None:
        """There was no turn."""
        self._cancel_guess()
        self._guesser.drop()

    def _cancel_guess(self) -> None:
        if self._guess is not None:
            self._guess[1].cancel()
            self._guess = None

    # What becomes of an answer.

    async def _run(self, answer: Answer) -> None:
        await answer.run()
        self._tell(answer)

    async def _settle_when_told(self, answer: Answer) -> None:
        await answer.speech.silent()
        self._settle(answer, was_interrupted=True)

    def _settle(self, answer: Answer, *, was_interrupted: bool) -> None:
        answer.settle(was_interrupted=was_interrupted)
        if answer.is_forgotten or not answer.question:
            return
        failure = None if answer.failure is None else str(answer.failure)
        report = Report(
            answer.question,
            answer.text,
            answer.heard,
            was_interrupted,
            answer.waterfall,
            next(self._numbers),
            failure,
            self._call.info.call_id,
        )
        self._call.keep_turn(report)
        self._tell_report(report)
        if self._conversation.wants_summary and (self._summary is None or self._summary.done()):
            self._summary = self._tasks.begin(self._summarise())

    def _tell_report(self, report: Report) -> None:
        """Who only looks on ends no call."""
        if self._agent.report is not None:
            try:
                self._agent.report(report)
            except Exception:
                _log.exception("call %s: report failed", self._call.info.call_id)

    async def _summarise(self) -> None:
        """What leaves the memory is worked into its summary; when that fails, it waits for the next turn."""
        try:
            async with asyncio.timeout(SUMMARY_WITHIN_S):
                await self._conversation.summarise()
        except (ProviderError, TimeoutError) as error:
            _log.warning("call %s: no summary: %s", self._call.info.call_id, error or "too slow")
