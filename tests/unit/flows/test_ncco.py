"""NCCOs as a flow: what each action becomes, and what is refused, with its place."""

import hashlib
import json
from datetime import UTC, datetime
from typing import Any

import jwt
import pytest

from longline.base.ids import Prefix, encode_id, new_id
from longline.calls.bridge import FOR_EVER
from longline.calls.call import Call, Direction
from longline.calls.dialects import DIALECTS, Format
from longline.calls.stream import Stream
from longline.flows import verbs
from longline.flows.language import Document, Question
from longline.flows.ncco import Ncco
from longline.flows.parse import Flow, FlowInvalid
from longline.flows.steps import OpenStream

URL = "https://app.example/answer"
EVENTS = "https://app.example/events"
AT = datetime(2026, 1, 1, tzinfo=UTC)
SECRET = "a secret that both sides know, long enough"


def read(*actions: dict[str, Any]) -> Flow:
    return Ncco().read(Document(json.dumps(actions).encode(), URL))


CASES: list[tuple[dict[str, Any], type, dict[str, Any]]] = [
    ({"action": "talk", "text": "Hi", "language": "de-DE"}, verbs.Say, {"text": "Hi", "language": "de-DE", "loop": 1}),
    ({"action": "talk", "text": "Hi", "loop": 0}, verbs.Say, {"loop": FOR_EVER}),
    ({"action": "stream", "streamUrl": ["/a.wav"], "loop": "2"}, verbs.Play,
     {"media_url": "https://app.example/a.wav", "loop": 2}),
    ({"action": "input", "eventUrl": [EVENTS]}, verbs.Gather,
     {"flow_url": EVENTS, "timeout": 3, "num_digits": 4, "finish_key": ""}),
    ({"action": "input", "type": ["dtmf"], "dtmf": {"timeOut": 8, "maxDigits": 1, "submitOnHash": True}}, verbs.Gather,
     {"timeout": 8, "num_digits": 1, "finish_key": "#"}),
    ({"action": "record", "endOnSilence": 3, "beepStart": True, "eventUrl": [EVENTS]}, verbs.Record,
     {"silence_end": 3, "beep": True, "flow_url": EVENTS, "finish_key": ""}),
    ({"action": "wait", "timeout": 2.5}, verbs.Pause, {"duration": 2.5}),
]  # fmt: skip


@pytest.mark.parametrize(("action", "kind", "expected"), CASES, ids=[json.dumps(case[0])[:50] for case in CASES])
def test_an_action_becomes_one_of_ours(action: dict[str, Any], kind: type, expected: dict[str, Any]) -> None:
    made = read(action).actions[0]
    assert type(made) is kind
    assert {name: getattr(made, name) for name in expected} == expected


def test_what_may_be_interrupted_is_the_prompt_of_the_input_behind_it() -> None:
    flow = read(
        {"action": "talk", "text": "Welcome"},
        {"action": "talk", "text": "Press a key", "bargeIn": True},
        {"action": "input", "type": ["dtmf"], "eventUrl": [EVENTS]},
    )
    assert [action.action for action in flow.actions] == ["say", "gather", "hangup"]
    gather = flow.actions[1]
    assert isinstance(gather, verbs.Gather)
    assert isinstance(gather.prompt, list)
    assert [part.text for part in gather.prompt if isinstance(part, verbs.SaySound)] == ["Press a key"]
    assert flow.is_last(1), "an input that came to nothing is told too"


def test_a_websocket_is_joined_to_the_call() -> None:
    endpoint = {
        "type": "websocket",
        "uri": "wss://bot.example/ws",
        "content-type": "audio/l16;rate=8000",
        "headers": {"tenant": "7", "prices": [1, 2]},
        "authorization": {"type": "custom", "value": "Token geheim"},
    }
    flow = read({"action": "connect", "endpoint": [endpoint], "eventUrl": [EVENTS], "eventMethod": "GET"})
    step = flow.actions[0]
    assert isinstance(step, OpenStream)
    assert (step.waits, step.flow_url, flow.method(0)) == (True, EVENTS, "GET")
    request = step.request
    assert (request.ws_url, request.dialect, request.format) == (
        "wss://bot.example/ws", "vonage", Format("pcm_s16le", "8k", 20),
    )  # fmt: skip
    assert request.parameters == {"tenant": "7", "prices": "[1, 2]"}
    call = Call(Direction.INBOUND, "+1", "+2", AT)
    headers = DIALECTS["vonage"].headers(call, Stream(call.id, request, AT), None)
    assert headers == [("Authorization", "Token geheim")]
    assert "geheim" not in repr(request)


