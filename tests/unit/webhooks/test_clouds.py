"""What Plivo, Telnyx and Vonage would tell of a call, as they would tell it, and signed as they sign."""

import base64
import hashlib
import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import jwt
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from plivo.utils import validate_v3_signature
from telnyx.types import CallAnsweredWebhookEvent, CallHangupWebhookEvent, CallInitiatedWebhookEvent

from longline.base import telnyx
from longline.base.events import CallFacts, Event, EventType
from longline.base.ids import DEFAULT_ACCOUNT_ID, new_id
from longline.webhooks.format import HookRequest
from longline.webhooks.formats import FORMATS

AT = datetime(2026, 1, 1, 12, tzinfo=UTC)
CALL, STREAM, LEG = new_id(), new_id(), new_id()
URL = "https://app.example/told"
SECRET = "a secret that both sides know, long enough"


def facts(**changes: Any) -> CallFacts:
    return CallFacts(
        account_id=DEFAULT_ACCOUNT_ID, voice_app_id=None, from_number="+14155550100", to_number="+14155550101",
        target_url=URL, **changes,
    )  # fmt: skip


def an_event(kind: EventType, target: str | None = None, stream: UUID | None = None, **data: Any) -> Event:
    return Event(
        type=kind, account_id=DEFAULT_ACCOUNT_ID, call_id=CALL, at=AT, data=data, target_url=target, stream_id=stream,
        leg_id=LEG if kind.startswith("leg.") else None,
    )  # fmt: skip


def told(version: str, event: Event, call: CallFacts | None = None) -> HookRequest | None:
    call, of = call or facts(), FORMATS[version]
    if not of.is_told(event, call):
        return None
    stored = json.loads(json.dumps(of.render(event, call)))  # it is kept as JSON
    return of.request(stored, event.target_url or URL, SECRET, AT)


def form_of(request: HookRequest | None) -> dict[str, str]:
    assert request is not None
    assert request.body is not None
    form = {name: value for name, (value,) in parse_qs(request.body.decode(), keep_blank_values=True).items()}
    nonce, signature = (request.headers[f"X-Plivo-Signature-V3{name}"] for name in ("-Nonce", ""))
    assert validate_v3_signature("POST", request.url, nonce, SECRET, signature, dict(form))
    return form


ENDED = {"direction": "outbound", "state": "completed", "reason": "normal_clearing", "ended_by": "callee",
         "duration_seconds": 61}  # fmt: skip


# --- Plivo -----------------------------------------------------------------------------------------------------------


def test_plivo_is_told_the_end_of_a_call() -> None:
    form = form_of(told("plivo", an_event(EventType.CALL_COMPLETED, **ENDED)))
    assert (form["Event"], form["CallUUID"], form["CallStatus"]) == ("Hangup", str(CALL), "completed")
    assert (form["Duration"], form["EndTime"], form["AnswerTime"]) == (
        "61",
        "2026-01-01 12:00:00",
        "2026-01-01 11:58:59",
    )
    assert (form["HangupCauseName"], form["HangupSource"]) == ("Normal Hangup", "Callee")


def test_plivo_is_told_of_ringing_where_it_has_asked_for_it() -> None:
    ringing = {"direction": "outbound", "state": "ringing"}
    assert told("plivo", an_event(EventType.CALL_RINGING, **ringing)) is None
    form = form_of(told("plivo", an_event(EventType.CALL_RINGING, "https://app.example/ring", **ringing)))
    assert (form["Event"], form["CallStatus"]) == ("Ring", "ringing")


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (EventType.STREAM_CONNECTED, "StartStream"),
        (EventType.STREAM_COMPLETED, "StopStream"),
        (EventType.STREAM_FAILED, "DroppedStream"),
        (EventType.PLAYOUT_CLEARED, "ClearedAudio"),
    ],
)
def test_plivo_is_told_of_a_stream_at_its_own_url(kind: EventType, name: str) -> None:
    data = {"ws_url": "wss://bot.example/", "reason": "lost"}
    assert told("plivo", an_event(kind, None, STREAM, **data)) is None
    form = form_of(told("plivo", an_event(kind, "https://app.example/stream", STREAM, **data)))
    assert (form["Event"], form["StreamID"], form["ServiceURL"]) == (name, str(STREAM), "wss://bot.example/")
    assert ("StatusReason" in form) == (kind is EventType.STREAM_FAILED)


def test_plivo_is_told_of_the_party_that_is_dialled() -> None:
    data = {"from_number": "+1", "to_number": "+2", "state": "completed", "reason": "busy", "duration_seconds": 0}
    form = form_of(told("plivo", an_event(EventType.LEG_FAILED, "https://app.example/dial", **data)))
    assert (form["DialAction"], form["DialBLegUUID"], form["DialBLegTo"]) == ("hangup", str(LEG), "+2")
    assert form["DialBLegHangupCauseName"] == "Busy Line"


def test_plivo_is_told_by_get_where_it_has_asked_for_that() -> None:
    request = told("plivo", an_event(EventType.CALL_COMPLETED, **ENDED), facts(target_method="GET"))
    assert request is not None
    assert (request.method, request.body) == ("GET", None)
    assert parse_qs(urlsplit(request.url).query)["Event"] == ["Hangup"]
    nonce, signature = (request.headers[f"X-Plivo-Signature-V3{name}"] for name in ("-Nonce", ""))
    assert validate_v3_signature("GET", request.url, nonce, SECRET, signature)


# --- Telnyx ----------------------------------------------------------------------------------------------------------


