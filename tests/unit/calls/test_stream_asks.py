"""What an application asks for over its stream is done as the API does it, and answered over the stream."""

import asyncio
import io
from pathlib import Path
from typing import Any

import pytest
from tests.support.calls import ANSWER, House
from tests.support.egress import open_guard

from longline.api.stream_requests import AppRequests
from longline.base.clock import settle
from longline.base.log import set_up_logging
from longline.calls import stream_asks
from longline.flows.controls import CallControls
from longline.flows.media_files import MediaFiles
from longline.flows.sounds import Sounds
from longline.media.protocol.commands import LegSendDtmf, RecordingStart, StreamAnswer
from longline.media.protocol.events import StreamRequested
from longline.sip.events import Answered

BOB = {"kind": "sip", "uri": "sip:bob@192.0.2.9"}


@pytest.fixture
async def house(tmp_path: Path) -> House:
    house = House(tmp_path)
    controls = CallControls(house.manager, Sounds(MediaFiles(tmp_path, tmp_path / "spool", open_guard())))
    house.manager.attach(house.user_agent, house.flow, stream_requests=AppRequests(controls))
    await house.incoming()
    await house.stream_connects()
    return house


async def ask(house: House, action: str, request_id: str | None = "r1", leg: str | None = None, **fields: Any) -> None:
    message = {"type": action, "request_id": request_id, "sequence": 7} | fields
    asked = StreamRequested(
        at=0.0,
        session=house.session.id,
        stream=house.stream_id,
        action=action,
        fields=message,
        request_id=request_id,
        leg=leg,
    )
    await house.media_tells(asked)
    await settle(50)


def answers(house: House) -> list[StreamAnswer]:
    return [command for command in house.media.commands if isinstance(command, StreamAnswer)]


async def until_answered(house: House) -> StreamAnswer:
    async with asyncio.timeout(5):
        while not answers(house):
            await asyncio.sleep(0.001)
    return answers(house)[-1]


async def test_a_transfer_begins_and_is_carried_out_as_the_apis_is(house: House) -> None:
    await ask(house, "transfer", target=BOB, timeout=20)
    answer = await until_answered(house)
    assert (answer.request_id, answer.ok) == ("r1", True)
    assert answer.fields["operation_id"].startswith("op_")
    async with asyncio.timeout(5):
        while "invite" not in house.user_agent.verbs():
            await asyncio.sleep(0.001)
    await settle(100)
    await house.sip(Answered("out1", ANSWER))
    assert "call.transfer.completed" in house.told()


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({}, "bad_request"),
        ({"target": {"kind": "sip", "uri": "bob"}}, "invalid_target"),
        ({"target": BOB, "timeout": 0}, "bad_request"),
        ({"target": BOB, "whatever": 1}, "bad_request"),
        ({"target": BOB, "mode": "warm"}, "bad_request"),
    ],
)
async def test_what_cannot_be_done_is_answered_with_why(house: House, fields: dict[str, Any], code: str) -> None:
    await ask(house, "transfer", **fields)
    answer = await until_answered(house)
    assert (answer.ok, answer.code) == (False, code)
    assert answer.message


async def test_a_recording_is_begun_and_ended(house: House) -> None:
    await ask(house, "record.start", layout="mono")
    begun = await until_answered(house)
    assert begun.ok and begun.fields["recording_id"].startswith("rec_")
    assert house.media.find("recording.start").layout == "mono"
    await ask(house, "record.stop", "r2")
    assert "recording.stop" in house.media.names()
    assert answers(house)[-1].fields == begun.fields
    await ask(house, "record.stop", "r3")
    assert (answers(house)[-1].ok, answers(house)[-1].code) == (False, "call_not_controllable")


async def test_a_recording_of_a_layout_that_is_none_is_refused(house: House) -> None:
    await ask(house, "record.start", layout="cubist")
    assert (await until_answered(house)).code == "bad_request"
    assert not any(isinstance(command, RecordingStart) for command in house.media.commands)


