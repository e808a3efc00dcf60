"""Placing, listing, looking at and hanging up calls, to the letter of the Teler API."""

import asyncio
import json
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from longline.base.errors import InvalidTarget, LimitReached
from longline.base.ids import decode_id, encode_id, new_id
from longline.store.records import LegRecord

INITIATE = "/api/v1/voice/calls/initiate"
CALLS = "/api/v1/voice/calls"


@pytest.mark.parametrize("path", [INITIATE, "/api/v1/calls/initiate"])
async def test_a_call_is_accepted_with_exactly_five_keys(house: Any, path: str) -> None:
    answer = await house.http.post(path, json=house.initiate(record=False))
    assert answer.status_code == 202
    (call,) = (await house.durable.list_calls()).items
    assert answer.json() == {
        "message": "Call initiated successfully",
        "data": {
            "id": encode_id("cs", call.id),
            "from_number": "+14155550100",
            "to_number": "+14155550101",
            "status_callback_url": "https://app.example/status",
            "record": False,
        },
    }
    (order,) = house.manager.asked
    assert (order.flow_url, order.record, order.flow) == ("https://app.example/flow", False, None)


async def test_recording_is_as_the_server_is_set_when_the_request_does_not_say(house: Any) -> None:
    answer = await house.http.post(INITIATE, json=house.initiate(record=None))
    assert answer.json()["data"]["record"] is True


async def test_unknown_keys_are_ignored_when_a_call_is_placed(house: Any) -> None:
    assert (await house.http.post(INITIATE, json=house.initiate(colour={"a": 1}))).status_code == 202


async def test_an_inline_flow_needs_no_urls_and_a_sip_uri_no_telephone_numbers(house: Any) -> None:
    flow = {"action": "stream", "ws_url": "ws://127.0.0.1:9/media"}
    body = {"to_number": "sip:alice@127.0.0.1:5070;transport=tcp", "from_number": "bob", "flow": flow}
    answer = await house.http.post(INITIATE, json=body)
    assert answer.status_code == 202
    assert answer.json()["data"]["status_callback_url"] is None
    (order,) = house.manager.asked
    assert (order.to_number, order.from_number, order.flow) == (body["to_number"], "bob", flow)


async def test_an_inline_flow_may_be_a_list(house: Any) -> None:
    flow = [{"action": "say", "text": "hello"}, {"action": "hangup"}]
    body = {"to_number": "+15550101", "from_number": "+15550100", "flow": flow}
    assert (await house.http.post(INITIATE, json=body)).status_code == 202
    assert house.manager.asked[0].flow == flow


@pytest.mark.parametrize(
    ("changes", "loc", "kind"),
    [
        ({"to_number": ...}, ["body", "to_number"], "missing"),
        ({"from_number": ...}, ["body", "from_number"], "missing"),
        ({"flow_url": ...}, ["body", "flow_url"], "missing"),
        ({"flow_url": None}, ["body", "flow_url"], "missing"),
        ({"status_callback_url": ...}, ["body", "status_callback_url"], "missing"),
        ({"to_number": "14155550101"}, ["body", "to_number"], "string_pattern_mismatch"),
        ({"to_number": "+123456"}, ["body", "to_number"], "string_pattern_mismatch"),
        ({"to_number": "+1234567890123456"}, ["body", "to_number"], "string_pattern_mismatch"),
        ({"to_number": "+1415555٠١٠١"}, ["body", "to_number"], "string_pattern_mismatch"),
        ({"to_number": "+14155550101\n"}, ["body", "to_number"], "string_pattern_mismatch"),
        ({"to_number": "sip:a b@c"}, ["body", "to_number"], "string_pattern_mismatch"),
        ({"to_number": "sip:a@b\r\nVia: x"}, ["body", "to_number"], "string_pattern_mismatch"),
        ({"to_number": "sip:" + "a" * 300}, ["body", "to_number"], "string_too_long"),
        ({"to_number": 14155550101}, ["body", "to_number"], "string_type"),
        ({"from_number": "bob"}, ["body", "from_number"], "string_pattern_mismatch"),
        ({"flow_url": "ftp://x"}, ["body", "flow_url"], "value_error"),
        ({"flow_url": "https://x/" + "a" * 2083}, ["body", "flow_url"], "value_error"),
        ({"status_callback_url": "/status"}, ["body", "status_callback_url"], "value_error"),
        ({"record": "perhaps"}, ["body", "record"], "bool_parsing"),
        ({"flow": {"action": "stream"}, "flow_url": ...}, ["body", "flow"], "value_error"),
        ({"flow": {"action": "hangup"}}, ["body", "flow_url"], "value_error"),
        ({"flow": "hangup"}, ["body", "flow"], "dict_type"),
        ({"flow": [{"action": "hangup"}, {"action": "say"}], "flow_url": ...}, ["body", "flow"], "value_error"),
        ({"flow": {"action": "gather"}, "flow_url": ...}, ["body", "flow"], "value_error"),
    ],
)
async def test_a_mistake_in_a_call_is_told_with_its_place(
    house: Any, changes: dict[str, Any], loc: list[str], kind: str
) -> None:
    answer = await house.http.post(INITIATE, json=house.initiate(**changes))
    assert answer.status_code == 422
    body = answer.json()
    assert (body["success"], body["message"]) == (False, "Validation Error")
    assert [(error["loc"], error["type"]) for error in body["errors"]] == [(loc, kind)]
    assert all(set(error) == {"loc", "msg", "type"} for error in body["errors"])
    assert house.manager.asked == []


