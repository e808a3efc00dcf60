"""A voice agent: speech to text, a language model, text to speech, and the manners of a conversation.

    agent = VoiceAgent(stt, llm, tts, instructions="You are the desk of a clinic.", greeting="Hello!")
    async with serve(agent, "0.0.0.0", 9000):
        ...

One agent serves all calls; what belongs to one call is in its `Talk`. Time is that of the event loop.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from longline.agentkit.answer import Patience
from longline.agentkit.conversation import Conversation, MemoryRules
from longline.agentkit.phrases import Phrases
from longline.agentkit.ports import LanguageModel, SpeechToText, TextToSpeech, Tool
from longline.agentkit.report import Report
from longline.agentkit.session import CallSession
from longline.agentkit.talk import Talk
from longline.agentkit.turns.rules import TurnRules
from longline.streamkit.app_messages import BargeIn, Hello
from longline.streamkit.format import FormatWish


@dataclass(slots=True)
class VoiceAgent:
    """`greeting` is said first, and nobody talks over it when `greeting_interruptible` is False. `silence` is said, one
    after the other, when nobody says anything for `silence_s`, and after the last the agent hangs up. `memory` is how
    much of a conversation is kept. `report` is told of each turn when it is over.

    What the caller keys in is a whole by `turn.keys`. Without `on_keys` it is a turn of his, "[pressed 4]"; with it,
    `on_keys(call, "4")` is asked, and what it returns is what the caller has said, None: nothing more is done."""

    stt: SpeechToText
    llm: LanguageModel
    tts: TextToSpeech
    instructions: str = ""
    greeting: str = ""
    greeting_interruptible: bool = True
    tools: Sequence[Tool] = ()
    silence: Sequence[str] = ()
    silence_s: float = 8.0
    turn: TurnRules = field(default_factory=TurnRules)
    patience: Patience = field(default_factory=Patience)
    memory: MemoryRules = field(default_factory=MemoryRules)
    phrases: Phrases = field(default_factory=Phrases)
    on_keys: Callable[[CallSession, str], str | Awaitable[str | None] | None] | None = None
    report: Callable[[Report], None] | None = None

    @property
    def hello(self) -> Hello:
        """What lines of longline.v1 are asked for: linear audio, and to pause by themselves when a voice begins."""
        local_s = self.turn.barge_in.local_s
        local = None if local_s is None else BargeIn(decide_ms=round(1_000 * local_s))
        return Hello(audio=FormatWish(encoding="pcm_s16le"), barge_in=local)

    async def __call__(self, call: CallSession, conversation: Conversation | None = None) -> None:
        """One call, to its end. `conversation` is what is remembered of others, and remembers this one."""
        if conversation is None:
            conversation = Conversation(self.instructions, rules=self.memory)
        await Talk(self, call, conversation).run()
