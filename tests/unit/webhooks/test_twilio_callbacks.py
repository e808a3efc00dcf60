"""Status callbacks as Twilio makes them, to the letter."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, urlsplit
from uuid import UUID

import pytest
from twilio.request_validator import RequestValidator

from longline.base.events import CallFacts, Event, EventType
from longline.base.ids import encode_id
from longline.webhooks.payload import is_told, render
from longline.webhooks.twilio import TwilioFormat

AT = datetime(2026, 6, 1, 12, 0, 5, tzinfo=UTC)
CALL, LEG, STREAM, EVENT, ACCOUNT = (UUID(int=number) for number in range(1, 6))
FACTS = CallFacts(ACCOUNT, None, "+14155550100", "+14155550101", "https://app.example/status?a=b", version="twilio")
OWN = "https://app.example/own"
OF_CALL = {
    "AccountSid": f"AC{ACCOUNT.hex}",
    "ApiVersion": "2010-04-01",
    "CallSid": f"CA{CALL.hex}",
    "Called": "+14155550101",
    "Caller": "+14155550100",
    "Direction": "inbound",
    "From": "+14155550100",
    "To": "+14155550101",
    "CallbackSource": "call-progress-events",
    "Timestamp": "Mon, 01 Jun 2026 12:00:05 +0000",
}


def event(kind: str, target: str | None = None, **data: Any) -> Event:
    return Event(
        type=kind,
        call_id=CALL,
        leg_id=LEG,
        stream_id=STREAM if kind.startswith("stream.") else None,
        at=AT,
        target_url=target,
        data=data,
        id=EVENT,
    )


def form(told: Event, facts: CallFacts = FACTS) -> dict[str, str]:
    found: dict[str, str] = render(told, facts, "twilio")["form"]
    return found


@pytest.mark.parametrize(
    ("kind", "data", "more"),
    [
        ("call.initiated", {"state": "initiated"}, {"CallStatus": "initiated", "SequenceNumber": "0"}),
        ("call.ringing", {"state": "ringing"}, {"CallStatus": "ringing", "SequenceNumber": "1"}),
        ("call.answered", {"state": "answered"}, {"CallStatus": "in-progress", "SequenceNumber": "2"}),
        (
            "call.completed",
            {"state": "completed", "duration_seconds": 61},
            {"CallStatus": "completed", "CallDuration": "61", "Duration": "2", "SequenceNumber": "3"},
        ),
        (
            "call.failed",
            {"state": "failed", "reason": "no_answer", "duration_seconds": 0},
            {"CallStatus": "no-answer", "CallDuration": "0", "Duration": "0", "SequenceNumber": "3"},
        ),
    ],
)
def test_a_call_is_told_in_each_of_its_states(kind: str, data: dict[str, Any], more: dict[str, str]) -> None:
    assert form(event(kind, direction="inbound", **data)) == OF_CALL | more


def test_of_a_call_is_told_what_was_asked_for() -> None:
    wants = replace(FACTS, told=frozenset({EventType.CALL_RINGING}))
    assert is_told(event("call.ringing"), wants, "twilio")
    assert not is_told(event("call.answered"), wants, "twilio")
    assert is_told(event("call.answered"), FACTS, "twilio")


@pytest.mark.parametrize("kind", ["leg.completed", "stream.connected", "stream.failed"])
def test_legs_and_streams_are_told_to_their_own_url_alone(kind: str) -> None:
    assert is_told(event(kind, OWN), FACTS, "twilio")
    assert not is_told(event(kind), FACTS, "twilio")


@pytest.mark.parametrize("kind", ["leg.ringing", "dtmf.received", "playback.started", "stream.initiated"])
def test_what_twilio_does_not_tell_is_told_to_nobody(kind: str) -> None:
    assert not is_told(event(kind, OWN), FACTS, "twilio")


@pytest.mark.parametrize(
    ("kind", "data", "more"),
    [
        ("stream.connected", {"name": "bot"}, {"StreamName": "bot", "StreamEvent": "stream-started"}),
        ("stream.completed", {}, {"StreamName": f"MZ{STREAM.hex}", "StreamEvent": "stream-stopped"}),
        (
            "stream.failed",
            {"name": "bot", "reason": "connection_lost", "detail": "gone"},
            {"StreamName": "bot", "StreamEvent": "stream-error", "StreamError": "gone"},
        ),
    ],
)
def test_a_stream_is_told(kind: str, data: dict[str, Any], more: dict[str, str]) -> None:
    assert form(event(kind, OWN, **data)) == more | {
        "AccountSid": f"AC{ACCOUNT.hex}",
        "CallSid": f"CA{CALL.hex}",
        "StreamSid": f"MZ{STREAM.hex}",
        "Timestamp": OF_CALL["Timestamp"],
    }


def test_a_leg_is_a_call_with_a_parent() -> None:
    told = form(
        event(
            "leg.completed", OWN, state="completed", from_number="+1", to_number="+2", duration_seconds=5, reason=None
        )
    )
    assert (told["CallSid"], told["ParentCallSid"]) == (f"CA{LEG.hex}", f"CA{CALL.hex}")
    assert (told["From"], told["To"], told["Direction"]) == ("+1", "+2", "outbound-dial")
    assert (told["CallStatus"], told["CallDuration"]) == ("completed", "5")


def test_a_recording_is_told_and_where_it_is() -> None:
    facts = replace(FACTS, base_url="https://node.example")
    about = {"recording_id": encode_id("rec", LEG), "duration_ms": 4200, "channels": 1}
    told = form(event("recording.completed", OWN, **about), facts)
    url = f"https://node.example/2010-04-01/Accounts/AC{ACCOUNT.hex}/Recordings/RE{LEG.hex}"
    assert told == {
        "AccountSid": f"AC{ACCOUNT.hex}",
        "CallSid": f"CA{CALL.hex}",
        "RecordingSid": f"RE{LEG.hex}",
        "RecordingUrl": url,
        "RecordingDuration": "4",
        "RecordingStatus": "completed",
        "RecordingChannels": "1",
        "RecordingSource": "RecordVerb",
        "Timestamp": OF_CALL["Timestamp"],
    }
    left = form(event("flow.left", OWN, state="completed", direction="inbound", **about), facts)
    assert (left["Digits"], left["RecordingUrl"], left["CallStatus"]) == ("hangup", url, "completed")
    assert (
        form(event("recording.failed", OWN, recording_id=about["recording_id"], reason="x"))["RecordingStatus"]
        == "failed"
    )


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_twilios_validator_accepts_the_request(method: str) -> None:
    payload = render(
        event("call.ringing", state="ringing", direction="inbound"), replace(FACTS, target_method=method), "twilio"
    )
    request = TwilioFormat().request(payload, FACTS.target_url or "", "token", AT)
    assert request.method == method
    sent = dict(parse_qsl((request.body or b"").decode())) or dict(parse_qsl(urlsplit(request.url).query))
    assert sent["CallSid"] == f"CA{CALL.hex}"
    posted = sent if method == "POST" else {}
    assert RequestValidator("token").validate(request.url, posted, request.headers["X-Twilio-Signature"])
    assert "X-Twilio-Signature" not in TwilioFormat().request(payload, FACTS.target_url or "", None, AT).headers
