"""TwiML as a flow: what each verb becomes, and what is refused, with its place."""

import contextlib
import xml.etree.ElementTree as ET
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from twilio.twiml.voice_response import Connect, Gather, Start, Stop, VoiceResponse

from longline.calls.bridge import FOR_EVER
from longline.calls.recording import RecordingHeirs
from longline.flows import verbs
from longline.flows.language import Document
from longline.flows.parse import Flow, FlowInvalid
from longline.flows.steps import Answer, CloseStream, DialInTurn, OpenStream, RecordFor, SendDigits
from longline.flows.twiml import Twiml

URL = "https://app.example/voice/in.xml"


def read(inner: str, url: str | None = URL) -> Flow:
    return Twiml().read(Document(f"<Response>{inner}</Response>".encode(), url))


def only(inner: str) -> Any:
    """The action before the hang-up at the end."""
    action, *_ = read(inner).actions
    return action


def fields(action: Any) -> dict[str, Any]:
    return {name: getattr(action, name) for name in type(action).model_fields if name != "action"}


CASES: list[tuple[str, type, dict[str, Any]]] = [
    ("<Say>Hello</Say>", verbs.Say, {"text": "Hello", "voice": None, "language": None, "loop": 1}),
    ('<Say language="de-DE" loop="3">Na</Say>', verbs.Say, {"language": "de-DE", "loop": 3}),
    ('<Say loop="0">Na</Say>', verbs.Say, {"loop": FOR_EVER}),
    ('<Say voice="Polly.Joanna">Na</Say>', verbs.Say, {"voice": None}),
    ('<Say voice="en-us+f3">Na</Say>', verbs.Say, {"voice": "en-us+f3"}),
    ("<Say>one <emphasis>two</emphasis> three</Say>", verbs.Say, {"text": "one two three"}),
    ("<Play>hi.wav</Play>", verbs.Play, {"media_url": "https://app.example/voice/hi.wav", "loop": 1}),
    ('<Play loop="0">/hi.wav</Play>', verbs.Play, {"media_url": "https://app.example/hi.wav", "loop": FOR_EVER}),
    ("<Pause/>", verbs.Pause, {"duration": 1}),
    ('<Pause length="10"/>', verbs.Pause, {"duration": 10}),
    ('<Pause length="9000"/>', verbs.Pause, {"duration": 600}),
    ("<Gather/>", verbs.Gather, {"flow_url": None, "timeout": 5, "finish_key": "#", "num_digits": None}),
    (
        '<Gather action="digits" numDigits="4" timeout="3" finishOnKey="*"/>',
        verbs.Gather,
        {"flow_url": "https://app.example/voice/digits", "num_digits": 4, "timeout": 3, "finish_key": "*"},
    ),
    ('<Gather finishOnKey="" timeout="auto"/>', verbs.Gather, {"finish_key": "", "timeout": 5}),
    (
        '<Record action="/rec" maxLength="20" timeout="10" playBeep="false" finishOnKey="#"/>',
        verbs.Record,
        {
            "flow_url": "https://app.example/rec",
            "max_length": 20,
            "silence_end": 10,
            "beep": False,
            "finish_key": "#",
        },
    ),
    ("<Record/>", verbs.Record, {"finish_key": "1234567890*#", "max_length": 3600, "flow_url": URL}),
    ("<Redirect>../other</Redirect>", verbs.Redirect, {"flow_url": "https://app.example/other"}),
    ("<Redirect/>", verbs.Redirect, {"flow_url": URL}),
    ("<Reject/>", verbs.Reject, {"reason": "rejected"}),
    ('<Reject reason="busy"/>', verbs.Reject, {"reason": "busy"}),
    ("<Hangup/>", verbs.Hangup, {}),
]


