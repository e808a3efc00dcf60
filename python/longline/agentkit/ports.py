"""What an agent is put together from: speech to text, a language model and text to speech. Each is one small protocol.

An adapter is a class with one of these methods and imports its vendor within. All streams end by themselves or are
closed by their reader (`aclose`), which must stop whatever costs money behind them. A fault is a `ProviderError`: the
agent says so and goes on. Audio is PCM of 16 bits, little-endian, one channel; `rate_hz` is told beside it. Times are
milliseconds of the audio.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from longline.agentkit.conversation import Conversation
from longline.agentkit.heard import WordEnd
from longline.base.errors import LonglineError


class ProviderError(LonglineError):
    """A service did not do what it is there for. `retry_after_s`: when it said that it might again."""

    def __init__(self, provider: str, problem: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(f"{provider}: {problem}")
        self.provider = provider
        self.retry_after_s = retry_after_s


# --- speech to text ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Transcript:
    """What was understood. A partial replaces the partial before it; a final stands, and begins anew. `end_ms`: up to
    where in the audio it reaches, when that is known."""

    text: str
    is_final: bool
    confidence: float | None = None
    end_ms: float | None = None


class SpeechToText(Protocol):
    """Ears."""

    def listen(self, audio: AsyncIterator[bytes], rate_hz: int) -> AsyncIterator[Transcript]:
        """Transcripts of one call, as it goes on. `audio` comes in frames of 10 to 60 ms, silence included; an empty
        frame says that the caller's turn is over and that a final is wanted now: it is answered by one, an empty text
        when there was nothing to understand."""
        ...


# --- language model ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Tool:
    """Something that the model may have done. `parameters` is a JSON Schema; `run` gets the arguments and returns what
    the model is told, a text or what `json.dumps` can write, or an outcome (`tools.HandOver`, `tools.HangUp`). `speaks`
    is said while it runs. `wants_call`: `run` also gets `call=`, the `CallSession`.

    A caller who interrupts does not undo what was begun: the tool runs on, and the model is told the result when it is
    asked next. With `if_interrupted="cancel"` it is cancelled (a coroutine), and the model is told that it was.
    """

    name: str
    description: str
    run: Callable[..., Any]
    parameters: Mapping[str, Any] = field(default_factory=lambda: {"type": "object", "properties": {}})
    speaks: str | None = None
    wants_call: bool = False
    if_interrupted: Literal["run on", "cancel"] = "run on"


@dataclass(frozen=True, slots=True)
class ToolCall:
    """The model wants a tool run. It comes after the words before it."""

    id: str
    name: str
    arguments: Mapping[str, Any]


class LanguageModel(Protocol):
    """A language model, or anything else that knows what to say next."""

    def reply(self, conversation: Conversation, tools: Sequence[Tool]) -> AsyncIterator[str | ToolCall]:
        """Pieces of the answer as they come. To be interrupted it is closed.

        It may be asked on a guess of what the caller will have said, and that answer never be given. So what it
        remembers from turn to turn stands in `conversation.state`, of which a guess has a copy: a guess that was wrong
        leaves no trace. A class that cannot be asked so says `may_be_guessed = False`."""
        ...


# --- text to speech ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Sound:
    """A piece of speech; `ends` are of its words within the whole text, where the synthesiser tells them."""

    pcm: bytes
    rate_hz: int
    ends: tuple[WordEnd, ...] = ()


class TextToSpeech(Protocol):
    """A voice."""

    def say(self, text: str) -> AsyncIterator[Sound]:
        """One sentence or phrase, in pieces as they are made."""
        ...
