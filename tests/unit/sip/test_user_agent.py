"""The shell with real sockets on the loopback address. What needs time to pass is tested on the endpoint."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable

import pytest
import uvloop
from tests.unit.sip.sip_pair import ANSWER, OFFER

from longline.sip import user_agent
from longline.sip.access.default_deny import AdmissionPolicy
from longline.sip.access.peers import DigestUser, Peer, Peers
from longline.sip.dialog_store import MemoryDialogStore
from longline.sip.events import Acked, Answered, Ended, Failed, IncomingCall, SipEvent
from longline.sip.timers import Durations
from longline.sip.transport import connection, tcp
from longline.sip.user_agent import ListenAddress, UserAgent, UserAgentSettings


class Phone:
    def __init__(self, **settings: object) -> None:
        self.events: asyncio.Queue[SipEvent] = asyncio.Queue()
        self.react: Callable[[SipEvent], None] = lambda event: None
        self.agent = UserAgent(UserAgentSettings(listen=[ListenAddress("127.0.0.1", 0)], **settings), self._on_event)  # type: ignore[arg-type]

    def _on_event(self, event: SipEvent) -> None:
        self.events.put_nowait(event)
        self.react(event)

    async def next(self, kind: type[SipEvent]) -> SipEvent:
        async with asyncio.timeout(5):
            while not isinstance(event := await self.events.get(), kind):
                pass
            return event

    def uri(self, transport: str) -> str:
        return f"sip:x@127.0.0.1:{self.agent.address[1]};transport={transport}"

    def answers_at_once(self) -> None:
        def react(event: SipEvent) -> None:
            if isinstance(event, IncomingCall):
                self.agent.ring(event.handle)
                self.agent.answer(event.handle, ANSWER)

        self.react = react


@pytest.fixture
async def phones() -> AsyncIterator[tuple[Phone, Phone]]:
    pair = (Phone(), Phone())
    for phone in pair:
        await phone.agent.start()
    yield pair
    for phone in pair:
        await phone.agent.stop()


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_call_over_real_sockets(phones: tuple[Phone, Phone], transport: str) -> None:
    alice, bob = phones
    bob.answers_at_once()
    handle = alice.agent.invite(bob.uri(transport), from_uri="sip:a@127.0.0.1", sdp=OFFER)
    assert (await alice.next(Answered)).sdp == ANSWER
    theirs = (await bob.next(Acked)).handle
    bob.agent.bye(theirs)
    assert (await alice.next(Ended)).by == "remote"
    assert handle.startswith("o")
    assert alice.agent.calls == 0


async def test_unreachable_tcp_peer_fails_the_call_at_once(phones: tuple[Phone, Phone]) -> None:
    alice, bob = phones
    target = bob.uri("tcp")
    await bob.agent.stop()
    alice.agent.invite(target, from_uri="sip:a@127.0.0.1", sdp=OFFER)
    failed = await alice.next(Failed)
    assert (failed.status, failed.cause) == (503, "transport")


async def test_name_without_an_address_fails_the_call(phones: tuple[Phone, Phone]) -> None:
    alice, _ = phones
    alice.agent.invite("sip:x@no-such-host.invalid", from_uri="sip:a@127.0.0.1", sdp=OFFER)
    assert (await alice.next(Failed)).cause == "transport"


async def test_peer_of_another_address_family_fails_the_call_at_once(phones: tuple[Phone, Phone]) -> None:
    alice, _ = phones
    alice.agent.invite("sip:x@[2001:db8::1]", from_uri="sip:a@127.0.0.1", sdp=OFFER)
    assert (await alice.next(Failed)).cause == "transport"


async def test_handler_that_fails_costs_nobody_the_call(phones: tuple[Phone, Phone]) -> None:
    alice, bob = phones
    bob.answers_at_once()
    answering = bob.react

    def react(event: SipEvent) -> None:
        answering(event)
        raise ZeroDivisionError

    bob.react = react
    alice.agent.invite(bob.uri("udp"), from_uri="sip:a@127.0.0.1", sdp=OFFER)
    await alice.next(Answered)
    await bob.next(Acked)
    assert bob.agent.counters["sip.handler_errors"] >= 1


async def connect(phone: Phone) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", phone.agent.address[1])


OPTIONS = (
    b"OPTIONS sip:x@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/TCP 127.0.0.1:9;branch=z9hG4bKa\r\nFrom: <sip:e@x>;tag=1\r\n"
    b"To: <sip:x@127.0.0.1>\r\nCall-ID: tcp1\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
)


async def test_request_in_pieces_is_answered_on_its_connection(phones: tuple[Phone, Phone]) -> None:
    reader, writer = await connect(phones[0])
    for start in range(0, len(OPTIONS), 40):
        writer.write(OPTIONS[start : start + 40])
        await writer.drain()
    async with asyncio.timeout(5):
        assert (await reader.readline()).startswith(b"SIP/2.0 200")
    writer.close()


async def test_stream_without_content_length_is_told_400_and_closed(phones: tuple[Phone, Phone]) -> None:
    reader, writer = await connect(phones[0])
    writer.write(OPTIONS.replace(b"Content-Length: 0\r\n", b""))
    async with asyncio.timeout(5):
        assert (await reader.read()).startswith(b"SIP/2.0 400 Missing Content-Length")
    assert phones[0].agent.counters["sip.streams_broken"] == 1
    writer.close()


async def test_message_that_never_ends_closes_the_connection(
    phones: tuple[Phone, Phone], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "MESSAGE_TIMEOUT_S", 0.05)
    reader, writer = await connect(phones[0])
    writer.write(OPTIONS[:50])
    async with asyncio.timeout(5):
        assert await reader.read() == b""
    assert phones[0].agent.counters["sip.tcp_slow"] == 1
    writer.close()


async def test_idle_connection_is_closed(phones: tuple[Phone, Phone], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "IDLE_TIMEOUT_S", 0.05)
    reader, writer = await connect(phones[0])
    async with asyncio.timeout(5):
        assert await reader.read() == b""
    assert phones[0].agent.counters["sip.tcp_idle"] == 1
    writer.close()


async def test_connections_are_bounded(phones: tuple[Phone, Phone], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tcp, "MAX_CONNECTIONS", 1)
    _, first = await connect(phones[0])
    first.write(OPTIONS)
    reader, second = await connect(phones[0])
    async with asyncio.timeout(5):
        assert await reader.read() == b""
    assert phones[0].agent.counters["sip.tcp_refused"] == 1
    first.close()
    second.close()


async def test_call_outlives_its_tcp_connection(phones: tuple[Phone, Phone]) -> None:
    alice, bob = phones
    bob.answers_at_once()
    handle = alice.agent.invite(bob.uri("tcp"), from_uri="sip:a@127.0.0.1", sdp=OFFER)
    await alice.next(Answered)
    await bob.next(Acked)
    assert alice.agent._sockets is not None
    connections = alice.agent._sockets._streams._connections
    for each in list(connections.values()):
        each.abort()
    while connections:
        await asyncio.sleep(0)
    alice.agent.bye(handle)
    assert (await bob.next(Ended)).by == "remote"


async def test_lost_datagrams_are_sent_again_by_the_shells_timer() -> None:
    phone = Phone(durations=Durations(t1=0.02, t2=0.08))
    await phone.agent.start()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as mute:
        mute.bind(("127.0.0.1", 0))
        phone.agent.invite(f"sip:x@127.0.0.1:{mute.getsockname()[1]}", from_uri="sip:a@127.0.0.1", sdp=OFFER)
        assert (await phone.next(Failed)).cause == "timeout"
    # At 1, 3, 7, 15, 31 and 63 T1; the last is only one T1 before the timeout, and a busy machine may miss it.
    assert phone.agent.counters["sip.retransmissions_sent"] in (5, 6)
    await phone.agent.stop()


def test_a_timer_that_is_due_at_once_is_armed_like_any_other() -> None:
    """uvloop gives another kind of handle for it than for a later one."""

    async def call_nobody_twice() -> dict[str, int]:
        phone = Phone(durations=Durations(t1=0.0001, t2=0.0001))
        await phone.agent.start()
        try:
            for port in (9, 10):
                phone.agent.invite(f"sip:x@127.0.0.1:{port}", from_uri="sip:y@127.0.0.1", sdp=OFFER)
            return phone.agent.counters
        finally:
            await phone.agent.stop()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert "sip.internal_errors" not in runner.run(call_nobody_twice())


async def test_a_call_that_fails_at_once_is_told_when_its_handle_is_known() -> None:
    """A phone of ours that has not registered: nothing needs to be sent to know that."""
    told: list[SipEvent] = []
    settings = UserAgentSettings(
        listen=[ListenAddress("127.0.0.1", 0)], admission=AdmissionPolicy(domains=("here.example",))
    )
    agent = UserAgent(settings, told.append)
    await agent.start()
    try:
        phone = Peer("phone:alice", users=(DigestUser("alice", "open sesame"),), is_trunk=False)
        agent.set_peers(Peers([phone]))
        handle = agent.invite("sip:alice@here.example", from_uri="sip:a@here.example")
        assert told == []
        await asyncio.sleep(0)
        assert told == [Failed(handle, 480, "Temporarily Unavailable", "rejected")]
    finally:
        await agent.stop()


async def test_settle_waits_for_the_answers_to_byes_and_not_for_peers_that_are_gone(
    phones: tuple[Phone, Phone], monkeypatch: pytest.MonkeyPatch
) -> None:
    alice, bob = phones
    bob.answers_at_once()
    for is_there in (True, False):
        handle = alice.agent.invite(bob.uri("udp"), from_uri="sip:alice@x", sdp=OFFER)
        await bob.next(Acked)
        if not is_there:
            monkeypatch.setattr(user_agent, "QUIET_S", 0.1)
            await bob.agent.stop()
        alice.agent.bye(handle)
        assert alice.agent.calls == 1
        assert await alice.agent.settle(5) == (0 if is_there else 1)


async def test_call_is_stored_before_its_200_is_on_the_wire() -> None:
    store = MemoryDialogStore()
    stored_at_answer: list[int] = []
    caller, callee = Phone(), Phone()
    callee.agent = UserAgent(UserAgentSettings(listen=[ListenAddress("127.0.0.1", 0)]), callee._on_event, store)
    callee.answers_at_once()
    caller.react = lambda event: stored_at_answer.append(len(store.snapshots)) if isinstance(event, Answered) else None
    for phone in (caller, callee):
        await phone.agent.start()
    handle = caller.agent.invite(callee.uri("udp"), from_uri="sip:alice@x", sdp=OFFER)
    await callee.next(Acked)
    assert stored_at_answer == [1]
    caller.agent.bye(handle)
    await callee.next(Ended)
    for phone in (caller, callee):
        await phone.agent.stop()
    assert store.snapshots == {}
