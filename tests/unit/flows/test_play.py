"""`play`: the file, its end, and the next flow."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from tests.support.calls import House
from tests.support.http import raw_server, response

from longline.flows.runner import MAX_HASTY
from longline.media.protocol.events import PlaybackFinished
from longline.sip.events import Ended

FLOW_URL = "http://app/flow"
NEXT_URL = "http://app/next"


@pytest.fixture
def house(tmp_path: Path) -> House:
    (tmp_path / "media").mkdir()
    (tmp_path / "media" / "hello.wav").write_bytes(b"RIFF")
    return House(tmp_path, inbound={"flow_url": FLOW_URL})


def play(**more: Any) -> dict[str, Any]:
    return {"action": "play", "media_url": "hello.wav"} | more


async def playback_ends(house: House, reason: str = "completed") -> None:
    command = house.media.find("playback.start")
    await house.media_tells(
        PlaybackFinished(at=0.0, session=house.session.id, playback=command.playback, reason=reason)
    )


async def until(house: House, command: str, count: int = 1) -> None:
    """The file is found in another thread: let that happen."""

    async with asyncio.timeout(5):
        while house.media.names().count(command) < count:
            await asyncio.sleep(0.001)


async def test_a_lone_play_answers_plays_and_hangs_up(house: House) -> None:
    house.fetcher.answers[FLOW_URL] = play()
    await house.incoming()
    await until(house, "playback.start")
    assert house.user_agent.verbs() == ["ring", "answer"]
    await playback_ends(house)
    assert house.record.reason == "completed"
    assert house.told()[-3:] == ["playback.started", "playback.finished", "call.completed"]
    assert house.event("playback.started").data["media_url"] == "hello.wav"


async def test_the_next_flow_is_asked_when_playback_ends(house: House) -> None:
    house.fetcher.answers |= {FLOW_URL: play(flow_url=NEXT_URL), NEXT_URL: {"action": "stream", "ws_url": "ws://app/"}}
    await house.incoming()
    await until(house, "playback.start")
    assert house.fetcher.asked == [FLOW_URL]
    await playback_ends(house)
    assert house.fetcher.asked == [FLOW_URL, NEXT_URL] and house.media.names()[-1] == "stream.open"
    assert house.user_agent.verbs() == ["ring", "answer"]


async def test_a_file_that_is_not_there_fails_before_anybody_pays(house: House) -> None:
    house.fetcher.answers[FLOW_URL] = play(media_url="nothing.wav")
    await house.incoming()

    async with asyncio.timeout(5):
        while "call.failed" not in house.told():
            await asyncio.sleep(0.001)
    assert (house.user_agent.last("reject"), house.record.reason) == (500, "flow_invalid")
    assert "nothing.wav" in house.event("flow.failed").data["detail"]


async def test_a_file_that_is_no_sound_is_told_with_what_is_wrong(house: House) -> None:
    house.media.refuse["playback.start"] = ("bad_file", "MPEG audio is not supported")
    house.fetcher.answers[FLOW_URL] = play()
    await house.incoming()
    await until(house, "session.close")
    assert house.record.reason == "flow_invalid"
    assert "MPEG audio is not supported" in house.event("flow.failed").data["detail"]


async def test_the_spool_is_empty_when_the_caller_leaves_during_playback(house: House, tmp_path: Path) -> None:
    async with raw_server(sound=response(b"RIFF1234")) as server:
        house.fetcher.answers[FLOW_URL] = play(media_url=f"{server.url}/sound")
        handle = await house.incoming()
        await until(house, "playback.start")
        spooled = Path(house.media.find("playback.start").path)
        assert spooled.read_bytes() == b"RIFF1234"
        await house.sip(Ended(handle, "remote", "bye"))
    assert not spooled.exists() and house.told()[-2:] == ["playback.finished", "call.completed"]


async def test_flows_that_point_at_each_other_end(house: House) -> None:
    house.fetcher.answers[FLOW_URL] = play(flow_url=FLOW_URL)
    await house.incoming()
    for step in range(1, MAX_HASTY + 2):
        await until(house, "playback.start", step)
        await playback_ends(house)
    assert house.record.reason == "flow_invalid"
    assert len(house.fetcher.asked) == MAX_HASTY + 1


async def test_a_call_may_take_many_turns_when_each_takes_its_time(house: House) -> None:
    house.fetcher.answers[FLOW_URL] = play(flow_url=FLOW_URL)
    await house.incoming()
    for step in range(1, 2 * MAX_HASTY):
        await until(house, "playback.start", step)
        await house.clock.advance(1.0)
        await playback_ends(house)
    assert house.record.state == "answered"
