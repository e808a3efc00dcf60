"""The verbs of a call flow: those of the Teler API (`stream`, `play`, `dial`, `hangup`), and `gather`, `say`, `record`,
`pause`, `redirect` and `reject` beside them. They are the schema too: `schema.py` publishes them.

A key that a verb does not have is not a mistake: it is left alone, and `parse_flow` names it. Times are in seconds,
unless the key says otherwise (`chunk_size`, which is Teler's, is in milliseconds).
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag

from longline.flows.fields import (
    DIAL_TIMEOUT_MAX_S,
    DIGITS_MAX,
    AliasedMediaUrl,
    Caller,
    CustomHeaders,
    DialTarget,
    HttpUrl,
    Key,
    Language,
    Loop,
    SpokenText,
    Voice,
    lower_case,
)
from longline.flows.stream_fields import StreamFields

MAX_PROMPTS = 10
MAX_ACTIONS = 50
"""Actions of one list."""


class _Verb(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", strict=True, hide_input_in_errors=True)


# --- what stands within a verb -------------------------------------------------------------------------------------


class PlaySound(_Verb):
    """A nested `play`: a file, played once, `loop` times, or with true for as long as there is somebody to hear it."""

    action: Annotated[Literal["play"], BeforeValidator(lower_case)]
    media_url: AliasedMediaUrl
    loop: bool | Loop | None = Field(default=None, description="How often; true: until something else happens.")


class SaySound(_Verb):
    """A nested `say`: a text, spoken once, `loop` times, or with true for as long as there is somebody to hear it."""

    action: Annotated[Literal["say"], BeforeValidator(lower_case)]
    text: SpokenText
    voice: Voice | None = None
    language: Language | None = None
    loop: bool | Loop | None = Field(default=None, description="How often; true: until something else happens.")


class PauseSound(_Verb):
    """A nested `pause`: silence between two parts of a prompt."""

    action: Annotated[Literal["pause"], BeforeValidator(lower_case)]
    duration: Annotated[float, Field(ge=0.1, le=600)] = Field(description="Seconds.")


class NestedHangup(_Verb):
    """A nested `hangup`."""

    action: Annotated[Literal["hangup"], BeforeValidator(lower_case)]


def _nested_action(value: object) -> object:
    action = value.get("action") if isinstance(value, dict) else getattr(value, "action", None)
    return action.lower() if isinstance(action, str) else action


def _one_or_list(value: object) -> str:
    return "list" if isinstance(value, (list, tuple)) else "one"


Sound = Annotated[
    Annotated[PlaySound, Tag("play")] | Annotated[SaySound, Tag("say")],
    Discriminator(_nested_action, custom_error_type="nested", custom_error_message='must be an action "play" or "say"'),
]
PromptPart = Annotated[
    Annotated[PlaySound, Tag("play")] | Annotated[SaySound, Tag("say")] | Annotated[PauseSound, Tag("pause")],
    Discriminator(
        _nested_action, custom_error_type="nested", custom_error_message='must be an action "play", "say" or "pause"'
    ),
]
Nested = Annotated[
    Annotated[PlaySound, Tag("play")] | Annotated[SaySound, Tag("say")] | Annotated[NestedHangup, Tag("hangup")],
    Discriminator(
        _nested_action, custom_error_type="nested", custom_error_message='must be an action "play", "say" or "hangup"'
    ),
]
Prompt = Annotated[
    Annotated[PromptPart, Tag("one")]
    | Annotated[list[PromptPart], Field(max_length=MAX_PROMPTS, description="One after the other."), Tag("list")],
    Discriminator(_one_or_list),
]


# --- the verbs of the Teler API ------------------------------------------------------------------------------------


class Stream(StreamFields, _Verb):
    """Join the call to a WebSocket until that ends."""

    action: Literal["stream"]
    on_lost: Nested | None = Field(
        default=None,
        description="Done when the stream has failed, instead of the flow: a sound, after which the next action "
        "follows, or hangup.",
    )
    record: bool | None = Field(
        default=None,
        description="false keeps a call that would be recorded from being so; a call that is not to be recorded stays "
        "so.",
    )


class Play(_Verb):
    """Play a WAV file to its end."""

    action: Literal["play"]
    media_url: AliasedMediaUrl
    loop: Loop = Field(default=1, description="How often.")
    flow_url: HttpUrl | None = Field(default=None, description="Asked for the next flow when playback ends.")


class Hangup(_Verb):
    """End the call; before it is answered, decline it."""

    action: Literal["hangup"]


class Dial(_Verb):
    """Call one more party and, when it answers, join it to the call until it has left."""

    action: Literal["dial"]
    to: DialTarget = Field(description="An E.164 number or a sip: URI.")
    timeout: Annotated[int, Field(ge=1, le=DIAL_TIMEOUT_MAX_S)] = Field(
        default=30, description="Seconds in which it may answer."
    )
    record: bool | Literal["stereo", "mono", "per_leg"] = Field(
        default=False,
        description="Whether the time in which the two are joined is recorded; true has the layout of the server's "
        "settings.",
    )
    custom_headers: CustomHeaders = Field(
        default_factory=dict, description="Up to 16 headers X-… of the INVITE, each of at most 256 bytes."
    )
    status_callback_url: HttpUrl | None = Field(default=None, description="Told of that leg.")
    send_digits: Annotated[str, Field(pattern=r"^[0-9A-D*#wW]{0,64}$")] = Field(
        default="", description="Pressed toward the other when it has answered; a `w` is half a second.", repr=False
    )
    time_limit: Annotated[int, Field(ge=1, le=86_400)] | None = Field(
        default=None, description="Seconds of talk, after which the other is let go."
    )
    from_number: Caller | None = Field(
        default=None, description="Who it is told is calling; the call's own caller if not given."
    )
    flow_url: HttpUrl | None = Field(
        default=None, description="Asked for the next flow when the other has left, or has not come."
    )
    ringback: Literal["passthrough", "suppress"] = "passthrough"
    dial_music: Sound | None = Field(default=None, description="What the caller hears meanwhile.")
    confirm_sound: Sound | None = Field(default=None, description="What the other hears before it is joined.")
    on_no_answer: Nested | None = None
    on_busy: Nested | None = None
    on_failure: Nested | None = Field(default=None, description="Stands for the other two as well.")


# --- those that a telephone application needs beside them ----------------------------------------------------------


class Say(_Verb):
    """Speak a text to its end."""

    action: Literal["say"]
    text: SpokenText = Field(description="Plain text; it is not logged.")
    voice: Voice | None = Field(default=None, description="A voice of the configured speech; its default if not given.")
    language: Language | None = Field(default=None, description="Such as en, en-GB, de.")
    loop: Loop = Field(default=1, description="How often.")
    flow_url: HttpUrl | None = Field(default=None, description="Asked for the next flow when it has been said.")


class Gather(_Verb):
    """Collect the keys that the caller presses, and ask the next flow with them.

    Keys count that were pressed since the last gather or record, be it before this one has begun. When nothing was
    pressed and further actions follow in a list, those are done instead."""

    action: Literal["gather"]
    prompt: Prompt | None = Field(default=None, description="What is played or said first: one sound, or a list.")
    barge_in: bool = Field(
        default=True,
        description="A key ends the prompt. With false the prompt is heard to its end, and keys pressed before that do "
        "not count.",
    )
    num_digits: Annotated[int, Field(ge=1, le=DIGITS_MAX)] | None = Field(
        default=None, description="So many keys end it. Without it, 64."
    )
    finish_key: Key = Field(default="#", description='This key ends it, and is none of the digits; "" for none.')
    timeout: Annotated[float, Field(ge=0.1, le=120)] = Field(
        default=5, description="Seconds without a key, since the prompt or the key before, that end it."
    )
    flow_url: HttpUrl | None = Field(
        default=None, description="Asked for the next flow; the URL that this flow came from if not given."
    )


class Record(_Verb):
    """Record what the caller says, and ask the next flow when that is over and the recording is whole."""

    action: Literal["record"]
    beep: bool = Field(default=True, description="A tone tells the caller to speak.")
    max_length: Annotated[int, Field(ge=1, le=3600)] = Field(default=120, description="Seconds, at most.")
    silence_end: Annotated[float, Field(ge=0, le=120)] = Field(
        default=5, description="Seconds without a voice that end it; 0 for never."
    )
    finish_key: Key = Field(default="#", description='This key ends it; "" for none.')
    flow_url: HttpUrl | None = Field(
        default=None, description="Asked for the next flow; the URL that this flow came from if not given."
    )


class Pause(_Verb):
    """Wait. A call that is not answered yet rings on."""

    action: Literal["pause"]
    duration: Annotated[float, Field(ge=0.1, le=600)] = Field(description="Seconds.")


class Redirect(_Verb):
    """Ask another URL for the next flow."""

    action: Literal["redirect"]
    flow_url: HttpUrl


class Reject(_Verb):
    """Decline an inbound call that is not answered yet; any other is hung up."""

    action: Literal["reject"]
    reason: Literal["rejected", "busy"] = Field(default="rejected", description="rejected: SIP 603; busy: 486.")


Verb = Stream | Play | Dial | Hangup | Say | Gather | Record | Pause | Redirect | Reject
VERBS: dict[str, type[Verb]] = {
    "stream": Stream,
    "play": Play,
    "dial": Dial,
    "hangup": Hangup,
    "say": Say,
    "gather": Gather,
    "record": Record,
    "pause": Pause,
    "redirect": Redirect,
    "reject": Reject,
}
LAST: tuple[type[Verb], ...] = (Hangup, Redirect, Reject)
"""Nothing that follows one of these in a list is ever done."""
