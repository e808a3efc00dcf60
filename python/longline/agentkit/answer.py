"""One answer of the agent: the model's words made into sound as they come, said, and known as far as they were heard.

    model → sentences → synthesiser → line          each joint streams; nothing waits for the whole

Tools are run between the model's turns. A provider that fails or stalls is told to the caller by a sentence that was
made before (`Phrases`): a call never dies in silence. To interrupt an answer its task is cancelled; `heard` is then
what was heard of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import json
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from longline.agentkit.conversation import Conversation, Turn
from longline.agentkit.heard import WordEnd, heard_text
from longline.agentkit.phrases import Phrases
from longline.agentkit.ports import LanguageModel, ProviderError, Sound, TextToSpeech, Tool, ToolCall
from longline.agentkit.resample import Resampler
from longline.agentkit.sentences import Sentences
from longline.agentkit.session import CallSession
from longline.agentkit.utterance import Utterance
from longline.agentkit.waterfall import Step, Waterfall

MAX_ROUNDS: Final = 6
"""Rounds of tools in one answer; after the last the model is not asked again."""
MAX_TOOL_RESULT: Final = 4_000
_SENTENCES_AHEAD: Final = 4
_TOLD_WITHIN_S: Final = 1.0
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds: after `first_s` without a sound the caller is asked for patience, after `all_s` it has failed."""

    first_s: float = 4.0
    all_s: float = 12.0


@dataclass(slots=True)
class _Said:
    """A sentence, the utterance that says it, and where its words end."""

    text: str
    utterance: Utterance
    ends: list[WordEnd] = field(default_factory=list)

    @property
    def heard(self) -> str:
        if self.utterance.is_over and not self.utterance.was_cut:
            return self.text
        return heard_text(self.text, self.utterance.said_ms, self.utterance.heard_ms, self.ends or None)


