"""Whether the caller interrupts what is said, and what is done about it: speech pauses, goes on, or is stopped.

Three decide together: `BargeIn` by the voice and its words, `Loudness` by whether it is as loud as the caller is, and
`Asides` by whether it only says "go on". A voice that stays and has said no word yet stops nothing: what was being said
is put aside, paused, until it is known what that voice says. If it is nothing (a television, a cough), speech goes on
with the sample that was not heard yet.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from longline.agentkit.line import HeldBack
from longline.agentkit.session import CallSession
from longline.agentkit.turns.asides import Aside, Asides
from longline.agentkit.turns.backchannel import is_backchannel
from longline.agentkit.turns.barge_in import BargeIn, Decision, State
from longline.agentkit.turns.loudness import Loudness
from longline.agentkit.turns.rules import TurnRules
from longline.agentkit.turns.vad import Change

WORDLESS_S: Final = 3.0
"""A voice that has interrupted and says no word for so long, by a transcriber that tells words as they come."""


class Interruptions:
    """Tell it what happens; ask `decide` at `deadline`. `words` are those of the caller's turn so far, `wordless_s` for
    how long there have been voices without any; `stop` is called when he has interrupted. `give_up_s`: how long a voice
    without words is waited for when the transcriber tells them only at the end."""

    def __init__(
        self,
        rules: TurnRules,
        call: CallSession,
        *,
        words: Callable[[], str],
        wordless_s: Callable[[float], float],
        stop: Callable[[], object],
        give_up_s: float,
    ) -> None:
        self._call = call
        self._words = words
        self._wordless_s = wordless_s
        self._stop = stop
        self._give_up_s = give_up_s
        self._barge_in = BargeIn(rules.barge_in)
        self._loudness = Loudness(rules.loudness)
        self._asides = Asides()
        self._is_voice_told = False
        """Barge-in knows of the voice that is heard."""
        self._aside_until: float | None = None
        self._line_holds = False
        self._has_partials = False
        """The transcriber tells words as they come: a voice without any says nothing."""

    @property
    def are_allowed(self) -> bool:
        """What is being said may be interrupted."""
        speaking = self._call.speaking
        return speaking is None or speaking.interruptible

    @property
    def deadline(self) -> float | None:
        return min((due for due in (self._barge_in.deadline, self._aside_until) if due is not None), default=None)

    def decide(self, now: float) -> None:
        self._do(self._barge_in.decide(now))
        if self._aside_until is not None and now >= self._aside_until:
            self.nothing_said()

    # The caller.

    def hear(self, level_db: float, length_ms: float) -> None:
        """A frame."""
        self._loudness.hear(level_db, length_ms)

    def voice(self, change: Change | None, *, is_voiced: bool) -> None:
        """What the VAD says of that frame; `is_voiced`: there is a voice."""
        if change == "started":
            self._loudness.started()
            self._is_voice_told = False
        if change == "stopped":
            if self._is_voice_told:
                self._do(self._barge_in.speech_stopped(_now()))
        elif is_voiced and not self._is_voice_told and self._is_his:
            self._is_voice_told = True
            self._do(self._barge_in.speech_started(_now()))

    @property
    def _is_his(self) -> bool:
        """A sound while the agent speaks is one of the caller's if it is as loud as he is."""
        is_enough = self._loudness.is_beyond if self.is_nobody else self._loudness.is_enough
        return self._barge_in.state is State.LISTENING or is_enough

    @property
    def is_nobody(self) -> bool:
        """A voice that says no word for long is a radio, or music. The first word of it is somebody's."""
        return self._has_partials and self._wordless_s(_now()) >= WORDLESS_S

    def transcript(self, text: str, *, is_final: bool) -> None:
        """What has just been understood."""
        self._has_partials |= not is_final
        self._do(self._barge_in.transcript(text, is_final=is_final))
        if self._aside_until is not None and text and not is_backchannel(text):
            self._stop()

    def said_aside(self, aside: Aside) -> bool:
        """The caller has said this. Whether it was no turn: then what was being said goes on."""
        speaks = self._barge_in.state is not State.LISTENING or self._aside_until is not None or not self.are_allowed
        if self._asides.takes(aside, agent_speaks=speaks):
            self._do(self._barge_in.transcript(aside.text, is_final=True))
            self._go_on()
            return True
        self._loudness.was_voice()
        return False

    def nothing_said(self) -> None:
        """The caller's turn is over, or has lasted long enough, and had no words."""
        if self._aside_until is not None:
            self._loudness.was_nothing()
        self._go_on()

    # The agent.

    def agent_speaks(self) -> None:
        if self.are_allowed:
            self._barge_in.agent_speaks()

    def agent_silent(self) -> None:
        self._do(self._barge_in.agent_silent())

    def agent_done(self) -> Aside | None:
        """It has said all that it had to: what was said aside just before may be an answer to that."""
        return self._asides.agent_silent(_now())

    def stopped(self) -> None:
        """What was being said has been dropped."""
        self._barge_in.cut()
        self._aside_until = None

    # The line.

    def held(self, event: HeldBack) -> None:
        """The line has paused speech by itself, or lets it go on."""
        if event.is_held and event.by == "barge_in":
            self._line_holds = True
            if self.are_allowed:
                self._barge_in.line_held(_now())
            else:
                self._call.resume()
        elif not event.is_held:
            self._line_holds = False
            if event.by == "timeout":
                self._barge_in.line_went_on()

    # What is done.

    def _do(self, decision: Decision | None) -> None:
        if decision is Decision.PAUSE:
            self._call.pause()
        elif decision is Decision.RESUME:
            if self._is_voice_told and not self._words():
                self._loudness.was_nothing()
            self._call.resume()
        elif decision is Decision.CLEAR:
            if self._words():
                self._stop()
            else:
                self._put_aside()

    def _put_aside(self) -> None:
        if self._line_holds:
            self._call.pause()  # the line itself does not wait so long
        self._aside_until = _now() + (WORDLESS_S if self._has_partials else self._give_up_s)

    def _go_on(self) -> None:
        if self._aside_until is not None:
            self._aside_until = None
            self._call.resume()
            self._barge_in.agent_speaks()


def _now() -> float:
    return asyncio.get_running_loop().time()
