"""Changes in mid-call with programs that we did not write: hold, PRACK, UPDATE, session timers."""

import asyncio
import contextlib
import itertools
from collections.abc import Callable
from pathlib import Path

import pytest

from longline.sip.events import Answered, Ended, IncomingCall, Progress, Reanswered, Reoffer, SipEvent
from longline.sip.user_agent import ListenAddress, UserAgent, UserAgentSettings
from tests.support.app import App, AppCall, Backend
from tests.support.baresip import Baresip
from tests.support.node import Node
from tests.support.ports import free_ports
from tests.support.sipp import Sipp
from tests.support.tone import Samples, pitch_hz, power_at, read_wav, tone, trim_silence

CALLER_HZ, APP_HZ = 440, 1000
OFFER = (
    b"v=0\r\no=- 7 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
    b"m=audio 40000 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n"
)


async def test_phone_holds_and_resumes_and_is_held_by_the_api(tmp_path: Path) -> None:
    heard: list[Samples] = []

    async def speak(call: AppCall) -> None:
        await call.say(tone(APP_HZ, 30))
        with contextlib.suppress(Exception):  # until the call is over
            while True:
                heard.append(await call.hear(0.1))

    (port,) = free_ports(1)
    phone = Baresip(tmp_path / "phone", port, tone(CALLER_HZ, 30), rtp_ports="43400-43498", keypad=True)
    async with App(speak) as app, Node(tmp_path / "node", "--stream", app.url, "--chunk-size", "100") as node, phone:
        await phone.start(dial=node.uri)
        await phone.until("Call established", 10)
        call = await node.until_call(lambda call: call["state"] == "answered")

        async def until_told(*expected: str) -> None:
            """Wait until exactly these events of hold have been told, with who did it."""
            told: list[str] = []
            async with asyncio.timeout(10):
                while told != list(expected):
                    events = await node.events(call["id"])
                    told = [
                        f"{event['type']} {event['payload']['by']}"
                        for event in events
                        if event["type"] in ("call.held", "call.resumed")
                    ]
                    assert told == list(expected[: len(told)])
                    await asyncio.sleep(0.05)

        async def hold(on: bool) -> None:
            answer = await node.api.post(f"/api/v1/voice/calls/{call['id']}/hold", json={"on": on})
            assert answer.status_code == 202

        await asyncio.sleep(1)
        await phone.command("/hold")
        await until_told("call.held caller")
        await asyncio.sleep(1)
        await phone.command("/resume")
        await until_told("call.held caller", "call.resumed caller")
        await asyncio.sleep(1)
        await hold(True)
        await until_told("call.held caller", "call.resumed caller", "call.held api")
        await asyncio.sleep(1)
        await hold(False)
        await until_told("call.held caller", "call.resumed caller", "call.held api", "call.resumed api")
        await asyncio.sleep(1)
        await phone.stop()
        call = await node.until_call()
        assert (call["state"], call["reason"]) == ("completed", "normal_clearing")
    is_speech = [power_at(part, CALLER_HZ) > 0.9 for part in heard]
    lasting = [value for value, parts in itertools.groupby(is_speech) if len(list(parts)) >= 6]
    assert lasting == [True, False, True, False, True], is_speech
    dumps = [trim_silence(read_wav(dump)) for dump in phone.folder.glob("dump-*-dec.wav")]
    assert all(pitch_hz(dump) == pytest.approx(APP_HZ, abs=2) for dump in dumps if len(dump) > 800)


async def test_sipp_holds_by_update_and_its_short_session_is_refused(tmp_path: Path) -> None:
    async def listen(call: AppCall) -> None:
        async for _ in call.socket:
            pass

    (port,) = free_ports(1)
    async with App(listen) as app, Node(tmp_path / "node", "--stream", app.url) as node:
        sipp = Sipp(
            tmp_path / "sipp", "caller_updates", "-m", "1", port=port, remote=f"127.0.0.1:{node.sip_port}"
        )  # fmt: skip
        (await sipp.run(20)).check()
        call = await node.until_call()
        told = [event["type"] for event in await node.events(call["id"])]
    assert (call["state"], call["reason"]) == ("completed", "normal_clearing")
    assert told.index("call.held") < told.index("call.resumed")


