"""Plivo XML as a flow: what each element becomes, and what is refused, with its place."""

from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs

import pytest
from plivo import plivoxml
from plivo.utils import validate_v3_signature

from longline.base.ids import Prefix, encode_id, new_id
from longline.calls.bridge import FOR_EVER
from longline.calls.call import Call, Direction
from longline.calls.dialects import Format
from longline.flows import verbs
from longline.flows.language import Document, Question
from longline.flows.parse import Flow, FlowInvalid
from longline.flows.plivo_xml import PlivoXml
from longline.flows.steps import Answer, DialInTurn, OpenStream, SendDigits

URL = "https://app.example/voice/in.xml"
AT = datetime(2026, 1, 1, tzinfo=UTC)


def read(inner: str) -> Flow:
    return PlivoXml().read(Document(f"<Response>{inner}</Response>".encode(), URL))


CASES: list[tuple[str, type, dict[str, Any]]] = [
    ("<Speak>Hello</Speak>", verbs.Say, {"text": "Hello", "voice": None, "loop": 1}),
    ('<Speak language="de-DE" voice="WOMAN" loop="0">Na</Speak>', verbs.Say, {"language": "de-DE", "loop": FOR_EVER}),
    ("<Play>hi.wav</Play>", verbs.Play, {"media_url": "https://app.example/voice/hi.wav", "loop": 1}),
    ('<Wait length="10"/>', verbs.Pause, {"duration": 10}),
    (
        '<GetDigits action="digits" numDigits="4" timeout="3" finishOnKey="*"/>',
        verbs.Gather,
        {"flow_url": "https://app.example/voice/digits", "num_digits": 4, "timeout": 3, "finish_key": "*"},
    ),
    ('<GetInput executionTimeout="20"/>', verbs.Gather, {"timeout": 20, "finish_key": "#"}),
    ('<GetInput finishOnKey="none"/>', verbs.Gather, {"finish_key": ""}),
    (
        '<Record action="/rec" maxLength="20" timeout="10" playBeep="false" finishOnKey="#"/>',
        verbs.Record,
        {"flow_url": "https://app.example/rec", "max_length": 20, "silence_end": 10, "beep": False, "finish_key": "#"},
    ),
    ("<Record/>", verbs.Record, {"finish_key": "1234567890*#", "max_length": 60, "silence_end": 15}),
    ("<Redirect>../other</Redirect>", verbs.Redirect, {"flow_url": "https://app.example/other"}),
    ('<Hangup reason="busy"/>', verbs.Reject, {"reason": "busy"}),
    ("<Hangup/>", verbs.Hangup, {}),
]


@pytest.mark.parametrize(("inner", "kind", "expected"), CASES, ids=[case[0] for case in CASES])
def test_an_element_becomes_an_action_of_ours(inner: str, kind: type, expected: dict[str, Any]) -> None:
    action = read(inner).actions[0]
    assert type(action) is kind
    assert {name: getattr(action, name) for name in expected} == expected


def test_a_document_that_is_over_hangs_up() -> None:
    assert [action.action for action in read("<Speak>a</Speak>").actions] == ["say", "hangup"]
    assert read("").actions == (verbs.Hangup(action="hangup"),)
    assert PlivoXml().read(Document(b"", URL)).actions == (verbs.Hangup(action="hangup"),)


def test_digits_are_asked_for_again_as_often_as_it_says() -> None:
    flow = read('<GetDigits retries="3" action="/d" method="GET"><Speak>Now</Speak></GetDigits><Speak>Bye</Speak>')
    assert [action.action for action in flow.actions] == ["gather", "gather", "gather", "say", "hangup"]
    assert flow.method(0) == "GET"
    first = flow.actions[0]
    assert isinstance(first, verbs.Gather)
    assert isinstance(first.prompt, list)
    assert [part.action for part in first.prompt] == ["say"]


def test_digits_are_sent_and_numbers_are_dialled() -> None:
    assert read("<DTMF>1w2</DTMF>").actions[0] == SendDigits("1w2")
    answer, dial, _ = read(
        '<Dial callerId="14155550100" timeout="9" action="/done"><Number>1 415 555 0101</Number></Dial>'
    ).actions
    assert answer == Answer()
    assert isinstance(dial, verbs.Dial)
    assert (dial.to, dial.from_number, dial.timeout) == ("+14155550101", "+14155550100", 9)
    assert dial.flow_url == "https://app.example/done"
    _, several, _ = read(
        '<Dial><Number>+14155550101</Number><User sipHeaders="a=1,b=2">sip:alice@example.org</User></Dial>'
    ).actions
    assert isinstance(several, DialInTurn)
    assert several.dials[1].to == "sip:alice@example.org"
    assert several.dials[1].custom_headers == {"X-PH-a": "1", "X-PH-b": "2"}


def test_the_vendors_own_stream_is_joined_to_the_call() -> None:
    response = plivoxml.ResponseElement()
    response.add(
        plivoxml.StreamElement(
            "wss://bot.example/ws",
            bidirectional=True,
            keepCallAlive=True,
            contentType="audio/x-mulaw;rate=8000",
            extraHeaders="tenant=7,lang=de",
            statusCallbackUrl="https://app.example/told",
        )
    )
    step = PlivoXml().read(Document(response.to_string().encode(), URL)).actions[0]
    assert isinstance(step, OpenStream)
    request = step.request
    assert (request.ws_url, request.dialect, step.waits) == ("wss://bot.example/ws", "plivo", True)
    assert request.format == Format("mulaw", "8k", 20)
    assert request.parameters == {"tenant": "7", "lang": "de"}
    assert request.status_callback_url == "https://app.example/told"


