"""The streams of one live call: opened, closed, told of, and ended with the call."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from longline.base.errors import LimitReached, MediaUnavailable, StreamNotFound
from longline.base.events import EventType
from longline.base.ids import DEFAULT_VOICE_APP_ID, Prefix, encode_id
from longline.base.stream_formats import SAMPLE_RATES_HZ
from longline.calls.context import CallContext
from longline.calls.dialects import DIALECTS
from longline.calls.stream import CALL_ENDED, Stream, StreamRequest
from longline.calls.stream_ways import StreamWatch, Ways
from longline.guard.refused import Refusal, Refused
from longline.media.errors import MediaCommandRefused
from longline.media.protocol.commands import StreamResume, StreamTarget, StreamUrl
from longline.media.protocol.events import StreamClosed, StreamConnected, StreamDisconnected, StreamResumed

MAX_STREAMS_PER_CALL = 8
"""Live streams of one call; one more is refused with LimitReached."""
OPEN_FAILED = "open_failed"
NOT_FOUND = "dns_failed"
REFUSED = "url_refused"


class CallStreams:
    """Every method is called by the call's own task, one at a time."""

    def __init__(self, context: CallContext) -> None:
        self._context = context
        self._streams = context.call.streams
        self._watch = StreamWatch(context)
        self._ways: dict[UUID, tuple[StreamUrl, ...]] = {}

    async def open(self, request: StreamRequest, ways: Ways) -> Stream:
        """Begin to dial the application. The stream returned may have failed already."""
        live = sum(not stream.has_ended for stream in self._streams.values())
        if live >= MAX_STREAMS_PER_CALL:
            self._context.counters["streams_refused"] += 1
            raise LimitReached(f"A call has at most {MAX_STREAMS_PER_CALL} streams.")
        stream = Stream(self._context.call.id, request, self._context.now())
        self._streams[stream.id] = stream
        self._note(EventType.STREAM_INITIATED, stream, stream.created_at)
        await self._context.save_stream(stream)
        if isinstance(ways, Refused):
            stream.refusal = str(ways.code)
            await self._end(stream, NOT_FOUND if ways.code is Refusal.NAME_NOT_FOUND else REFUSED, detail=str(ways))
            return stream
        self._ways[stream.id] = ways
        try:
            await self._context.session.open_stream(str(stream.id), self._target(stream, ways))
        except (MediaCommandRefused, MediaUnavailable) as error:
            await self._end(stream, OPEN_FAILED, detail=str(error))
        return stream

    async def close(self, stream_id: UUID) -> Stream:
        """Close a stream in order; one that has ended stays as it is. Raise StreamNotFound."""
        stream = self._streams.get(stream_id)
        if stream is None:
            raise StreamNotFound
        if not stream.has_ended:
            try:
                stream.stats = await self._context.session.close_stream(str(stream.id))
            except MediaCommandRefused:
                return stream  # it has just ended by itself: its event is on the way
            await self._end(stream, "closed_by_control")
        return stream

    async def let_go(self, stream_id: UUID) -> None:
        """Close a stream that nobody waits for any more; one that is not there, or cannot be reached, is no fault."""
        with contextlib.suppress(StreamNotFound, MediaUnavailable):
            await self.close(stream_id)

    async def connected(self, event: StreamConnected) -> None:
        stream = self._find(event.stream)
        at = datetime.fromtimestamp(event.at, UTC)
        told_by = stream and stream.connect(at)
        if stream and told_by:
            self._note(told_by, stream, at, {"connect_ms": event.connect_ms})
            await self._context.save_stream(stream)

    async def disconnected(self, event: StreamDisconnected) -> None:
        stream = self._find(event.stream)
        told_by = stream and stream.drop()
        if stream and told_by:
            self._watch.begin(stream, self._ways.get(stream.id, ()))
            lost = {"reason": event.reason, "code": event.code, "detail": event.detail, "window_ms": event.window_ms}
            self._note(told_by, stream, datetime.fromtimestamp(event.at, UTC), lost)
            await self._context.save_stream(stream)

    async def resumed(self, event: StreamResumed) -> None:
        stream = self._find(event.stream)
        told_by = stream and stream.resume()
        if stream and told_by:
            self._watch.end(stream)
            found = {
                "epoch": event.epoch,
                "resumed": event.resumed,
                "outage_ms": event.outage_ms,
                "tries": event.tries,
                "dialled_in": event.dialled_in,
            }
            self._note(told_by, stream, datetime.fromtimestamp(event.at, UTC), found)
            await self._context.save_stream(stream)

    async def closed(self, event: StreamClosed) -> None:
        stream = self._find(event.stream)
        if stream is not None:
            stream.stats = stream.stats or event.stats
            await self._end(stream, event.reason, event.code, event.detail)

    def close_all(self, stats: dict[str, Any] | None = None) -> list[Stream]:
        """The call is over: the streams that end with it, noted and to be stored. `stats` are those of each stream, by
        its id."""
        at = self._context.now()
        ended: list[Stream] = []
        for stream in self._streams.values():
            if not stream.has_ended:
                self._watch.end(stream)
                stream.stats = (stats or {}).get(str(stream.id), {})
                told_by = stream.end(CALL_ENDED, at)
                if told_by is not None:
                    ended.append(stream)
                    self._note(told_by, stream, at)
        return ended

    async def _end(self, stream: Stream, reason: str, code: int | None = None, detail: str | None = None) -> None:
        at = self._context.now()
        told_by = stream.end(reason, at, code, detail)
        if told_by is None:
            return
        self._watch.end(stream)
        self._note(told_by, stream, at)
        await self._context.save_stream(stream)
        stream.ended.set()

    def _note(self, event_type: EventType, stream: Stream, at: datetime, data: dict[str, Any] | None = None) -> None:
        self._context.note(
            event_type,
            stream.event_data() | (data or {}),
            at=at,
            stream_id=stream.id,
            target_url=stream.request.status_callback_url,
            target_method=stream.request.status_callback_method,
            version=stream.request.status_callback_version,
        )

    def told(self, stream_id: UUID) -> str | None:
        """Who is told of a stream beside whoever is told of the call."""
        stream = self._streams.get(stream_id)
        return None if stream is None else stream.request.status_callback_url

    def _find(self, stream_id: str) -> Stream | None:
        return next((stream for key, stream in self._streams.items() if str(key) == stream_id), None)

    def _target(self, stream: Stream, ways: tuple[StreamUrl, ...]) -> StreamTarget:
        call, request = self._context.call, stream.request
        terms, spoken, heard = DIALECTS[request.dialect], request.format, request.input_format
        names = terms.names(call, stream)
        first, *others = ways
        secret = self._context.secret()
        return StreamTarget(
            url=first.url,
            addresses=first.addresses,
            alternatives=tuple(others),
            resume=self._resume(request),
            secrets=(secret,) if terms.signs and secret is not None else (),
            dialect=request.dialect,
            encoding=spoken.encoding,
            chunk_ms=spoken.chunk_ms,
            rate_hz=SAMPLE_RATES_HZ[spoken.sample_rate],
            input_encoding=None if heard is None else heard.encoding,
            input_rate_hz=None if heard is None else SAMPLE_RATES_HZ[heard.sample_rate],
            account_id=names.account_id,
            call_app_id=encode_id(Prefix.VOICE_APP, call.voice_app_id or DEFAULT_VOICE_APP_ID),
            call_id=names.call_id,
            stream_id=names.stream_id,
            metadata=call.metadata or None,
            headers=tuple(terms.headers(call, stream, secret)),
            subprotocols=terms.subprotocols,
            from_number=call.from_number,
            to_number=call.to_number,
            call_direction=str(call.direction),
            parameters=request.parameters,
            tracks=request.tracks,
            together=request.together,
            speak_to=request.speak_to,
            direction=request.direction,
            ids=terms.ids(call, stream),
        )

    def _resume(self, request: StreamRequest) -> StreamResume | None:
        if request.window_s == 0:
            return None
        return StreamResume(request.window_s * 1000, url=self._context.resume_url, comfort=request.comfort)