class Ours:
    """Our user agent by itself; `react(agent, event)` is what it does about an event."""

    def __init__(self, react: Callable[[UserAgent, SipEvent], None], **settings: int) -> None:
        self.told: list[SipEvent] = []
        self._react = react
        listen = (ListenAddress("127.0.0.1", 0),)
        self.agent = UserAgent(UserAgentSettings(listen=listen, **settings), self._on_event)  # type: ignore[arg-type]

    def _on_event(self, event: SipEvent) -> None:
        self.told.append(event)
        self._react(self.agent, event)

    def names(self) -> list[str]:
        return [type(event).__name__ for event in self.told]


async def test_sipp_agrees_on_early_media_with_prack_and_changes_it_before_the_answer(tmp_path: Path) -> None:
    def react(agent: UserAgent, event: SipEvent) -> None:
        if isinstance(event, IncomingCall):
            agent.ring(event.handle, OFFER)
        elif isinstance(event, Reoffer):
            agent.reanswer(event.handle, OFFER + b"a=recvonly\r\n")
            asyncio.get_running_loop().call_later(0.3, agent.answer, event.handle, OFFER)

    (port,) = free_ports(1)
    ours = Ours(react)
    await ours.agent.start()
    try:
        host, at = ours.agent.address
        sipp = Sipp(tmp_path / "sipp", "caller_pracks", "-m", "1", port=port, remote=f"{host}:{at}")
        (await sipp.run(20)).check()
    finally:
        await ours.agent.stop()
    assert ours.names() == ["IncomingCall", "Reoffer", "Acked", "Ended"]


async def test_both_legs_of_a_dialled_call_agree_on_early_media_with_prack(tmp_path: Path) -> None:
    """SIPp calls, and SIPp is called: a node between them, which answers the one when the other has answered."""
    port, callee_port = free_ports(2)
    callee = Sipp(tmp_path / "callee", "callee_answers_late", "-m", "1", port=callee_port)
    async with (
        Backend({"action": "dial", "to": callee.uri}) as backend,
        Node(tmp_path / "node", LONGLINE_INBOUND__FLOW_URL=backend.flow_url) as node,
        callee,
    ):
        caller = Sipp(tmp_path / "caller", "caller_pracks", "-m", "1", port=port, remote=f"127.0.0.1:{node.sip_port}")
        (await caller.run(20)).check()
        (await callee.finish(10)).check()
        call = await node.until_call()
    assert (call["state"], call["reason"]) == ("completed", "normal_clearing")
    assert [leg["state"] for leg in call["legs"]] == ["completed", "completed"]


async def test_session_with_sipp_is_refreshed_and_ends_when_sipp_forgets_to(tmp_path: Path) -> None:
    def react(agent: UserAgent, event: SipEvent) -> None:
        if isinstance(event, Progress) and event.is_answer:
            agent.reoffer(event.handle, OFFER + b"a=sendonly\r\n")

    (port,) = free_ports(1)
    ours = Ours(react, session_expires_s=4, min_session_expires_s=2)
    await ours.agent.start()
    try:
        sipp = Sipp(tmp_path / "sipp", "callee_pracks", "-m", "1", port=port)
        async with sipp:
            ours.agent.invite(sipp.uri, from_uri="sip:ours@127.0.0.1", sdp=OFFER)
            (await sipp.finish(30)).check()
    finally:
        await ours.agent.stop()
    assert ours.names() == ["Progress", "Reanswered", "Answered", "Ended"]
    assert isinstance(ours.told[1], Reanswered) and b"recvonly" in ours.told[1].sdp
    assert isinstance(ours.told[2], Answered) and ours.told[2].sdp == ours.told[1].sdp
    assert isinstance(ours.told[3], Ended) and ours.told[3].cause == "session_expired"
