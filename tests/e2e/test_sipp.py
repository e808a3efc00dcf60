"""SIPp places calls by the hundred."""

import itertools
from pathlib import Path

from tests.support.app import App, AppCall
from tests.support.node import Node
from tests.support.ports import free_ports
from tests.support.sipp import Sipp
from tests.support.tone import power_at, tone

CALLS, CALLS_PER_SECOND, TALK_S = 100, 20, 5


def pitch_of(index: int) -> float:
    """A pitch that two calls at the same time do not share."""
    return 400 + 25 * (index % 100)


async def test_a_hundred_calls_at_twenty_a_second_complete_with_media_echoed(tmp_path: Path) -> None:
    """Every application speaks a pitch of its own, SIPp echoes the RTP, and each hears its own and no other."""
    heard: dict[float, float] = {}

    async def speak_and_hear_the_echo(call: AppCall) -> None:
        pitch = pitch_of(next(indexes))
        await call.say(tone(pitch, TALK_S))
        await call.hear(1.5)
        heard[pitch] = power_at(await call.hear(1.0), pitch)
        async for _ in call.socket:
            pass

    indexes = itertools.count()
    port, media_port = free_ports(2)
    async with (
        App(speak_and_hear_the_echo) as app,
        Node(tmp_path / "node", "--stream", app.url, "--chunk-size", "100") as node,
    ):
        sipp = Sipp(
            tmp_path / "sipp", "caller_talks", "-m", str(CALLS), "-r", str(CALLS_PER_SECOND), "-d", str(TALK_S * 1000),
            "-rtp_echo", "-mp", str(media_port & ~1), "-l", str(CALLS),
            port=port, remote=f"127.0.0.1:{node.sip_port}",
        )  # fmt: skip
        (await sipp.run(90)).check()
        assert not app.errors
        assert len(heard) == CALLS
        assert min(heard.values()) > 0.9, sorted(heard.items(), key=lambda item: item[1])[:5]
        calls = await node.until_over(CALLS)
        assert {(call["state"], call["reason"]) for call in calls} == {("completed", "normal_clearing")}
        assert len(calls) == CALLS
