"""An application that answers every turn: keys, recordings, lists, fall-backs. Media server and clock are fakes."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs
from tests.support.calls import House

from longline.calls.caller_input import MAX_KEYS, CallerInput
from longline.calls.ports import FlowFailed
from longline.calls.reason import Reason
from longline.calls.redirection import Redirection
from longline.flows.language import Document
from longline.media.protocol.commands import StreamOpen
from longline.media.protocol.events import (
    LegDigit,
    LegSpeechStarted,
    LegSpeechStopped,
    PlaybackFinished,
    RecordingFinished,
)
from longline.sip.events import Ended, InfoDigit

FLOW_URL = "http://app/flow"
NEXT_URL = "http://app/next"
FALLBACK_URL = "http://app/fallback"
HELLO = {"action": "play", "media_url": "hello.wav"}
HANGUP = {"action": "hangup"}


@pytest.fixture
def house(tmp_path: Path) -> House:
    (tmp_path / "media").mkdir()
    (tmp_path / "media" / "hello.wav").write_bytes(b"RIFF")
    return House(tmp_path, inbound={"flow_url": FLOW_URL, "fallback_url": FALLBACK_URL})


async def until(house: House, command: str, count: int = 1) -> Any:
    """Files are found in another thread: let that happen."""
    async with asyncio.timeout(5):
        while house.media.names().count(command) < count:
            await asyncio.sleep(0.001)
    return house.media.find(command)


async def until_asked(house: House, count: int) -> dict[str, Any]:
    async with asyncio.timeout(5):
        while len(house.fetcher.asked) < count:
            await asyncio.sleep(0.001)
    return house.fetcher.results[count - 1]


async def press(house: House, keys: str, leg: str | None = None) -> None:
    for key in keys:
        await house.media_tells(
            LegDigit(
                at=0.0, session=house.session.id, leg=leg or house.leg_id, digit=key, duration_ms=80, method="rfc4733"
            )
        )


async def playback_ends(house: House) -> None:
    command = house.media.find("playback.start")
    await house.media_tells(
        PlaybackFinished(at=0.0, session=house.session.id, playback=command.playback, reason="completed")
    )


def gather(**more: Any) -> dict[str, Any]:
    return {"action": "gather", "flow_url": NEXT_URL} | more


async def test_keys_go_to_the_next_flow(house: House) -> None:
    house.fetcher.answers |= {FLOW_URL: gather(num_digits=4), NEXT_URL: HANGUP}
    await house.incoming()
    assert house.user_agent.verbs() == ["ring", "answer"]
    await press(house, "1234")
    assert house.fetcher.asked == [FLOW_URL, NEXT_URL]
    assert house.fetcher.results == [{}, {"action": "gather", "digits": "1234", "reason": "num_digits"}]
    assert house.event("gather.completed").data == {"digit_count": 4, "reason": "num_digits"}
    assert house.record.state == "completed"


async def test_a_key_ends_the_prompt_at_once_and_counts(house: House) -> None:
    house.fetcher.answers |= {FLOW_URL: gather(prompt=[HELLO, HELLO], num_digits=2), NEXT_URL: HANGUP}
    await house.incoming()
    started = await until(house, "playback.start")
    await house.clock.advance(60)  # a prompt may be long: nothing is waited for yet
    await press(house, "4")
    assert house.media.find("playback.stop").playback == started.playback
    assert house.media.names().count("playback.start") == 1
    await press(house, "2")
    assert house.fetcher.results[-1]["digits"] == "42"


async def test_without_barge_in_the_prompt_is_heard_to_its_end_and_earlier_keys_do_not_count(house: House) -> None:
    house.fetcher.answers |= {FLOW_URL: gather(prompt=HELLO, barge_in=False, num_digits=1), NEXT_URL: HANGUP}
    await house.incoming()
    await until(house, "playback.start")
    await press(house, "9")
    assert "playback.stop" not in house.media.names()
    await playback_ends(house)
    assert house.fetcher.asked == [FLOW_URL]
    await press(house, "5")
    assert house.fetcher.results[-1]["digits"] == "5"


async def test_the_time_begins_when_the_prompt_is_over(house: House) -> None:
    house.fetcher.answers |= {FLOW_URL: gather(prompt=HELLO, timeout=3), NEXT_URL: HANGUP}
    await house.incoming()
    await until(house, "playback.start")
    await house.clock.advance(100)
    await playback_ends(house)
    await house.clock.advance(2.9)
    assert house.fetcher.asked == [FLOW_URL]
    await house.clock.advance(0.2)
    assert house.fetcher.results[-1] == {"action": "gather", "digits": "", "reason": "timeout"}


async def test_a_key_pressed_before_the_gather_counts_for_it(house: House) -> None:
    """Whoever knows the menu does not wait for it."""
    house.fetcher.answers |= {
        FLOW_URL: [{"action": "pause", "duration": 2}, gather(prompt=HELLO, num_digits=2)],
        NEXT_URL: HANGUP,
    }
    await house.incoming()
    await house.sip()
    assert "answer" not in house.user_agent.verbs()  # a pause does not answer
    await house.clock.advance(2)
    await until(house, "playback.start")
    await press(house, "12")
    assert house.fetcher.results[-1]["digits"] == "12"


async def test_keys_of_one_turn_wait_while_the_next_flow_is_asked_for(house: House) -> None:
    house.fetcher.answers |= {FLOW_URL: gather(num_digits=1)}
    await house.incoming()
    await press(house, "1")
    assert house.fetcher.asked == [FLOW_URL, NEXT_URL]  # not answered yet
    await press(house, "23")
    call = next(iter(house.manager._calls.values()))
    assert call.input.has_keys


async def test_a_gather_without_a_url_asks_the_one_it_came_from(house: House) -> None:
    house.fetcher.answers[FLOW_URL] = {"action": "gather", "num_digits": 1}
    await house.incoming()
    await press(house, "1")
    await press(house, "2")
    assert house.fetcher.asked == [FLOW_URL] * 3
    assert [result.get("digits") for result in house.fetcher.results] == [None, "1", "2"]


async def test_when_nothing_was_pressed_the_list_goes_on(house: House) -> None:
    house.fetcher.answers |= {
        FLOW_URL: [gather(timeout=1), {"action": "redirect", "flow_url": NEXT_URL}],
        NEXT_URL: HANGUP,
    }
    await house.incoming()
    await house.clock.advance(1)
    assert house.fetcher.asked == [FLOW_URL, NEXT_URL]
    assert house.fetcher.results[-1] == {"action": "gather", "digits": "", "reason": "timeout"}


async def test_a_key_told_by_sip_info_counts_and_ends_the_prompt(house: House) -> None:
    house.fetcher.answers |= {FLOW_URL: gather(prompt=HELLO, num_digits=1), NEXT_URL: HANGUP}
    handle = await house.incoming()
    await until(house, "playback.start")
    await house.sip(InfoDigit(handle, "6", 100))
    assert house.fetcher.results[-1]["digits"] == "6" and "playback.stop" in house.media.names()


def test_keys_that_nobody_takes_have_a_bound() -> None:
    caller = CallerInput()
    assert [caller.press("1") for _ in range(MAX_KEYS + 2)] == [True] * MAX_KEYS + [False] * 2


# --- record --------------------------------------------------------------------------------------------------------


def record(**more: Any) -> dict[str, Any]:
    return {"action": "record", "flow_url": NEXT_URL, "beep": False} | more


async def recording_ends(house: House, error: str | None = None) -> None:
    command = house.media.find("recording.start")
    await house.media_tells(
        RecordingFinished(
            at=0.0, session=house.session.id, recording=command.recording, path=command.path, duration_ms=2500,
            bytes=40_044, format="wav", layout="mono", channels=1, rate_hz=8000, encrypted=False, tracks=[],
            error=error,
        )
    )  # fmt: skip


async def voice(house: House, speaks: bool) -> None:
    common = {"at": 0.0, "session": house.session.id, "leg": house.leg_id, "at_ms": 1}
    event: Any = (
        LegSpeechStarted(**common, level_db=-20.0, probability=None)  # type: ignore[arg-type]
        if speaks
        else LegSpeechStopped(**common, duration_ms=1000)  # type: ignore[arg-type]
    )
    await house.media_tells(event)


async def test_a_recording_ends_with_a_key_and_the_next_flow_is_asked_when_it_is_whole(house: House) -> None:
    house.fetcher.answers |= {FLOW_URL: record(), NEXT_URL: HANGUP}
    await house.incoming()
    await until(house, "recording.start")
    await press(house, "5")
    assert "recording.stop" not in house.media.names()
    await press(house, "#")
    assert "recording.stop" in house.media.names() and house.fetcher.asked == [FLOW_URL]
    await recording_ends(house)
    result = await until_asked(house, 2)
    assert (result["action"], result["reason"], result["duration_ms"]) == ("record", "finish_key", 2500)
    assert result["recording_id"] == house.event("recording.completed").data["recording_id"]


async def test_silence_ends_a_recording_and_a_voice_does_not(house: House) -> None:
    house.fetcher.answers |= {FLOW_URL: record(silence_end=3), NEXT_URL: HANGUP}
    await house.incoming()
    await until(house, "recording.start")
    assert house.media.find("leg.detect").vad == "energy"
    await house.clock.advance(2)
    await voice(house, True)
    await house.clock.advance(10)
    assert "recording.stop" not in house.media.names()
    await voice(house, False)
    await house.clock.advance(2.5)  # it had been silent for 0.4 s when that was told
    assert "recording.stop" not in house.media.names()
    await house.clock.advance(0.2)
    await recording_ends(house)
    assert (await until_asked(house, 2))["reason"] == "silence"
    assert house.media.find("leg.detect").vad == "off"


async def test_a_recording_has_a_longest_time(house: House) -> None:
    house.fetcher.answers |= {FLOW_URL: record(max_length=10, silence_end=0), NEXT_URL: HANGUP}
    await house.incoming()
    await until(house, "recording.start")
    await house.clock.advance(9.9)
    assert "recording.stop" not in house.media.names() and "leg.detect" not in house.media.names()
    await house.clock.advance(0.2)
    await recording_ends(house)
    assert (await until_asked(house, 2))["reason"] == "max_length"


async def test_a_recording_that_cannot_be_made_is_told_to_the_next_flow(house: House) -> None:
    house.media.refuse["recording.start"] = ("bad_file", "the disk is full")
    house.fetcher.answers |= {FLOW_URL: record(), NEXT_URL: HANGUP}
    await house.incoming()
    assert (await until_asked(house, 2))["reason"] == "failed"


async def test_the_beep_comes_before_the_recording(house: House) -> None:
    house.fetcher.answers |= {FLOW_URL: record(beep=True), NEXT_URL: HANGUP}
    await house.incoming()
    assert Path((await until(house, "playback.start")).path).name == "beep.wav"
    assert "recording.start" not in house.media.names()
    await playback_ends(house)
    assert "recording.start" in house.media.names()


# --- pause, redirect, reject, lists, fall-back ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("flow", "status", "reason"),
    [
        ({"action": "reject"}, 603, "rejected"),
        ({"action": "reject", "reason": "busy"}, 486, "busy"),
        ([{"action": "pause", "duration": 3}, {"action": "reject", "reason": "busy"}], 486, "busy"),
    ],
)
async def test_a_call_is_declined_with_a_reason(house: House, flow: Any, status: int, reason: str) -> None:
    house.fetcher.answers[FLOW_URL] = flow
    await house.incoming()
    await house.clock.advance(3)
    assert (house.user_agent.last("reject"), house.record.reason) == (status, reason)


async def test_a_redirect_asks_another_url_with_the_five_fields_alone(house: House) -> None:
    house.fetcher.answers |= {FLOW_URL: {"action": "redirect", "flow_url": NEXT_URL}, NEXT_URL: HANGUP}
    await house.incoming()
    assert house.fetcher.asked == [FLOW_URL, NEXT_URL] and house.fetcher.results == [{}, {}]


async def test_when_a_stream_has_ended_the_list_goes_on(house: House) -> None:
    house.fetcher.answers |= {
        FLOW_URL: [{"action": "stream", "ws_url": "ws://app/"}, gather(num_digits=1)],
        NEXT_URL: HANGUP,
    }
    await house.incoming()
    await house.stream_connects()
    await house.stream_closes()
    assert house.record.state == "answered"
    await press(house, "1")
    assert house.fetcher.results[-1]["digits"] == "1"


@pytest.mark.parametrize(
    ("answer", "reason", "words"),
    [
        (FlowFailed(Reason.FLOW_TIMEOUT, "http://app/flow did not answer"), "flow_timeout", "did not answer"),
        ([HANGUP, {"action": "say"}], "flow_invalid", "$[1].text: is missing"),
        ([{"action": "play", "media_url": "nothing.wav"}], "flow_invalid", "$[0].media_url: there is no file"),
        ({"action": "gather", "prompt": [{"action": "say", "text": "hello"}]}, "speech_failed", "$.prompt[0].text"),
    ],
    ids=["unanswered", "wrong", "no-file", "no-speech"],
)
async def test_the_fallback_is_asked_when_a_flow_fails_and_told_why(
    house: House, answer: Any, reason: str, words: str
) -> None:
    house.fetcher.answers |= {FLOW_URL: answer, FALLBACK_URL: {"action": "reject", "reason": "busy"}}
    await house.incoming()
    result = (await until_asked(house, 2))["flow_error"]
    await house.sip()
    assert house.fetcher.asked == [FLOW_URL, FALLBACK_URL]
    assert (result["flow_url"], result["reason"]) == (FLOW_URL, reason) and words in result["detail"]
    failed = house.event("flow.failed").data
    assert failed["fallback_url"] == FALLBACK_URL and words in failed["detail"]
    assert house.record.reason == "busy"


async def test_a_fallback_that_fails_ends_the_call(house: House) -> None:
    house.fetcher.answers |= {FLOW_URL: 1, FALLBACK_URL: 2}
    await house.incoming()
    assert house.fetcher.asked == [FLOW_URL, FALLBACK_URL]
    assert house.record.reason == "flow_invalid" and house.told().count("flow.failed") == 2


async def test_a_call_that_has_recovered_may_fall_back_again(house: House) -> None:
    house.fetcher.answers |= {FLOW_URL: 1, FALLBACK_URL: gather(num_digits=1), NEXT_URL: gather(num_digits=1)}
    await house.incoming()
    await press(house, "1")
    house.fetcher.answers[NEXT_URL] = FlowFailed(Reason.FLOW_UNREACHABLE, "gone")
    await press(house, "2")
    assert house.fetcher.asked == [FLOW_URL, FALLBACK_URL, NEXT_URL, NEXT_URL, FALLBACK_URL]


async def test_without_a_fallback_the_call_ends_with_what_failed(tmp_path: Path) -> None:
    house = House(tmp_path, inbound={"flow_url": FLOW_URL})
    house.fetcher.answers[FLOW_URL] = {"action": "pause"}
    await house.incoming()
    assert house.record.reason == "flow_invalid"
    assert "$.duration" in house.event("flow.failed").data["detail"]


async def test_the_log_has_the_place_but_no_query_of_a_url(house: House, caplog: pytest.LogCaptureFixture) -> None:
    house.fetcher.answers |= {
        FLOW_URL: {"action": "play", "media_url": "x.wav?number=4915550100"},
        FALLBACK_URL: HANGUP,
    }
    with capture_logs() as logs:
        await house.incoming()
        await until_asked(house, 2)
    (told,) = [log for log in logs if log["event"] == "flow failed"]
    assert told["detail"].startswith("$.media_url: ") and "4915550100" not in str(told)


# --- flows of another language -------------------------------------------------------------------------------------


def twiml(inner: str) -> Document:
    return Document(f"<Response>{inner}</Response>".encode(), FLOW_URL, "text/xml")


async def test_an_application_that_answers_twiml_is_spoken_to_in_it_from_then_on(house: House) -> None:
    house.fetcher.answers |= {
        FLOW_URL: twiml('<Gather numDigits="1" action="/next" method="GET"/>'),
        NEXT_URL: twiml("<Hangup/>"),
    }
    await house.incoming()
    await press(house, "7")
    assert list(zip(house.fetcher.asked, house.fetcher.methods, strict=True)) == [(FLOW_URL, "POST"), (NEXT_URL, "GET")]
    assert house.record.state == "completed"


async def test_without_keys_the_next_verb_of_twiml_is_done_and_then_it_is_over(house: House) -> None:
    house.fetcher.answers[FLOW_URL] = twiml('<Gather timeout="3"/><Pause length="4"/>')
    await house.incoming()
    await house.clock.advance(3.1)
    assert house.record.state == "answered"
    await house.clock.advance(4.1)
    assert (house.record.state, house.fetcher.asked) == ("completed", [FLOW_URL])


async def test_a_document_that_is_wrong_is_told_with_its_place_and_the_fallback_asked(house: House) -> None:
    house.fetcher.answers |= {FLOW_URL: twiml("<Enqueue>q</Enqueue>"), FALLBACK_URL: twiml("<Hangup/>")}
    await house.incoming()
    assert house.fetcher.asked == [FLOW_URL, FALLBACK_URL]
    assert "Response/Enqueue: is not known here" in house.event("flow.failed").data["detail"]


async def test_a_live_call_is_sent_elsewhere_and_what_it_did_is_dropped(house: House) -> None:
    house.fetcher.answers |= {FLOW_URL: [HELLO, HANGUP], NEXT_URL: twiml('<Pause length="60"/>')}
    await house.incoming()
    await until(house, "playback.start")
    call_id = next(iter(house.manager.live())).id
    await house.manager.redirect(call_id, Redirection("twilio", flow_url=NEXT_URL, flow_method="GET"))
    await until(house, "playback.stop")
    assert await until_asked(house, 2) == {}
    assert house.fetcher.methods == ["POST", "GET"]
    assert house.record.state == "answered"
    await house.manager.redirect(call_id, Redirection("twilio", flow="<Response><Hangup/></Response>"))
    await house.clock.advance(0)
    assert (house.record.state, len(house.fetcher.asked)) == ("completed", 2)


VOICEMAIL = '<Record action="/next" method="GET" playBeep="false" recordingStatusCallback="/whole"/>'


async def test_a_caller_who_hangs_up_on_a_recording_has_left_it_all_the_same(house: House) -> None:
    house.fetcher.answers[FLOW_URL] = twiml(VOICEMAIL)
    handle = await house.incoming()
    await until(house, "recording.start")
    await house.sip(Ended(handle, "remote", "bye"))
    await recording_ends(house)
    left, whole = house.event("flow.left"), house.event("recording.completed")
    assert (left.target_url, left.target_method, left.version) == (NEXT_URL, "GET", "twilio")
    assert left.data["recording_id"] == whole.data["recording_id"]
    assert (left.data["state"], left.data["duration_ms"]) == ("completed", 2500)
    assert (whole.target_url, whole.version) == ("http://app/whole", "twilio")
    assert house.fetcher.asked == [FLOW_URL]


async def test_a_recording_that_ends_in_time_goes_on_with_its_flow_alone(house: House) -> None:
    house.fetcher.answers |= {FLOW_URL: twiml(VOICEMAIL), NEXT_URL: twiml("<Hangup/>")}
    await house.incoming()
    await until(house, "recording.start")
    await press(house, "5")
    await recording_ends(house)
    told = await until_asked(house, 2)
    assert (told["reason"], told["key"]) == ("finish_key", "5")
    assert "flow.left" not in house.told()


async def test_xml_with_an_element_of_plivos_is_plivos(house: House) -> None:
    digits = '<GetDigits numDigits="1" action="/next"/>'
    house.fetcher.answers |= {FLOW_URL: twiml(digits), NEXT_URL: twiml("<Hangup/>")}
    await house.incoming()
    await press(house, "7")
    assert house.fetcher.asked == [FLOW_URL, NEXT_URL]


async def test_an_answer_without_actions_goes_on_with_the_flow_before(tmp_path: Path) -> None:
    house = House(tmp_path, webhook_version="vonage", inbound={"flow_url": FLOW_URL})
    ncco = [
        {"action": "input", "dtmf": {"maxDigits": 1}, "eventUrl": [NEXT_URL]},
        {"action": "wait", "timeout": 5},
        {"action": "input", "dtmf": {"maxDigits": 1}, "eventUrl": [FALLBACK_URL]},
    ]
    house.fetcher.answers |= {
        FLOW_URL: Document(json.dumps(ncco).encode(), FLOW_URL),
        NEXT_URL: Document(b"", NEXT_URL),
        FALLBACK_URL: Document(b"[]", FALLBACK_URL),
    }
    await house.incoming()
    await press(house, "7")
    assert house.fetcher.asked == [FLOW_URL, NEXT_URL]
    await house.clock.advance(5.1)
    await press(house, "8")
    assert house.fetcher.asked == [FLOW_URL, NEXT_URL, FALLBACK_URL]
    assert house.record.state == "completed"


BOT = '<Connect action="/next"><Stream url="ws://127.0.0.1:9/bot" name="bot" statusCallback="/told"/></Connect>'


@pytest.mark.parametrize(
    ("reason", "error", "event"),
    [("closed_by_app", None, "stream.completed"), ("connect_failed", "connect_failed", "stream.failed")],
)
async def test_a_stream_of_twiml_that_ends_in_whatever_way_goes_on(
    house: House, reason: str, error: str | None, event: str
) -> None:
    house.fetcher.answers |= {FLOW_URL: twiml(BOT), NEXT_URL: twiml("<Hangup/>")}
    await house.incoming()
    await until(house, "stream.open")
    await house.stream_closes(reason)
    told = await until_asked(house, 2)
    assert (told["reason"], told["is_orderly"]) == (reason, error is None)
    assert (house.event(event).target_url, house.event(event).version) == ("http://app/told", "twilio")
    assert house.record.state == "completed"


def fork(name: str) -> str:
    return f'<Start><Stream url="ws://127.0.0.1:9/{name}" name="{name}" track="both_tracks"/></Start>'


async def test_a_fork_goes_on_beside_the_flow_until_it_is_stopped_by_name(house: House) -> None:
    stop = '<Stop><Stream name="a"/></Stop>'
    house.fetcher.answers[FLOW_URL] = twiml(fork("a") + fork("b") + stop + '<Pause length="60"/>')
    await house.incoming()
    closed = await until(house, "stream.close")
    opened = [command for command in house.media.commands if isinstance(command, StreamOpen)]
    assert [(one.url, one.direction, one.tracks) for one in opened] == [
        ("ws://127.0.0.1:9/a", "listen", (1, 129)),
        ("ws://127.0.0.1:9/b", "listen", (1, 129)),
    ]
    assert closed.stream == opened[0].stream
    assert house.record.state == "answered"


async def test_a_call_has_four_forks(house: House) -> None:
    house.fetcher.answers[FLOW_URL] = twiml("".join(fork(name) for name in "abcde"))
    house.fetcher.answers[FALLBACK_URL] = twiml("<Hangup/>")
    await house.incoming()
    await until_asked(house, 2)
    assert house.media.names().count("stream.open") == 4
    detail = house.event("flow.failed").data["detail"]
    assert detail == "Response/Start[5]/Stream.url: a call has at most 4 streams beside its flow"


async def test_a_document_that_came_along_asks_nobody_in_particular_and_goes_on(house: House) -> None:
    house.fetcher.answers[FLOW_URL] = [{"action": "gather", "timeout": 60}]
    await house.incoming()
    call_id = next(iter(house.manager.live())).id
    document = '<Response><Gather numDigits="1" timeout="60"/><Pause length="60"/></Response>'
    await house.manager.redirect(call_id, Redirection("twilio", flow=document))
    await press(house, "1")
    assert (house.record.state, house.fetcher.asked) == ("answered", [FLOW_URL])
    await house.clock.advance(60)
    assert (house.record.state, house.fetcher.asked) == ("completed", [FLOW_URL])


async def test_a_call_that_waits_to_be_told_what_to_do_asks_nobody_and_does_not_ring_for_ever(tmp_path: Path) -> None:
    house = House(tmp_path, webhook_version="telnyx", inbound={"flow_url": FLOW_URL})
    await house.incoming()
    await house.clock.advance(179)
    assert (house.record.state, house.fetcher.asked) == ("ringing", [])
    await house.clock.advance(2)
    assert (house.record.state, house.fetcher.asked) == ("failed", [])


async def test_a_call_that_was_told_to_be_answered_stays(tmp_path: Path) -> None:
    house = House(tmp_path, webhook_version="telnyx", inbound={"flow_url": FLOW_URL})
    await house.incoming()
    await house.manager.answer(house.record.id)
    await house.clock.advance(3600)
    assert house.record.state == "answered"


async def test_who_presses_the_last_key_and_hangs_up_at_once_has_left_his_message_too(house: House) -> None:
    house.fetcher.answers[FLOW_URL] = twiml(VOICEMAIL)
    handle = await house.incoming()
    await until(house, "recording.start")
    await press(house, "5")
    await house.sip(Ended(handle, "remote", "bye"))
    await recording_ends(house)
    assert house.event("flow.left").target_url == NEXT_URL
