"""Whatever a stranger answers or asks in another platform's words, it is understood or refused, and nothing else."""

import contextlib
import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from longline.api.compat.plivo import requests as plivo_requests
from longline.api.compat.telnyx import requests as telnyx_requests
from longline.base.errors import BadRequest
from longline.base.ids import DEFAULT_ACCOUNT_ID
from longline.flows.jambonz_verbs import JambonzVerbs
from longline.flows.language import Document
from longline.flows.ncco import Ncco
from longline.flows.parse import FlowInvalid
from longline.flows.plivo_xml import PlivoXml
from longline.flows.telnyx_calls import TelnyxCalls

WORDS = st.sampled_from(
    ["talk", "stream", "input", "record", "connect", "wait", "websocket", "phone", "sip", "wss://x", "https://x",
     "dtmf", "GET", "1", "-1", "nan", "inf", "true", "audio/l16;rate=16000", "L16", "rtp", "both_tracks",
     "infinity", "\x00", "é"]
)  # fmt: skip
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([10**400, "9" * 5000])
    | st.floats()
    | WORDS
    | st.text(max_size=5)
)
NCCO_KEYS = st.sampled_from(
    ["action", "text", "loop", "bargeIn", "streamUrl", "type", "dtmf", "timeOut", "maxDigits", "endpoint", "uri",
     "number", "headers", "authorization", "value", "content-type", "eventUrl", "eventMethod", "timeout", "from",
     "endOnKey", "endOnSilence", "language", "level"]
)  # fmt: skip
FIELD_KEYS = st.sampled_from(
    ["to", "from", "answer_url", "hangup_url", "answer_method", "service_url", "bidirectional", "content_type",
     "extra_headers", "audio_track", "limit", "offset", "stream_url", "stream_track", "stream_codec",
     "stream_bidirectional_mode", "stream_bidirectional_codec", "stream_bidirectional_sampling_rate",
     "stream_auth_token", "custom_parameters", "client_state", "audio_url", "loop", "digits", "duration_millis",
     "webhook_url", "webhook_url_method", "timeout_secs", "connection_id", "record"]
)  # fmt: skip


def values(keys: Any) -> Any:
    return st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=5))


@settings(max_examples=400, deadline=None)
@given(st.lists(st.dictionaries(NCCO_KEYS, values(NCCO_KEYS), max_size=6), max_size=4))
def test_nccos(value: Any) -> None:
    with contextlib.suppress(FlowInvalid):
        Ncco().read(Document(json.dumps(value).encode(), "https://app.example/"))


VERBS = st.sampled_from(
    ["answer", "say", "play", "gather", "listen", "dial", "dtmf", "pause", "redirect", "sip:decline"]
)
VERB_KEYS = st.sampled_from(
    ["text", "loop", "url", "input", "actionHook", "finishOnKey", "numDigits", "timeout", "say", "play", "sampleRate",
     "mixType", "metadata", "wsAuth", "bidirectionalAudio", "target", "callerId", "headers", "dtmf", "length", "status",
     "method", "username", "password", "synthesizer", "language", "type", "number", "sipUri"]
)  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(st.lists(st.builds(lambda verb, item: item | {"verb": verb}, VERBS,
                          st.dictionaries(VERB_KEYS, values(VERB_KEYS), max_size=6)), max_size=3))  # fmt: skip
def test_verbs_of_jambonz(value: Any) -> None:
    with contextlib.suppress(FlowInvalid):
        JambonzVerbs().read(Document(json.dumps(value).encode(), "https://app.example/"))


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=40) | values(NCCO_KEYS).map(lambda value: json.dumps(value).encode()))
def test_anything_in_the_place_of_a_document(body: bytes) -> None:
    for language in (Ncco(), PlivoXml(), TelnyxCalls(), JambonzVerbs()):
        with contextlib.suppress(FlowInvalid):
            language.read(Document(body, "https://app.example/"))


@settings(max_examples=400, deadline=None)
@given(st.dictionaries(FIELD_KEYS, values(FIELD_KEYS), max_size=8))
def test_fields_of_requests(fields: dict[str, Any]) -> None:
    readers = (
        lambda: plivo_requests.calls(fields, DEFAULT_ACCOUNT_ID, record=False),
        lambda: plivo_requests.stream(fields),
        lambda: plivo_requests.slice_of(fields),
        lambda: telnyx_requests.dial(fields, DEFAULT_ACCOUNT_ID, record=False),
        lambda: telnyx_requests.stream(fields),
        lambda: telnyx_requests.play(fields),
        lambda: telnyx_requests.transfer(fields),
        lambda: telnyx_requests.digits(fields),
    )
    for read in readers:
        with contextlib.suppress(BadRequest):
            read()


ATTRIBUTES = st.dictionaries(
    st.sampled_from(["action", "method", "timeout", "loop", "length", "retries", "numDigits", "finishOnKey", "reason",
                     "contentType", "bidirectional", "keepCallAlive", "audioTrack", "extraHeaders", "callerId",
                     "redirect", "voice", "language", "statusCallbackUrl", "statusCallbackMethod", "inputType"]),
    st.sampled_from(["", "1", "-1", "nan", "1e999", "true", "x", "GET", "PUT", "both", "a=b,c", "#", "**", "speech",
                     "audio/x-l16;rate=24000", "https://x", "//", "http://[", "busy", "WOMAN"]),
    max_size=4,
)  # fmt: skip
NAMES = st.sampled_from(
    ["Speak", "Play", "Wait", "DTMF", "GetDigits", "GetInput", "Record", "Dial", "Number", "User", "Stream",
     "PreAnswer", "Redirect", "Hangup"]
)  # fmt: skip


def markup(name: str, attributes: dict[str, str], inner: str) -> str:
    shown = "".join(f' {key}="{value}"' for key, value in attributes.items())
    return f"<{name}{shown}>{inner}</{name}>"


ELEMENTS = st.recursive(
    st.sampled_from(["", "1", "hello", "+14155550100", "sip:a@b.example", "wss://x/", "https://x/", "http://["]),
    lambda inner: st.builds(markup, NAMES, ATTRIBUTES, inner) | st.lists(inner, max_size=3).map("".join),
)


@settings(max_examples=400, deadline=None)
@given(ELEMENTS)
def test_plivo_xml(inner: str) -> None:
    with contextlib.suppress(FlowInvalid):
        PlivoXml().read(Document(f"<Response>{inner}</Response>".encode(), "https://app.example/"))
