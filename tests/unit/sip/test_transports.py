"""Real sockets on the loopback addresses of both families, on both event loops: TLS and its names, connections and
their bounds, keep-alives, ICMP."""

import asyncio
import socket
import ssl
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support.certificates import Authority
from tests.unit.sip.sip_pair import ANSWER, OFFER

from longline.base.errors import ConfigError
from longline.sip import user_agent
from longline.sip.events import Acked, Answered, Ended, Failed, IncomingCall, SipEvent
from longline.sip.transport import connection as connection_module
from longline.sip.transport import tcp, udp
from longline.sip.transport.addresses import AdvertisedAddress, told_address
from longline.sip.transport.connection import Connection
from longline.sip.transport.tls import is_named, names_of
from longline.sip.user_agent import ListenAddress, TlsSettings, UserAgent, UserAgentSettings

pytestmark = pytest.mark.both_loops


class Phone:
    def __init__(self, *listen: ListenAddress, **settings: object) -> None:
        self.events: asyncio.Queue[SipEvent] = asyncio.Queue()
        self.agent = UserAgent(UserAgentSettings(listen=listen, **settings), self._on_event)  # type: ignore[arg-type]

    async def __aenter__(self) -> "Phone":
        await self.agent.start()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.agent.stop()

    def _on_event(self, event: SipEvent) -> None:
        self.events.put_nowait(event)
        if isinstance(event, IncomingCall):
            self.incoming = event
            self.agent.answer(event.handle, ANSWER)

    async def next(self, kind: type[SipEvent]) -> SipEvent:
        async with asyncio.timeout(8):
            while not isinstance(event := await self.events.get(), kind):
                pass
            return event

    def uri(self, transport: str, host: str | None = None, scheme: str = "sip") -> str:
        listener = next(x for x in self.agent.listeners if x.transport == transport.upper())
        at = f"{host}:{listener.port}" if host else listener.host_port
        return f"{scheme}:x@{at}" + ("" if scheme == "sips" else f";transport={transport}")

    def call(self, uri: str) -> str:
        return self.agent.invite(uri, from_uri="sip:a@longline.example", sdp=OFFER)

    def count(self, name: str) -> int:
        return self.agent.counters.get(name, 0)

    @property
    def connections(self) -> dict[int, Connection]:
        assert self.agent._sockets is not None
        return self.agent._sockets._streams._connections

    def drop_connections(self) -> None:
        for connection in list(self.connections.values()):
            connection.abort()

    async def until(self, is_so: Callable[[], bool]) -> None:
        async with asyncio.timeout(8):
            while not is_so():
                await asyncio.sleep(0.01)

    def port(self, transport: str) -> int:
        return next(x.port for x in self.agent.listeners if x.transport == transport)


def plain(host: str = "127.0.0.1") -> Phone:
    return Phone(ListenAddress(host, 0))


def sealed(certificate: Path, *trusted: Authority, host: str = "127.0.0.1", **more: object) -> Phone:
    settings = TlsSettings(certificate, ca_files=[authority.file for authority in trusted], **more)  # type: ignore[arg-type]
    return Phone(ListenAddress(host, 0), ListenAddress(host, 0, "TLS"), tls=settings)


async def talk(caller: Phone, callee: Phone, uri: str) -> None:
    """A whole call: answered, and ended by the one who was called."""
    caller.call(uri)
    await caller.next(Answered)
    answered = await callee.next(Acked)
    callee.agent.bye(answered.handle)
    assert (await caller.next(Ended)).by == "remote"


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


# ---- families


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_call_over_ipv6(transport: str) -> None:
    async with plain("::1") as alice, plain("::1") as bob:
        await talk(alice, bob, bob.uri(transport))
        headers = dict(bob.incoming.headers)
        assert f"[::1]:{alice.agent.listeners[0].port}" in headers["Via"]
        assert f"@[::1]:{alice.agent.listeners[0].port}" in headers["Contact"]
        assert bob.incoming.source.startswith("[::1]:")


