"""A real call with an agent that is disturbed: what a pause takes from its speech, by packets that say who they are."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from longline.agentkit import mulaw
from longline.agentkit.agent import VoiceAgent
from longline.agentkit.conversation import Conversation
from longline.agentkit.ports import Sound, Tool, ToolCall, Transcript
from longline.agentkit.server import serve
from longline.agentkit.session import CallSession
from longline.streamkit.app_messages import Hello
from longline.streamkit.format import FormatWish
from tests.support import identified_audio as identified
from tests.support.node import Node
from tests.support.raw_phone import SILENCE, RawPhone, RtpPacket
from tests.support.tone import to_ulaw, tone

SECONDS = 6
COUGHS = 3
VOICE = to_ulaw(tone(450, 0.02, 6_000))


class Numbered:
    """A voice each frame of which says its number; a model and a transcriber that have nothing to say."""

    async def say(self, text: str) -> AsyncIterator[Sound]:
        frames = (identified.write(identified.Identity(1, identified.TOWARD_CALLER, n)) for n in range(50 * SECONDS))
        yield Sound(mulaw.to_linear(b"".join(frames)), 8_000)

    async def reply(self, conversation: Conversation, tools: Sequence[Tool]) -> AsyncIterator[str | ToolCall]:
        for word in list[str]():
            yield word

    async def listen(self, audio: AsyncIterator[bytes], rate_hz: int) -> AsyncIterator[Transcript]:
        async for frame in audio:
            if not frame:
                yield Transcript("", is_final=True)


def numbers_of(packets: Sequence[RtpPacket]) -> list[int]:
    """As they were heard; a pause is left out."""
    return [
        part.number for packet in packets for part in sorted(identified.parts(packet.payload), key=lambda p: p.number)
    ]


@pytest.mark.parametrize("dialect", ["longline", "twilio"])
async def test_what_a_pause_holds_back_is_heard_after_it_and_no_word_is_lost(tmp_path: Path, dialect: str) -> None:
    everything = Numbered()
    agent = VoiceAgent(everything, everything, everything, greeting="Well,")
    calls: list[CallSession] = []
    pauses: list[str] = []

    async def talk(call: CallSession) -> None:
        calls.append(call)
        resume = call.resume

        def resumed() -> None:
            pauses.append("taken back")
            resume()

        call.resume = resumed  # type: ignore[method-assign]
        await agent(call)

    hello = agent.hello.model_copy(update={"audio": FormatWish(encoding="pcm_s16le", rate_hz=8_000)})
    assert isinstance(hello, Hello) and hello.barge_in is not None
    async with (
        serve(talk, "127.0.0.1", 0, hello=hello) as server,
        Node(tmp_path / "node", "--stream", f"ws://127.0.0.1:{server.port}/", "--dialect", dialect) as node,
        RawPhone(node.sip_port) as phone,
    ):
        assert await phone.call() == 200
        for _ in range(COUGHS):
            await phone.speak(1.2, SILENCE)
            await phone.speak(0.2, VOICE)
        async with asyncio.timeout(20):
            while not any(each.is_over for each in calls[0].utterances.values()):
                await phone.speak(0.1, SILENCE)
        await phone.speak(0.2, SILENCE)
        packets = phone.packets()
    heard = numbers_of(packets)
    silences = _silences([packet.is_silent for packet in packets])
    assert len(pauses) >= 2 and len(silences) >= 2, (pauses, silences)
    missing = sorted(set(range(50 * SECONDS)) - set(heard))
    assert missing == []
    twice = [a for a, b in itertools.pairwise(heard) if b < a]
    assert len(twice) <= (0 if dialect == "longline" else len(pauses)), (
        "where heard is reckoned, a little is said again"
    )
    assert int(np.bincount(heard).max()) <= 2


def _silences(is_silent: Sequence[bool]) -> list[int]:
    """Lengths, in packets, of those within speech that are longer than 60 ms."""
    text = "".join("." if each else "x" for each in is_silent).strip(".")
    return [len(part) for part in text.split("x") if len(part) > 3]