@pytest.mark.parametrize(("inner", "kind", "expected"), CASES, ids=[case[0] for case in CASES])
def test_a_verb_becomes_an_action_of_ours(inner: str, kind: type, expected: dict[str, Any]) -> None:
    action = only(inner)
    action = action.verb if isinstance(action, RecordFor) else action
    assert type(action) is kind
    found = fields(action)
    assert {name: found[name] for name in expected} == expected


DIALS: list[tuple[str, dict[str, Any]]] = [
    ("<Dial>+1 (415) 555-0100</Dial>", {"to": "+14155550100", "timeout": 30, "record": False, "flow_url": None}),
    (
        '<Dial action="/done" timeout="9" callerId="+15550111" timeLimit="60" record="record-from-answer-dual">'
        "<Number>+15550100</Number></Dial>",
        {
            "to": "+15550100",
            "timeout": 9,
            "from_number": "+15550111",
            "time_limit": 60,
            "record": "stereo",
            "flow_url": "https://app.example/done",
        },
    ),
    (
        "<Dial><Sip>sip:kate@example.com?X-Account=7&amp;other=1</Sip></Dial>",
        {"to": "sip:kate@example.com", "custom_headers": {"X-Account": "7"}},
    ),
    ('<Dial><Number sendDigits="wwww1928">+15550100</Number></Dial>', {"send_digits": "wwww1928"}),
    (
        '<Dial><Number statusCallback="/leg">+15550100</Number></Dial>',
        {"status_callback_url": "https://app.example/leg"},
    ),
]


@pytest.mark.parametrize(("inner", "expected"), DIALS)
def test_a_dial_answers_first_and_calls_its_noun(inner: str, expected: dict[str, Any]) -> None:
    answer, dial, end = read(inner).actions
    assert (answer, type(end)) == (Answer(), verbs.Hangup)
    assert {name: fields(dial)[name] for name in expected} == expected


def test_a_dial_may_answer_on_the_bridge_and_call_several_in_turn() -> None:
    several = only(
        '<Dial answerOnBridge="true" action="/x"><Number>+15550100</Number><Sip>sip:b@example.com</Sip></Dial>'
    )
    assert isinstance(several, DialInTurn)
    assert [dial.to for dial in several.dials] == ["+15550100", "sip:b@example.com"]
    assert {dial.flow_url for dial in several.dials} == {"https://app.example/x"}


def test_a_prompt_has_its_parts_in_order() -> None:
    gather = only('<Gather><Say>Press</Say><Pause length="2"/><Play loop="2">a.wav</Play></Gather>')
    assert [(part.action, getattr(part, "loop", None)) for part in gather.prompt] == [
        ("say", 1),
        ("pause", None),
        ("play", 2),
    ]


def test_what_twilios_own_builder_writes_is_read() -> None:
    response = VoiceResponse()
    gather = Gather(num_digits=1, action="/keys", method="GET")
    gather.say("Press one")
    response.append(gather)
    start = Start()
    start.stream(name="copy", url="wss://app.example/copy", track="both_tracks")
    response.append(start)
    stop = Stop()
    stop.stream(name="copy")
    response.append(stop)
    connect = Connect(action="/after")
    stream = connect.stream(
        url="wss://app.example/ws", name="bot", status_callback="/told", status_callback_method="GET"
    )
    stream.parameter(name="who", value="me")
    response.append(connect)
    response.say("Bye")
    flow = Twiml().read(Document(str(response).encode(), URL))
    kinds = [type(action) for action in flow.actions]
    assert kinds == [verbs.Gather, OpenStream, CloseStream, OpenStream, verbs.Say, verbs.Hangup]
    assert flow.method(0) == "GET" and flow.method(3) == "POST"
    fork, close, joined = flow.actions[1:4]
    assert isinstance(fork, OpenStream) and isinstance(close, CloseStream) and isinstance(joined, OpenStream)
    assert (fork.waits, fork.request.name, fork.request.dialect) == (False, "copy", "twilio")
    assert close.name == "copy"
    assert (joined.waits, joined.flow_url) == (True, "https://app.example/after")
    assert joined.request.ws_url == "wss://app.example/ws"
    assert (fork.request.direction, joined.request.direction) == ("listen", "both")
    assert (fork.request.tracks, joined.request.tracks) == ((1, 129), (1,))
    assert joined.request.parameters == {"who": "me"}
    assert joined.request.status_callback_url == "https://app.example/told"
    assert joined.request.status_callback_method == "GET"


