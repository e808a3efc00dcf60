"""What may be said of a stream wherever one is asked for: by the verb `stream`, and by the REST API."""

from __future__ import annotations

from typing import Self

from pydantic import BaseModel, Field, model_validator

from longline.base.stream_formats import DialectName, Encoding, SampleRate
from longline.base.stream_tracks import StreamDirection, Together
from longline.calls.stream import StreamAuth, StreamRequest
from longline.flows.fields import (
    ChunkSize,
    Listener,
    OtherWsUrls,
    Parameters,
    ResumeWindow,
    StreamAuthField,
    StreamUrl,
    Tracks,
    all_parties,
    check_stream,
    listener_number,
    track_numbers,
)
from longline.media.protocol.commands import Comfort


class StreamFields(BaseModel):
    """A dialect that cannot carry the format is refused with what it can carry."""

    dialect: DialectName = Field(default="teler", description="The message format on the WebSocket.")
    ws_url: StreamUrl = Field(
        description="A ws:// or wss:// URL; its query is kept. For exotel also an https:// URL that answers it."
    )
    encoding: Encoding | None = Field(default=None, description="Of the audio, both ways; as the dialect has it.")
    sample_rate: SampleRate | None = Field(
        default=None, description="Of the audio that the application is sent; as the dialect has it: 8k for teler."
    )
    chunk_size: ChunkSize | None = Field(
        default=None,
        description="Milliseconds of audio per message, a multiple of 20; as the dialect has it: 400 for teler.",
    )
    input_encoding: Encoding | None = Field(
        default=None, description="Of what the application says, where the dialect (telnyx) has two formats."
    )
    input_sample_rate: SampleRate | None = Field(default=None, description="As input_encoding.")
    parameters: Parameters = Field(
        default_factory=dict, description="Texts that the dialect's start tells, such as Twilio's customParameters."
    )
    auth: StreamAuthField | None = Field(
        default=None,
        description="Sent with the handshake: {token}, or {username, password} (Basic). It is not logged.",
        repr=False,
    )
    tracks: Tracks = Field(default_factory=all_parties)
    together: Together = Field(
        default="apart",
        description="How several tracks come, as the dialect can: in messages of their own, mixed, or two as stereo.",
    )
    speak_to: Listener = "all"
    direction: StreamDirection = Field(
        default="both", description="listen: what the application says is refused, and nobody hears it."
    )
    urls: OtherWsUrls = Field(default_factory=list)
    resume_window: ResumeWindow | None = Field(
        default=None,
        description="Seconds for which a lost connection is tried to be made again; as the dialect has it: 60 for "
        "longline, 0 (the stream has failed) for the others.",
    )
    comfort: Comfort = Field(
        default="silence", description="What the parties hear without a connection, once what was queued is played."
    )

    @model_validator(mode="after")
    def _has_such_a_format(self) -> Self:
        check_stream(self.to_request())
        return self

    def to_request(self) -> StreamRequest:
        return StreamRequest(
            ws_url=self.ws_url,
            chunk_size=self.chunk_size,
            sample_rate=self.sample_rate,
            dialect=self.dialect,
            encoding=self.encoding,
            input_encoding=self.input_encoding,
            input_sample_rate=self.input_sample_rate,
            parameters=self.parameters,
            tracks=track_numbers(self.tracks),
            together=self.together,
            speak_to=listener_number(self.speak_to),
            direction=self.direction,
            urls=tuple(self.urls),
            resume_window_s=self.resume_window,
            comfort=self.comfort,
            auth=None if self.auth is None else StreamAuth(**self.auth),
        )
