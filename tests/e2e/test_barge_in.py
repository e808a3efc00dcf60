"""Barge-in, on the packets: after `clear`, the line is silent within one frame."""

import asyncio
import itertools
import time
from pathlib import Path

from tests.support.app import App, AppCall
from tests.support.node import Node
from tests.support.raw_phone import RawPhone
from tests.support.tone import tone

FRAME_S = 0.020
TICK_S = 0.001
NOISE_S = 0.020
"""What two busy cores may add between a packet's leaving and our reading the clock for it."""


async def test_clear_leaves_at_most_one_more_frame_of_speech(tmp_path: Path) -> None:
    cleared_at: list[float] = []

    async def speak_then_clear(call: AppCall) -> None:
        await call.say(tone(700, 30))
        await call.hear(1.0)
        await call.send({"type": "clear"})
        cleared_at.append(time.time())
        await call.hear(0.5)
        await call.say(tone(700, 0.2))
        await call.hear(0.6)

    async with App(speak_then_clear) as app, Node(tmp_path / "node", "--stream", app.url, "--chunk-size", "20") as node:
        async with RawPhone(node.sip_port) as phone:
            assert await phone.call() == 200
            await phone.speak(2.5)
            packets = phone.packets()
        assert not app.errors
        loud = [packet for packet in packets if not packet.is_silent]
        first_speech = [packet for packet in loud if packet.at < cleared_at[0] + 0.4]
        second_speech = [packet for packet in loud if packet.at >= cleared_at[0] + 0.4]
        assert len(first_speech) > 40, "the application was heard before it cleared"
        assert first_speech[-1].at - cleared_at[0] <= FRAME_S + TICK_S + NOISE_S
        after = [packet for packet in packets if packet.at > cleared_at[0] + NOISE_S and packet not in second_speech]
        assert sum(not packet.is_silent for packet in after) <= 1
        assert len(second_speech) >= 9, "what is said after a clear is heard"
        numbers = [packet.sequence for packet in packets]
        assert all((b - a) & 0xFFFF == 1 for a, b in itertools.pairwise(numbers))


async def test_interrupt_drops_one_chunk_and_the_next_is_heard(tmp_path: Path) -> None:
    async def interrupt_the_first(call: AppCall) -> None:
        await call.say(tone(700, 20), chunk_id="long")
        await call.say(tone(1500, 0.5), chunk_id="short")
        await call.hear(0.6)
        await call.send({"type": "interrupt", "chunk_id": "long"})
        await call.hear(1.2)

    async with App(interrupt_the_first) as app, Node(tmp_path / "node", "--stream", app.url) as node:
        async with RawPhone(node.sip_port) as phone:
            assert await phone.call() == 200
            await asyncio.gather(phone.speak(4))
            loud = [packet for packet in phone.packets() if not packet.is_silent]
    assert not app.errors
    assert 1.0 <= len(loud) * FRAME_S <= 3.0, "of twenty seconds, what was interrupted is not heard"
