"""How Twilio's applications are asked: what is sent, signed so that Twilio's validator accepts it."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, urlsplit
from uuid import UUID

import pytest
from tests.support.egress import open_guard
from tests.support.http import raw_server, response
from twilio.request_validator import RequestValidator

from longline.base.ids import encode_id
from longline.calls.call import Call, CallState, Direction
from longline.calls.dialects import DIALECTS
from longline.calls.manner import manner_of
from longline.calls.stream import Stream, StreamRequest
from longline.flows.fetch import HttpFlowFetcher
from longline.flows.language import Document, Question
from longline.flows.twiml import Twiml

AT = datetime(2026, 1, 1, tzinfo=UTC)
URL = "https://app.example/voice?x=1"
TOKEN = "the auth token"
RECORDING, LEG, STREAM = UUID(int=1), UUID(int=2), UUID(int=3)


def a_call(**changes: Any) -> Call:
    call = Call(Direction.INBOUND, "+15550100", "+15550101", AT, manner=manner_of("twilio"))
    return replace(call, **changes)


def form(call: Call, **result: Any) -> dict[str, str]:
    request = Twiml("https://node.example/").request(Question(call, URL, "POST", result, at=AT), None)
    return dict(parse_qsl((request.body or b"").decode(), keep_blank_values=True))


@pytest.mark.parametrize(
    ("changes", "status", "direction"),
    [
        ({"state": CallState.RINGING}, "ringing", "inbound"),
        ({"state": CallState.ANSWERED}, "in-progress", "inbound"),
        ({"state": CallState.ANSWERED, "direction": Direction.OUTBOUND}, "in-progress", "outbound-api"),
    ],
)
def test_the_first_request_says_whose_call_it_is(changes: dict[str, Any], status: str, direction: str) -> None:
    call = a_call(**changes)
    assert form(call) == {
        "AccountSid": f"AC{call.account_id.hex}",
        "ApiVersion": "2010-04-01",
        "CallSid": f"CA{call.id.hex}",
        "CallStatus": status,
        "Called": "+15550101",
        "Caller": "+15550100",
        "Direction": direction,
        "From": "+15550100",
        "To": "+15550101",
    }


RESULTS: list[tuple[dict[str, Any], dict[str, str]]] = [
    ({"action": "gather", "digits": "12", "reason": "num_digits"}, {"Digits": "12", "msg": "Gather End"}),
    ({"action": "gather", "digits": "", "reason": "timeout"}, {"Digits": "", "msg": "Gather End"}),
    (
        {
            "action": "record",
            "recording_id": encode_id("rec", RECORDING),
            "duration_ms": 4900,
            "reason": "finish_key",
            "key": "#",
        },
        {
            "RecordingSid": f"RE{RECORDING.hex}",
            "RecordingUrl": f"https://node.example/2010-04-01/Accounts/AC{a_call().account_id.hex}/Recordings/"
            f"RE{RECORDING.hex}",
            "RecordingDuration": "4",
            "Digits": "#",
        },
    ),
    (
        {
            "action": "dial",
            "reason": "completed",
            "was_joined": True,
            "leg_id": encode_id("cl", LEG),
            "duration_seconds": 7,
        },
        {
            "DialCallStatus": "completed",
            "DialBridged": "true",
            "DialCallSid": f"CA{LEG.hex}",
            "DialCallDuration": "7",
        },
    ),
    (
        {"action": "dial", "reason": "no_answer", "was_joined": False},
        {"DialCallStatus": "no-answer", "DialBridged": "false"},
    ),
    (
        {"action": "stream", "stream_id": encode_id("ms", STREAM), "reason": "lost", "is_orderly": False},
        {"StreamSid": f"MZ{STREAM.hex}", "StreamError": "lost"},
    ),
    (
        {"flow_error": {"flow_url": "https://a.example/", "reason": "flow_invalid", "detail": "x"}},
        {"ErrorCode": "12100", "ErrorUrl": "https://a.example/"},
    ),
    ({"action": "say"}, {}),
]


@pytest.mark.parametrize(("result", "more"), RESULTS, ids=[str(more) for _, more in RESULTS])
def test_what_the_verb_before_has_come_to_is_told(result: dict[str, Any], more: dict[str, str]) -> None:
    call = a_call()
    assert form(call, **result) == form(call) | more


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_the_request_is_signed(method: Any) -> None:
    request = Twiml().request(Question(a_call(), URL, method, at=AT), TOKEN)
    given = request.headers["X-Twilio-Signature"]
    posted = dict(parse_qsl((request.body or b"").decode()))
    assert RequestValidator(TOKEN).validate(request.url, posted, given)
    assert not RequestValidator("another").validate(request.url, posted, given)
    assert (request.method, request.url == URL) == (method, method == "POST")
    assert dict(parse_qsl(urlsplit(request.url).query))["x"] == "1"


async def test_a_node_asks_so_over_http() -> None:
    asked: list[UUID | None] = []

    def find_secret(secret_id: UUID | None) -> str:
        asked.append(secret_id)
        return TOKEN

    fetcher = HttpFlowFetcher(5.0, "2025-08-01", open_guard(), find_secret=find_secret)
    call = a_call(secret_id=UUID(int=7))
    async with raw_server(voice=response(b"<Response/>", "200 OK", "Content-Type: text/xml")) as server:
        url = f"{server.url}/voice"
        answer = await fetcher.fetch(url, call, {}, "GET")
        assert await fetcher.fetch(url, call) == answer
        (got, _), (head, body) = server.requests
    await fetcher.close()
    assert answer == Document(b"<Response/>", url, "text/xml")
    assert got.startswith("GET /voice?AccountSid=AC")
    assert head.startswith("POST /voice HTTP/1.1")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head.split("\r\n"))}
    assert headers["content-type"] == "application/x-www-form-urlencoded; charset=utf-8"
    assert RequestValidator(TOKEN).validate(url, dict(parse_qsl(body.decode())), headers["x-twilio-signature"])
    assert asked == [UUID(int=7), UUID(int=7)]


@pytest.mark.parametrize("seen", ["wss://app.example/ws", "wss://app.example:8443/ws", "wss://app.example:443/ws"])
def test_the_handshake_of_a_stream_is_signed_for_whatever_port_the_application_sees(seen: str) -> None:
    call = a_call()
    stream = Stream(call.id, StreamRequest("wss://app.example:8443/ws?token=1", dialect="twilio"), AT)
    headers = dict(DIALECTS["twilio"].headers(call, stream, TOKEN))
    assert RequestValidator(TOKEN).validate(seen, {}, headers["X-Twilio-Signature"])
    assert dict(DIALECTS["twilio"].headers(call, stream, None)) == {}
