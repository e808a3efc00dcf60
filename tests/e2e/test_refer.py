"""REFER, Replaces, redirects and forks with programs that we did not write."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from longline.sip.events import Answered, Ended, Progress, ReferAccepted, ReferDone, SipEvent
from longline.sip.user_agent import ListenAddress, UserAgent, UserAgentSettings
from tests.support.app import App, AppCall, echo
from tests.support.baresip import Baresip
from tests.support.kamailio import Kamailio
from tests.support.node import Node
from tests.support.ports import free_ports
from tests.support.raw_phone import RawPhone
from tests.support.sipp import Sipp
from tests.support.tone import Samples, pitch_hz, power_at, read_wav, tone, trim_silence

APP_HZ, FIRST_HZ, SECOND_HZ = 1000, 440, 700


async def test_sipp_takes_the_place_of_a_caller_and_the_application_goes_on_with_it(tmp_path: Path) -> None:
    """RFC 3891: the one stream of the application hears silence first, and then SIPp, which echoes."""
    heard: list[Samples] = []

    async def speak_and_listen(call: AppCall) -> None:
        await call.say(tone(APP_HZ, 8))
        with contextlib.suppress(Exception):  # until the call is over
            while True:
                heard.append(await call.hear(0.1))

    port, media_port = free_ports(2)
    async with (
        App(speak_and_listen) as app,
        Node(tmp_path / "node", "--stream", app.url, "--chunk-size", "100") as node,
        RawPhone(node.sip_port) as phone,
    ):
        assert await phone.call() == 200
        await phone.speak(1)
        heir = Sipp(
            tmp_path / "sipp", "caller_replaces", "-m", "1", "-d", "3000", "-rtp_echo", "-mp", str(media_port & ~1),
            "-key", "replaces", phone.replaces, port=port, remote=f"127.0.0.1:{node.sip_port}",
        )  # fmt: skip
        (await heir.run(20)).check()
        call = await node.until_call()
        events = [event["type"] for event in await node.events(call["id"])]
        assert any(message.startswith(b"BYE ") for message in phone.sip.received)
        phone.forget()
    assert (call["state"], call["reason"]) == ("completed", "normal_clearing")
    assert events.count("stream.initiated") == 1 and events.count("leg.replaced") == 1
    before, after = np.concatenate(heard[:8]), np.concatenate(heard[-12:-2])
    assert abs(before.astype(int)).max() < 100
    assert pitch_hz(after) == pytest.approx(APP_HZ, abs=2) and power_at(after, APP_HZ) > 0.9


async def test_call_goes_where_sipp_redirects_it(tmp_path: Path) -> None:
    sipp_port, port = free_ports(2)
    phone = Baresip(tmp_path / "phone", port, tone(FIRST_HZ, 20), rtp_ports="44200-44298")
    async with App(echo) as app, Node(tmp_path / "node") as node, phone:
        await phone.start()
        arguments = ("-m", "1", "-key", "elsewhere", phone.uri)
        async with Sipp(tmp_path / "sipp", "callee_redirects", *arguments, port=sipp_port) as sipp:
            flow = {"action": "stream", "ws_url": app.url}
            body = {"from_number": "+15550100", "to_number": sipp.uri, "flow": flow}
            (await node.api.post("/api/v1/voice/calls/initiate", json=body)).raise_for_status()
            await phone.until("Call established", 10)
            (await sipp.finish()).check()
        await asyncio.sleep(1.5)
        await phone.stop()
        call = await node.until_call()
    assert (call["state"], call["reason"]) == ("completed", "normal_clearing")
    assert is_tone(trim_silence(phone.heard()), FIRST_HZ)


class Ours:
    """Our user agent by itself, and what it was told."""

    def __init__(self) -> None:
        self.told: list[SipEvent] = []
        self._news = asyncio.Event()
        self.agent = UserAgent(UserAgentSettings(listen=(ListenAddress("127.0.0.1", 0),)), self._on_event)

    def _on_event(self, event: SipEvent) -> None:
        self.told.append(event)
        self._news.set()

    async def until(self, kind: type[SipEvent], timeout_s: float = 10) -> SipEvent:
        """The first event of this kind."""
        async with asyncio.timeout(timeout_s):
            while not any(isinstance(event, kind) for event in self.told):
                self._news.clear()
                await self._news.wait()
        return next(event for event in self.told if isinstance(event, kind))

    @property
    def offer(self) -> bytes:
        return (
            b"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
            b"m=audio 9 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n"
        )


@contextlib.asynccontextmanager
async def ours() -> AsyncIterator[Ours]:
    party = Ours()
    await party.agent.start()
    try:
        yield party
    finally:
        await party.agent.stop()


async def test_baresip_that_is_referred_calls_the_other_and_tells_how_it_goes(tmp_path: Path) -> None:
    first_port, second_port = free_ports(2)
    first = Baresip(tmp_path / "first", first_port, tone(FIRST_HZ, 20), rtp_ports="44000-44098")
    second = Baresip(tmp_path / "second", second_port, tone(SECOND_HZ, 20), rtp_ports="44100-44198")
    async with ours() as we, first, second:
        await first.start()
        await second.start()
        handle = we.agent.invite(first.uri, from_uri="sip:longline@127.0.0.1", sdp=we.offer)
        await we.until(Answered)
        we.agent.refer(handle, second.uri)
        done = await we.until(ReferDone)
        assert isinstance(done, ReferDone)
        assert done.status == 200
        assert [type(event) for event in we.told if isinstance(event, ReferAccepted | ReferDone)] == [
            ReferAccepted,
            ReferDone,
        ]
        await second.until("Call established", 10)
        await asyncio.sleep(1.5)
        await second.stop()
        await first.stop()
    for phone, other_hz in ((first, SECOND_HZ), (second, FIRST_HZ)):
        dumps = sorted(phone.folder.glob("dump-*-dec.wav"))
        assert any(is_tone(trim_silence(read_wav(dump)), other_hz) for dump in dumps)


async def test_call_that_kamailio_forks_rings_twice_and_goes_on_with_who_answers(tmp_path: Path) -> None:
    proxy_port, first_port, second_port = free_ports(3)
    first = Baresip(tmp_path / "first", first_port, tone(FIRST_HZ, 9), rtp_ports="44300-44398", answer=False)
    second = Baresip(
        tmp_path / "second", second_port, tone(SECOND_HZ, 9), rtp_ports="44400-44498", answer=False, keypad=True
    )
    proxy = Kamailio(tmp_path / "proxy", proxy_port, f"127.0.0.1:{first_port}", f"127.0.0.1:{second_port}")
    async with ours() as we, first, second, proxy:
        await first.start()
        await second.start()
        handle = we.agent.invite(f"sip:everyone@127.0.0.1:{proxy_port}", from_uri="sip:we@127.0.0.1", sdp=we.offer)
        await first.until("Incoming call", 10)
        await second.until("Incoming call", 10)
        async with asyncio.timeout(5):
            while len(forks := {event.tag for event in we.told if isinstance(event, Progress)}) < 2:
                await asyncio.sleep(0.02)
        await second.command("/accept")
        await we.until(Answered)
        await second.until("Call established", 10)
        await first.until("session closed", 10)  # the proxy's CANCEL
        we.agent.bye(handle)
        await second.until("session closed", 10)
        await proxy.until("WITHIN BYE")
    assert len(forks) == 2
    assert not any(isinstance(event, Ended) and event.by == "remote" for event in we.told)


def is_tone(samples: Samples, frequency_hz: float) -> bool:
    return len(samples) > 4000 and abs(pitch_hz(samples) - frequency_hz) < 2