def body_of(request: HookRequest | None) -> Any:
    assert request is not None
    assert request.body is not None
    return json.loads(request.body)


def test_telnyx_is_told_what_its_client_understands() -> None:
    call = facts(echo={"client_state": "c3RhdGU=", "connection_id": "7"})
    began = body_of(told("telnyx", an_event(EventType.CALL_INITIATED, direction="inbound", state="initiated"), call))
    event = CallInitiatedWebhookEvent.model_validate(began).data
    assert event is not None
    assert event.payload is not None
    assert (event.event_type, event.payload.direction, event.payload.state) == ("call.initiated", "incoming", "parked")
    assert (event.payload.client_state, event.payload.connection_id) == ("c3RhdGU=", "7")
    assert event.payload.call_control_id == telnyx.call_control_id(CALL)
    answered = body_of(told("telnyx", an_event(EventType.CALL_ANSWERED, direction="inbound", state="answered")))
    assert CallAnsweredWebhookEvent.model_validate(answered).data.payload.state == "answered"  # type: ignore[union-attr]
    ended = body_of(told("telnyx", an_event(EventType.CALL_COMPLETED, **ENDED)))
    hangup = CallHangupWebhookEvent.model_validate(ended).data
    assert hangup is not None
    assert hangup.payload is not None
    assert (hangup.payload.hangup_cause, hangup.payload.hangup_source) == ("normal_clearing", "callee")
    assert ended["meta"]["delivered_to"] == URL


def test_telnyx_is_told_of_streams_and_keys() -> None:
    stream = {"ws_url": "wss://bot.example/", "reason": "lost"}
    kinds = (EventType.STREAM_CONNECTED, EventType.STREAM_COMPLETED, EventType.STREAM_FAILED)
    bodies = [body_of(told("telnyx", an_event(kind, None, STREAM, **stream)))["data"] for kind in kinds]
    assert [body["event_type"] for body in bodies] == ["streaming.started", "streaming.stopped", "streaming.failed"]
    assert {body["payload"]["stream_id"] for body in bodies} == {str(STREAM)}
    assert bodies[2]["payload"]["failure_reason"] == "lost"
    assert told("telnyx", an_event(EventType.DTMF_RECEIVED, duration_ms=100)) is None
    pressed = body_of(told("telnyx", an_event(EventType.DTMF_RECEIVED, digit="5")))["data"]
    assert (pressed["event_type"], pressed["payload"]["digit"]) == ("call.dtmf.received", "5")


def test_telnyx_is_told_of_what_is_played_and_of_what_is_said() -> None:
    told_of = [
        body_of(told("telnyx", an_event(kind, media_url=source)))["data"]["event_type"]
        for source in ("https://app.example/a.wav", "say")
        for kind in (EventType.PLAYBACK_STARTED, EventType.PLAYBACK_FINISHED)
    ]
    assert told_of == ["call.playback.started", "call.playback.ended", "call.speak.started", "call.speak.ended"]


def test_telnyx_webhooks_are_signed_by_the_key_that_the_api_shows() -> None:
    request = told("telnyx", an_event(EventType.CALL_COMPLETED, **ENDED))
    assert request is not None
    assert request.body is not None
    key = Ed25519PublicKey.from_public_bytes(base64.b64decode(telnyx.public_key(SECRET)))
    signed = request.headers[telnyx.TIMESTAMP_HEADER].encode() + b"|" + request.body
    key.verify(base64.b64decode(request.headers[telnyx.SIGNATURE_HEADER]), signed)
    with pytest.raises(InvalidSignature):
        key.verify(base64.b64decode(request.headers[telnyx.SIGNATURE_HEADER]), signed + b" ")


# --- Vonage ----------------------------------------------------------------------------------------------------------


def test_vonage_is_told_of_a_call_and_signed_to() -> None:
    request = told("vonage", an_event(EventType.CALL_COMPLETED, **ENDED))
    body = body_of(request)
    assert (body["status"], body["uuid"], body["from"]) == ("completed", str(CALL), "14155550100")
    assert (body["duration"], body["disconnected_by"]) == ("61", "user")
    assert request is not None
    assert request.body is not None
    claims = jwt.decode(request.headers["Authorization"].removeprefix("Bearer "), SECRET, algorithms=["HS256"])
    assert claims["payload_hash"] == hashlib.sha256(request.body).hexdigest()


def test_a_websocket_is_a_party_of_its_own_to_vonage() -> None:
    stream = {"ws_url": "wss://bot.example/", "reason": "lost", "detail": "reset"}
    body = body_of(told("vonage", an_event(EventType.STREAM_FAILED, None, STREAM, **stream)))
    assert (body["status"], body["uuid"], body["to"]) == ("disconnected", str(STREAM), "wss://bot.example/")
    assert (body["reason"], body["conversation_uuid"]) == ("reset", f"CON-{CALL}")


@pytest.mark.parametrize("version", ["plivo", "telnyx", "vonage"])
def test_without_a_secret_nothing_is_signed(version: str) -> None:
    of, event = FORMATS[version], an_event(EventType.CALL_COMPLETED, **ENDED)
    request = of.request(of.render(event, facts()), URL, None, AT)
    assert set(request.headers) == {"content-type"}


@pytest.mark.parametrize("version", ["plivo", "telnyx", "vonage"])
def test_what_a_platform_has_no_word_for_is_not_told(version: str) -> None:
    for kind in (EventType.FLOW_REQUESTED, EventType.SPEECH_STARTED, EventType.CALL_UPDATED):
        assert told(version, an_event(kind, "https://app.example/x")) is None