async def test_one_agent_speaks_both_families_each_from_its_own_socket() -> None:
    both = Phone(ListenAddress("127.0.0.1", 0), ListenAddress("::1", 0))
    async with both as alice, plain() as four, plain("::1") as six:
        await talk(alice, four, four.uri("udp"))
        await talk(alice, six, six.uri("udp"))
        await talk(six, alice, f"sip:x@[::1]:{alice.agent.listeners[2].port}")
        assert "127.0.0.1:" in dict(four.incoming.headers)["Contact"]
        assert "[::1]:" in dict(six.incoming.headers)["Contact"]


async def test_answer_leaves_from_the_socket_that_was_asked() -> None:
    """Two listeners of one transport and family: who asks the second is answered by the second, and so is its BYE."""
    async with Phone(ListenAddress("127.0.0.1", 0, "UDP"), ListenAddress("127.0.0.1", 0, "UDP")) as bob:
        second = bob.agent.listeners[1].port
        async with plain() as alice:
            await talk(alice, bob, f"sip:x@127.0.0.1:{second}")
            assert "SIP/2.0/UDP" in dict(bob.incoming.headers)["Via"]
        loop = asyncio.get_running_loop()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            stranger.setblocking(False)
            stranger.bind(("127.0.0.1", 0))
            stranger.connect(("127.0.0.1", second))  # and takes from nobody else
            await loop.sock_sendall(stranger, options("UDP"))
            assert (await asyncio.wait_for(loop.sock_recv(stranger, 2000), 5)).startswith(b"SIP/2.0 200")


# ---- TLS


@pytest.mark.parametrize("scheme", ["sip", "sips"])
@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_call_over_tls_goes_both_ways_on_one_connection(authority: Authority, scheme: str, host: str) -> None:
    alice = sealed(authority.issue(host), authority, host=host)
    bob = sealed(authority.issue(host), authority, host=host)
    async with alice, bob:
        await talk(alice, bob, bob.uri("tls", scheme=scheme))
        headers = dict(bob.incoming.headers)
        assert headers["Via"].startswith("SIP/2.0/TLS ")
        assert headers["Contact"].startswith(f"<{scheme}:")
        assert (";transport=tls" in headers["Contact"]) is (scheme == "sip")
        assert len(bob.connections) == 1


async def test_certificate_of_another_name_is_refused(authority: Authority) -> None:
    alice, bob = sealed(authority.issue("127.0.0.1"), authority), sealed(authority.issue("other.example"), authority)
    async with alice, bob:
        alice.call(bob.uri("tls"))
        assert (await alice.next(Failed)).cause == "transport"
        assert alice.count("sip.tls_wrong_name") == 1
        assert bob.events.empty()


async def test_certificate_of_an_unknown_authority_is_refused(authority: Authority, tmp_path: Path) -> None:
    stranger = Authority(tmp_path, "stranger")
    alice, bob = sealed(authority.issue("127.0.0.1"), authority), sealed(stranger.issue("127.0.0.1"))
    async with alice, bob:
        alice.call(bob.uri("tls"))
        assert (await alice.next(Failed)).cause == "transport"
        assert alice.count("sip.tls_handshake_failed") == 1


async def test_certificate_is_asked_for_the_name_in_the_uri_not_for_what_dns_made_of_it(authority: Authority) -> None:
    alice = sealed(authority.issue("127.0.0.1"), authority)
    async with alice, sealed(authority.issue("localhost"), authority) as bob:
        await talk(alice, bob, bob.uri("tls", host="localhost"))
        # The same address and port by another name is another question.
        alice.call(bob.uri("tls"))
        await alice.next(Failed)
        assert alice.count("sip.tls_wrong_name") == 1


async def test_far_end_that_names_an_address_proves_its_name_there_again(authority: Authority) -> None:
    """Its Contact is an address, its certificate is of a name, and the connection of the call has gone."""
    alice = sealed(authority.issue("127.0.0.1"), authority)
    async with alice, sealed(authority.issue("localhost"), authority) as bob:
        handle = alice.call(bob.uri("tls", host="localhost"))
        await alice.next(Answered)
        await bob.next(Acked)
        alice.drop_connections()
        await bob.until(lambda: not bob.connections)
        alice.agent.bye(handle)
        assert (await bob.next(Ended)).by == "remote"
        assert alice.count("sip.tls_wrong_name") == 0


