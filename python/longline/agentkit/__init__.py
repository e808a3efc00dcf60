"""AgentKit: a call as code has it, and a voice agent in twenty lines.

    from longline.agentkit import VoiceAgent, serve
    from longline.agentkit.llm.openai import OpenAILlm      # an adapter imports its vendor

    agent = VoiceAgent(stt, llm, tts, instructions="You are the desk of a clinic.", greeting="Hello!")
    async with serve(agent, "0.0.0.0", 9000):
        await asyncio.Event().wait()

What stands in `__all__` is public, and is loaded when it is first used. It imports nothing of the node.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from longline.agentkit.agent import VoiceAgent
    from longline.agentkit.answer import Patience
    from longline.agentkit.conversation import Conversation, MemoryRules, Turn
    from longline.agentkit.judge import AskedCompleteness
    from longline.agentkit.line import (
        CallInfo,
        Digit,
        Frame,
        LineEvent,
        NotOnThisLine,
        Over,
        SpeechEnded,
        SpeechStarted,
        VoiceStarted,
        VoiceStopped,
    )
    from longline.agentkit.memory import Summariser
    from longline.agentkit.phrases import Phrases
    from longline.agentkit.ports import (
        LanguageModel,
        ProviderError,
        Sound,
        SpeechToText,
        TextToSpeech,
        Tool,
        ToolCall,
        Transcript,
    )
    from longline.agentkit.report import Report, print_turns, to_all
    from longline.agentkit.server import serve
    from longline.agentkit.session import CallSession, NoVoice, RequestRefused
    from longline.agentkit.tools import HandOver, HangUp, hand_over_to, hang_up, tool, transfer_to
    from longline.agentkit.turns.barge_in import BargeInRules
    from longline.agentkit.turns.endpointing import EndpointingRules
    from longline.agentkit.turns.energy import EnergyRules, EnergyVad
    from longline.agentkit.turns.guessing import GuessRules
    from longline.agentkit.turns.keys import KeyRules
    from longline.agentkit.turns.rules import TurnRules
    from longline.agentkit.turns.silero import SileroRules, SileroVad, silero
    from longline.agentkit.utterance import Utterance
    from longline.agentkit.waterfall import Step, Waterfall

_IN = {
    "agent": ("VoiceAgent",),
    "answer": ("Patience",),
    "conversation": ("Conversation", "MemoryRules", "Turn"),
    "memory": ("Summariser",),
    "judge": ("AskedCompleteness",),
    "line": (
        "CallInfo", "Digit", "Frame", "LineEvent", "NotOnThisLine", "Over", "SpeechEnded", "SpeechStarted",
        "VoiceStarted", "VoiceStopped",
    ),
    "phrases": ("Phrases",),
    "ports": (
        "LanguageModel", "ProviderError", "Sound", "SpeechToText", "TextToSpeech", "Tool", "ToolCall", "Transcript",
    ),
    "report": ("Report", "print_turns", "to_all"),
    "server": ("serve",),
    "session": ("CallSession", "NoVoice", "RequestRefused"),
    "tools": ("HandOver", "HangUp", "hand_over_to", "hang_up", "tool", "transfer_to"),
    "turns.barge_in": ("BargeInRules",),
    "turns.endpointing": ("EndpointingRules",),
    "turns.energy": ("EnergyRules", "EnergyVad"),
    "turns.guessing": ("GuessRules",),
    "turns.keys": ("KeyRules",),
    "turns.rules": ("TurnRules",),
    "turns.silero": ("SileroRules", "SileroVad", "silero"),
    "utterance": ("Utterance",),
    "waterfall": ("Step", "Waterfall"),
}  # fmt: skip
_WHERE = {name: module for module, names in _IN.items() for name in names}

__all__ = [
    "AskedCompleteness",
    "BargeInRules",
    "CallInfo",
    "CallSession",
    "Conversation",
    "Digit",
    "EndpointingRules",
    "EnergyRules",
    "EnergyVad",
    "Frame",
    "GuessRules",
    "HandOver",
    "HangUp",
    "KeyRules",
    "LanguageModel",
    "LineEvent",
    "MemoryRules",
    "NoVoice",
    "NotOnThisLine",
    "Over",
    "Patience",
    "Phrases",
    "ProviderError",
    "Report",
    "RequestRefused",
    "SileroRules",
    "SileroVad",
    "Sound",
    "SpeechEnded",
    "SpeechStarted",
    "SpeechToText",
    "Step",
    "Summariser",
    "TextToSpeech",
    "Tool",
    "ToolCall",
    "Transcript",
    "Turn",
    "TurnRules",
    "Utterance",
    "VoiceAgent",
    "VoiceStarted",
    "VoiceStopped",
    "Waterfall",
    "hand_over_to",
    "hang_up",
    "print_turns",
    "serve",
    "silero",
    "to_all",
    "tool",
    "transfer_to",
]


def __getattr__(name: str) -> Any:
    module = _WHERE.get(name)
    if module is None:
        raise AttributeError(f"longline.agentkit has no {name}")
    return getattr(importlib.import_module(f"longline.agentkit.{module}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
