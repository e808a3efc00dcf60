"""The WebSocket of a stream whose URL is another: asked for, or with credentials in it."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
from tests.support.app import Backend
from tests.support.egress import internet_guard, open_guard

from longline.calls.call import Call, Direction
from longline.calls.dialects import DIALECTS
from longline.calls.stream import Stream, StreamRequest
from longline.calls.stream_urls import StreamUrls
from longline.guard.refused import Refusal, Refused

AT = datetime(2026, 1, 1, tzinfo=UTC)
CALL = Call(Direction.INBOUND, "+14155550100", "+14155550101", AT)


@pytest.fixture
async def urls() -> AsyncIterator[StreamUrls]:
    made = StreamUrls(open_guard())
    yield made
    await made.close()


def exotel(url: str) -> StreamRequest:
    return StreamRequest(url, dialect="exotel")


async def test_an_https_url_is_asked_for_the_websocket_of_the_call(urls: StreamUrls) -> None:
    async with Backend({"url": "wss://key:to%20ken@bot.example/ws?x=1"}) as backend:
        found = await urls.find(CALL, exotel(backend.flow_url + "?tenant=7"))
    (asked,) = backend.flow_requests
    assert asked == {
        "tenant": "7", "CallSid": CALL.id.hex, "CallFrom": "+14155550100", "CallTo": "+14155550101",
        "Direction": "incoming",
    }  # fmt: skip
    assert found.ws_url == "wss://bot.example/ws?x=1"
    assert DIALECTS["exotel"].headers(CALL, Stream(CALL.id, found, AT), None) == [
        ("Authorization", "Basic a2V5OnRvIGtlbg==")
    ]
    assert "ken" not in repr(found)


async def test_a_websocket_is_taken_as_it_is_but_for_its_credentials(urls: StreamUrls) -> None:
    assert await urls.find(CALL, exotel("wss://bot.example/ws")) == exotel("wss://bot.example/ws")
    found = await urls.find(CALL, exotel("wss://key:token@bot.example:8443/ws"))
    assert (found.ws_url, found.auth is not None) == ("wss://bot.example:8443/ws", True)
    other = StreamRequest("wss://key:token@bot.example/ws", dialect="twilio")
    assert await urls.find(CALL, other) is other, "the guard refuses it"


@pytest.mark.parametrize("answer", [{}, {"url": "https://bot.example/"}, {"url": 7}, [], "<xml/>"])
async def test_an_answer_without_a_websocket_is_refused(urls: StreamUrls, answer: Any) -> None:
    async with Backend(answer) as backend:
        with pytest.raises(Refused) as refused:
            await urls.find(CALL, exotel(backend.flow_url))
    assert refused.value.code is Refusal.BAD_URL
    assert json.dumps("did not answer")[1:-1] in str(refused.value)


async def test_nobody_who_may_not_be_asked_is_asked() -> None:
    made = StreamUrls(internet_guard())
    with pytest.raises(Refused) as refused:
        await made.find(CALL, exotel("https://127.0.0.1/"))
    assert refused.value.code is Refusal.ADDRESS_NOT_ALLOWED
    await made.close()


async def test_a_server_that_is_not_there_is_told(urls: StreamUrls) -> None:
    with pytest.raises(Refused, match=r"http://127\.0\.0\.1:1/"):
        await urls.find(CALL, exotel("http://127.0.0.1:1/"))