async def test_client_certificate_is_required_where_it_is_required(authority: Authority, tmp_path: Path) -> None:
    strict = {"clients": "required", "client_ca_files": [authority.file]}
    bob = sealed(authority.issue("127.0.0.1"), authority, **strict)
    known = sealed(authority.issue("127.0.0.1"), authority)
    unknown = sealed(Authority(tmp_path, "stranger").issue("127.0.0.1"), authority)
    async with bob, known, unknown:
        await talk(known, bob, bob.uri("tls"))
        unknown.call(bob.uri("tls"))
        assert (await unknown.next(Failed)).cause == "transport"
        assert bob.count("sip.tls_handshake_failed") == 1


async def test_certificate_is_renewed_without_a_restart(authority: Authority, tmp_path: Path) -> None:
    file = authority.issue("old.example", file=tmp_path / "live.pem")
    async with sealed(file, authority) as bob:
        contexts = bob.agent._contexts
        assert contexts is not None
        assert await shown_by(bob, authority) == {"old.example"}
        authority.issue("new.example", file=tmp_path / "next.pem").rename(file)
        contexts.refresh()
        assert await shown_by(bob, authority) == {"new.example"}
        file.write_text("nonsense")
        contexts.refresh()
        assert await shown_by(bob, authority) == {"new.example"}
        assert (bob.count("sip.tls_reloads"), bob.count("sip.tls_reloads_failed")) == (1, 1)


async def shown_by(phone: Phone, authority: Authority) -> set[str]:
    context = ssl.create_default_context(cafile=str(authority.file))
    context.check_hostname = False
    _, writer = await asyncio.open_connection("127.0.0.1", phone.port("TLS"), ssl=context)
    names = names_of(writer.get_extra_info("ssl_object").getpeercert())
    writer.close()
    return set(names)


async def test_peer_that_does_not_shake_hands_is_cut_off(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tcp, "HANDSHAKE_TIMEOUT_S", 0.2)
    async with sealed(authority.issue("127.0.0.1"), authority) as bob:
        mute, writer = await asyncio.open_connection("127.0.0.1", bob.port("TLS"))
        wrong, other = await asyncio.open_connection("127.0.0.1", bob.port("TLS"))
        other.write(b"OPTIONS sip:x SIP/2.0\r\n\r\n")
        async with asyncio.timeout(5):
            await wrong.read()
            assert await mute.read() == b""
        assert bob.count("sip.tls_handshake_failed") == 2
        assert not bob.agent._sockets._streams._sources  # type: ignore[union-attr]
        writer.close()
        other.close()


async def test_request_that_comes_with_the_end_of_the_handshake_is_not_lost(authority: Authority) -> None:
    context = ssl.create_default_context(cafile=str(authority.file))
    async with sealed(authority.issue("127.0.0.1"), authority) as bob:
        for _ in range(20):
            reader, writer = await asyncio.open_connection("127.0.0.1", bob.port("TLS"), ssl=context)
            writer.write(options("TLS"))
            async with asyncio.timeout(5):
                assert (await reader.readline()).startswith(b"SIP/2.0 200")
            writer.close()


@pytest.mark.parametrize(("tls", "why"), [(TlsSettings(Path("/none.pem")), "No such file")])
async def test_files_that_are_of_no_use_are_told_at_the_start(tls: TlsSettings, why: str) -> None:
    phone = Phone(ListenAddress("127.0.0.1", 0, "TLS"), tls=tls)
    with pytest.raises(ConfigError, match=why):
        await phone.agent.start()


ALTERNATIVES = (("DNS", "A.Example"), ("URI", "sip:b.example"), ("URI", "sip:user@c.example"), ("URI", "http://d.example"),
                ("IP Address", "2001:DB8:0:0:0:0:0:1"), ("DNS", "*.wild.example"))  # fmt: skip


@pytest.mark.parametrize(
    ("name", "wildcards", "fits"),
    [
        ("a.example", False, True),
        ("A.EXAMPLE.", False, True),
        ("x.a.example", False, False),
        ("b.example", False, True),
        ("c.example", False, False),
        ("d.example", False, False),
        ("2001:db8::1", False, True),
        ("2001:db8::2", False, False),
        ("x.wild.example", False, False),
        ("x.wild.example", True, True),
        ("x.y.wild.example", True, False),
        ("wild.example", True, False),
        ("ignored.example", False, False),
    ],
)
def test_names_of_certificates(name: str, wildcards: bool, fits: bool) -> None:
    certificate = {"subject": ((("commonName", "ignored.example"),),), "subjectAltName": ALTERNATIVES}
    assert is_named(names_of(certificate), name, wildcards) is fits


