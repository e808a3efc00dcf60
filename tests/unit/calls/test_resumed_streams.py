"""A stream whose connection is lost: what control asks for, what it tells, and what the flow does in the end."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from tests.support.calls import House
from tests.support.egress import Names, internet_guard

from longline.base.clock import settle
from longline.calls.stream_ways import LOOK_AGAIN_S
from longline.media.protocol.commands import StreamUrl
from longline.media.protocol.events import PlaybackFinished, StreamDisconnected, StreamResumed

FLOW_URL = "http://app/flow"
FALLBACK_URL = "http://app/fallback"


@pytest.fixture
def house(tmp_path: Path) -> House:
    (tmp_path / "media").mkdir()
    (tmp_path / "media" / "sorry.wav").write_bytes(b"RIFF")
    return House(
        tmp_path,
        inbound={"flow_url": FLOW_URL, "fallback_url": FALLBACK_URL},
        stream_listen="127.0.0.1:7443",
        stream_listen_url="wss://media.example/streams",
    )


def stream(**more: Any) -> dict[str, Any]:
    return {"action": "stream", "ws_url": "ws://app/", "dialect": "longline"} | more


async def streaming(house: House, **more: Any) -> None:
    house.fetcher.answers[FLOW_URL] = stream(**more)
    await house.incoming()
    await house.stream_connects()


async def disconnects(house: House) -> None:
    await house.media_tells(
        StreamDisconnected(
            at=1.0, session=house.session.id, stream=house.stream_id, reason="connection_lost", window_ms=60_000
        )
    )


async def resumes(house: House) -> None:
    await house.media_tells(
        StreamResumed(
            at=2.0,
            session=house.session.id,
            stream=house.stream_id,
            epoch=2,
            resumed=True,
            outage_ms=1000,
            tries=3,
            dialled_in=False,
        )
    )


def opened(house: House) -> dict[str, Any]:
    return house.media.find("stream.open").to_message(1)  # type: ignore[no-any-return]


async def test_our_own_dialect_is_resumed_unless_it_is_told_otherwise(house: House) -> None:
    await streaming(house)
    assert opened(house)["resume"] == {
        "window_ms": 60_000,
        "ring_ms": None,
        "url": "wss://media.example/streams",
        "comfort": "silence",
    }


async def test_a_flow_says_how_long_where_else_and_what_is_heard_meanwhile(house: House) -> None:
    await streaming(house, resume_window=5, urls=["wss://b.example/", "ws://c.example:81/x"], comfort="noise")
    message = opened(house)
    assert message["resume"]["window_ms"] == 5_000 and message["resume"]["comfort"] == "noise"
    assert message["alternatives"] == [
        {"url": "wss://b.example/", "addresses": ["127.0.0.1:443"]},
        {"url": "ws://c.example:81/x", "addresses": ["127.0.0.1:81"]},
    ]


@pytest.mark.parametrize("more", [{"dialect": "twilio"}, {"dialect": "teler"}, {"resume_window": 0}])
async def test_other_streams_are_as_long_as_their_connection(house: House, more: dict[str, Any]) -> None:
    await streaming(house, **more)
    assert opened(house)["resume"] is None


@pytest.mark.parametrize(
    "more", [{"resume_window": -1}, {"resume_window": 3601}, {"urls": ["http://a/"]}, {"urls": ["ws://a/"] * 8}]
)
async def test_what_cannot_be_is_a_mistake_of_the_flow(house: House, more: dict[str, Any]) -> None:
    house.fetcher.answers |= {FLOW_URL: stream(**more), FALLBACK_URL: {"action": "hangup"}}
    await house.incoming()
    assert "stream.open" not in house.media.names() and house.event("flow.failed").data["reason"] == "flow_invalid"


async def test_the_handshake_of_our_own_dialect_is_signed_with_the_secret(tmp_path: Path) -> None:
    for dialect, secrets in (("longline", ["s" * 32]), ("teler", [])):
        house = House(tmp_path, inbound={"flow_url": FLOW_URL})
        house.manager._find_secret = lambda secret_id: "s" * 32
        await streaming(house, dialect=dialect)
        assert opened(house)["secrets"] == secrets
        assert "s" * 32 not in repr(house.media.find("stream.open"))


async def test_an_outage_is_told_and_the_stream_goes_on(house: House) -> None:
    await streaming(house)
    await disconnects(house)
    assert house.store.streams[next(iter(house.store.streams))].state == "disconnected"
    await disconnects(house)
    await resumes(house)
    assert house.store.streams[next(iter(house.store.streams))].state == "connected"
    assert house.event("stream.disconnected").data["reason"] == "connection_lost"
    assert house.event("stream.resumed").data["outage_ms"] == 1000
    await house.stream_closes()
    assert house.told()[-2:] == ["stream.completed", "call.completed"]


async def test_a_stream_that_does_not_come_back_has_failed_and_the_fallback_is_asked(house: House) -> None:
    house.fetcher.answers[FALLBACK_URL] = {"action": "hangup"}
    await streaming(house)
    await disconnects(house)
    await house.stream_closes("window_passed", None)
    assert house.event("stream.failed").data["reason"] == "window_passed"
    assert house.fetcher.asked == [FLOW_URL, FALLBACK_URL]


async def test_a_flow_says_what_is_done_when_its_stream_is_lost(house: House) -> None:
    house.fetcher.answers[FLOW_URL] = [
        stream(on_lost={"action": "play", "media_url": "sorry.wav"}),
        {"action": "stream", "ws_url": "ws://other/"},
    ]
    await house.incoming()
    await house.stream_connects()
    await house.stream_closes("window_passed", None)
    async with asyncio.timeout(5):
        while "playback.start" not in house.media.names():
            await asyncio.sleep(0.001)
    played = house.media.find("playback.start").playback
    await house.media_tells(PlaybackFinished(at=0.0, session=house.session.id, playback=played, reason="completed"))
    assert opened(house)["url"] == "ws://other/" and house.fetcher.asked == [FLOW_URL]


async def test_a_flow_may_hang_up_when_its_stream_is_lost(house: House) -> None:
    await streaming(house, on_lost={"action": "hangup"})
    await house.stream_closes("connection_lost", None)
    assert house.record.state == "completed" and house.fetcher.asked == [FLOW_URL]


async def test_hosts_are_looked_at_again_while_there_is_no_connection(house: House) -> None:
    names = Names({"a.example": ["8.8.8.8", "8.8.8.8", "8.8.4.4", "10.0.0.1", "8.8.8.8"]})
    house.manager._egress = internet_guard(resolver=names, requires_tls=False)  # type: ignore[assignment]
    await streaming(house, ws_url="ws://a.example/")
    await house.clock.advance(LOOK_AGAIN_S)
    assert names.asked == ["a.example"], "as long as it is connected nobody asks"

    await disconnects(house)
    assert len(names.asked) == 2 and "stream.urls" not in house.media.names(), "nothing has changed"
    await house.clock.advance(LOOK_AGAIN_S)
    await settle(100)
    assert house.media.find("stream.urls").urls == (StreamUrl("ws://a.example/", ("8.8.4.4:80",)),)
    await house.clock.advance(LOOK_AGAIN_S)
    await settle(100)
    assert house.media.find("stream.urls").urls == (), "what leads inside is not dialled"

    await resumes(house)
    await house.clock.advance(10 * LOOK_AGAIN_S)
    await settle(100)
    assert len(names.asked) == 4


async def test_a_url_that_is_refused_is_left_out_when_another_is_not(house: House) -> None:
    await streaming(house, ws_url="ws://10.0.0.1/", urls=["ws://b.example/"])
    assert opened(house)["url"] == "ws://b.example/" and opened(house)["alternatives"] == []
