"""Plivo's published client, unmodified but for its base URL, over a real socket."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import plivo.rest.client
import pytest
from plivo import RestClient
from plivo.exceptions import AuthenticationError, PlivoRestError, ResourceNotFoundError, ValidationError
from tests.unit.api.test_teler_sdk import KEY, serving

from longline.base.errors import LimitReached
from longline.base.events import EventType
from longline.base.ids import new_id
from longline.calls.bridge import FOR_EVER
from longline.calls.dialects import Format
from longline.calls.originate import OriginateRequest
from longline.calls.redirection import Redirection
from longline.calls.stream import StreamRequest

AUTH_ID = "MA" + "X" * 18
ANSWER = "https://app.example/answer"


@pytest.fixture
async def base_url(house: Any) -> AsyncIterator[str]:
    async with serving(house.app) as url:
        yield url.removesuffix("/api/v1")


@pytest.fixture
def client(base_url: str, monkeypatch: pytest.MonkeyPatch) -> RestClient:
    for name in ("API_VOICE_BASE_URI", "API_VOICE_BASE_URI_FALLBACK_1", "API_VOICE_BASE_URI_FALLBACK_2"):
        monkeypatch.setattr(plivo.rest.client, name, f"{base_url}/v1/Account")
    return RestClient(AUTH_ID, KEY)


async def do(method: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
    return await asyncio.to_thread(method, *arguments, **named)


async def test_a_call_is_placed(house: Any, client: RestClient) -> None:
    made = await do(
        client.calls.create,
        from_="14155550100",
        to_="+14155550101",
        answer_url=ANSWER,
        answer_method="GET",
        hangup_url="https://app.example/hangup",
        ring_url="https://app.example/ring",
        ring_method="GET",
        fallback_url="https://app.example/fallback",
    )
    assert made.message == "call fired"
    order = house.manager.asked[-1]
    assert isinstance(order, OriginateRequest)
    assert (order.from_number, order.to_number) == ("+14155550100", "+14155550101")
    assert (order.flow_url, order.fallback_url, order.webhook_version) == (
        ANSWER,
        "https://app.example/fallback",
        "plivo",
    )
    assert order.manner is not None
    assert (order.manner.language, order.manner.flow_method) == ("plivo", "GET")
    assert order.manner.targets == {
        EventType.CALL_RINGING: ("https://app.example/ring", "GET"),
        EventType.CALL_COMPLETED: ("https://app.example/hangup", "POST"),
        EventType.CALL_FAILED: ("https://app.example/hangup", "POST"),
    }
    shown = await do(client.calls.get, made.request_uuid)
    assert (shown.call_uuid, shown.call_direction) == (made.request_uuid, "outbound")


async def test_several_numbers_are_several_calls(house: Any, client: RestClient) -> None:
    made = await do(client.calls.create, from_="+14155550100", to_="+14155550101<+14155550102", answer_url=ANSWER)
    assert len(made.request_uuid) == 2
    assert [order.to_number for order in house.manager.asked] == ["+14155550101", "+14155550102"]


async def test_calls_are_shown_and_listed(house: Any, client: RestClient) -> None:
    calls = [await house.call() for _ in range(3)]
    over = await house.call(state="completed", reason="busy", ended_at=house.clock.now(), direction="inbound")
    shown = await do(client.calls.get, str(over.id))
    assert (shown.hangup_cause_name, shown.hangup_cause_code) == ("Busy Line", 3010)
    listed = await do(client.calls.list, limit=2, offset=1)
    assert [call.call_uuid for call in listed.objects] == [str(calls[2].id), str(calls[1].id)]
    assert listed.meta.next is not None
    incoming = await do(client.calls.list, call_direction="inbound")
    assert [call.call_uuid for call in incoming.objects] == [str(over.id)]
    ids = await do(client.live_calls.list_ids)
    assert set(ids.calls) == {str(call.id) for call in calls}
    live = await do(client.live_calls.get, str(calls[0].id))
    assert (live.call_status, live.to) == ("in-progress", "+14155550101")
    with pytest.raises(ResourceNotFoundError):
        await do(client.live_calls.get, str(over.id))


async def test_a_call_is_hung_up_once(house: Any, client: RestClient) -> None:
    call = await house.call()
    await do(client.calls.hangup, str(call.id))
    with pytest.raises(ResourceNotFoundError):
        await do(client.calls.hangup, str(call.id))
    ringing = await house.call(state="ringing")
    await do(client.calls.cancel, str(ringing.id))


async def test_streams_are_started_shown_and_stopped(house: Any, client: RestClient) -> None:
    call = await house.call()
    started = await do(
        client.calls.start_stream,
        str(call.id),
        "wss://bot.example/ws",
        bidirectional=True,
        content_type="audio/x-mulaw;rate=8000",
        extra_headers="tenant=7",
        status_callback_url="https://app.example/told",
        status_callback_method="GET",
    )
    request = house.manager.asked[-1]
    assert isinstance(request, StreamRequest)
    assert (request.dialect, request.format) == ("plivo", Format("mulaw", "8k", 20))
    assert (request.direction, request.parameters) == ("both", {"tenant": "7"})
    assert (request.status_callback_url, request.status_callback_method) == ("https://app.example/told", "GET")
    shown = await do(client.calls.get_details_of_specific_stream, str(call.id), started.stream_id)
    assert (shown.service_url, shown.status) == ("wss://bot.example/ws", "in-progress")
    second = await do(client.calls.start_stream, str(call.id), "wss://bot.example/two", audio_track="both")
    assert house.manager.asked[-1].direction == "listen"
    listed = await do(client.calls.get_all_streams, str(call.id))
    assert {stream.stream_id for stream in listed.objects} == {started.stream_id, second.stream_id}
    await do(client.calls.delete_specific_stream, str(call.id), started.stream_id)
    assert (await do(client.calls.get_details_of_specific_stream, str(call.id), started.stream_id)).status == "stopped"
    await do(client.calls.delete_all_streams, str(call.id))
    statuses = {stream.status for stream in (await do(client.calls.get_all_streams, str(call.id))).objects}
    assert statuses == {"stopped"}


async def test_a_live_call_is_given_other_xml(house: Any, client: RestClient) -> None:
    call = await house.call()
    done = await do(
        client.calls.transfer, str(call.id), legs="aleg", aleg_url="https://app.example/b", aleg_method="GET"
    )
    assert (done.message, done.call_uuids) == ("transfer executed", [str(call.id)])
    assert house.manager.asked[-1][1] == Redirection("plivo", flow_url="https://app.example/b", flow_method="GET")
    with pytest.raises(ValidationError, match="legs must be aleg"):
        await do(client.calls.transfer, str(call.id), legs="both", aleg_url="https://app.example/b")


async def test_a_recording_is_had_where_its_url_leads(house: Any, base_url: str) -> None:
    recording = await house.recording(b"RIFF0123456789")
    async with httpx.AsyncClient(auth=(AUTH_ID, KEY)) as http:
        path = f"{base_url}/v1/Account/{AUTH_ID}/Recording"
        audio = await http.get(f"{path}/{recording.id}/audio")
        assert (audio.status_code, audio.content) == (200, b"RIFF0123456789")
        assert (await http.get(f"{path}/{new_id()}/audio")).status_code == 404


async def test_a_file_is_played_and_a_text_said(house: Any, client: RestClient) -> None:
    call = await house.call()
    await do(client.calls.play, str(call.id), "https://app.example/a.wav", loop=True)
    order = house.manager.asked[-1][1]
    assert (order.media_url, order.repeat, order.stops_on_digit) == ("https://app.example/a.wav", FOR_EVER, False)
    await do(client.calls.speak, str(call.id), "Hello", language="en-GB")
    order = house.manager.asked[-1][1]
    assert (order.says.text, order.says.language) == ("Hello", "en-GB")
    with pytest.raises(ValidationError, match="text"):
        await do(client.calls.speak, str(call.id), " ")


async def test_digits_are_sent(house: Any, client: RestClient) -> None:
    call = await house.call()
    await do(client.calls.send_digits, str(call.id), "12#")
    assert house.manager.asked[-1][1] == "12#"
    with pytest.raises(ValidationError, match="digits must be"):
        await do(client.calls.send_digits, str(call.id), "hello")


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"to": "+14155550101", "answer_url": ANSWER}, "from is missing"),
        ({"to": "+14155550101", "from": "+1", "answer_url": "ftp://x"}, "answer_url must be"),
        ({"to": "+14155550101", "from": "+1"}, "answer_url is missing"),
        ({"to": "+14155550101", "from": "+1", "answer_url": ANSWER, "answer_method": "PUT"}, "answer_method must be"),
        ({"to": "<" * 30, "from": "+1", "answer_url": ANSWER}, "more than 20 numbers"),
        ({"to": {}, "from": "+1", "answer_url": ANSWER}, "to must be a text"),
    ],
)
async def test_a_mistake_is_told_as_plivo_tells_it(base_url: str, fields: dict[str, Any], why: str) -> None:
    async with httpx.AsyncClient(auth=(AUTH_ID, KEY)) as http:
        answer = await http.post(f"{base_url}/v1/Account/{AUTH_ID}/Call/", json=fields)
    assert answer.status_code == 400
    assert set(answer.json()) == {"api_id", "error"}
    assert why in answer.json()["error"]


async def test_a_stream_that_cannot_be_is_refused(house: Any, client: RestClient) -> None:
    call = await house.call()
    for wrong in ({"service_url": "https://x"}, {"service_url": "wss://x", "content_type": "audio/mp3"}):
        with pytest.raises(ValidationError):
            await do(client.calls.start_stream, str(call.id), **wrong)


async def test_strangers_and_strange_calls_are_not_let_in(house: Any, client: RestClient, base_url: str) -> None:
    with pytest.raises(ResourceNotFoundError):
        await do(client.calls.get, str(new_id()))
    with pytest.raises(ResourceNotFoundError):
        await do(client.calls.hangup, "nonsense")
    others = await house.call(account_id=new_id())
    with pytest.raises(ResourceNotFoundError):
        await do(client.calls.hangup, str(others.id))
    with pytest.raises(ResourceNotFoundError):
        await do(client.calls.get, str(others.id))
    stranger = RestClient(AUTH_ID, "wrong")
    with pytest.raises(AuthenticationError):
        await do(stranger.calls.get, str(others.id))
    async with httpx.AsyncClient() as http:
        path = f"{base_url}/v1/Account/{AUTH_ID}/Call/"
        assert (await http.get(path)).status_code == 401
        assert (await http.get(path, headers={"x-api-key": KEY})).status_code == 401
        # The name of Basic is the account of the path.
        assert (await http.get(path, auth=("MA" + "Y" * 18, KEY))).status_code == 401
        unknown = await http.get(path + "x/y/", auth=(AUTH_ID, KEY))
    assert (unknown.status_code, set(unknown.json())) == (404, {"api_id", "error"})


async def test_what_the_node_cannot_do_now_is_told(house: Any, client: RestClient) -> None:
    house.manager.refusal = LimitReached("Full.")
    with pytest.raises(PlivoRestError):
        await do(client.calls.create, from_="+14155550100", to_="+14155550101", answer_url=ANSWER)