def test_common_name_counts_where_there_is_no_other() -> None:
    assert is_named(names_of({"subject": ((("commonName", "Old.Example"),),)}), "old.example")
    assert not is_named(names_of({}), "old.example")
    assert not is_named(names_of(None), "")


# ---- connections


def options(transport: str) -> bytes:
    return (
        f"OPTIONS sip:x@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/{transport} 127.0.0.1:9;rport;branch=z9hG4bKa\r\n"
        "From: <sip:e@x>;tag=1\r\nTo: <sip:x@127.0.0.1>\r\nCall-ID: t1\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
    ).encode()


async def connect(phone: Phone) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", phone.port("TCP"))


async def test_connections_of_one_source_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tcp, "MAX_PER_SOURCE", 2)
    async with plain() as bob:
        held = [await connect(bob) for _ in range(2)]
        reader, third = await connect(bob)
        async with asyncio.timeout(5):
            assert await reader.read() == b""
        assert bob.count("sip.tcp_refused") == 1
        for _, writer in held:
            writer.close()
        third.close()
        streams = bob.agent._sockets._streams  # type: ignore[union-attr]
        async with asyncio.timeout(5):
            while streams._sources:
                await asyncio.sleep(0.01)
        reader, writer = await connect(bob)
        writer.write(options("TCP"))
        async with asyncio.timeout(5):
            assert (await reader.readline()).startswith(b"SIP/2.0 200")
        writer.close()