@pytest.mark.parametrize(
    ("refusal", "status", "code"),
    [(InvalidTarget("No trunk."), 400, "invalid_target"), (LimitReached(), 503, "limit_reached")],
)
async def test_a_call_that_the_manager_refuses_is_told_why(house: Any, refusal: Any, status: int, code: str) -> None:
    house.manager.refusal = refusal
    answer = await house.http.post(INITIATE, json=house.initiate())
    assert answer.status_code == status
    assert answer.json() == {"success": False, "message": refusal.message, "code": code, "type": refusal.type}


async def test_a_call_is_shown_with_its_legs(house: Any) -> None:
    call = await house.call(reason="busy", state="failed", properties={"a": 1})
    answer = await house.http.get(f"{CALLS}/{encode_id('cs', call.id)}")
    assert answer.status_code == 200
    body = answer.json()
    assert set(body) == {
        "id", "account_id", "voice_app_id", "state", "direction", "from_number", "to_number", "properties",
        "metadata", "activity", "quality", "created_at", "answered_at", "ended_at", "reason", "legs",
    }  # fmt: skip
    assert set(body["legs"][0]) == {
        "id", "call_session_id", "direction", "role", "state", "from_number", "to_number", "parent_leg_id",
        "recordings", "created_at", "answered_at", "ended_at", "reason", "ended_by",
    }  # fmt: skip
    assert (body["id"], body["state"], body["reason"]) == (encode_id("cs", call.id), "failed", "busy")
    assert body["created_at"] == "2026-01-01T00:00:01.000Z"
    assert body["legs"][0]["call_session_id"] == body["id"]


async def test_a_call_is_found_by_its_prefixed_id_and_by_its_uuid(house: Any) -> None:
    call = await house.call()
    for text in (encode_id("cs", call.id), str(call.id), call.id.hex):
        assert (await house.http.get(f"{CALLS}/{text}")).status_code == 200


@pytest.mark.parametrize("path", ["", "/legs", "/events", "/streams"])
@pytest.mark.parametrize("call_id", ["nonsense", encode_id("cs", UUID(int=2)), encode_id("cl", UUID(int=1)), "cs_"])
async def test_a_call_that_is_not_there_is_404_also_when_its_id_is_malformed(
    house: Any, path: str, call_id: str
) -> None:
    answer = await house.http.get(f"{CALLS}/{call_id}{path}")
    assert answer.status_code == 404
    assert answer.json()["code"] == "call_not_found"


