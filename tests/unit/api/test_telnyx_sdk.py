"""Telnyx's published client, unmodified but for its base URL, over a real socket."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from telnyx import AsyncTelnyx, AuthenticationError, NotFoundError, UnprocessableEntityError
from tests.unit.api.test_teler_sdk import KEY, serving

from longline.base.errors import CallNotLive
from longline.base.ids import new_id
from longline.base.telnyx import call_control_id, read_call_control_id
from longline.calls.dialects import Format
from longline.calls.originate import OriginateRequest
from longline.calls.stream import StreamRequest
from longline.flows.language import Document
from longline.flows.steps import OpenStream, Stay
from longline.flows.telnyx_calls import TelnyxCalls

NUMBERS = {"from_": "+14155550100", "to": "+14155550101", "connection_id": "7"}


@pytest.fixture
async def base_url(house: Any) -> AsyncIterator[str]:
    async with serving(house.app) as url:
        yield url.removesuffix("/api/v1") + "/v2"


@pytest.fixture
async def client(base_url: str) -> AsyncIterator[AsyncTelnyx]:
    async with AsyncTelnyx(api_key=KEY, base_url=base_url, max_retries=0) as made:
        yield made


async def test_a_call_is_dialled_and_joined_to_its_stream(house: Any, client: AsyncTelnyx) -> None:
    dialled = await client.calls.dial(
        **NUMBERS,
        webhook_url="https://app.example/hook",
        client_state="c3RhdGU=",
        stream_url="wss://bot.example/ws",
        stream_track="both_tracks",
        stream_codec="PCMA",
        stream_bidirectional_mode="rtp",
        stream_bidirectional_codec="L16",
        stream_bidirectional_sampling_rate=16000,
        stream_auth_token="sesame",
    )
    assert dialled.data is not None
    assert dialled.data.is_alive is False
    call_id = read_call_control_id(dialled.data.call_control_id)
    assert dialled.data.call_session_id == str(call_id)
    order = house.manager.asked[-1]
    assert isinstance(order, OriginateRequest)
    assert (order.from_number, order.to_number, order.webhook_version) == ("+14155550100", "+14155550101", "telnyx")
    assert order.status_callback_url == "https://app.example/hook"
    assert order.manner is not None
    assert order.manner.echo == {"client_state": "c3RhdGU=", "connection_id": "7"}
    assert isinstance(order.flow, str)
    opens, stays = TelnyxCalls().read(Document(order.flow.encode())).actions
    assert isinstance(opens, OpenStream)
    assert isinstance(stays, Stay)
    request = opens.request
    assert (request.dialect, request.format) == ("telnyx", Format("alaw", "8k", 20))
    assert request.input_format == Format("pcm_s16be", "16k", 20)
    assert (request.direction, request.tracks) == ("both", (1, 129))
    assert request.auth is not None
    assert request.auth.token == "sesame"
    shown = await client.calls.retrieve_status(dialled.data.call_control_id)
    assert shown.data is not None
    assert shown.data.is_alive is True


async def test_a_call_that_came_in_is_answered_and_streamed(house: Any, client: AsyncTelnyx) -> None:
    call = await house.call()
    control_id = call_control_id(call.id)
    answered = await client.calls.actions.answer(control_id, stream_url="wss://bot.example/ws")
    assert answered.data is not None
    assert answered.data.result == "ok"
    assert house.manager.asked[-2] == call.id
    request = house.manager.asked[-1]
    assert isinstance(request, StreamRequest)
    assert (request.direction, request.format) == ("listen", Format("mulaw", "8k", 20))
    started = await client.calls.actions.start_streaming(
        control_id,
        stream_url="wss://bot.example/two",
        stream_bidirectional_mode="rtp",
        custom_parameters=[{"name": "tenant", "value": "7"}],
    )
    assert started.data is not None
    assert house.manager.asked[-1].parameters == {"tenant": "7"}
    assert house.manager.asked[-1].direction == "both"
    await client.calls.actions.stop_streaming(control_id)
    streams = (await house.durable.list_streams(call.id)).items
    assert {stream.state for stream in streams} == {"closed"}


async def test_commands_of_a_call(house: Any, client: AsyncTelnyx) -> None:
    call = await house.call()
    actions, control_id = client.calls.actions, call_control_id(call.id)
    await actions.send_dtmf(control_id, digits="12w#", duration_millis=200)
    assert house.manager.asked[-1][1:3] == ("12w#", 200)
    await actions.start_playback(control_id, audio_url="https://app.example/a.wav", loop=2)
    order = house.manager.asked[-1][1]
    assert (order.media_url, order.repeat) == ("https://app.example/a.wav", 2)
    await actions.speak(control_id, payload="Hello", voice="female", language="de-DE")
    order = house.manager.asked[-1][1]
    assert (order.says.text, order.says.language, order.source) == ("Hello", "de-DE", "say")
    await actions.transfer(control_id, to="sip:bob@b.example")
    assert house.manager.asked[-1][1].dial.to == "sip:bob@b.example"
    await actions.hangup(control_id)
    with pytest.raises(UnprocessableEntityError) as refused:
        await actions.hangup(control_id)
    assert refused.value.response.json()["errors"][0]["code"] == "90018"


async def test_what_wants_an_answered_call_says_so(house: Any, client: AsyncTelnyx) -> None:
    call = await house.call(state="ringing", answered_at=None)
    house.manager.refusal = CallNotLive()
    with pytest.raises(UnprocessableEntityError) as refused:
        await client.calls.actions.send_dtmf(call_control_id(call.id), digits="1")
    assert refused.value.response.json()["errors"][0]["code"] == "90034"


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"stream_url": "https://x"}, "must be a ws:// or wss:// URL"),
        ({"stream_url": "wss://x", "stream_bidirectional_mode": "mp3"}, "nobody here reads mp3"),
        ({"stream_url": "wss://x", "stream_track": "all"}, "stream_track must be"),
        ({"stream_url": "wss://x", "stream_codec": "G722"}, "stream_codec must be"),
        ({"stream_url": "wss://x", "stream_bidirectional_sampling_rate": 22050}, "must be 8000, 16000"),
        ({"stream_url": "wss://x", "stream_bidirectional_codec": "PCMU", "stream_bidirectional_sampling_rate": 16000},
         "mulaw at 8k, not at 16k"),
        ({"stream_url": "wss://x", "custom_parameters": {"a": "b"}}, "custom_parameters must be a list"),
        ({"stream_url": "wss://x", "stream_auth_token": "a\r\nb"}, "stream_auth_token"),
        ({"client_state": 7, "stream_url": "wss://x"}, "client_state must be"),
        ({}, "stream_url is missing"),
    ],
)  # fmt: skip
async def test_a_mistake_is_told_as_telnyx_tells_it(
    house: Any, base_url: str, fields: dict[str, Any], why: str
) -> None:
    call = await house.call()
    url = f"{base_url}/calls/{call_control_id(call.id)}/actions/streaming_start"
    async with httpx.AsyncClient(headers={"authorization": f"Bearer {KEY}"}) as http:
        answer = await http.post(url, json=fields)
    assert answer.status_code == 422
    assert why in answer.json()["errors"][0]["detail"]


async def test_strangers_and_strange_calls_are_not_let_in(house: Any, client: AsyncTelnyx, base_url: str) -> None:
    others = await house.call(account_id=new_id())
    for control_id in (call_control_id(new_id()), call_control_id(others.id), "v3:nonsense", "v2:x"):
        with pytest.raises(NotFoundError):
            await client.calls.actions.hangup(control_id)
        with pytest.raises(NotFoundError):
            await client.calls.retrieve_status(control_id)
    async with AsyncTelnyx(api_key="wrong", base_url=base_url, max_retries=0) as stranger:
        with pytest.raises(AuthenticationError):
            await stranger.calls.dial(**NUMBERS)
