"""A voice agent: an ear, a mind, a voice, and the manners of a conversation.

    agent = VoiceAgent(ear, mind, voice, instructions="You are the desk of a clinic.", greeting="Hello!")
    async with serve(agent, "0.0.0.0", 9000):
        ...

One agent serves all calls; what belongs to one call is in its `Talk`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from longline.agentkit.answer import Patience, Phrases
from longline.agentkit.conversation import Conversation
from longline.agentkit.ports import Ear, Mind, Tool, Voice
from longline.agentkit.session import CallSession
from longline.agentkit.talk import Report, Talk
from longline.agentkit.turns.barge_in import BargeInRules
from longline.agentkit.turns.completeness import sounds_finished
from longline.agentkit.turns.endpointing import Completeness, EndpointingRules
from longline.agentkit.turns.energy import EnergyRules


@dataclass(slots=True)
class VoiceAgent:
    """`greeting` is said first; `silence` one after the other when the caller says nothing for `silence_s`, and after
    the last the agent hangs up. `report` is told of each turn when it is over."""

    ear: Ear
    mind: Mind
    voice: Voice
    instructions: str = ""
    greeting: str = ""
    tools: Sequence[Tool] = ()
    silence: Sequence[str] = ()
    silence_s: float = 8.0
    endpointing: EndpointingRules = field(default_factory=EndpointingRules)
    completeness: Completeness = sounds_finished
    barge_in: BargeInRules = field(default_factory=BargeInRules)
    energy: EnergyRules = field(default_factory=EnergyRules)
    patience: Patience = field(default_factory=Patience)
    report: Callable[[Report], None] | None = None
    clock: Callable[[], float] = time.monotonic

    async def __call__(self, call: CallSession) -> None:
        """One call, to its end."""
        await Talk(self, call, Conversation(self.instructions), Phrases()).run()
