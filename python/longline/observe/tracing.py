"""OpenTelemetry traces, from the request to the API to the first audio: made of the events of the bus, after the fact.

A call is a span, under that of the request that placed it; what takes time within a call (ringing, flow, stream and its
connecting, legs, playbacks, the wait for the first audio) is one under it, the rest are span events. No attribute has
a telephone number or a digit. Needs the extra `longline[otel]`; the exporter reads the OTEL_… variables itself.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlsplit
from uuid import UUID

from opentelemetry.context import Context
from opentelemetry.propagators.textmap import default_getter
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from longline import __version__
from longline.base.errors import ConfigError
from longline.base.events import Event, EventType
from longline.base.ids import Prefix, encode_id
from longline.base.trace import traceparent

MAX_CALLS_TRACED: Final = 20_000
"""Calls whose spans are open. Rule when full: the oldest is ended as it is, and not followed any more."""
MAX_SPANS_PER_CALL: Final = 64
"""Open spans of one call. Rule when full: what begins is only a span event."""

FIRST_AUDIO: Final = "first audio"
BEGINNINGS: Final[dict[str, tuple[str, ...]]] = {
    EventType.CALL_RINGING: ("ringing",),
    EventType.CALL_ANSWERED: (FIRST_AUDIO,),
    EventType.FLOW_REQUESTED: ("flow",),
    EventType.STREAM_INITIATED: ("stream", "stream connect"),
    EventType.LEG_INITIATED: ("leg",),
    EventType.PLAYBACK_STARTED: ("playback",),
}
"""Which spans an event begins, each under the one before it."""
ENDS: Final[dict[str, tuple[str, ...]]] = {
    EventType.CALL_ANSWERED: ("ringing",),
    EventType.FLOW_RECEIVED: ("flow",),
    EventType.FLOW_FAILED: ("flow",),
    EventType.STREAM_CONNECTED: ("stream connect",),
    EventType.STREAM_COMPLETED: ("stream connect", "stream"),
    EventType.STREAM_FAILED: ("stream connect", "stream"),
    EventType.LEG_COMPLETED: ("leg",),
    EventType.LEG_FAILED: ("leg",),
    EventType.PLAYBACK_STARTED: (FIRST_AUDIO,),
    EventType.PLAYBACK_FINISHED: ("playback",),
    EventType.PLAYBACK_FAILED: ("playback",),
    EventType.PLAYOUT_STARTED: (FIRST_AUDIO,),
}
"""Which spans an event ends, in this order."""
_FAILURES: Final = frozenset(
    {
        EventType.FLOW_FAILED,
        EventType.STREAM_FAILED,
        EventType.LEG_FAILED,
        EventType.PLAYBACK_FAILED,
        EventType.CALL_FAILED,
    }
)
_SHOWN: Final = ("reason", "action", "state", "role", "duration_seconds", "status", "connect_ms")
"""What of an event's data an attribute may have: words and durations."""

_PROPAGATOR: Final = TraceContextTextMapPropagator()
EndRequest = Callable[[str, int], None]
"""Told the route and the status of a request when it is over."""