async def test_keys_are_pressed_for_the_party_that_is_named_and_nothing_is_said_of_it(house: House) -> None:
    await ask(house, "send_dtmf", None, house.leg_id, digits="12#", tone_ms=80)
    sent = next(command for command in house.media.commands if isinstance(command, LegSendDtmf))
    assert (sent.leg, sent.digits, sent.tone_ms) == (house.leg_id, "12#", 80)
    assert answers(house) == []
    await ask(house, "send_dtmf", None, digits="")
    assert [(answer.request_id, answer.code) for answer in answers(house)] == [(None, "bad_request")]


async def test_keys_have_the_names_that_other_platforms_give_them(house: House) -> None:
    await ask(house, "send_dtmf", None, digit="5")
    await ask(house, "send_dtmf", None, event="sendDTMF", dtmf="67")
    assert [command.digits for command in house.media.commands if isinstance(command, LegSendDtmf)] == ["5", "67"]
    assert answers(house) == []


async def test_a_hangup_ends_the_call(house: House) -> None:
    await ask(house, "hangup", None, reason="done")
    assert house.record.reason == "completed"
    assert house.user_agent.verbs()[-1] == "bye"


async def test_more_at_a_time_than_a_call_does_are_refused(house: House) -> None:
    live = await house.manager.find(house.record.id)
    release = asyncio.Event()

    async def wait(asked: StreamRequested) -> dict[str, Any]:
        await release.wait()
        return {"number": asked.request_id}

    asks = stream_asks.StreamAsks(live.context, wait)
    for number in range(stream_asks.MAX_AT_ONCE + 1):
        await asks.receive(
            StreamRequested(
                at=0.0,
                session=house.session.id,
                stream=house.stream_id,
                action="transfer",
                fields={},
                request_id=f"k{number}",
            )
        )
    await settle(50)
    refused = [(answer.request_id, answer.code) for answer in answers(house)]
    assert refused == [(f"k{stream_asks.MAX_AT_ONCE}", "limit_reached")]
    release.set()
    await settle(50)
    assert sum(answer.ok for answer in answers(house)) == stream_asks.MAX_AT_ONCE


TURN = {
    "number": 3,
    "caller": "When do you open?",
    "agent": "At nine. And we close at six.",
    "heard": "At nine.",
    "was_interrupted": True,
    "total_ms": 812,
    "parts_ms": {"endpoint": 600, "first_token": 150, "heard": 62},
}


@pytest.mark.parametrize("tells", [False, True])
async def test_a_turn_is_kept_in_the_calls_history(tmp_path: Path, tells: bool) -> None:
    house = House(tmp_path, transcripts_in_events=tells)
    controls = CallControls(house.manager, Sounds(MediaFiles(tmp_path, tmp_path / "spool", open_guard())))
    house.manager.attach(house.user_agent, house.flow, stream_requests=AppRequests(controls))
    await house.incoming()
    await house.stream_connects()
    await ask(house, "turn", None, **TURN)
    event = house.event("agent.turn")
    assert str(event.stream_id) == house.stream_id
    texts = {name: TURN[name] for name in ("caller", "agent", "heard")}
    told = event.data if tells else event.data | texts
    assert told.items() >= TURN.items() and not answers(house)
    if not tells:
        assert not texts.keys() & event.data.keys()
        assert [event.data[f"{name}_chars"] for name in texts] == [17, 29, 8]


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"number": -1},
        {"caller": "x" * 1001},
        {"agent": "\ud800"},
        {"parts_ms": {"Heard": 1}},
        {"parts_ms": {"heard": "long"}},
    ],
    ids=["no number", "a negative number", "too long", "no text", "a step of another name", "no time"],
)
async def test_a_turn_that_is_none_is_refused(house: House, fields: dict[str, Any]) -> None:
    await ask(house, "turn", None, **({"number": 1} if fields else {}) | fields)
    assert (await until_answered(house)).code == "bad_request"
    assert "agent.turn" not in house.told()


async def test_what_was_said_in_a_turn_is_masked_in_the_log(house: House) -> None:
    output = io.StringIO()
    set_up_logging("debug", log_format="json", output=output)
    await ask(house, "turn", None, **TURN)
    written = output.getvalue()
    assert "a turn of an agent" in written and "***" in written
    assert not any(str(TURN[name]) in written for name in ("caller", "agent", "heard"))