def test_a_stream_may_have_linear_samples() -> None:
    opened = only('<Connect><Stream url="wss://a/" audioFormat="audio/L16" sampleRate="16000"/></Connect>')
    assert isinstance(opened, OpenStream)
    assert (opened.request.format.encoding, opened.request.format.sample_rate) == ("pcm_s16le", "16k")


def test_a_gather_that_is_asked_about_nothing_is_the_last() -> None:
    assert read('<Gather actionOnEmptyResult="true"/><Say>Bye</Say>').is_last(0)
    assert not read("<Gather/>").is_last(0)


def test_digits_are_sent() -> None:
    assert only('<Play digits="ww12#"/>') == SendDigits("ww12#")


@pytest.mark.parametrize("document", ["", "  ", "<Response/>", "<Response></Response>"])
def test_a_document_with_nothing_in_it_hangs_up(document: str) -> None:
    (action,) = Twiml().read(Document(document.encode(), URL)).actions
    assert isinstance(action, verbs.Hangup)


def test_what_has_no_effect_is_told() -> None:
    flow = read('<Say voice="alice" foo="1">a</Say><Hangup/><Say>never</Say>')
    assert flow.ignored == ("Response/Say@foo", "Response/Say@voice", "Response/Say[2]")


@pytest.mark.parametrize(
    ("inner", "path", "problem"),
    [
        ("<Enqueue>q</Enqueue>", "Response/Enqueue", "is not known here"),
        ("<Play>ftp://x/y</Play>", "Response/Play", "must be an http"),
        ('<Play digits="12!"/>', "Response/Play@digits", "128"),
        ('<Pause length="soon"/>', "Response/Pause@length", "must be a number"),
        ('<Pause length="nan"/>', "Response/Pause@length", "must be a number"),
        ('<Gather input="speech"/>', "Response/Gather@input", "only dtmf"),
        ('<Gather finishOnKey="##"/>', "Response/Gather", "finish_key"),
        ("<Gather><Dial/></Gather>", "Response/Gather/Dial", "<Say>, <Play> and <Pause>"),
        ('<Gather method="PUT"/>', "Response/Gather@method", "GET or POST"),
        ("<Dial/>", "Response/Dial", "to: must be an E.164"),
        ("<Dial><Conference>r</Conference></Dial>", "Response/Dial/Conference", "nothing else"),
        ("<Connect/>", "Response/Connect", "has one <Stream>"),
        ("<Connect><Room>r</Room></Connect>", "Response/Connect", "has one <Stream>"),
        ('<Connect><Stream url="https://a/"/></Connect>', "Response/Connect/Stream@url", "must be a ws"),
        (
            '<Connect><Stream url="wss://a/" track="both_tracks"/></Connect>',
            "Response/Connect/Stream@track",
            "inbound_track",
        ),
        ('<Start><Stream url="wss://a/" track="left"/></Start>', "Response/Start/Stream@track", "must be one of"),
        ('<Start><Stream url="wss://a/"><Say/></Stream></Start>', "Response/Start/Stream/Say", "has <Parameter>"),
        (
            f'<Start><Stream url="wss://a/"><Parameter name="a" value="{"x" * 501}"/></Stream></Start>',
            "Response/Start/Stream",
            "more than 500 bytes",
        ),
        ('<Start><Stream url="wss://a/" audioFormat="opus"/></Start>', "Response/Start/Stream@audioFormat", "l16"),
        (
            '<Start><Stream url="wss://a/" audioFormat="mulaw" sampleRate="16000"/></Start>',
            "Response/Start/Stream",
            "has mulaw at 8k",
        ),
        ('<Start><Stream url="wss://a/" sampleRate="96000"/></Start>', "Response/Start/Stream@sampleRate", "24000"),
        ("<Start><Recording/></Start>", "Response/Start/Recording", "has <Stream>"),
        ('<Reject reason="tired"/>', "Response/Reject", "reason"),
        ('<Record playBeep="loud"/>', "Response/Record@playBeep", "true or false"),
    ],
)
def test_what_cannot_be_carried_out_is_refused_with_its_place(inner: str, path: str, problem: str) -> None:
    with pytest.raises(FlowInvalid) as refused:
        read(inner)
    assert (refused.value.path, problem in refused.value.problem) == (path, True), refused.value


