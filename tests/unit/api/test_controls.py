"""mute, play and transfer over HTTP: what they ask of a call, and what they refuse."""

from typing import Any

import pytest

from longline.base.errors import CallNotControllable, InvalidTarget, TransferInProgress
from longline.base.ids import encode_id, new_id
from longline.flows.verbs import NestedHangup, PlaySound

SIP = {"target": {"kind": "sip", "uri": "sip:bob@b.example"}}
PSTN = {"target": {"kind": "pstn", "number": "+14155550199"}}


async def post(house: Any, control: str, body: Any, call_id: Any = None, **headers: str) -> Any:
    call_id = call_id or (await house.call()).id
    return await house.http.post(f"/api/v1/voice/calls/{call_id}/{control}", json=body, headers=headers)


async def test_a_leg_is_muted(house: Any) -> None:
    call = await house.call()
    leg = call.legs[0].id
    answer = await post(house, "mute", {"leg_id": encode_id("cl", leg), "on": True}, call.id)
    assert answer.status_code == 202 and answer.json()["request_id"].startswith("req_")
    assert house.manager.asked == [(call.id, leg, True)]


@pytest.mark.parametrize(
    "body", [{}, {"on": True}, {"leg_id": "x", "on": True}, {"leg_id": str(new_id()), "on": "yes"}]
)
async def test_mute_needs_a_leg_and_a_boolean(house: Any, body: Any) -> None:
    assert (await post(house, "mute", body)).status_code == 422


async def test_a_leg_is_held(house: Any) -> None:
    call = await house.call()
    leg = call.legs[0].id
    answer = await post(house, "hold", {"leg_id": encode_id("cl", leg), "on": True}, call.id)
    assert answer.status_code == 202 and answer.json()["request_id"].startswith("req_")
    assert (await post(house, "hold", {"on": False}, call.id)).status_code == 202
    assert house.manager.asked == [(call.id, leg, True), (call.id, None, False)]


@pytest.mark.parametrize("body", [{}, {"on": "yes"}, {"leg_id": "x", "on": True}, {"on": True, "more": 1}])
async def test_hold_needs_a_boolean(house: Any, body: Any) -> None:
    assert (await post(house, "hold", body)).status_code == 422


async def test_a_file_is_played_and_the_playback_has_an_id(house: Any) -> None:
    answer = await post(house, "play", {"media_url": "https://a.example/x.wav", "loop": 10, "on_dtmf": "ignore"})
    assert answer.status_code == 202 and set(answer.json()) == {"request_id", "playback_id"}
    _, order = house.manager.asked[-1]
    assert (order.media_url, order.leg_id, order.repeat, order.stops_on_digit) == (
        "https://a.example/x.wav",
        None,
        10,
        False,
    )


@pytest.mark.parametrize(
    "body",
    [{}, {"media_url": "ftp://a/x"}, {"media_url": "x.wav", "loop": 11}, {"media_url": "x.wav", "on_dtmf": "pause"}],
)
async def test_play_has_its_bounds(house: Any, body: Any) -> None:
    assert (await post(house, "play", body)).status_code == 422


async def test_a_transfer_answers_with_its_operation(house: Any) -> None:
    call = await house.call()
    body = SIP | {
        "timeout": 20,
        "record": "per_leg",
        "ringback": "passthrough",
        "dial_music": {"action": "play", "media_url": "https://a.example/m.wav", "loop": True},
        "on_failure": {"action": "hangup", "reason": "x"},
    }
    answer = await post(house, "transfer", body, call.id)
    assert answer.status_code == 202
    _, order = house.manager.asked[-1]
    assert (order.dial.to, order.dial.timeout_s, order.dial.role) == ("sip:bob@b.example", 20, "transfer_target")
    assert (order.dial.record, order.dial.ringback) == ("per_leg", "passthrough")
    assert isinstance(order.dial_music, PlaySound) and order.dial_music.loop is True
    assert isinstance(order.on_failure, NestedHangup)
    told = answer.json()
    assert told["status"] == "initiated" and told["mode"] == "cold" and told["call_id"] == encode_id("cs", call.id)
    assert told["id"].startswith("op_") and told["target_leg_id"] == encode_id("cl", order.dial.leg_id)
    assert told["request_id"].startswith("req_")


async def test_a_transfer_has_the_documented_defaults(house: Any) -> None:
    assert (await post(house, "transfer", PSTN)).status_code == 202
    _, order = house.manager.asked[-1]
    dial = order.dial
    assert (dial.to, dial.timeout_s, dial.record, dial.ringback) == ("+14155550199", 30, None, "suppress")


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (SIP | {"mode": "warm"}, 400, "bad_request"),
        (SIP | {"mode": "monitor"}, 400, "bad_request"),
        (SIP | {"mode": "hot"}, 422, None),
        ({}, 422, None),
        (SIP | {"timeout": 0}, 422, None),
        (SIP | {"timeout": 601}, 422, None),
        (SIP | {"more": 1}, 422, None),
        ({"target": {"kind": "fax"}}, 422, None),
        ({"target": {"kind": "pstn"}}, 400, "invalid_target"),
        ({"target": {"kind": "pstn", "number": "555"}}, 400, "invalid_target"),
        ({"target": {"kind": "pstn", "number": "sip:bob@b.example"}}, 400, "invalid_target"),
        ({"target": {"kind": "sip", "uri": "+14155550199"}}, 400, "invalid_target"),
        ({"target": {"kind": "sip", "uri": "sip:bob@b.example\r\nX: y"}}, 400, "invalid_target"),
        ({"target": {"kind": "leg", "leg_id": str(new_id())}}, 400, "invalid_target"),
        ({"target": PSTN["target"] | {"custom_headers": {"X-A": "b"}}}, 400, "invalid_target"),
        ({"target": SIP["target"] | {"custom_headers": {"Via": "b"}}}, 422, None),
        (SIP | {"on_failure": {"action": "say"}}, 422, None),
        (SIP | {"on_failure": {"action": "play"}}, 422, None),
        (SIP | {"dial_music": {"action": "hangup"}}, 400, "bad_request"),
    ],
)
async def test_what_a_transfer_cannot_be_is_refused(house: Any, body: Any, status: int, code: str | None) -> None:
    answer = await post(house, "transfer", body)
    assert (answer.status_code, answer.json().get("code")) == (status, code)
    assert house.manager.asked == []


@pytest.mark.parametrize(
    ("refusal", "status", "code"),
    [
        (TransferInProgress(), 409, "transfer_in_progress"),
        (CallNotControllable(), 409, "call_not_controllable"),
        (InvalidTarget(), 400, "invalid_target"),
    ],
)
async def test_a_refusal_of_the_call_is_told(house: Any, refusal: Exception, status: int, code: str) -> None:
    house.manager.refusal = refusal
    answer = await post(house, "transfer", SIP)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


async def test_a_repeated_key_transfers_once(house: Any) -> None:
    call = await house.call()
    first = await post(house, "transfer", SIP, call.id, **{"Idempotency-Key": "k"})
    again = await post(house, "transfer", SIP, call.id, **{"Idempotency-Key": "k"})
    assert first.json() == again.json() and len(house.manager.asked) == 1
