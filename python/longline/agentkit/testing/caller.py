"""A caller who follows a script: `await Caller().hears("hello").says("Book a slot").hears("booked").calls(agent)`.

    call = await (
        Caller()
        .hears("How can I help")                    # waits for the words, and for the agent to pause
        .says("An appointment on Monday, please")
        .interrupts("No, on Tuesday", after=1.2)    # of the agent's answer
        .hears("Tuesday")
        .presses("4#")
        .hangs_up()
        .calls(agent)
    )
    call.expect_heard("Tuesday").expect_answers_within(900)

Run it in virtual time (`virtual_time`). A step that cannot be done is a CallFailed that has the transcript. Callers are
immutable: each method returns a new one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, is_dataclass, replace
from pathlib import Path
from typing import Any, Final

from longline.agentkit.line import CallInfo
from longline.agentkit.ports import TextToSpeech
from longline.agentkit.server import Handler
from longline.agentkit.session import CallSession
from longline.agentkit.testing.call import Call, CallFailed, failure
from longline.agentkit.testing.memory_line import MemoryLine, Network
from longline.agentkit.testing.mouth import speak, texts_of
from longline.agentkit.testing.performance import Performance
from longline.agentkit.testing.script import (
    HEARS_WITHIN_S,
    INTERRUPTION,
    HangsUp,
    Hears,
    Interrupts,
    IsHungUp,
    Presses,
    Says,
    Script,
    Step,
    Waits,
)
from longline.agentkit.testing.script_file import read_script
from longline.agentkit.testing.written import frame_bytes, spoken

ENDS_WITHIN_S: Final = 5.0
"""So long an agent may go on when the caller has hung up."""


@dataclass(frozen=True, slots=True)
class Caller:
    script: Script = field(default_factory=Script)

    @classmethod
    def of_file(cls, path: str | Path) -> Caller:
        """The caller of a script that `longline rehearse` plays too (what it expects is `read_script`'s). Raises
        ScriptError, with the file's line."""
        return cls(read_script(path).script)

    def named(self, name: str) -> Caller:
        return Caller(replace(self.script, name=name))

    def says(self, text: str) -> Caller:
        """Speak at once, whoever else does."""
        return self._then(Says(text))

    def waits(self, seconds: float) -> Caller:
        return self._then(Waits(seconds))

    def hears(self, words: str = "", *, within: float = HEARS_WITHIN_S) -> Caller:
        """Wait until the agent has said these words, or anything, and has paused. `within`: seconds after it was last
        heard, or after the step began."""
        return self._then(Hears(words, within))

    def interrupts(self, text: str = INTERRUPTION, *, after: float = 1.0, within: float = HEARS_WITHIN_S) -> Caller:
        """Speak over the agent, `after` seconds of its speech."""
        return self._then(Interrupts(text, after, within))

    def presses(self, digits: str) -> Caller:
        """Keys, five a second. Raises ValueError."""
        return self._then(Presses(digits))

    def hangs_up(self) -> Caller:
        return self._then(HangsUp())

    def is_hung_up(self, *, within: float = HEARS_WITHIN_S) -> Caller:
        """Wait until the agent ends the call."""
        return self._then(IsHungUp(within))

    async def calls(
        self,
        agent: Handler,
        *,
        rate_hz: int = 8_000,
        voice: TextToSpeech | None = None,
        info: CallInfo | None = None,
        network: Network | None = None,
        background: Callable[[int], bytes] | None = None,
    ) -> Call:
        """Play the script against the agent, a `VoiceAgent` or any handler of a CallSession. `voice` is the caller's,
        when another than `FakeStt` shall understand him; `background` is what his microphone gives while he is silent,
        by the number of the frame (20 ms). Raises CallFailed."""
        known = {} if voice is None else await speak(voice, texts_of(self.script), rate_hz)

        def say(text: str) -> list[bytes]:
            if voice is None:
                return list(spoken(text, rate_hz))
            pcm, size = known[text], frame_bytes(rate_hz)
            return [pcm[begin : begin + size].ljust(size, b"\0") for begin in range(0, len(pcm), size)]

        line = MemoryLine(
            lambda at: Performance(self.script, at),
            say,
            info=info,
            rate_hz=rate_hz,
            network=network,
            background=background,
        )
        reports: list[Any] = []
        error = await _talk(agent, line, reports)
        problem = line.performance.problem if line.performance is not None else None
        call = Call(
            self.script.name,
            line.record.turns(),
            line.over_at,
            line.ended_by,
            problem,
            line.done,
            reports,
            bytes(line.played),
        )
        if error is not None:
            raise CallFailed(failure(f"the agent failed: {type(error).__name__}: {error}", call)) from error
        if problem is not None:
            call.fail(problem)
        return call

    def _then(self, step: Step) -> Caller:
        return Caller(replace(self.script, steps=(*self.script.steps, step)))


async def _talk(agent: Handler, line: MemoryLine, reports: list[Any]) -> Exception | None:
    """The whole call; what the agent failed with."""
    async with CallSession(line) as call:
        line.utterance = call.utterances.get
        talking = asyncio.ensure_future(_listened_to(agent, reports)(call))
        over = asyncio.ensure_future(line.gone.wait())
        await asyncio.wait({talking, over}, return_when=asyncio.FIRST_COMPLETED)
        line.leave()  # a handler that returns gives the call back
        await asyncio.wait({talking}, timeout=ENDS_WITHIN_S)
        if not talking.done():
            talking.cancel()
            await asyncio.gather(talking, return_exceptions=True)
            return TimeoutError(f"it went on for {ENDS_WITHIN_S:g} s after the call was over")
        await over
        error = talking.exception()
        return error if isinstance(error, Exception) else None


def _listened_to(agent: Any, reports: list[Any]) -> Handler:
    """An agent that reports its turns reports them here too."""
    if not is_dataclass(agent) or isinstance(agent, type) or not hasattr(agent, "report"):
        return agent  # type: ignore[no-any-return]
    told = agent.report

    def report(turn: Any) -> None:
        reports.append(turn)
        if told is not None:
            told(turn)

    return replace(agent, report=report)  # type: ignore[return-value]
