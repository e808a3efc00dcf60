"""A flow is understood as the Teler API has it, and a wrong one is told to the key."""

from typing import Any

import pytest
from teler.flows import CallFlow

from longline.calls.dialects import Format
from longline.flows.parse import FlowInvalid, parse_flow
from longline.flows.verbs import Dial, Hangup, NestedHangup, Play, PlaySound, Stream, Verb

WS = "wss://app.example/call?tenant=7"


def only(value: object) -> Verb:
    (verb,) = parse_flow(value).actions
    return verb


def test_stream_has_the_documented_defaults() -> None:
    verb = only({"action": "stream", "ws_url": WS})
    assert verb == Stream(action="stream", ws_url=WS, record=None, dialect="teler")
    assert verb.to_request().format == Format("pcm_s16le", "8k", 400)


@pytest.mark.parametrize("action", ["Stream", "STREAM", "stream"])
def test_the_case_of_an_action_does_not_matter(action: str) -> None:
    assert isinstance(only({"action": action, "ws_url": WS}), Stream)


def test_file_url_is_an_alias_of_media_url() -> None:
    flow = parse_flow({"action": "play", "file_url": "https://a.example/x.wav"})
    assert flow.actions[0] == Play(action="play", media_url="https://a.example/x.wav")
    assert flow.ignored == ()


def test_hangup_needs_nothing() -> None:
    assert only({"action": "hangup"}) == Hangup(action="hangup")


def test_keys_that_a_verb_does_not_have_are_named_and_ignored() -> None:
    flow = parse_flow({"action": "stream", "ws_url": WS, "chunk_sise": 20})
    assert flow.ignored == ("'chunk_sise'",)


@pytest.mark.parametrize("chunk_size", [20, 40, 400, 2000])
def test_chunk_sizes_in_range_are_taken(chunk_size: int) -> None:
    verb = only({"action": "stream", "ws_url": WS, "chunk_size": chunk_size})
    assert isinstance(verb, Stream) and verb.chunk_size == chunk_size


@pytest.mark.parametrize(
    ("flow", "path", "words"),
    [
        ([], "$", "1 to 50 actions"),
        ([[]], "$[0]", "a list"),
        ("stream", "$", "a string"),
        (None, "$", "null"),
        ({}, "$.action", "missing"),
        (
            {"action": "sing"},
            "$.action",
            "unknown action 'sing'; known actions: stream, play, dial, hangup, say, gather, record, pause, redirect, "
            "reject",
        ),
        ({"action": 7}, "$.action", "unknown action 7"),
        ({"action": "stream"}, "$.ws_url", "missing"),
        ({"action": "stream", "ws_url": "https://a.example/"}, "$.ws_url", "ws://"),
        ({"action": "stream", "ws_url": "wss://"}, "$.ws_url", "ws://"),
        ({"action": "stream", "ws_url": 5}, "$.ws_url", "string"),
        ({"action": "stream", "ws_url": WS, "chunk_size": 0}, "$.chunk_size", "20"),
        ({"action": "stream", "ws_url": WS, "chunk_size": 30}, "$.chunk_size", "multiple of 20"),
        ({"action": "stream", "ws_url": WS, "chunk_size": 2020}, "$.chunk_size", "2000"),
        ({"action": "stream", "ws_url": WS, "chunk_size": "400"}, "$.chunk_size", "integer"),
        ({"action": "stream", "ws_url": WS, "chunk_size": True}, "$.chunk_size", "integer"),
        ({"action": "stream", "ws_url": WS, "sample_rate": "24k"}, "$", "teler has pcm_s16le at 8k, 16k, not at 24k"),
        ({"action": "stream", "ws_url": WS, "sample_rate": "44k"}, "$.sample_rate", "48k"),
        ({"action": "stream", "ws_url": WS, "tracks": ["inbound", "outbound"]}, "$", "teler carries one track"),
        ({"action": "stream", "ws_url": WS, "tracks": ["caller"]}, "$.tracks[0]", "inbound"),
        ({"action": "stream", "ws_url": WS, "sample_rate": 8000}, "$.sample_rate", "8k"),
        ({"action": "stream", "ws_url": WS, "record": "yes"}, "$.record", "boolean"),
        ({"action": "play"}, "$.media_url", "missing"),
        ({"action": "play", "media_url": ""}, "$.media_url", "at least 1"),
        ({"action": "play", "media_url": "ftp://a.example/x"}, "$.media_url", "http"),
        ({"action": "play", "media_url": "file://host/x.wav"}, "$.media_url", "host"),
        ({"action": "play", "media_url": "x.wav", "flow_url": "ws://a"}, "$.flow_url", "http"),
    ],
)
def test_a_mistake_is_told_with_its_place(flow: Any, path: str, words: str) -> None:
    with pytest.raises(FlowInvalid) as refused:
        parse_flow(flow)
    assert refused.value.path == path
    assert words in str(refused.value)


