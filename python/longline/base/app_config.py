"""The settings of voice apps and virtual numbers: `[apps.NAME]` and `[numbers."+…"]`.

What the file says of them stands: the API shows it and does not change it. Leaves out what is made of them
(`calls/configured_apps.py`), and apps and numbers that the API makes, which are in the store.
"""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from longline.base.urls import http_url

WebhookVersion = Literal["2025-08-01", "2026-06-01", "twilio", "plivo", "telnyx", "vonage", "jambonz"]

MAX_CHANNEL_LIMIT = 100_000
"""The highest limit of calls at once that an app can be given."""

_HttpUrl = Annotated[str, AfterValidator(http_url)]


class VoiceApp(BaseModel):
    """What is done with the calls of an app's numbers, and who is told."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    flow_url: _HttpUrl = Field(description="Asked for the call flow of each inbound call to its numbers.")
    fallback_url: _HttpUrl | None = Field(default=None, description="Asked when flow_url fails.")
    webhook_url: _HttpUrl | None = Field(default=None, description="Told the status of each such call.")
    webhook_version: WebhookVersion | None = Field(
        default=None,
        description="Format of its webhooks and of the ids in them; twilio: it is asked and told as by Twilio. As the "
        "node's if not given.",
    )
    secret: str | None = Field(
        default=None,
        min_length=8,
        repr=False,
        description="Signs its webhooks, those of outbound calls too; the node's webhook_secret if not given.",
    )
    channel_limit: int = Field(
        default=0, ge=0, le=MAX_CHANNEL_LIMIT, description="Calls at once, both ways; 0 for no limit."
    )


class VirtualNumber(BaseModel):
    """A telephone number of this server, and where its calls go."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    name: str | None = Field(default=None, min_length=1, max_length=255, description="For people; the number itself.")
    app: str | None = Field(default=None, description="Voice app of its calls; if neither: as the API assigns it.")
    trunk: str | None = Field(default=None, description="In place of app: calls to it are dialled there.")
    location: str | None = Field(default=None, min_length=1, max_length=255, description="A place, for people.")
    region_code: str | None = Field(default=None, max_length=16, description="Region of it, such as CA.")
    country_code: Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")] | None = Field(
        default=None, description="ISO 3166 code of its country, such as US."
    )

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if self.app is not None and self.trunk is not None:
            raise ValueError("give app or trunk, not both")
        if self.location is None and (self.region_code is not None or self.country_code is not None):
            raise ValueError("region_code and country_code go with location")
        return self
