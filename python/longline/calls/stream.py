"""A stream: a call's live audio joined to one WebSocket of the application.

The states and inputs are a table that names the event each move is told by: a stream is initiated once, and is
completed or fails once, whatever the media server, the application and the caller do at the same moment. In between it
may lose its connection and get another one any number of times.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from longline.base.events import EventType
from longline.base.ids import new_id
from longline.base.stream_formats import DialectName, Encoding, SampleRate
from longline.base.stream_tracks import ALL, StreamDirection, Together
from longline.calls.dialects import DIALECTS, Format, settle, settle_input
from longline.calls.manner import Method
from longline.media.protocol.commands import Comfort
from longline.store.records import StreamRecord

CALL_ENDED = "call_ended"
"""The reason of a stream that was closed because its call was over."""
ORDERLY_REASONS = frozenset({"closed_by_app", "closed_by_control", CALL_ENDED})
"""Ends that somebody wanted; every other reason is a failure."""


class StreamState(StrEnum):
    CONNECTING = "connecting"
    CONNECTED = "connected"
    DISCONNECTED = "disconnected"  # it is dialled again
    CLOSED = "closed"
    FAILED = "failed"


class StreamInput(StrEnum):
    CONNECTED = "connected"
    DROPPED = "dropped"  # the connection, not the stream
    RESUMED = "resumed"
    CLOSED = "closed"  # in order
    LOST = "lost"  # or never reached


TRANSITIONS: dict[tuple[StreamState, StreamInput], tuple[StreamState, EventType]] = {
    (StreamState.CONNECTING, StreamInput.CONNECTED): (StreamState.CONNECTED, EventType.STREAM_CONNECTED),
    (StreamState.CONNECTING, StreamInput.CLOSED): (StreamState.CLOSED, EventType.STREAM_COMPLETED),
    (StreamState.CONNECTING, StreamInput.LOST): (StreamState.FAILED, EventType.STREAM_FAILED),
    (StreamState.CONNECTED, StreamInput.DROPPED): (StreamState.DISCONNECTED, EventType.STREAM_DISCONNECTED),
    (StreamState.DISCONNECTED, StreamInput.RESUMED): (StreamState.CONNECTED, EventType.STREAM_RESUMED),
    (StreamState.DISCONNECTED, StreamInput.CLOSED): (StreamState.CLOSED, EventType.STREAM_COMPLETED),
    (StreamState.DISCONNECTED, StreamInput.LOST): (StreamState.FAILED, EventType.STREAM_FAILED),
    (StreamState.CONNECTED, StreamInput.CLOSED): (StreamState.CLOSED, EventType.STREAM_COMPLETED),
    (StreamState.CONNECTED, StreamInput.LOST): (StreamState.FAILED, EventType.STREAM_FAILED),
}


@dataclass(frozen=True, slots=True)
class StreamAuth:
    """How a stream proves itself in its handshake: by a token, by name and password, or by a `value` of Authorization
    that is given whole. None of it shows."""

    token: str | None = field(default=None, repr=False)
    username: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    value: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class StreamRequest:
    """What is asked for. What is None is as the dialect has it; `chunk_size` is in milliseconds. `parameters` are told
    in the dialect's `start`; `tracks` are what is heard (`base/stream_tracks.py`); `input_encoding` and
    `input_sample_rate` are of what the application says, where the dialect has two formats. `client_state` is a text
    that the dialect hands back. `urls` are tried after `ws_url`; a lost connection is tried to be made again for
    `resume_window_s`, while the parties hear `comfort` when nothing is queued."""

    ws_url: str
    chunk_size: int | None = None
    sample_rate: SampleRate | None = None
    dialect: DialectName = "teler"
    encoding: Encoding | None = None
    input_encoding: Encoding | None = None
    input_sample_rate: SampleRate | None = None
    parameters: Mapping[str, str] = field(default_factory=dict)
    auth: StreamAuth | None = None
    client_state: str | None = None
    tracks: tuple[int, ...] = (ALL,)
    together: Together = "apart"
    speak_to: int = ALL
    direction: StreamDirection = "both"
    urls: tuple[str, ...] = ()
    resume_window_s: int | None = None
    comfort: Comfort = "silence"
    name: str | None = None
    """What its flow calls it."""
    status_callback_url: str | None = None
    """Told of it, by `status_callback_method`."""
    status_callback_method: Method = "POST"
    status_callback_version: str | None = None
    """In which format; None: as the call's flow is spoken to."""

    @property
    def format(self) -> Format:
        """Raise ValueError when the dialect has no such format."""
        return settle(self.dialect, self.encoding, self.sample_rate, self.chunk_size)

    @property
    def window_s(self) -> int:
        """For how long a lost connection is tried to be made again; 0: the stream has failed with it."""
        return DIALECTS[self.dialect].resume_window_s if self.resume_window_s is None else self.resume_window_s

    @property
    def input_format(self) -> Format | None:
        """None: as the dialect has it. Raise ValueError."""
        if self.input_encoding is None and self.input_sample_rate is None:
            return None
        return settle_input(self.dialect, self.input_encoding, self.input_sample_rate)