def test_a_stream_is_linear_and_beside_the_flow_unless_it_says_otherwise() -> None:
    step = read("<Stream>wss://bot.example/ws</Stream><Wait/>").actions[0]
    assert isinstance(step, OpenStream)
    assert step.request.format == Format("pcm_s16le", "8k", 20)
    assert not step.waits


WRONG: list[tuple[str, str, str]] = [
    ("<Conference>x</Conference>", "Response/Conference", "is not known here"),
    ("<Wait/><Wait length='x'/>", "Response/Wait[2]@length", "must be a number"),
    ("<Stream>https://x</Stream>", "Response/Stream", "must be a ws:// or wss:// URL"),
    ('<Stream contentType="audio/mp3">wss://x</Stream>', "Response/Stream", "contentType must be"),
    ('<Stream contentType="audio/x-mulaw;rate=16000">wss://x</Stream>', "Response/Stream", "mulaw at 8k, not at 16k"),
    ('<Stream bidirectional="true" audioTrack="both">wss://x</Stream>', "Response/Stream", "has the inbound track"),
    ('<Stream extraHeaders="a=%s">wss://x</Stream>' % ("x" * 512), "Response/Stream", "more than 512 bytes"),
    ("<Dial>+14155550101</Dial>", "Response/Dial", "has a <Number> or a <User>"),
    ("<Dial><Number>tel</Number></Dial>", "Response/Dial/Number", "must be an E.164 number"),
    ('<GetInput inputType="speech"/>', "Response/GetInput@inputType", "nobody here understands speech"),
    ('<GetDigits finishOnKey="12"/>', "Response/GetDigits@finishOnKey", "one key"),
    ("<DTMF>x</DTMF>", "Response/DTMF", "at most 128"),
]


@pytest.mark.parametrize(("inner", "place", "why"), WRONG, ids=[case[0][:40] for case in WRONG])
def test_what_cannot_be_carried_out_is_refused_with_its_place(inner: str, place: str, why: str) -> None:
    with pytest.raises(FlowInvalid) as refused:
        read(inner)
    assert refused.value.path == place
    assert why in refused.value.problem


def test_what_is_no_plivo_xml_is_refused() -> None:
    for body in (b"<Speak>a</Speak>", b"<Response>", b"{}", b'<!DOCTYPE a [<!ENTITY b "c">]><Response/>'):
        with pytest.raises(FlowInvalid):
            PlivoXml().read(Document(body, URL))


def test_what_has_no_effect_is_told() -> None:
    flow = read('<Wait length="1" beep="true"/><Hangup/><Wait/>')
    assert flow.ignored == ("Response/Wait@beep", "Response/Wait[2]")


# --- how the application is asked ------------------------------------------------------------------------------------


def asked(result: dict[str, Any] | None = None) -> tuple[Call, dict[str, str]]:
    call = Call(Direction.OUTBOUND, "+14155550100", "+14155550101", AT)
    request = PlivoXml("https://us.example/").request(Question(call, URL, "POST", result or {}, at=AT), "token")
    assert request.body is not None
    form = {name: value for name, (value,) in parse_qs(request.body.decode(), keep_blank_values=True).items()}
    nonce, signature = (request.headers[f"X-Plivo-Signature-V3{name}"] for name in ("-Nonce", ""))
    assert validate_v3_signature("POST", URL, nonce, "token", signature, dict(form))
    return call, form


def test_the_form_says_whose_call_it_is() -> None:
    call, form = asked()
    assert form["CallUUID"] == form["RequestUUID"] == str(call.id)
    assert (form["From"], form["To"], form["Direction"]) == ("+14155550100", "+14155550101", "outbound")
    assert (form["CallStatus"], form["Event"]) == ("queued", "StartApp")


def test_a_get_has_the_form_in_its_query_and_is_signed_too() -> None:
    call = Call(Direction.INBOUND, "+14155550100", "+14155550101", AT)
    request = PlivoXml().request(Question(call, URL + "?tenant=7", "GET", at=AT), "token")
    assert request.body is None
    assert f"tenant=7&CallUUID={call.id}" in request.url
    nonce, signature = (request.headers[f"X-Plivo-Signature-V3{name}"] for name in ("-Nonce", ""))
    assert validate_v3_signature("GET", request.url, nonce, "token", signature)


def test_the_form_says_what_the_element_before_has_come_to() -> None:
    _, form = asked({"action": "gather", "digits": "12", "reason": "num_digits"})
    assert (form["Digits"], form["InputType"]) == ("12", "dtmf")
    recording = new_id()
    name = encode_id(Prefix.RECORDING, recording)
    _, form = asked({"action": "record", "recording_id": name, "duration_ms": 2500, "reason": "silence"})
    assert form["RecordUrl"].endswith(f"/Recording/{recording}/audio")
    assert (form["RecordingDuration"], form["RecordingDurationMs"]) == ("2", "2500")
    _, form = asked({"action": "dial", "was_joined": False, "reason": "busy"})
    assert (form["DialStatus"], form["DialHangupCause"]) == ("busy", "Busy Line")
    _, form = asked({"flow_error": {"flow_url": URL, "reason": "flow_timeout", "detail": "late"}})
    assert form["ErrorURL"] == URL
