"""Whatever becomes of the connections of a transcriber: each word is in a final once, and in its place."""

import asyncio
import random
from collections.abc import AsyncIterator

import pytest

from longline.agentkit.ports import ProviderError, SpeechToText, Transcript
from longline.agentkit.stt.fallback import FallbackStt
from longline.agentkit.stt.live import Heard, LiveRules, LiveSocket, listen_live
from longline.agentkit.testing import virtual_time
from longline.agentkit.testing.written import WordReader, spoken

RATE = 8_000
TURNS = [[f"turn{turn}word{word}" for word in range(1 + turn % 6)] for turn in range(30)]
SEGMENT = 3
"""Words after which a final comes by itself."""


async def audio() -> AsyncIterator[bytes]:
    """As a caller speaks: a frame every 20 ms, and half a second of silence behind each turn."""
    for turn in TURNS:
        for frame in [*spoken(" ".join(turn), RATE, 20), b"", *[bytes(320)] * 25]:
            yield frame
            await asyncio.sleep(len(frame) / 2 / RATE)


class Vendor:
    """Understands after a while, and drops a connection now and again: when it is sent something, when it is asked for
    a final, before it tells something. Some connections are not made at all."""

    def __init__(self, seed: int, drop: float = 0.006) -> None:
        self.random = random.Random(seed)
        self.drop = drop
        self.drops = 0

    def may_drop(self, times: float = 1.0) -> None:
        if self.random.random() < self.drop * times:
            self.drops += 1
            raise ConnectionResetError("dropped")

    async def connect(self, rate_hz: int) -> LiveSocket:
        await asyncio.sleep(self.random.uniform(0.01, 0.1))
        self.may_drop(30)
        return Socket(self)

    def listen(self, audio: AsyncIterator[bytes], rate_hz: int) -> AsyncIterator[Transcript]:
        rules = LiveRules(final_within_s=60, stall_s=60, reconnects=100, backoff_s=0.001)
        return listen_live("vendor", self.connect, audio, rate_hz, rules)


class Socket:
    def __init__(self, vendor: Vendor) -> None:
        self._vendor = vendor
        self._reader = WordReader()
        self._words: list[str] = []
        self._ms = 0.0
        self._told: asyncio.Queue[Heard] = asyncio.Queue()

    async def send(self, pcm: bytes) -> None:
        self._vendor.may_drop()
        self._ms += len(pcm) * 500 / RATE
        new = self._reader.read(pcm)
        self._words += new
        if len(self._words) >= SEGMENT:
            self._tell(is_final=True)
        elif new:
            self._tell(is_final=False)

    async def finish(self) -> None:
        self._vendor.may_drop(5)
        self._tell(is_final=True, ends_turn=True)

    def _tell(self, *, is_final: bool, ends_turn: bool = False) -> None:
        self._told.put_nowait(Heard(" ".join(self._words), is_final, ends_turn, end_ms=self._ms))
        if is_final:
            self._words = []

    async def keep_alive(self) -> None:
        raise AssertionError("there is always audio")

    async def heard(self) -> AsyncIterator[Heard]:
        while True:
            heard = await self._told.get()
            await asyncio.sleep(self._vendor.random.uniform(0.0, 0.15))
            self._vendor.may_drop(5)
            yield heard

    async def close(self) -> None:
        pass


async def words(stt: SpeechToText) -> list[str]:
    finals = [transcript.text async for transcript in stt.listen(audio(), RATE) if transcript.is_final]
    return " ".join(finals).split()


@pytest.mark.parametrize("seed", range(12))
def test_a_transcriber_whose_connections_drop(seed: int) -> None:
    vendor = Vendor(seed)

    @virtual_time
    async def call() -> None:
        assert await words(vendor) == [word for turn in TURNS for word in turn]

    call()
    assert vendor.drops >= 5


class Failing:
    """A transcriber that gives up now and again; it is begun anew where it is asked."""

    def __init__(self, vendor: Vendor) -> None:
        self._vendor = vendor

    async def listen(self, audio: AsyncIterator[bytes], rate_hz: int) -> AsyncIterator[Transcript]:
        fails_at = self._vendor.random.randrange(1, 40)
        count = 0
        async for transcript in self._vendor.listen(audio, rate_hz):
            yield transcript
            count += 1
            if count == fails_at:
                raise ProviderError("failing", "has had enough")


@pytest.mark.parametrize("seed", range(12))
def test_transcribers_that_take_over_from_each_other(seed: int) -> None:
    failing = [Failing(Vendor(seed * 100 + number, drop=0.005)) for number in range(30)]
    stt = FallbackStt(*failing, Vendor(seed, drop=0.0), wait_s=30)

    @virtual_time
    async def call() -> None:
        assert await words(stt) == [word for turn in TURNS for word in turn]

    call()
    assert stt.ranking.failures["failing"] >= 1
