"""A voice agent made of one speech-to-speech model.

    agent = RealtimeAgent(instructions="You are the desk of a clinic.", greeting="Hello! How can I help?")
    async with serve(agent, "0.0.0.0", 9000):
        ...

It stands where a `VoiceAgent` stands: same calls, tools, reports. One agent serves all calls; what belongs to one call
is in its `RealtimeTalk`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from longline.agentkit.answer import Patience
from longline.agentkit.conversation import Conversation
from longline.agentkit.phrases import Phrases
from longline.agentkit.ports import TextToSpeech, Tool
from longline.agentkit.realtime.talk import RealtimeTalk
from longline.agentkit.report import Report
from longline.agentkit.session import CallSession
from longline.agentkit.turns.keys import KeyRules
from longline.agentkit.turns.rules import TurnRules
from longline.agentkit.vendor import load
from longline.streamkit.app_messages import BargeIn, Hello
from longline.streamkit.format import FormatWish


@dataclass(slots=True)
class RealtimeAgent:
    """`turn_detection` is the API's (`server_vad` or `semantic_vad`); with `idle_timeout_ms` in it the model asks a
    silent caller by itself. `turn` in its place has us decide about turns, as for a `VoiceAgent` but without words.
    `greeting` is said first; without one the caller begins. `transcriber` writes down what the caller says, for reports
    and for reconnecting (empty: nobody does). `options` are more fields of the session, as the API names them. `tts` is
    a voice for what is said when the model cannot; without it recordings say that. `connect_s`: how long the model may
    take to be there. `client` is an `openai.AsyncOpenAI` of your own.

    Calling it raises ImportError without the SDK, `openai.OpenAIError` without a key.
    """

    instructions: str = ""
    greeting: str = ""
    tools: Sequence[Tool] = ()
    model: str = "gpt-realtime"
    voice: str = "marin"
    api_key: str | None = None
    base_url: str | None = None
    turn_detection: Mapping[str, Any] = field(default_factory=lambda: {"type": "server_vad"})
    turn: TurnRules | None = None
    transcriber: str = "gpt-4o-mini-transcribe"
    options: Mapping[str, Any] = field(default_factory=dict)
    patience: Patience = field(default_factory=Patience)
    keys: KeyRules = field(default_factory=KeyRules)
    phrases: Phrases = field(default_factory=Phrases)
    tts: TextToSpeech | None = None
    report: Callable[[Report], None] | None = None
    connect_s: float = 5.0
    client: Any = None

    @property
    def hello(self) -> Hello:
        """What lines of longline.v1 are asked for."""
        local_s = None if self.turn is None else self.turn.barge_in.local_s
        local = None if local_s is None else BargeIn(decide_ms=round(1_000 * local_s))
        return Hello(audio=FormatWish(encoding="pcm_s16le"), barge_in=local)

    async def __call__(self, call: CallSession, conversation: Conversation | None = None) -> None:
        """One call, to its end. `conversation` is what is remembered of others, and remembers this one."""
        talk = RealtimeTalk(self, call, conversation or Conversation(self.instructions), self._client())
        await talk.run()
        if talk.handed_over is not None and call.over is None:
            heir = replace(talk.handed_over.agent, greeting=talk.handed_over.greets)
            talk.conversation.instructions = heir.instructions
            await heir(call, talk.conversation)

    def _client(self) -> Any:
        if self.client is None:
            sdk = load("openai", extra="openai")
            self.client = sdk.AsyncOpenAI(api_key=self.api_key, base_url=self.base_url, max_retries=0)
        return self.client
