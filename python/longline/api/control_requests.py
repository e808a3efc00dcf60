"""The requests that concern the legs of a live call: muting, playing, transfers. As the Teler API has them; keys that
are not known are refused."""

from typing import Annotated, Literal

from pydantic import Field, StrictBool, StrictInt, StringConstraints, model_validator

from longline.api.fields import LegIdField
from longline.api.requests import StrictRequest
from longline.base.errors import BadRequest, InvalidTarget
from longline.calls.bridge import DialRequest
from longline.calls.originate import is_target
from longline.flows.actions.dial import dial_record
from longline.flows.controls import PlayOrder
from longline.flows.fields import (
    DIAL_TIMEOUT_MAX_S,
    LOOP_MAX,
    CustomHeaders,
    Language,
    MediaUrl,
    SpokenText,
    Voice,
)
from longline.flows.transfer import TransferOrder
from longline.flows.verbs import Nested, NestedHangup, PlaySound, SaySound, Sound

Text64 = Annotated[str, StringConstraints(max_length=64)]


class MuteRequest(StrictRequest):
    """Let nobody hear one leg of a call, or all again. What it hears stays as it is."""

    leg_id: LegIdField
    on: StrictBool


class HoldRequest(StrictRequest):
    """Put one leg of a call on hold, or take it back."""

    leg_id: LegIdField | None = Field(default=None, description="The primary leg if not given.")
    on: StrictBool


class PlayRequest(StrictRequest):
    """Play a WAV file to one leg of a call alone."""

    leg_id: LegIdField | None = Field(default=None, description="The primary leg if not given.")
    media_url: MediaUrl = Field(description="An http:// or https:// URL, or a path in the media directory.")
    loop: int = Field(default=1, ge=1, le=LOOP_MAX)
    on_dtmf: Literal["stop", "ignore"] = Field(default="stop", description="What a key pressed by that leg does.")

    def to_order(self) -> PlayOrder:
        return PlayOrder(self.media_url, self.leg_id, self.loop, stops_on_digit=self.on_dtmf == "stop")


class TransferTarget(StrictRequest):
    """Who takes the call. `leg` is reserved."""

    kind: Literal["pstn", "sip", "leg"]
    number: Annotated[str, StringConstraints(max_length=64)] | None = Field(
        default=None, description="For pstn: E.164."
    )
    uri: Annotated[str, StringConstraints(max_length=255)] | None = Field(default=None, description="For sip.")
    leg_id: LegIdField | None = None
    custom_headers: CustomHeaders = Field(default_factory=dict, description="For sip: up to 16 headers X-….")

    def to_target(self) -> str:
        """Raise InvalidTarget."""
        if self.kind == "leg":
            raise InvalidTarget("A transfer to a leg is not possible.")
        target, name = (self.number, "number") if self.kind == "pstn" else (self.uri, "uri")
        is_number = not (target or "").startswith(("sip:", "sips:"))
        if target is None or not is_target(target) or is_number != (self.kind == "pstn"):
            wanted = "an E.164 number" if self.kind == "pstn" else "a sip: URI"
            raise InvalidTarget(f"target.{name} must be {wanted}.")
        if self.custom_headers and self.kind == "pstn":
            raise InvalidTarget("target.custom_headers are for a sip target.")
        return target


class NestedAction(StrictRequest):
    """Something that is done in between: a file is played, a text said, or the call hung up."""

    action: Literal["play", "say", "hangup"]
    media_url: MediaUrl | None = None
    text: SpokenText | None = None
    voice: Voice | None = None
    language: Language | None = None
    reason: Text64 | None = None
    loop: StrictBool | Annotated[StrictInt, Field(ge=1, le=LOOP_MAX)] | None = None

    @model_validator(mode="after")
    def _has_a_sound(self) -> "NestedAction":
        if self.action == "play" and self.media_url is None:
            raise ValueError("media_url is required for play")
        if self.action == "say" and self.text is None:
            raise ValueError("text is required for say")
        return self

    def to_verb(self) -> Nested:
        if self.action == "hangup":
            return NestedHangup(action="hangup")
        if self.action == "say":
            assert self.text is not None
            return SaySound(action="say", text=self.text, voice=self.voice, language=self.language, loop=self.loop)
        assert self.media_url is not None
        return PlaySound(action="play", media_url=self.media_url, loop=self.loop)

    def to_sound(self, name: str) -> Sound:
        """Raise BadRequest."""
        verb = self.to_verb()
        if isinstance(verb, NestedHangup):
            raise BadRequest(f"{name} must be an action play or say.")
        return verb


class TransferRequest(StrictRequest):
    """Give a live call to somebody else. The caller stays with whoever he talks to until the other answers."""

    target: TransferTarget
    mode: Literal["cold", "warm", "monitor"] = Field(default="cold", description="Only cold is possible.")
    timeout: int = Field(default=30, ge=1, le=DIAL_TIMEOUT_MAX_S, description="Seconds in which the other may answer.")
    record: StrictBool | Literal["mono", "stereo", "per_leg"] = False
    ringback: Literal["suppress", "passthrough"] = "suppress"
    dial_music: NestedAction | None = None
    confirm_sound: NestedAction | None = None
    on_failure: NestedAction | None = Field(
        default=None, description="What the caller hears, or whether he is hung up, when the other does not come."
    )

    def to_order(self) -> TransferOrder:
        """Raise BadRequest, InvalidTarget."""
        if self.mode != "cold":
            raise BadRequest("Only cold transfers are possible.")
        music, confirm, failure = self.dial_music, self.confirm_sound, self.on_failure
        return TransferOrder(
            DialRequest(
                to=self.target.to_target(),
                timeout_s=self.timeout,
                role="transfer_target",
                headers=tuple(self.target.custom_headers.items()),
                record=dial_record(self.record),
                ringback=self.ringback,
            ),
            dial_music=None if music is None else music.to_sound("dial_music"),
            confirm_sound=None if confirm is None else confirm.to_sound("confirm_sound"),
            on_failure=None if failure is None else failure.to_verb(),
        )
