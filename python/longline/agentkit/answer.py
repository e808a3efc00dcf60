"""One answer of the agent: the model's words made into sound as they come, said, and known as far as they were heard.

    model → sentences → synthesiser → line          each joint streams; nothing waits for the whole

Tools are run between the model's turns. A provider that fails or stalls is told to the caller by a sentence that was
made before (`Phrases`): a call never dies in silence. To interrupt an answer its task is cancelled; `heard` is then
what was heard of it.

An answer may be begun on a guess, before the caller's turn is over. It is then held: its words and its first sounds
are made, but nothing is heard, no tool is run, and the conversation that it speaks of is a copy, until `keep`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from longline.agentkit.conversation import Conversation, Turn
from longline.agentkit.ports import LanguageModel, ProviderError, Tool, ToolCall
from longline.agentkit.sentences import Sentences
from longline.agentkit.session import CallSession
from longline.agentkit.speech import Speech
from longline.agentkit.tool_runs import Keep, ToolRuns
from longline.agentkit.tools import HandOver, HangUp, Outcome
from longline.agentkit.voice import closed
from longline.agentkit.waterfall import Step, Waterfall

if TYPE_CHECKING:
    from longline.agentkit.agent import VoiceAgent

MAX_ROUNDS: Final = 6
"""Rounds of tools in one answer; after the last the model is not asked again."""
MAX_ARGUMENTS: Final = 8_000
"""Characters of a tool call's arguments that the conversation keeps; of longer ones it keeps none."""
_SENTENCES_AHEAD: Final = 4
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds: after `first_s` without a sound the caller is asked for patience, after `all_s` it has failed."""

    first_s: float = 4.0
    all_s: float = 12.0


class Says:
    """A model that says what it was given: a greeting, a prompt."""

    def __init__(self, text: str) -> None:
        self._text = text

    async def reply(self, conversation: Conversation, tools: Sequence[Tool]) -> AsyncIterator[str | ToolCall]:
        yield self._text


class Answer:
    """`run` is its task. `llm`: in place of the agent's. `after` is waited for first: the conversation is not complete
    before. `keep` makes a task that outlives the answer, for tools that run on."""

    def __init__(
        self,
        agent: VoiceAgent,
        call: CallSession,
        conversation: Conversation,
        waterfall: Waterfall,
        *,
        keep: Keep,
        llm: LanguageModel | None = None,
        question: str = "",
        after: asyncio.Task[None] | None = None,
        is_held: bool = False,
        is_interruptible: bool = True,
    ) -> None:
        self._agent = agent
        self._call = call
        self._conversation = conversation
        self._llm = llm if llm is not None else agent.llm
        self._patience = agent.patience
        self._after = after
        self._turns: list[tuple[Turn, int]] = []
        self.waterfall = waterfall
        self.is_interruptible = is_interruptible
        self.question = question
        """What the caller said."""
        self.is_forgotten = False
        self.is_settled = False
        self.failure: ProviderError | None = None
        self.outcome: Outcome | None = None
        self.has_acted = False
        """A tool was run: what was asked for cannot be taken back."""
        self.speech = Speech(
            call,
            agent.tts,
            waterfall,
            is_interruptible=is_interruptible,
            is_held=is_held,
            sounds_early=agent.turn.guesses.sounds,
            within_s=agent.patience.all_s,
        )
        self._runs = ToolRuns(agent.tools, call, self.speech, within_s=agent.patience.all_s, keep=keep)

    @property
    def text(self) -> str:
        """What was said, or was to be."""
        return self.speech.text

    @property
    def heard(self) -> str:
        return self.speech.heard

    @property
    def is_speaking(self) -> bool:
        return self.speech.is_speaking

    def says(self, utterance_id: str) -> bool:
        """Words of the answer itself."""
        return any(said.utterance is not None and said.utterance.id == utterance_id for said in self.speech.said)

    async def run(self) -> None:
        """Until all of it has been heard. Never raises for what a provider does."""
        if self._after is not None:
            await asyncio.wait([self._after])
        try:
            for _ in range(MAX_ROUNDS):
                calls = await self._round()
                if not calls:
                    break
                await self._run_tools(calls)
                if self.outcome is not None:
                    await self._conclude(self.outcome)
                    break
        except Exception as error:
            self.failure = _fault(error)
            _log.warning("call %s: %s", self._call.info.call_id, self.failure)
            await self.speech.released.wait()
            self._agent.phrases.play(self._call, self._agent.phrases.sorry)
        await self.speech.released.wait()
        await self.speech.all_heard()

    def keep(self, conversation: Conversation) -> None:
        """The guess was right: it may be heard, and belongs to the conversation."""
        conversation.adopt(self._conversation)
        self._conversation = conversation
        self.speech.release()

    def forget(self) -> None:
        """It was never given."""
        self.is_forgotten = True
        for turn, _ in self._turns:
            with contextlib.suppress(ValueError):
                self._conversation.turns.remove(turn)
        self._turns = []

    def settle(self, *, was_interrupted: bool) -> None:
        """Tell the conversation what was heard, once `run` is over and its utterances have ended."""
        self.is_settled = True
        said = self.speech.said
        ends = [*(begin for _, begin in self._turns), len(said)][1:]
        for (turn, begin), end in zip(self._turns, ends, strict=True):
            part = said[begin:end]
            turn.text = turn.text or " ".join(each.text for each in part)
            heard = " ".join(text for each in part if (text := each.heard))
            self._conversation.heard_by_caller(turn, heard, was_interrupted=was_interrupted and heard != turn.text)

    # One turn of the model.

    async def _round(self) -> list[ToolCall]:
        turn = Turn("agent", "", self._now())
        first = len(self.speech.said)
        sentences: asyncio.Queue[str | None] = asyncio.Queue(_SENTENCES_AHEAD)
        calls: list[ToolCall] = []
        async with asyncio.timeout(self._patience.all_s) as limit, _patient(self._wait, self._patience.first_s):

            async def think() -> None:
                splitter = Sentences()
                reply = self._llm.reply(self._conversation, tuple(self._agent.tools))
                try:
                    async for piece in reply:
                        self.waterfall.tell(Step.FIRST_TOKEN, self._now())
                        if not self._turns or self._turns[-1][0] is not turn:
                            # Not before: what the model was told does not end in its own silence.
                            self._turns.append((self._conversation.add(turn), first))
                        limit.reschedule(self._now() + self._patience.all_s)
                        if isinstance(piece, ToolCall):
                            calls.append(piece)
                            continue
                        for sentence in splitter.add(piece):
                            await sentences.put(sentence)
                    if rest := splitter.rest():
                        await sentences.put(rest)
                    await sentences.put(None)
                finally:
                    await closed(reply)

            thinking = asyncio.create_task(think())
            try:
                while (sentence := await _next(sentences, thinking)) is not None:
                    if self.speech.is_held:
                        limit.reschedule(None)  # how long the caller takes is none of a provider's faults
                    await self.speech.say(sentence)
                    limit.reschedule(self._now() + self._patience.all_s)
            finally:
                thinking.cancel()
                await asyncio.gather(thinking, return_exceptions=True)
        turn.text = " ".join(said.text for said in self.speech.said[first:])
        if calls:
            turn.more = {"tool_calls": [_told(call) for call in calls]}
        return calls

    async def _run_tools(self, calls: Sequence[ToolCall]) -> None:
        await self.speech.released.wait()  # what it does cannot be taken back
        self.has_acted = True
        async with _patient(self._wait, self._patience.first_s):
            await self._runs.run(calls, self._conversation)
        self.outcome = self._runs.outcome

    async def _conclude(self, outcome: Outcome) -> None:
        """What is left to be said before what has come of a tool is done."""
        says = outcome.says if isinstance(outcome, HandOver | HangUp) else ""
        if says:
            turn = self._conversation.add(Turn("agent", says, self._now()))
            self._turns.append((turn, len(self.speech.said)))
            await self.speech.say(says)

    def _wait(self) -> None:
        if not self.speech.is_held and not self.speech.is_speaking:
            self._agent.phrases.play(self._call, self._agent.phrases.wait)

    def _now(self) -> float:
        return asyncio.get_running_loop().time()


def _fault(error: Exception) -> ProviderError:
    """Also what no provider should raise must not be met with silence."""
    if isinstance(error, ProviderError):
        return error
    if isinstance(error, TimeoutError):
        return ProviderError("a provider", "took too long")
    _log.error("a provider failed as none should", exc_info=error)
    return ProviderError("a provider", f"{type(error).__name__}: {error}")


def _told(call: ToolCall) -> dict[str, Any]:
    arguments = json.dumps(call.arguments, default=str)
    function = {"name": call.name, "arguments": arguments if len(arguments) <= MAX_ARGUMENTS else "{}"}
    return {"id": call.id, "type": "function", "function": function}


async def _next(sentences: asyncio.Queue[str | None], thinking: asyncio.Task[None]) -> str | None:
    """The next sentence, or what has become of the model."""
    getting = asyncio.create_task(sentences.get())
    try:
        await asyncio.wait({getting, thinking}, return_when=asyncio.FIRST_COMPLETED)
        if not getting.done() and thinking.done() and thinking.exception() is not None:
            thinking.result()
        return await getting
    finally:
        getting.cancel()


@contextlib.asynccontextmanager
async def _patient(when_late: Callable[[], Any], after_s: float) -> AsyncIterator[None]:
    """Does something once, when the body takes longer than so many seconds."""
    timer = asyncio.get_running_loop().call_later(after_s, when_late)
    try:
        yield
    finally:
        timer.cancel()
