"""The two versions of a webhook, to the letter."""

from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import pytest

from longline.base.events import CallFacts, Event
from longline.base.ids import DEFAULT_VOICE_APP_ID, encode_id
from longline.webhooks.payload import WEBHOOK_TYPES, render

AT = datetime(2026, 6, 1, 12, 0, 5, 678901, tzinfo=UTC)
STAMP = "2026-06-01T12:00:05.678Z"
CALL, LEG, STREAM, EVENT, ACCOUNT, APP = (UUID(int=number) for number in range(1, 7))
FACTS = CallFacts(ACCOUNT, APP, "+14155550100", "+14155550101", "http://app/status")
NUMBERS = {"from": "+14155550100", "to": "+14155550101"}


def event(kind: str, stream: UUID | None = None, **data: object) -> Event:
    return Event(type=kind, call_id=CALL, at=AT, stream_id=stream, data=data, id=EVENT)


def test_a_call_of_a_trunk_names_it_in_the_later_version() -> None:
    facts = replace(FACTS, sip_trunk_id=UUID(int=7))
    assert render(event("call.answered"), facts, "2026-06-01")["sip_trunk_id"] == encode_id("st", UUID(int=7))
    assert "sip_trunk_id" not in str(render(event("call.answered"), facts, "2025-08-01"))


@pytest.mark.parametrize(
    ("heard", "name", "data"),
    [
        (event("call.initiated", state="initiated"), "call.initiated", {**NUMBERS, "start_time": STAMP}),
        (event("call.ringing"), "call.ringing", NUMBERS),
        (event("call.answered"), "call.answered", {**NUMBERS, "answer_time": STAMP}),
        (
            event("call.completed", duration_seconds=42, reason="normal_clearing"),
            "call.completed",
            {**NUMBERS, "duration": 42, "hangup_time": STAMP},
        ),
        (
            event("call.completed", duration_seconds=3, reason="stream_failed"),
            "call.completed",
            {**NUMBERS, "duration": 3, "hangup_time": STAMP, "reason": "stream_failed"},
        ),
        (
            event("call.failed", duration_seconds=0, reason="busy"),
            "call.completed",
            {**NUMBERS, "duration": 0, "hangup_time": STAMP, "reason": "busy"},
        ),
        (
            event("stream.initiated", STREAM),
            "stream.initiated",
            {"stream_id": str(STREAM), "start_time": STAMP},
        ),
        (
            event("stream.completed", STREAM, reason="closed_by_app"),
            "stream.completed",
            {"stream_id": str(STREAM), "end_time": STAMP},
        ),
        (
            event("stream.failed", STREAM, reason="connect_refused"),
            "stream.completed",
            {"stream_id": str(STREAM), "end_time": STAMP, "reason": "connect_refused"},
        ),
        (
            event("recording.completed", recording_id="rec_1", duration_ms=9),
            "recording.completed",
            {**NUMBERS, "recording_id": "rec_1", "duration_ms": 9},
        ),
    ],
    ids=lambda value: value.type if isinstance(value, Event) else "",
)
def test_version_2025_08_01(heard: Event, name: str, data: dict[str, object]) -> None:
    assert render(heard, FACTS, "2025-08-01") == {
        "event": name,
        "account_id": str(ACCOUNT),
        "call_app_id": str(APP),
        "data": {"call_id": str(CALL), **data},
    }


def test_version_2026_06_01_has_an_envelope_with_prefixed_ids() -> None:
    heard = Event(type="call.failed", call_id=CALL, at=AT, leg_id=LEG, id=EVENT, data={"reason": "busy", "other": 1})
    call_id = encode_id("cs", CALL)
    assert render(heard, FACTS, "2026-06-01") == {
        "id": encode_id("evt", EVENT),
        "type": "call.failed",
        "api_version": "2026-06-01",
        "occurred_at": STAMP,
        "account_id": encode_id("acc", ACCOUNT),
        "voice_app_id": encode_id("va", APP),
        "sip_trunk_id": None,
        "call_id": call_id,
        "leg_id": encode_id("cl", LEG),
        "data": {
            "call_id": call_id,
            "from_number": "+14155550100",
            "to_number": "+14155550101",
            "reason": "busy",
        },
        "previous_attributes": None,
    }


def test_version_2026_06_01_tells_durations_and_streams() -> None:
    ended = render(event("call.completed", duration_seconds=0, reason="completed"), FACTS, "2026-06-01")
    assert ended["data"]["duration_seconds"] == 0
    failed = render(event("stream.failed", STREAM, reason="tls_failed", detail="secret"), FACTS, "2026-06-01")
    assert failed["type"] == "stream.completed"
    assert failed["data"]["stream_id"] == encode_id("ms", STREAM)
    assert failed["data"]["reason"] == "tls_failed"
    assert "detail" not in failed["data"]


def test_a_call_of_no_voice_app_shows_the_default_one_or_null() -> None:
    facts = CallFacts(ACCOUNT, None, None, None, None)
    assert render(event("call.ringing"), facts, "2025-08-01")["call_app_id"] == str(DEFAULT_VOICE_APP_ID)
    assert render(event("call.ringing"), facts, "2026-06-01")["voice_app_id"] is None


@pytest.mark.parametrize("version", ["2025-08-01", "2026-06-01"])
@pytest.mark.parametrize("kind", sorted(WEBHOOK_TYPES))
def test_every_webhook_type_can_be_told_in_every_version(kind: str, version: str) -> None:
    assert render(event(kind, STREAM), FACTS, version)["data"]["call_id"]


@pytest.mark.parametrize("version", ["2025-08-01", "2026-06-01"])
def test_a_dialled_leg_is_told_with_its_own_numbers(version: str) -> None:
    told = Event(
        type="leg.completed",
        call_id=CALL,
        leg_id=LEG,
        at=AT,
        id=EVENT,
        data={
            "role": "dial_target",
            "from_number": "+14155550100",
            "to_number": "sip:bob@b.example",
            "state": "completed",
            "reason": "normal_clearing",
            "ended_by": "callee",
            "duration_seconds": 7,
        },
    )
    body = render(told, FACTS, version)
    shown = {"role": "dial_target", "reason": "normal_clearing", "ended_by": "callee", "duration_seconds": 7}
    assert body["data"].items() >= shown.items()
    if version == "2025-08-01":
        assert (body["event"], body["data"]["to"]) == ("leg.completed", "sip:bob@b.example")
        assert body["data"]["leg_id"] == str(LEG)
    else:
        assert (body["type"], body["data"]["to_number"]) == ("leg.completed", "sip:bob@b.example")
        assert body["leg_id"] == encode_id("cl", LEG)


@pytest.mark.parametrize("version", ["2025-08-01", "2026-06-01"])
def test_a_transfer_is_told_with_its_operation(version: str) -> None:
    told = event("call.transfer.failed", operation_id="op_1", target_leg_id="cl_1", mode="cold", reason="busy")
    body = render(told, FACTS, version)
    assert body["event" if version == "2025-08-01" else "type"] == "call.transfer.failed"
    assert body["data"].items() >= {"operation_id": "op_1", "target_leg_id": "cl_1", "reason": "busy"}.items()