class TestWebhookVersion2025:
    @pytest.fixture
    def version(self) -> str:
        return "2025-08-01"

    async def test_ids_are_raw_uuids(self, house: Any) -> None:
        initiated = (await house.http.post(INITIATE, json=house.initiate())).json()["data"]["id"]
        assert str(UUID(initiated)) == initiated
        body = (await house.http.get(f"{CALLS}/{initiated}")).json()
        for text in (body["id"], body["account_id"], body["voice_app_id"], body["legs"][0]["id"]):
            assert str(UUID(text)) == text

    async def test_prefixed_ids_are_accepted_all_the_same(self, house: Any) -> None:
        call = await house.call()
        answer = await house.http.get(f"{CALLS}/{encode_id('cs', call.id)}")
        assert answer.json()["id"] == str(call.id)


async def test_calls_are_listed_newest_first_page_by_page(house: Any) -> None:
    calls = [await house.call() for _ in range(5)]
    expected = [encode_id("cs", call.id) for call in reversed(calls)]
    first = (await house.http.get(CALLS, params={"limit": 2})).json()
    assert set(first) == {"data", "next_cursor", "previous_cursor", "has_more"}
    assert first["previous_cursor"] is None
    second = (await house.http.get(CALLS, params={"limit": 2, "cursor_after": first["next_cursor"]})).json()
    third = (await house.http.get(CALLS, params={"limit": 2, "cursor_after": second["next_cursor"]})).json()
    assert [call["id"] for page in (first, second, third) for call in page["data"]] == expected
    assert [page["has_more"] for page in (first, second, third)] == [True, True, False]
    assert third["next_cursor"] is None
    back = (await house.http.get(CALLS, params={"limit": 2, "cursor_before": second["previous_cursor"]})).json()
    assert [call["id"] for call in back["data"]] == expected[:2]


async def test_calls_are_filtered(house: Any) -> None:
    calls = [await house.call(state=state) for state in ("failed", "answered", "failed")]
    start = calls[0].created_at

    async def found(**params: Any) -> list[int]:
        answer = await house.http.get(CALLS, params=params)
        assert answer.status_code == 200, answer.text
        ids = [call.id for call in calls]
        return [ids.index(decode_id(call["id"], "cs")) for call in answer.json()["data"]]

    assert await found(state="failed") == [2, 0]
    assert await found(from_number="+14155550100", state="answered") == [1]
    assert await found(to_number="+14155550100") == []
    assert await found(created_after=start.isoformat()) == [2, 1]
    assert await found(created_after="2026-01-01T00:00:02") == [2]  # without a zone: UTC
    assert await found(created_before=(start + timedelta(seconds=1)).isoformat()) == [0]


@pytest.mark.parametrize(
    ("params", "status"),
    [
        ({"state": "busy"}, 422),
        ({"limit": 0}, 422),
        ({"limit": 101}, 422),
        ({"limit": "many"}, 422),
        ({"created_after": "yesterday"}, 422),
        ({"created_after": "0001-01-01T00:00:00+05:00"}, 422),
        ({"cursor_after": "a", "cursor_before": "b"}, 400),
        ({"cursor_after": "nonsense"}, 400),
        ({"cursor_before": "☃"}, 400),
        ({"cursor_after": ""}, 400),
    ],
)
async def test_a_bad_query_is_refused(house: Any, params: dict[str, Any], status: int) -> None:
    answer = await house.http.get(CALLS, params=params)
    assert answer.status_code == status
    assert answer.json()["success"] is False


async def test_legs_are_listed_in_the_order_of_their_creation(house: Any) -> None:
    call = await house.call()
    call.legs.append(
        LegRecord(id=new_id(), call_session_id=call.id, direction="outbound", created_at=call.created_at + timedelta(1))
    )
    await house.durable.save_call(call)
    page = (await house.http.get(f"{CALLS}/{call.id}/legs")).json()
    assert [leg["id"] for leg in page["data"]] == [encode_id("cl", leg.id) for leg in call.legs]
    assert page["has_more"] is False


async def test_hanging_up_is_accepted_with_a_request_id(house: Any) -> None:
    call = await house.call()
    answer = await house.http.post(f"{CALLS}/{call.id}/hangup", json={"reason": "DONE_1"})
    assert answer.status_code == 202
    (request_id,) = answer.json().values()
    assert request_id.startswith("req_")
    assert len(request_id) == 4 + 24
    assert house.manager.asked == [(call.id, "DONE_1", None)]