async def test_strangers_make_room_for_whoever_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those who hold connections and say nothing cannot keep out others, nor end the calls there are."""
    monkeypatch.setattr(tcp, "MAX_CONNECTIONS", 3)
    async with plain() as bob, plain() as alice:
        alice.call(bob.uri("tcp"))
        await alice.next(Answered)
        await bob.next(Acked)
        mute = [await connect(bob) for _ in range(4)]
        reader, writer = await connect(bob)
        writer.write(options("TCP"))
        async with asyncio.timeout(5):
            assert (await reader.readline()).startswith(b"SIP/2.0 200")
            assert await mute[0][0].read() == b""
        await bob.until(lambda: len(bob.connections) <= 3)
        assert bob.count("sip.tcp_evicted") == 3
        assert bob.agent.calls == 1
        for _, each in (*mute, (reader, writer)):
            each.close()


async def test_handshakes_that_do_not_end_make_room_for_those_that_do(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tcp, "MAX_BEGINNING", 2)
    async with sealed(authority.issue("127.0.0.1"), authority) as bob:
        mute = [await asyncio.open_connection("127.0.0.1", bob.port("TLS")) for _ in range(5)]
        assert await shown_by(bob, authority) == {"127.0.0.1"}
        assert bob.count("sip.tcp_evicted") >= 3
        async with asyncio.timeout(5):
            assert await mute[0][0].read() == b""
        for _, writer in mute:
            writer.close()


async def test_ping_of_somebody_we_have_spoken_with_is_answered() -> None:
    async with plain() as bob:
        reader, writer = await connect(bob)
        writer.write(options("TCP"))
        async with asyncio.timeout(5):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"\r\n\r\n")
            assert await reader.readexactly(2) == b"\r\n"
            writer.write(b"\r\n")
            await asyncio.sleep(0.05)
            writer.write(b"\r\n")  # the other half
            assert await reader.readexactly(2) == b"\r\n"
        writer.close()


async def test_stranger_who_pings_learns_nothing_and_is_sent_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_module, "FIRST_MESSAGE_TIMEOUT_S", 0.3)
    async with plain() as bob:
        reader, writer = await connect(bob)
        for _ in range(3):
            writer.write(b"\r\n\r\n")
            await asyncio.sleep(0.02)
        async with asyncio.timeout(5):
            assert await reader.read() == b""
        assert bob.count("sip.tcp_mute") == 1
        writer.close()


async def test_idle_connection_is_pinged_and_kept_while_it_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_module, "PING_AFTER_S", 0.05)
    async with plain() as bob:
        reader, writer = await connect(bob)
        writer.write(options("TCP"))
        async with asyncio.timeout(5):
            await reader.readuntil(b"\r\n\r\n")
            for _ in range(3):
                assert await reader.readexactly(4) == b"\r\n\r\n"
                writer.write(b"\r\n")
            monkeypatch.setattr(connection_module, "PONG_TIMEOUT_S", 0.05)
            assert await reader.readexactly(4) == b"\r\n\r\n"  # and now it is silent
            assert await reader.read() == b""
        assert bob.count("sip.pongs_missing") == 1
        writer.close()


async def test_peer_that_knows_no_pings_is_not_cut_off_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_module, "PING_AFTER_S", 0.05)
    monkeypatch.setattr(connection_module, "PONG_TIMEOUT_S", 0.05)
    async with plain() as bob:
        reader, writer = await connect(bob)
        writer.write(options("TCP"))
        async with asyncio.timeout(5):
            await reader.readuntil(b"\r\n\r\n")
            assert await reader.readexactly(4) == b"\r\n\r\n"
            await asyncio.sleep(0.3)
            writer.write(options("TCP").replace(b"bKa", b"bKb"))
            assert (await reader.readline()).startswith(b"SIP/2.0 200")
        assert bob.count("sip.pongs_missing") == 0
        writer.close()


async def test_two_calls_to_one_peer_share_a_connection() -> None:
    async with plain() as alice, plain() as bob:
        await talk(alice, bob, bob.uri("tcp"))
        await talk(alice, bob, bob.uri("tcp"))
        assert len(bob.connections) == 1


# ---- UDP


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_closed_port_fails_a_call_over_udp_at_once(host: str) -> None:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind((host, 0))
        port = taken.getsockname()[1]
    async with plain(host) as alice:
        at = f"[{host}]" if ":" in host else host
        alice.call(f"sip:x@{at}:{port}")
        async with asyncio.timeout(2):  # not the 32 s of Timer B
            assert (await alice.next(Failed)).cause == "transport"
        assert alice.count("sip.udp_errors") >= 1


async def test_error_of_one_peer_costs_the_next_nothing() -> None:
    """A pending error is reported by the next send, whomever that is for."""
    async with plain() as alice, plain() as bob:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
            taken.bind(("127.0.0.1", 0))
            port = taken.getsockname()[1]
        for _ in range(20):
            alice.call(f"sip:x@127.0.0.1:{port}")
        await talk(alice, bob, bob.uri("udp"))
        assert alice.count("sip.retransmissions_sent") == 0


def icmp(origin: int, kind: int, code: int) -> bytes:
    return struct.pack("@IBBBBII", 111, origin, kind, code, 0, 0, 0) + bytes(16)


@pytest.mark.parametrize(
    ("error", "is_final"),
    [
        (icmp(2, 3, 0), True),  # ICMP: network, host, port unreachable
        (icmp(2, 3, 1), True),
        (icmp(2, 3, 3), True),
        (icmp(2, 3, 4), False),  # too long for the path: it is sent in pieces the next time
        (icmp(2, 12, 0), True),  # parameter problem
        (icmp(2, 11, 0), False),  # time exceeded: a route that is just changing
        (icmp(3, 1, 4), True),  # ICMPv6: port unreachable
        (icmp(3, 2, 0), False),  # too long
        (icmp(1, 3, 3), False),  # of our own host, not of ICMP
        (b"", False),
    ],
)
def test_which_icmp_errors_are_failures(error: bytes, is_final: bool) -> None:
    assert udp._is_final(error) is is_final


# ---- what peers are told


@pytest.mark.parametrize(
    ("advertised", "transport", "bound", "told"),
    [
        ([], "UDP", ("192.0.2.1", 5060), ("192.0.2.1", 5060)),
        ([AdvertisedAddress("sip.example.com")], "UDP", ("0.0.0.0", 5061), ("sip.example.com", 5061)),
        ([AdvertisedAddress("198.51.100.7", 5070)], "TCP", ("0.0.0.0", 5061), ("198.51.100.7", 5070)),
        ([AdvertisedAddress("198.51.100.7", 5070)], "TLS", ("0.0.0.0", 5061), ("198.51.100.7", 5061)),
        ([AdvertisedAddress("198.51.100.7")], "UDP", ("2001:db8::1", 5060), ("2001:db8::1", 5060)),
        ([AdvertisedAddress("2001:db8::7"), AdvertisedAddress("198.51.100.7")], "UDP", ("10.0.0.1", 5060),
         ("198.51.100.7", 5060)),
        ([AdvertisedAddress("a.example"), AdvertisedAddress("b.example", 5071, "TLS")], "TLS", ("10.0.0.1", 5061),
         ("b.example", 5071)),
    ],
)  # fmt: skip
def test_peers_are_told_what_is_advertised(
    advertised: list[AdvertisedAddress], transport: str, bound: tuple[str, int], told: tuple[str, int]
) -> None:
    assert told_address(advertised, transport, bound) == told


@pytest.mark.parametrize("wildcard", ["0.0.0.0", "::"])
def test_wildcard_is_never_told_to_peers(wildcard: str) -> None:
    assert told_address([], "UDP", (wildcard, 5060))[0] not in (wildcard, "")


# ---- several addresses of one family


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_call_leaves_from_the_address_that_the_kernel_would_take(transport: str) -> None:
    """Not from the one that was named first: Linux goes to all of 127.0.0.0/8 from 127.0.0.1."""
    both = Phone(ListenAddress("127.0.0.2", 0), ListenAddress("127.0.0.1", 0))
    async with both as alice, plain("127.0.0.3") as bob:
        await talk(alice, bob, bob.uri(transport))
        assert bob.incoming.source.startswith("127.0.0.1:")
        assert "@127.0.0.1:" in dict(bob.incoming.headers)["Contact"]


async def test_connection_is_opened_from_the_address_that_is_listened_at() -> None:
    """A carrier that knows us by our address must see it."""
    async with plain("127.0.0.2") as alice, plain() as bob:
        await talk(alice, bob, bob.uri("tcp"))
        assert bob.incoming.source.startswith("127.0.0.2:")


async def test_nothing_is_left_of_connections_that_came_and_went(authority: Authority) -> None:
    """In every way that one can end: closed, reset, half a message, no handshake, garbage, silence."""
    trust = ssl.create_default_context(cafile=str(authority.file))
    async with sealed(authority.issue("127.0.0.1"), authority) as bob:
        streams = bob.agent._sockets._streams  # type: ignore[union-attr]
        for number in range(12):
            for port, context in ((bob.port("TCP"), None), (bob.port("TLS"), trust), (bob.port("TLS"), None)):
                _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
                writer.write([options("TCP"), options("TCP")[:50], b"\xff" * 3000, b""][number % 4])
                if number % 3 == 0:
                    writer.transport.abort()
                else:
                    writer.close()
        await bob.until(lambda: not (streams._sources or streams._beginning))
        assert not streams._connections
        assert not streams._by_peer
        assert bob.count("sip.internal_errors") == 0


async def test_renewed_certificate_is_noticed_by_itself(
    authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(user_agent, "TLS_REFRESH_S", 0.05)
    file = authority.issue("old.example", file=tmp_path / "live.pem")
    async with sealed(file, authority) as bob:
        authority.issue("new.example", file=tmp_path / "next.pem").rename(file)
        await bob.until(lambda: bob.count("sip.tls_reloads") == 1)
        assert await shown_by(bob, authority) == {"new.example"}


async def test_family_of_a_call_is_that_of_the_way_it_takes_first() -> None:
    async with Phone(ListenAddress("127.0.0.1", 0), ListenAddress("::1", 0)) as both, plain() as one:
        assert await both.agent.family_toward("sip:x@[::1]:5060") == 6
        assert await both.agent.family_toward("sip:x@127.0.0.1") == 4
        assert await both.agent.family_toward("sip:x@localhost:5060") == 4  # the family that is listened at first
        assert await both.agent.family_toward("sip:x@no-such-host.invalid:5060") is None
        assert await both.agent.family_toward("tel:+1") is None
        assert await one.agent.family_toward("sip:x@[::1]:5060") is None  # it has but one, and need not ask
