"""What is spoken on a stream of longline.v1: encoding, rate, length of a frame, and binary or JSON."""

from __future__ import annotations

from typing import Final, Literal, Self

from pydantic import BaseModel, ConfigDict, model_validator

Encoding = Literal["pcm_s16le", "mulaw", "alaw", "opus"]
Rate = Literal[8000, 16000, 24000, 48000]
FrameMs = Literal[10, 20, 30, 40, 50, 60]
Mode = Literal["binary", "json"]

RATES: Final[dict[str, tuple[int, ...]]] = {
    "pcm_s16le": (8000, 16000, 24000, 48000),
    "mulaw": (8000,),
    "alaw": (8000,),
    "opus": (48000,),
}
OPUS_FRAMES_MS: Final = (10, 20, 40, 60)


class Format(BaseModel):
    """As `start` offers it and `ready` has agreed on it."""

    model_config = ConfigDict(frozen=True, strict=True)

    encoding: Encoding = "pcm_s16le"
    rate_hz: Rate = 8000
    frame_ms: FrameMs = 20
    mode: Mode = "binary"

    @model_validator(mode="after")
    def _is_possible(self) -> Self:
        if self.rate_hz not in RATES[self.encoding]:
            raise ValueError(f"{self.encoding} has the rates {RATES[self.encoding]}")
        if self.encoding == "opus" and self.frame_ms not in OPUS_FRAMES_MS:
            raise ValueError(f"opus has frames of {OPUS_FRAMES_MS} ms")
        return self

    @property
    def bytes_per_sample(self) -> int:
        """0: packets, not samples (Opus)."""
        return {"pcm_s16le": 2, "opus": 0}.get(self.encoding, 1)

    @property
    def frame_samples(self) -> int:
        return self.rate_hz * self.frame_ms // 1000

    @property
    def frame_bytes(self) -> int:
        """Of a frame; 0 for Opus, whose packets are of any length."""
        return self.frame_samples * self.bytes_per_sample

    def milliseconds(self, payload: bytes) -> float:
        """How long it lasts; an Opus packet is taken to be one frame."""
        if not self.bytes_per_sample:
            return float(self.frame_ms)
        return len(payload) / self.bytes_per_sample * 1000 / self.rate_hz


class FormatWish(BaseModel):
    """What `hello` asks for; what is left out is as `start` offers it."""

    model_config = ConfigDict(frozen=True, strict=True)

    encoding: Encoding | None = None
    rate_hz: Rate | None = None
    frame_ms: FrameMs | None = None
    mode: Mode | None = None

    def meet(self, offered: Format) -> Format:
        """The format that both want. Raises ValueError when there is none."""
        wanted = self.model_dump(exclude_none=True)
        if wanted.get("encoding", offered.encoding) != offered.encoding and "rate_hz" not in wanted:
            # A rate that only the offered encoding has would make a wish for another one impossible.
            rates = RATES[wanted["encoding"]]
            wanted["rate_hz"] = offered.rate_hz if offered.rate_hz in rates else rates[0]
        return Format.model_validate(offered.model_dump() | wanted)


class Offers(BaseModel):
    """What could be spoken."""

    model_config = ConfigDict(frozen=True, strict=True)

    encodings: list[Encoding]
    rates_hz: list[Rate]
    frame_ms: list[FrameMs]
    modes: list[Mode]


EVERYTHING: Final = Offers(
    encodings=["pcm_s16le", "mulaw", "alaw", "opus"],
    rates_hz=[8000, 16000, 24000, 48000],
    frame_ms=[10, 20, 30, 40, 50, 60],
    modes=["binary", "json"],
)