async def test_hanging_up_needs_no_body(house: Any) -> None:
    assert (await house.http.post(f"{CALLS}/{(await house.call()).id}/hangup")).status_code == 202
    assert (await house.http.post(f"{CALLS}/{(await house.call()).id}/hangup", json={})).status_code == 202


async def test_one_leg_can_be_hung_up_by_either_form_of_its_id(house: Any) -> None:
    call = await house.call()
    leg_id = call.legs[0].id
    answer = await house.http.post(f"{CALLS}/{call.id}/hangup", json={"leg_id": encode_id("cl", leg_id)})
    assert answer.status_code == 202
    assert house.manager.asked[-1] == (call.id, None, leg_id)


async def test_a_leg_that_is_not_of_the_call_is_409(house: Any) -> None:
    call = await house.call()
    answer = await house.http.post(f"{CALLS}/{call.id}/hangup", json={"leg_id": str(new_id())})
    assert (answer.status_code, answer.json()["code"], answer.json()["type"]) == (
        409, "leg_not_found", "invalid_state",
    )  # fmt: skip


async def test_a_call_that_has_ended_is_409_and_one_that_never_was_404(house: Any) -> None:
    ended = await house.call(ended_at=house.clock.now())
    answer = await house.http.post(f"{CALLS}/{ended.id}/hangup", json={})
    assert (answer.status_code, answer.json()["code"], answer.json()["type"]) == (
        409, "call_not_live", "invalid_state",
    )  # fmt: skip
    assert (await house.http.post(f"{CALLS}/{new_id()}/hangup", json={})).status_code == 404
    assert (await house.http.post(f"{CALLS}/nonsense/hangup", json={})).status_code == 404


@pytest.mark.parametrize(
    "body",
    [{"reason": "lower"}, {"reason": ""}, {"reason": "A" * 65}, {"reason": "A\n"}, {"leg_id": "nonsense"},
     {"leg_id": 7}, {"legs": "x"}, []],
)  # fmt: skip
async def test_a_mistake_in_a_hangup_is_422(house: Any, body: Any) -> None:
    call = await house.call()
    assert (await house.http.post(f"{CALLS}/{call.id}/hangup", json=body)).status_code == 422
    assert house.manager.asked == []


async def test_a_repeated_idempotency_key_gets_the_same_answer_and_hangs_up_once(house: Any) -> None:
    call = await house.call()
    headers = {"Idempotency-Key": "k1"}
    url = f"{CALLS}/{call.id}/hangup"
    first, second = await asyncio.gather(*(house.http.post(url, json={}, headers=headers) for _ in range(2)))
    third = await house.http.post(url, json={}, headers=headers)
    assert first.status_code == second.status_code == third.status_code == 202
    assert first.json() == second.json() == third.json()
    assert len(house.manager.asked) == 1
    assert (await house.http.post(url, json={}, headers={"Idempotency-Key": "k2"})).status_code == 409
    reused = await house.http.post(url, json={"reason": "OTHER"}, headers=headers)
    assert (reused.status_code, reused.json()["code"]) == (409, "idempotency_key_reused")


async def test_an_idempotency_key_belongs_to_one_call(house: Any) -> None:
    headers = {"Idempotency-Key": "k1"}
    for _ in range(2):
        call = await house.call()
        assert (await house.http.post(f"{CALLS}/{call.id}/hangup", json={}, headers=headers)).status_code == 202
    assert len(house.manager.asked) == 2


@pytest.mark.parametrize("key", ["", "k" * 256])
async def test_an_idempotency_key_has_1_to_255_characters(house: Any, key: str) -> None:
    call = await house.call()
    answer = await house.http.post(f"{CALLS}/{call.id}/hangup", json={}, headers={"Idempotency-Key": key})
    assert answer.status_code == 422