def dial(**more: Any) -> dict[str, Any]:
    return {"action": "dial", "to": "+14155550100"} | more


def test_what_the_sdk_makes_of_a_dial_is_understood() -> None:
    made = CallFlow.dial(
        "sip:bob@b.example",
        timeout=600,
        record="per_leg",
        custom_headers={"X-Ticket": "4711"},
        status_callback_url="https://a.example/status",
        ringback="suppress",
        dial_music={"action": "play", "media_url": "https://a.example/m.wav", "loop": True},
        confirm_sound={"action": "Play", "media_url": "https://a.example/c.wav", "loop": 2},
        on_no_answer={"action": "hangup"},
        on_busy={"action": "play", "media_url": "https://a.example/b.wav"},
        on_failure={"action": "HANGUP"},
    )
    verb = only(made)
    assert isinstance(verb, Dial) and parse_flow(made).ignored == ()
    assert (verb.timeout, verb.record, verb.ringback, verb.custom_headers) == (
        600,
        "per_leg",
        "suppress",
        {"X-Ticket": "4711"},
    )
    assert isinstance(verb.on_no_answer, NestedHangup) and isinstance(verb.on_failure, NestedHangup)
    assert isinstance(verb.on_busy, PlaySound) and verb.confirm_sound is not None and verb.confirm_sound.loop == 2


def test_dial_has_the_documented_defaults() -> None:
    verb = only(dial())
    assert isinstance(verb, Dial)
    assert (verb.timeout, verb.record, verb.ringback, verb.custom_headers) == (30, False, "passthrough", {})


@pytest.mark.parametrize(
    ("flow", "path"),
    [
        (dial(to="555"), "$.to"),
        (dial(to="sip:bob@b.example\r\nX: y"), "$.to"),
        (dial(to=["+14155550100"]), "$.to"),
        (dial(timeout=0), "$.timeout"),
        (dial(timeout=601), "$.timeout"),
        (dial(record="both"), "$.record"),
        (dial(ringback="loud"), "$.ringback"),
        (dial(custom_headers={"Via": "x"}), "$.custom_headers"),
        (dial(custom_headers={"X-": "x"}), "$.custom_headers"),
        (dial(custom_headers={"X-A": "x\r\nVia: y"}), "$.custom_headers"),
        (dial(custom_headers={"X-A: y\r\nX": "x"}), "$.custom_headers"),
        (dial(custom_headers={"X-A": "é" * 129}), "$.custom_headers"),
        (dial(custom_headers={f"X-{n}": "" for n in range(17)}), "$.custom_headers"),
        (dial(custom_headers={"X-A": 1}), "$.custom_headers.X-A"),
        (dial(status_callback_url="ftp://a"), "$.status_callback_url"),
        (dial(on_busy={"action": "dial", "to": "+14155550100"}), "$.on_busy.action"),
        (dial(on_busy="hangup"), "$.on_busy"),
        (dial(on_busy={"action": "play"}), "$.on_busy.media_url"),
        (dial(dial_music={"action": "hangup"}), "$.dial_music.action"),
        (dial(confirm_sound={"action": "play", "media_url": "a.wav", "loop": 11}), "$.confirm_sound.loop"),
    ],
)
def test_a_mistake_in_a_dial_is_told_with_its_place(flow: Any, path: str) -> None:
    with pytest.raises(FlowInvalid) as refused:
        parse_flow(flow)
    assert refused.value.path == path