@dataclass(slots=True, eq=False)
class Stream:
    """`ended` is set when the stream has ended, in whatever way; `reason` and `detail` then say how. `refusal` is the
    guard's code for a URL that is not dialled."""

    call_id: UUID
    request: StreamRequest
    created_at: datetime
    id: UUID = field(default_factory=new_id)
    state: StreamState = StreamState.CONNECTING
    connected_at: datetime | None = None
    ended_at: datetime | None = None
    reason: str | None = None
    code: int | None = None
    detail: str | None = None
    refusal: str | None = None
    stats: dict[str, Any] = field(default_factory=dict)
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def has_ended(self) -> bool:
        return self.state in (StreamState.CLOSED, StreamState.FAILED)

    def connect(self, at: datetime) -> EventType | None:
        """The WebSocket is open. The event that tells it; None when that is no news."""
        told_by = self._apply(StreamInput.CONNECTED)
        if told_by is not None:
            self.connected_at = at
        return told_by

    def drop(self) -> EventType | None:
        """The connection is lost and tried to be made again. None when that is no news."""
        return self._apply(StreamInput.DROPPED)

    def resume(self) -> EventType | None:
        """There is a connection again. None when that is no news."""
        return self._apply(StreamInput.RESUMED)

    def end(self, reason: str, at: datetime, code: int | None = None, detail: str | None = None) -> EventType | None:
        """The WebSocket is closed, or was never opened. None when the stream had ended before."""
        told_by = self._apply(StreamInput.CLOSED if reason in ORDERLY_REASONS else StreamInput.LOST)
        if told_by is not None:
            self.reason, self.code, self.detail, self.ended_at = reason, code, detail, at
        return told_by

    def _apply(self, given: StreamInput) -> EventType | None:
        move = TRANSITIONS.get((self.state, given))
        if move is None:
            return None
        self.state, told_by = move
        return told_by

    def event_data(self) -> dict[str, Any]:
        data: dict[str, Any] = {"ws_url": self.request.ws_url}
        data |= {"name": self.request.name} if self.request.name else {}
        if self.has_ended:
            data |= {"reason": self.reason, "code": self.code, "detail": self.detail}
            data |= {"refusal": self.refusal} if self.refusal else {}
        return data

    def to_record(self) -> StreamRecord:
        return StreamRecord(
            id=self.id,
            call_id=self.call_id,
            ws_url=self.request.ws_url,
            dialect=self.request.dialect,
            chunk_size=self.request.format.chunk_ms,
            sample_rate=self.request.format.sample_rate,
            state=self.state.value,
            created_at=self.created_at,
            connected_at=self.connected_at,
            ended_at=self.ended_at,
            reason=self.reason,
            stats=dict(self.stats),
        )