async def test_digits_are_pressed_toward_the_far_end(house: Any) -> None:
    call = await house.call()
    leg_id = call.legs[0].id
    body = {"digits": "12*#D", "duration_ms": 60, "leg_id": encode_id("cl", leg_id)}
    answer = await house.http.post(f"{CALLS}/{call.id}/dtmf", json=body)
    assert answer.status_code == 202
    assert set(answer.json()) == {"request_id"}
    assert house.manager.asked[-1] == (call.id, "12*#D", 60, leg_id)
    assert (await house.http.post(f"{CALLS}/{call.id}/dtmf", json={"digits": "1"})).status_code == 202
    assert house.manager.asked[-1] == (call.id, "1", 100, None)


async def test_digits_are_pressed_once_under_one_idempotency_key(house: Any) -> None:
    call = await house.call()
    pressed = [
        await house.http.post(f"{CALLS}/{call.id}/dtmf", json={"digits": "5"}, headers={"Idempotency-Key": "k"})
        for _ in range(2)
    ]
    assert pressed[0].json() == pressed[1].json()
    assert house.manager.asked.count((call.id, "5", 100, None)) == 1


@pytest.mark.parametrize(
    "body",
    [{}, {"digits": ""}, {"digits": "1" * 65}, {"digits": "12w"}, {"digits": "a"}, {"digits": 5},
     {"digits": "1", "duration_ms": 39}, {"digits": "1", "duration_ms": 1001}, {"digits": "1", "gap_ms": 40}],
)  # fmt: skip
async def test_bad_digits_are_422_and_not_repeated(house: Any, body: dict[str, Any]) -> None:
    answer = await house.http.post(f"{CALLS}/{(await house.call()).id}/dtmf", json=body)
    assert answer.status_code == 422
    assert "12w" not in answer.text


async def test_digits_for_a_call_that_is_not_live_are_409(house: Any) -> None:
    ended = await house.call(ended_at=house.clock.now())
    answer = await house.http.post(f"{CALLS}/{ended.id}/dtmf", json={"digits": "1"})
    assert (answer.status_code, answer.json()["code"]) == (409, "call_not_live")


async def test_metadata_is_attached_when_a_call_is_placed(house: Any) -> None:
    assert (await house.http.post(INITIATE, json=house.initiate(metadata={"ticket": 7}))).status_code == 202
    assert house.manager.asked[0].metadata == {"ticket": 7}


async def test_metadata_is_changed_and_shown_beside_the_properties(house: Any) -> None:
    call = await house.call(properties={"a": 1, "activity": {"digits_received": 4}})
    path = f"{CALLS}/{encode_id('cs', call.id)}"
    answer = await house.http.patch(path, json={"metadata": {"ticket": 7}})
    assert (answer.status_code, answer.json()["metadata"]) == (200, {"ticket": 7})
    shown = (await house.http.get(path)).json()
    assert (shown["metadata"], shown["properties"]) == ({"ticket": 7}, {"a": 1})
    assert (shown["activity"], shown["quality"]) == ({"digits_received": 4}, None)


DEEP: Any = {}
for _ in range(8):
    DEEP = {"a": DEEP}


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        b'{"metadata": null}',
        b'{"metadata": [1]}',
        b'{"metadata": {}, "state": "completed"}',
        b'{"metadata": {"a": NaN}}',
        rb'{"metadata": {"a": "\ud800"}}',
        json.dumps({"metadata": {"a": "x" * 5000}}).encode(),
        json.dumps({"metadata": DEEP}).encode(),
    ],
)
async def test_metadata_that_is_too_much_or_no_object_is_refused(house: Any, body: bytes) -> None:
    call = await house.call()
    headers = {"content-type": "application/json"}
    answer = await house.http.patch(f"{CALLS}/{call.id}", content=body, headers=headers)
    assert (answer.status_code, answer.json()["message"]) == (422, "Validation Error")
    assert house.manager.asked == []


async def test_a_live_call_shows_what_has_happened_so_far(house: Any) -> None:
    call = await house.call()
    house.manager.live_properties[call.id] = {"activity": {"digits_received": 2}, "quality": {"mos": 4.1}}
    shown = (await house.http.get(f"{CALLS}/{call.id}")).json()
    assert (shown["activity"], shown["quality"]) == ({"digits_received": 2}, {"mos": 4.1})