class Answer:
    """`run` is its task."""

    def __init__(
        self,
        call: CallSession,
        conversation: Conversation,
        llm: LanguageModel,
        tts: TextToSpeech,
        *,
        tools: Sequence[Tool] = (),
        phrases: Phrases,
        patience: Patience,
        waterfall: Waterfall,
        question: str = "",
    ) -> None:
        self._call = call
        self._conversation = conversation
        self._llm = llm
        self._tts = tts
        self._tools = {tool.name: tool for tool in tools}
        self._phrases = phrases
        self._patience = patience
        self._said: list[_Said] = []
        self._turns: list[tuple[Turn, int]] = []
        self.waterfall = waterfall
        self.question = question
        """What the caller said."""
        self.is_forgotten = False
        self.failure: ProviderError | None = None

    @property
    def text(self) -> str:
        """What was said, or was to be."""
        return " ".join(said.text for said in self._said)

    @property
    def heard(self) -> str:
        return " ".join(heard for said in self._said if (heard := said.heard))

    def says(self, utterance_id: str) -> bool:
        """Words of the answer itself."""
        return any(said.utterance.id == utterance_id for said in self._said)

    @property
    def is_speaking(self) -> bool:
        return any(not said.utterance.is_over for said in self._said)

    async def run(self) -> None:
        """Until all of it has been heard. Never raises for what a provider does."""
        try:
            for _ in range(MAX_ROUNDS):
                calls = await self._round()
                if not calls:
                    break
                await asyncio.gather(*(self._run_tool(call) for call in calls))
        except Exception as error:
            self.failure = _fault(error)
            _log.warning("call %s: %s", self._call.info.call_id, self.failure)
            self._say_prepared(self._phrases.sorry)
        for said in list(self._said):
            await said.utterance.ended

    async def silent(self) -> None:
        """Wait, not long, until the line has told what became of all that was said."""
        waiting = [said.utterance.ended for said in self._said]
        if waiting:
            await asyncio.wait(waiting, timeout=_TOLD_WITHIN_S)

    def forget(self) -> None:
        """It was never given."""
        self.is_forgotten = True
        for turn, _ in self._turns:
            with contextlib.suppress(ValueError):
                self._conversation.turns.remove(turn)
        self._turns = []

    def settle(self, *, was_interrupted: bool) -> None:
        """Tell the conversation what was heard, once `run` is over and its utterances have ended."""
        ends = [*(begin for _, begin in self._turns), len(self._said)][1:]
        for (turn, begin), end in zip(self._turns, ends, strict=True):
            part = self._said[begin:end]
            turn.text = turn.text or " ".join(said.text for said in part)
            heard = " ".join(text for said in part if (text := said.heard))
            self._conversation.heard_by_caller(turn, heard, was_interrupted=was_interrupted and heard != turn.text)

    # One turn of the model.

    async def _round(self) -> list[ToolCall]:
        turn = Turn("agent", "", self._now())
        first = len(self._said)
        sentences: asyncio.Queue[str | None] = asyncio.Queue(_SENTENCES_AHEAD)
        calls: list[ToolCall] = []
        async with asyncio.timeout(self._patience.all_s) as limit, _patient(self._wait, self._patience.first_s):

            async def think() -> None:
                splitter = Sentences()
                async for piece in self._llm.reply(self._conversation, tuple(self._tools.values())):
                    self.waterfall.tell(Step.FIRST_TOKEN, self._now())
                    if not self._turns or self._turns[-1][0] is not turn:
                        # Not before: what the model was told does not end in its own silence.
                        self._turns.append((self._conversation.add(turn), first))
                    limit.reschedule(asyncio.get_running_loop().time() + self._patience.all_s)
                    if isinstance(piece, ToolCall):
                        calls.append(piece)
                        continue
                    for sentence in splitter.add(piece):
                        await sentences.put(sentence)
                if rest := splitter.rest():
                    await sentences.put(rest)
                await sentences.put(None)

            thinking = asyncio.create_task(think())
            try:
                while (sentence := await _next(sentences, thinking)) is not None:
                    await self._speak(sentence)
                    limit.reschedule(asyncio.get_running_loop().time() + self._patience.all_s)
            finally:
                thinking.cancel()
                await asyncio.gather(thinking, return_exceptions=True)
        turn.text = " ".join(said.text for said in self._said[first:])
        if calls:
            turn.more = {"tool_calls": [_told(call) for call in calls]}
        return calls

    async def _speak(self, text: str) -> None:
        said = _Said(text, self._call.begin(text))
        self._said.append(said)
        resampler = Resampler(self._call.rate_hz)
        try:
            async for sound in self._tts.say(text):
                self._add(said, sound, resampler)
            self._call.add(said.utterance, resampler.rest())
        finally:
            self._call.finish(said.utterance)

    def _add(self, said: _Said, sound: Sound, resampler: Resampler) -> None:
        self.waterfall.tell(Step.FIRST_SOUND, self._now())
        said.ends += sound.ends
        self._call.add(said.utterance, resampler.convert(sound.pcm, sound.rate_hz))
        self.waterfall.tell(Step.SENT, self._now())

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    def _wait(self) -> None:
        if not self._said:
            self._say_prepared(self._phrases.wait)

    def _say_prepared(self, text: str) -> None:
        """Not a part of the conversation: the model has not said it."""
        self._call.play(self._phrases.sounds.get(text, b""), text)

    async def _run_tool(self, call: ToolCall) -> None:
        tool = self._tools.get(call.name)
        try:
            if tool is None:
                result: Any = {"error": f"there is no tool {call.name}"}
            else:
                if tool.speaks:
                    await self._speak(tool.speaks)
                async with asyncio.timeout(self._patience.all_s):
                    result = tool.run(**call.arguments)
                    if inspect.isawaitable(result):
                        result = await result
        except Exception as error:
            _log.exception("the tool %s failed", call.name)
            result = {"error": f"{type(error).__name__}: {error}"}
        text = result if isinstance(result, str) else json.dumps(result, default=str)
        more = {"tool_call_id": call.id}
        self._conversation.add(Turn("tool", text[:MAX_TOOL_RESULT], self._now(), more=more))


def _fault(error: Exception) -> ProviderError:
    """Also what no provider should raise must not be met with silence."""
    if isinstance(error, ProviderError):
        return error
    if isinstance(error, TimeoutError):
        return ProviderError("a provider", "took too long")
    _log.error("a provider failed as none should", exc_info=error)
    return ProviderError("a provider", f"{type(error).__name__}: {error}")


def _told(call: ToolCall) -> dict[str, Any]:
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": json.dumps(call.arguments)}}


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