def test_every_mistake_is_told() -> None:
    with pytest.raises(FlowInvalid, match=r"ws_url.*chunk_size"):
        parse_flow({"action": "stream", "ws_url": "http://a", "chunk_size": 7})


def test_a_list_is_done_in_order_and_its_mistakes_are_told_with_their_places() -> None:
    flow = parse_flow([{"action": "SAY", "text": "hello"}, {"action": "pause", "duration": 1}, {"action": "hangup"}])
    assert [verb.action for verb in flow.actions] == ["say", "pause", "hangup"]
    assert flow.place(1) == "$[1]" and parse_flow({"action": "hangup"}).place(0) == "$"
    with pytest.raises(FlowInvalid) as refused:
        parse_flow([{"action": "say"}, {"action": "hangup"}, {"action": "pause", "duration": 0}, "stop"])
    assert refused.value.path == "$[0].text"
    assert "$[2].duration" in str(refused.value) and "$[3]: must be a JSON object" in str(refused.value)


@pytest.mark.parametrize(
    "first",
    [
        {"action": "hangup"},
        {"action": "reject"},
        {"action": "record"},
        {"action": "redirect", "flow_url": "http://app/"},
        {"action": "play", "media_url": "a.wav", "flow_url": "http://app/"},
    ],
    ids=lambda first: str(first["action"]),
)
def test_what_is_never_reached_is_named(first: Any) -> None:
    flow = parse_flow([first, {"action": "say", "text": "never"}])
    assert flow.ignored == ("$[1]",) and len(flow.actions) == 1


def test_a_flow_that_came_from_no_url_must_say_where_its_digits_go() -> None:
    assert parse_flow({"action": "gather"})
    with pytest.raises(FlowInvalid, match=r"\$\.flow_url: is missing"):
        parse_flow({"action": "gather"}, has_url=False)


SAY = {"action": "say", "text": "hello"}


def gather(**more: Any) -> dict[str, Any]:
    return {"action": "gather"} | more


@pytest.mark.parametrize(
    ("flow", "path", "words"),
    [
        (gather(prompt=[SAY, {"action": "say"}]), "$.prompt[1].text", "missing"),
        (gather(prompt={"action": "say", "text": "  "}), "$.prompt.text", "nothing to say"),
        (gather(prompt={"action": "hangup"}), "$.prompt.action", "play"),
        (gather(prompt=[SAY, {"text": "x"}]), "$.prompt[1].action", "play"),
        (gather(prompt="hello"), "$.prompt", "play"),
        (gather(prompt=[SAY] * 11), "$.prompt", "10"),
        (gather(finish_key="##"), "$.finish_key", "pattern"),
        (gather(finish_key=5), "$.finish_key", "string"),
        (gather(num_digits=0), "$.num_digits", "1"),
        (gather(num_digits=65), "$.num_digits", "64"),
        (gather(timeout=0), "$.timeout", "0.1"),
        (gather(timeout=float("nan")), "$.timeout", ""),
        (SAY | {"voice": "-w/etc/x"}, "$.voice", "pattern"),
        (SAY | {"voice": "../x"}, "$.voice", "pattern"),
        (SAY | {"language": "english please"}, "$.language", "pattern"),
        (SAY | {"text": "x" * 4097}, "$.text", "4096"),
        ({"action": "record", "max_length": 3601}, "$.max_length", "3600"),
        ({"action": "record", "silence_end": -1}, "$.silence_end", "0"),
        ({"action": "pause"}, "$.duration", "missing"),
        ({"action": "redirect"}, "$.flow_url", "missing"),
        ({"action": "reject", "reason": "sorry"}, "$.reason", "busy"),
        (dial(on_busy={"action": "say", "text": ""}), "$.on_busy.text", "at least 1"),
    ],
)
def test_a_mistake_in_the_other_verbs_is_told_with_its_place(flow: Any, path: str, words: str) -> None:
    with pytest.raises(FlowInvalid) as refused:
        parse_flow(flow)
    assert refused.value.path == path
    assert words in str(refused.value)
