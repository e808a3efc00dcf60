"""The trace of a call: from the request to the API to the first audio."""

from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from tests.support.calls import ANSWER, House

from longline.base.clock import settle
from longline.calls.originate import OriginateRequest
from longline.media.protocol.events import LegDigit, PlayoutStarted
from longline.observe import tracing as module
from longline.observe.tracing import Tracing
from longline.sip.events import Answered, Ended, Progress

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
STREAM = {"action": "stream", "ws_url": "ws://app.example/secret-path?token=s3cret"}
NUMBERS = ("+15550100", "15550101", "s3cret", "secret-path")


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def tracing(exporter: InMemorySpanExporter) -> Tracing:
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return Tracing(provider)


@pytest.fixture
def house(tmp_path: Path, tracing: Tracing) -> House:
    house = House(tmp_path)
    house.store.bus.subscribe(tracing.on_event)
    return house


def by_name(exporter: InMemorySpanExporter) -> dict[str, ReadableSpan]:
    return {span.name: span for span in exporter.get_finished_spans()}


async def test_one_trace_leads_from_the_request_to_the_first_audio(
    house: House, tracing: Tracing, exporter: InMemorySpanExporter
) -> None:
    end_request = tracing.begin_request("POST", PARENT)
    order = OriginateRequest("+15550100", "sip:+15550101@192.0.2.7", flow=STREAM, record=False)
    await house.manager.originate(order)
    end_request("/api/v1/voice/calls/initiate", 202)
    await settle(100)
    handle = next(handle for verb, handle, _ in reversed(house.user_agent.sent) if verb == "invite")
    await house.sip(Progress(handle, 180, "Ringing", None))
    await house.clock.advance(3)
    await house.sip(Answered(handle, ANSWER))
    header = tracing.headers(house.record.id)["traceparent"]
    await house.clock.advance(0.25)
    await house.stream_connects()
    heard_at = house.clock.now().timestamp()
    await house.media_tells(PlayoutStarted(at=heard_at, session=house.session.id, stream=house.stream_id))
    await house.media_tells(
        LegDigit(at=heard_at, session=house.session.id, leg=house.leg_id, digit="5", duration_ms=100)
    )
    await house.clock.advance(60)
    await house.sip(Ended(handle, "remote", "bye"))

    spans = by_name(exporter)
    assert set(spans) == {
        "POST /api/v1/voice/calls/initiate", "call outbound", "ringing", "first audio", "stream", "stream connect",
    }  # fmt: skip
    assert {format(span.context.trace_id, "032x") for span in spans.values()} == {PARENT.split("-")[1]}
    parents = {name: span.parent and span.parent.span_id for name, span in spans.items()}
    request, call = spans["POST /api/v1/voice/calls/initiate"], spans["call outbound"]
    assert parents[request.name] == int(PARENT.split("-")[2], 16)
    assert parents["call outbound"] == request.context.span_id
    assert parents["ringing"] == parents["first audio"] == parents["stream"] == call.context.span_id
    assert parents["stream connect"] == spans["stream"].context.span_id
    assert header == f"00-{call.context.trace_id:032x}-{call.context.span_id:016x}-01"
    seconds = {name: (span.end_time - span.start_time) / 1e9 for name, span in spans.items()}
    assert seconds["ringing"] == pytest.approx(3)
    assert seconds["first audio"] == pytest.approx(0.25)
    assert seconds["call outbound"] == pytest.approx(63.25)
    shown = str(
        [
            (span.name, dict(span.attributes or {}), [(e.name, e.attributes) for e in span.events])
            for span in spans.values()
        ]
    )
    assert not any(secret in shown for secret in NUMBERS)
    assert "dtmf.received" in shown and "'5'" not in shown
    assert tracing.headers(house.record.id) == {}, "nothing is kept of a call that is over"


async def test_a_call_that_comes_in_begins_a_trace_and_its_failure_is_an_error(
    house: House, exporter: InMemorySpanExporter
) -> None:
    await house.incoming()
    await house.stream_closes("connect_refused", None)
    spans = by_name(exporter)
    assert spans["call inbound"].parent is None
    assert spans["stream"].status.is_ok is False and spans["stream"].status.description == "connect_refused"
    assert (spans["stream"].attributes or {})["server.address"] == "app"


async def test_calls_that_are_traced_are_bounded(
    house: House, tracing: Tracing, exporter: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_CALLS_TRACED", 1)
    await house.incoming()
    first = house.record.id
    await house.incoming()
    assert tracing.headers(first) == {} and "call inbound" in by_name(exporter)
    tracing.close()


@pytest.mark.parametrize("parent", [None, "nonsense", "00-0-0-00"])
async def test_a_bad_parent_is_none(tracing: Tracing, exporter: InMemorySpanExporter, parent: Any) -> None:
    tracing.begin_request("GET", parent)("/healthz", 500)
    (span,) = exporter.get_finished_spans()
    assert span.parent is None and not span.status.is_ok