@pytest.mark.parametrize("document", ["<Responses/>", "hello", "<Response>", "<!DOCTYPE a><Response/>"])
def test_what_is_no_twiml_is_refused(document: str) -> None:
    with pytest.raises(FlowInvalid):
        Twiml().read(Document(document.encode(), URL))


def test_a_document_without_a_url_names_only_whole_ones() -> None:
    with pytest.raises(FlowInvalid):
        read("<Play>a.wav</Play>", url=None)
    assert read("<Play>https://a.example/a.wav</Play>", url=None).actions


def test_a_recording_is_told_to_those_who_are_named() -> None:
    record = only('<Record action="/rec" method="GET" recordingStatusCallback="/whole"/>')
    assert record.heirs == RecordingHeirs(
        status=("https://app.example/whole", "POST"), next=("https://app.example/rec", "GET")
    )
    assert only("<Record/>").heirs == RecordingHeirs(next=(URL, "POST"))


NAMES = st.sampled_from(
    [
        *("Response", "Say", "Play", "Pause", "Gather", "Record", "Dial", "Number", "Sip"),
        *("Connect", "Start", "Stop", "Stream", "Parameter", "Redirect", "Reject"),
    ]
)
ATTRIBUTES = st.dictionaries(
    st.sampled_from(
        [
            *("action", "method", "timeout", "finishOnKey", "numDigits", "loop", "length", "digits", "url", "name"),
            *("value", "track", "record", "maxLength", "callerId", "playBeep", "reason", "voice", "language"),
            *("answerOnBridge", "statusCallback", "input", "timeLimit", "recordingStatusCallback"),
        ]
    ),
    st.sampled_from(["", "0", "1", "-1", "1e9", "nan", "true", "GET", "#", "wss://a/b", "/x", "://", "both_tracks"])
    | st.text(max_size=8),
    max_size=3,
)
TEXTS = st.sampled_from(["", "+15550100", "sip:a@b?X-A=b", "http://[", "hello"]) | st.text(max_size=8)


def _element(children: st.SearchStrategy[ET.Element] | None) -> st.SearchStrategy[ET.Element]:
    def make(name: str, attributes: dict[str, str], text: str, within: list[ET.Element]) -> ET.Element:
        element = ET.Element(name, attributes)
        element.text = text
        element.extend(within)
        return element

    return st.builds(
        make, NAMES, ATTRIBUTES, TEXTS, st.just([]) if children is None else st.lists(children, max_size=3)
    )


@settings(max_examples=300, deadline=None)
@given(st.recursive(_element(None), _element, max_leaves=8))
def test_whatever_it_is_it_is_a_flow_or_refused(element: ET.Element) -> None:
    root = ET.Element("Response")
    root.append(element)
    try:
        flow = Twiml().read(Document(ET.tostring(root), URL))
    except FlowInvalid:
        return
    assert len(flow.manners) == len(flow.actions)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200))
def test_bytes_of_any_kind_are_a_flow_or_refused(body: bytes) -> None:
    with contextlib.suppress(FlowInvalid):
        Twiml().read(Document(b"<Response><Say>" + body, URL))
        Twiml().read(Document(body, URL))