def test_a_number_and_a_sip_uri_are_dialled() -> None:
    phone = {"type": "phone", "number": "14155550101"}
    _, dial, _ = read({"action": "connect", "from": "14155550100", "endpoint": [phone], "timeout": "9"}).actions
    assert isinstance(dial, verbs.Dial)
    assert (dial.to, dial.from_number, dial.timeout) == ("+14155550101", "+14155550100", 9)
    sip = {"type": "sip", "uri": "sip:alice@example.org", "headers": {"a": "1"}}
    _, dial, _ = read({"action": "connect", "endpoint": [sip]}).actions
    assert isinstance(dial, verbs.Dial)
    assert (dial.to, dial.custom_headers) == ("sip:alice@example.org", {"X-a": "1"})


WRONG: list[tuple[Any, str, str]] = [
    ({"action": "talk"}, "$", "is no NCCO"),
    ([1], "$[0]", "must be an object"),
    ([{"action": "conversation", "name": "x"}], "$[0].action", "is not known here"),
    ([{"action": "talk"}], "$[0]", "text: Field required"),
    ([{"action": "wait"}, {"action": "wait", "timeout": "x"}], "$[1].timeout", "must be a number"),
    ([{"action": "input", "type": ["speech"]}], "$[0].type", "nobody here understands speech"),
    ([{"action": "input", "dtmf": 1}], "$[0].dtmf", "must be an object"),
    ([{"action": "record"}], "$[0]", "needs endOnSilence"),
    ([{"action": "connect"}], "$[0].endpoint", "must be a list of one endpoint"),
    ([{"action": "connect", "endpoint": [{"type": "vbc"}]}], "$[0].endpoint[0].type", "must be websocket, phone"),
    ([{"action": "connect", "endpoint": [{"type": "websocket", "uri": "https://x"}]}], "$[0].endpoint[0]", "ws://"),
    ([{"action": "connect", "endpoint": [{"type": "websocket", "uri": "ws://x",
      "content-type": "audio/l16;rate=48000"}]}], "$[0].endpoint[0]", "not at 48k"),
    ([{"action": "connect", "endpoint": [{"type": "websocket", "uri": "wss://x", "headers": {"a": "x" * 600}}]}],
     "$[0].endpoint[0].headers", "at most 512 bytes"),
    ([{"action": "connect", "endpoint": [{"type": "websocket", "uri": "wss://x", "authorization": {"type": "custom",
      "value": "a\r\nb"}}]}], "$[0].endpoint[0]", "authorization must be"),
]  # fmt: skip


@pytest.mark.parametrize(("value", "place", "why"), WRONG, ids=[json.dumps(case[0])[:50] for case in WRONG])
def test_what_cannot_be_carried_out_is_refused_with_its_place(value: Any, place: str, why: str) -> None:
    with pytest.raises(FlowInvalid) as refused:
        Ncco().read(Document(json.dumps(value).encode(), URL))
    assert refused.value.path == place
    assert why in refused.value.problem


def test_an_answer_without_actions_has_nothing_new_to_say() -> None:
    for body in (b"", b"[]", b"{}", b"null"):
        assert Ncco().read(Document(body, URL)).actions == ()


# --- how the application is asked ------------------------------------------------------------------------------------


def asked(result: dict[str, Any] | None = None) -> tuple[Call, dict[str, Any]]:
    call = Call(Direction.INBOUND, "+14155550100", "+14155550101", AT)
    request = Ncco("https://us.example/").request(Question(call, URL, "POST", result or {}, at=AT), SECRET)
    assert request.body is not None
    claims = jwt.decode(request.headers["Authorization"].removeprefix("Bearer "), SECRET, algorithms=["HS256"])
    assert claims["payload_hash"] == hashlib.sha256(request.body).hexdigest()
    return call, json.loads(request.body)


def test_the_first_question_says_whose_call_it_is() -> None:
    call, facts = asked()
    assert facts == {
        "from": "14155550100", "to": "14155550101", "uuid": str(call.id), "conversation_uuid": f"CON-{call.id}",
    }  # fmt: skip
    request = Ncco().request(Question(call, URL, "GET", at=AT), None)
    assert request.url == f"{URL}?from=14155550100&to=14155550101&uuid={call.id}&conversation_uuid=CON-{call.id}"
    assert "Authorization" not in request.headers


def test_a_later_question_says_what_the_action_before_has_come_to() -> None:
    _, facts = asked({"action": "gather", "digits": "12", "reason": "timeout"})
    assert facts["dtmf"] == {"digits": "12", "timed_out": True}
    assert facts["timestamp"].endswith("Z")
    recording = new_id()
    _, facts = asked({"action": "record", "recording_id": encode_id(Prefix.RECORDING, recording), "duration_ms": 1})
    assert facts["recording_uuid"] == str(recording)
    _, facts = asked({"action": "dial", "was_joined": False, "reason": "no_answer"})
    assert facts["status"] == "unanswered"
    stream = encode_id(Prefix.STREAM, new_id())
    _, facts = asked({"action": "stream", "stream_id": stream, "reason": "closed_by_app", "is_orderly": True})
    assert facts["status"] == "disconnected"
    _, facts = asked({"action": "stream", "stream_id": stream, "reason": "url_refused", "is_orderly": False})
    assert facts["status"] == "failed"