def provider_from_environment() -> TracerProvider:
    """Exports by OTLP over HTTP, as OTEL_EXPORTER_OTLP_ENDPOINT and the like say. Raise ConfigError."""
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # type: ignore[import-not-found, unused-ignore]
            OTLPSpanExporter,
        )
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise ConfigError("tracing needs the extra packages of longline[otel]", "tracing") from error
    provider = TracerProvider(resource=Resource.create({SERVICE_NAME: "longline"}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider


@dataclass(slots=True)
class _CallSpans:
    root: Span
    open: dict[tuple[str, Any], Span] = field(default_factory=dict)


class Tracing:
    """`on_event` is a subscriber of the bus, `begin_request` is called for each request to the API."""

    def __init__(self, provider: TracerProvider) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer("longline", __version__)
        self._calls: OrderedDict[UUID, _CallSpans] = OrderedDict()

    def close(self) -> None:
        """Export what is left; may take a while."""
        for spans in self._calls.values():
            _end_all(spans, None)
        self._calls.clear()
        self._provider.shutdown()

    def headers(self, call_id: UUID) -> Mapping[str, str]:
        """What tells an application that is asked about this call of its trace."""
        spans = self._calls.get(call_id)
        return {} if spans is None else {"traceparent": _traceparent(spans.root)}

    def begin_request(self, method: str, parent: str | None) -> EndRequest:
        """A request to the API; `parent` is the traceparent that came with it. What it begins is under its span."""
        span = self._tracer.start_span(method, context=_context(parent), kind=SpanKind.SERVER)
        token = traceparent.set(_traceparent(span))

        def end(route: str, status: int) -> None:
            traceparent.reset(token)
            span.update_name(f"{method} {route}")
            span.set_attributes(
                {"http.request.method": method, "http.route": route, "http.response.status_code": status}
            )
            if status >= 500:
                span.set_status(Status(StatusCode.ERROR))
            span.end()

        return end

    def on_event(self, event: Event) -> None:
        if event.call_id is None:
            return
        if event.type == EventType.CALL_INITIATED:
            self._begin_call(event)
            return
        spans = self._calls.get(event.call_id)
        if spans is None:
            return
        for name in ENDS.get(event.type, ()):
            _end(spans.open.pop((name, _key(name, event)), None), event)
        if event.type in (EventType.CALL_COMPLETED, EventType.CALL_FAILED):
            del self._calls[event.call_id]
            _end_all(spans, event)
            return
        begun = BEGINNINGS.get(event.type, ())
        if not begun or len(spans.open) >= MAX_SPANS_PER_CALL:
            spans.root.add_event(event.type, _attributes(event), _ns(event.at))
            return
        parent = spans.root
        for name in begun:
            parent = spans.open[name, _key(name, event)] = self._tracer.start_span(
                name, context=set_span_in_context(parent), start_time=_ns(event.at), attributes=_attributes(event)
            )

    def _begin_call(self, event: Event) -> None:
        assert event.call_id is not None
        direction = str(event.data.get("direction", "unknown"))
        root = self._tracer.start_span(
            f"call {direction}",
            context=_context(None if event.call is None else event.call.traceparent),
            kind=SpanKind.SERVER if direction == "inbound" else SpanKind.CLIENT,
            start_time=_ns(event.at),
            attributes={
                "longline.call.id": encode_id(Prefix.CALL, event.call_id),
                "longline.call.direction": direction,
            },
        )
        self._calls[event.call_id] = _CallSpans(root)
        if len(self._calls) > MAX_CALLS_TRACED:
            _end_all(self._calls.popitem(last=False)[1], None)


def _key(name: str, event: Event) -> Any:
    """Of several spans of one name that are open, which."""
    if name.startswith("stream"):
        return event.stream_id
    if name == "leg":
        return event.leg_id
    return event.data.get("playback_id") if name == "playback" else None


def _attributes(event: Event) -> dict[str, Any]:
    found: dict[str, Any] = {
        f"longline.{name}": event.data[name] for name in _SHOWN if event.data.get(name) is not None
    }
    url = event.data.get("ws_url") or event.data.get("flow_url")
    if isinstance(url, str):  # its path and query may be secrets
        found["server.address"] = urlsplit(url).hostname or ""
    return found


def _end(span: Span | None, event: Event | None) -> None:
    if span is None:
        return
    if event is not None:
        span.set_attributes(_attributes(event))
        if event.type in _FAILURES:
            span.set_status(Status(StatusCode.ERROR, str(event.data.get("reason") or "")))
    span.end(None if event is None else _ns(event.at))


def _end_all(spans: _CallSpans, event: Event | None) -> None:
    for span in reversed(spans.open.values()):
        span.end(None if event is None else _ns(event.at))
    _end(spans.root, event)


def _context(parent: str | None) -> Context:
    return _PROPAGATOR.extract({} if parent is None else {"traceparent": parent}, Context(), default_getter)


def _traceparent(span: Span) -> str:
    carrier: dict[str, str] = {}
    _PROPAGATOR.inject(carrier, set_span_in_context(span))
    return carrier.get("traceparent", "")


def _ns(at: datetime) -> int:
    return int(at.timestamp() * 1_000_000) * 1000
