"""jambonz' verbs as a flow: what each becomes, and what is refused, with its place."""

import hashlib
import hmac
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from longline.base.events import CallFacts, Event, EventType
from longline.base.ids import DEFAULT_ACCOUNT_ID, new_id
from longline.calls.bridge import FOR_EVER
from longline.calls.call import Call, Direction
from longline.calls.dialects import Format
from longline.calls.stream import StreamAuth
from longline.flows import verbs
from longline.flows.jambonz_verbs import JambonzVerbs
from longline.flows.language import Document, Question
from longline.flows.parse import Flow, FlowInvalid
from longline.flows.steps import Answer, DialInTurn, OpenStream, SendDigits
from longline.webhooks.jambonz import JambonzFormat

URL = "https://app.example/hook"
AT = datetime(2026, 1, 1, tzinfo=UTC)


def read(*actions: dict[str, Any]) -> Flow:
    return JambonzVerbs().read(Document(json.dumps(actions).encode(), URL))


CASES: list[tuple[dict[str, Any], Any]] = [
    ({"verb": "answer"}, Answer()),
    ({"verb": "say", "text": "Hi", "synthesizer": {"vendor": "google", "language": "de-DE"}},
     verbs.Say(action="say", text="Hi", language="de-DE")),
    ({"verb": "play", "url": "/a.wav"}, verbs.Play(action="play", media_url="https://app.example/a.wav")),
    ({"verb": "pause", "length": 2}, verbs.Pause(action="pause", duration=2)),
    ({"verb": "dtmf", "dtmf": "1w2"}, SendDigits("1w2")),
    ({"verb": "redirect", "actionHook": "/next"}, verbs.Redirect(action="redirect", flow_url="https://app.example/next")),
    ({"verb": "sip:decline", "status": 486}, verbs.Reject(action="reject", reason="busy")),
    ({"verb": "hangup"}, verbs.Hangup(action="hangup")),
]  # fmt: skip


@pytest.mark.parametrize(("action", "expected"), CASES, ids=[case[0]["verb"] for case in CASES])
def test_a_verb_becomes_an_action_of_ours(action: dict[str, Any], expected: Any) -> None:
    assert read(action).actions[0] == expected


def test_what_is_heard_for_ever_is() -> None:
    (say, _) = read({"verb": "say", "text": "Hi", "loop": "forever"}).actions
    assert isinstance(say, verbs.Say)
    assert say.loop == FOR_EVER


def test_digits_are_gathered_behind_their_prompt() -> None:
    flow = read(
        {"verb": "gather", "actionHook": {"url": "/digits", "method": "get"}, "input": ["digits"], "numDigits": 4,
         "finishOnKey": "#", "timeout": 8, "say": {"text": "Now"}}
    )  # fmt: skip
    gather = flow.actions[0]
    assert isinstance(gather, verbs.Gather)
    assert (gather.flow_url, gather.num_digits, gather.finish_key) == ("https://app.example/digits", 4, "#")
    assert isinstance(gather.prompt, list)
    assert (flow.method(0), flow.is_last(0)) == ("GET", True)


def test_listen_joins_a_websocket_to_the_call() -> None:
    flow = read(
        {"verb": "listen", "url": "wss://bot.example/ws", "sampleRate": 16000, "mixType": "stereo",
         "actionHook": "/over", "metadata": {"tenant": "7", "list": [1]}, "wsAuth": {"username": "a", "password": "b"},
         "bidirectionalAudio": {"enabled": True, "streaming": True, "sampleRate": 16000}}
    )  # fmt: skip
    step = flow.actions[0]
    assert isinstance(step, OpenStream)
    request = step.request
    assert (step.waits, step.flow_url) == (True, "https://app.example/over")
    assert (request.dialect, request.format) == ("jambonz", Format("pcm_s16le", "16k", 20))
    assert (request.together, request.tracks, request.direction) == ("stereo", (1, 129), "both")
    assert request.parameters == {"tenant": "7", "list": "[1]"}
    assert request.auth == StreamAuth(username="a", password="b")
    step = read({"verb": "listen", "url": "wss://b/", "disableBidirectionalAudio": True}).actions[0]
    assert isinstance(step, OpenStream)
    assert step.request.direction == "listen"


