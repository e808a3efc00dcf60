"""The settings of `[speech]`: what speaks when a flow says `say`."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from longline.base.urls import http_url


class SpeechSettings(BaseModel):
    """Text to speech."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    engine: Literal["auto", "espeak-ng", "flite", "http", "off"] = Field(
        default="auto",
        description="What speaks: auto is espeak-ng or flite, whichever this host has; http needs speech.url.",
    )
    voice: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_+.\-]{0,63}$",
        description="The voice of a text that names none.",
    )
    url: Annotated[str, AfterValidator(http_url)] | None = Field(
        default=None,
        description="A service that answers POST {model, input, voice, response_format: wav} with a WAV file.",
    )
    model: str = Field(
        default="tts-1", min_length=1, max_length=128, description="The model that such a service is asked for."
    )
    key: str | None = Field(
        default=None, min_length=1, pattern=r"^[!-~]+$", repr=False, description="Its API key, sent as a bearer token."
    )
    timeout_s: float = Field(default=10.0, gt=0, le=120, description="How long one text may take to be spoken.")
    cache_mb: int = Field(
        default=100, ge=0, le=100_000, description="Megabytes of spoken texts that are kept in data_dir; 0 keeps none."
    )

    @model_validator(mode="after")
    def _url_for_http(self) -> Self:
        if self.engine == "http" and self.url is None:
            raise ValueError("url must be given when engine is http")
        return self
