"""Phones with one codec each call and are called: what they say comes through, all of the band that the codec has."""

import asyncio
import contextlib
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support.app import App, AppCall, listen
from tests.support.baresip import Baresip
from tests.support.node import Node
from tests.support.ports import free_ports
from tests.support.tone import Samples, longest_gap_ms, pitch_hz, power_at, tone, trim_silence

STREAM_HZ = 16_000
WIDEBAND_HZ = 5_000
"""Above all that a telephone line carries: heard only where each part of the way is wideband."""
APP_HZ = 1_000
TALK_S = 3
LONGEST_GAP_MS = 20


class Kind(NamedTuple):
    """`rate_hz` is that of the codec's samples, which is also that of what the phone writes down."""

    module: str
    name: str
    rate_hz: int


KINDS = [Kind("g722", "G722", 16_000), Kind("opus", "opus", 48_000), Kind("l16", "L16/16000", 16_000)]


def phones(folder: Path) -> list[Baresip]:
    ports = free_ports(len(KINDS))
    return [
        Baresip(
            folder / kind.module,
            port,
            tone(WIDEBAND_HZ, TALK_S + 10, rate_hz=kind.rate_hz),
            rtp_ports=f"{42000 + 100 * n}-{42098 + 100 * n}",
            codec=kind.module,
            rate_hz=kind.rate_hz,
        )
        for n, (kind, port) in enumerate(zip(KINDS, ports, strict=True))
    ]


def check_tone(samples: Samples, frequency_hz: float, rate_hz: int) -> None:
    """It is this tone, nearly all the time, without a gap."""
    speech = trim_silence(samples)
    assert len(speech) / rate_hz >= TALK_S - 1
    assert longest_gap_ms(speech, rate_hz=rate_hz) <= LONGEST_GAP_MS
    assert pitch_hz(speech, rate_hz) == pytest.approx(frequency_hz, abs=2)
    assert power_at(speech, frequency_hz, rate_hz) > 0.95


class Talk:
    """The application: says a tone, and listens to each call."""

    def __init__(self) -> None:
        self.heard: list[Samples] = []

    async def __call__(self, call: AppCall) -> None:
        await call.say(tone(APP_HZ, TALK_S + 1))
        self.heard.append(await call.hear(TALK_S, STREAM_HZ))
        await listen(call)


async def codecs_of_calls(node: Node) -> list[str]:
    """What the node says that its calls have."""
    told = []
    for call in await node.calls():
        events = await node.events(call["id"])
        told += [event["details"]["codec"] for event in events if "codec" in event["details"]]
    return sorted(told)


async def test_wideband_phones_call_in_with_g722_opus_and_l16(tmp_path: Path) -> None:
    talk = Talk()
    all_codecs = ",".join(["PCMU", *(kind.name for kind in KINDS)])
    async with App(talk) as app, contextlib.AsyncExitStack() as stack:
        node = await stack.enter_async_context(
            Node(
                tmp_path / "node",
                *("--stream", app.url, "--chunk-size", "20", "--sample-rate", "16k"),
                LONGLINE_CODECS=all_codecs,
            )
        )
        callers = [await stack.enter_async_context(phone) for phone in phones(tmp_path)]
        await asyncio.gather(*(phone.start(dial=node.uri) for phone in callers))
        for phone in callers:
            await phone.until("Call established", 10)
        await asyncio.sleep(TALK_S + 1.5)
        for phone in callers:
            await phone.stop()
        await node.until_over(len(callers))
        assert not app.errors
        assert await codecs_of_calls(node) == sorted(kind.name for kind in KINDS)
        assert len(talk.heard) == len(callers)
        for samples in talk.heard:
            check_tone(samples, WIDEBAND_HZ, STREAM_HZ)
        for phone, kind in zip(callers, KINDS, strict=True):
            check_tone(phone.heard(), APP_HZ, kind.rate_hz)


async def test_wideband_phones_are_called_with_g722_opus_and_l16(tmp_path: Path) -> None:
    talk = Talk()
    async with App(talk) as app, contextlib.AsyncExitStack() as stack:
        all_codecs = ",".join(["PCMU", *(kind.name for kind in KINDS)])
        node = await stack.enter_async_context(Node(tmp_path / "node", LONGLINE_CODECS=all_codecs))
        called = [await stack.enter_async_context(phone) for phone in phones(tmp_path)]
        await asyncio.gather(*(phone.start() for phone in called))
        flow = {"action": "stream", "ws_url": app.url, "chunk_size": 20, "sample_rate": "16k"}
        for phone in called:
            body = {"from_number": "+15550100", "to_number": phone.uri, "flow": flow}
            (await node.api.post("/api/v1/voice/calls/initiate", json=body)).raise_for_status()
        for phone in called:
            await phone.until("Call established", 10)
        await asyncio.sleep(TALK_S + 1.5)
        for phone in called:
            await phone.stop()
        await node.until_over(len(called))
        assert not app.errors
        assert await codecs_of_calls(node) == sorted(kind.name for kind in KINDS)
        for samples in talk.heard:
            check_tone(samples, WIDEBAND_HZ, STREAM_HZ)
        for phone, kind in zip(called, KINDS, strict=True):
            check_tone(phone.heard(), APP_HZ, kind.rate_hz)