def test_targets_are_dialled() -> None:
    phone, sip = {"type": "phone", "number": "14155550101"}, {"type": "sip", "sipUri": "sip:alice@example.org"}
    answer, dial, _ = read({"verb": "dial", "target": [phone], "callerId": "14155550100", "actionHook": "/d"}).actions
    assert answer == Answer()
    assert isinstance(dial, verbs.Dial)
    assert (dial.to, dial.from_number, dial.flow_url) == ("+14155550101", "+14155550100", "https://app.example/d")
    several, _ = read({"verb": "dial", "target": [phone, sip], "answerOnBridge": True}).actions
    assert isinstance(several, DialInTurn)


WRONG: list[tuple[Any, str, str]] = [
    ([{"verb": "conference"}], "$[0].verb", "is not known here"),
    ([{"verb": "say"}], "$[0]", "text: Field required"),
    ([{"verb": "gather", "input": ["speech"]}], "$[0].input", "nobody here understands speech"),
    ([{"verb": "listen", "url": "https://x"}], "$[0]", "ws://"),
    ([{"verb": "listen", "url": "wss://x", "sampleRate": 44100}], "$[0].sampleRate", "must be 8000"),
    ([{"verb": "listen", "url": "wss://x", "wsAuth": "x"}], "$[0]", "wsAuth must have"),
    ([{"verb": "dial", "target": []}], "$[0].target", "a list of 1 to 20"),
    ([{"verb": "dial", "target": [{"type": "teams"}]}], "$[0].target[0]", "a phone or a sip target"),
    ([{"verb": "redirect"}], "$[0]", "flow_url"),
    ([{"verb": "redirect", "actionHook": {"url": "/a", "method": "PUT"}}], "$[0].actionHook.method", "GET or POST"),
    ({"verb": "say"}, "$", "is no list of verbs"),
]


@pytest.mark.parametrize(("value", "place", "why"), WRONG, ids=[json.dumps(case[0])[:50] for case in WRONG])
def test_what_cannot_be_carried_out_is_refused_with_its_place(value: Any, place: str, why: str) -> None:
    with pytest.raises(FlowInvalid) as refused:
        JambonzVerbs().read(Document(json.dumps(value).encode(), URL))
    assert refused.value.path == place
    assert why in refused.value.problem


def is_signed(headers: Any, body: bytes, secret: str) -> bool:
    """As the vendor's middleware checks it."""
    parts = dict(part.split("=", 1) for part in headers["Jambonz-Signature"].split(","))
    return parts["v1"] == hmac.new(secret.encode(), parts["t"].encode() + b"." + body, hashlib.sha256).hexdigest()


def test_the_application_is_asked_and_told_and_signed_to() -> None:
    call = Call(Direction.INBOUND, "+14155550100", "+14155550101", AT)
    gathered = {"action": "gather", "digits": "12", "reason": "num_digits"}
    request = JambonzVerbs().request(Question(call, URL, "POST", gathered, at=AT), "geheim")
    assert request.body is not None
    facts = json.loads(request.body)
    assert (facts["call_sid"], facts["direction"], facts["call_status"]) == (str(call.id), "inbound", "trying")
    assert (facts["reason"], facts["digits"]) == ("dtmfDetected", "12")
    assert is_signed(request.headers, request.body, "geheim")
    told = Event(
        type=EventType.CALL_FAILED, account_id=DEFAULT_ACCOUNT_ID, call_id=new_id(), at=AT,
        data={"direction": "outbound", "state": "failed", "reason": "busy", "duration_seconds": 0},
    )  # fmt: skip
    call_facts = CallFacts(
        account_id=DEFAULT_ACCOUNT_ID, voice_app_id=None, from_number="+1", to_number="+2", target_url=URL
    )
    assert JambonzFormat().is_told(told, call_facts)
    hook = JambonzFormat().request(JambonzFormat().render(told, call_facts), URL, "geheim", AT)
    assert hook.body is not None
    status = json.loads(hook.body)
    assert (status["call_status"], status["sip_status"], status["duration"]) == ("busy", 486, 0)
    assert is_signed(hook.headers, hook.body, "geheim")
