"""SIP over TCP and TLS (RFC 3261 §18): connections in and out, reused by their number, by peer and by proven name.

How many there may be is bounded, in all and for each source. A TLS connection serves a name only when its certificate
is of that name (RFC 5922 §7.1). Leaves out: what happens on a connection (`connection`), RFC 5923 aliases.
"""

import asyncio
import contextlib
import ipaddress
import socket
import ssl
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from longline.sip.locate import address_of, family_of
from longline.sip.transport.connection import Connection
from longline.sip.transport.tls import HANDSHAKE_TIMEOUT_S, TlsContexts, is_named, names_of
from longline.sip.wire import Source, Target, Transmit

CONNECT_TIMEOUT_S = 5.0
"""For the TCP connection; counter `sip.tcp_connect_failed`."""
MAX_CONNECTIONS = 2048
"""Open connections. For one more that comes in, the oldest goes of somebody to whom we have said nothing (counter
`sip.tcp_evicted`); if there is none, and for one of ours, it is refused (`sip.tcp_refused`)."""
MAX_PER_SOURCE = 128
"""Connections that one address may have to us (one /64 of IPv6); one more is closed at once (`sip.tcp_refused`)."""
MAX_BEGINNING = 256
"""Connections of others that begin at once, TLS handshakes above all; for one more the oldest goes (`sip.tcp_evicted`):
an honest handshake takes less than a second."""
ACCEPT_PAUSE_S = 0.1
"""After a connection that could not be accepted; counter `sip.tcp_accept_failed`."""
ACCEPT_LOG_EVERY = 600
"""Of such failures one in so many is logged: one a minute when there is no descriptor left."""
MAX_WAITING = 256
"""Messages waiting for one connection to open; more fail at once."""
BACKLOG = 512

OnMessage = Callable[[Source, bytes], None]

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Peer:
    """Whom a connection is for; the name counts for TLS alone."""

    transport: str
    host: str
    port: int
    name: str | None


class StreamTransport:
    """All connections of a user agent, over all its listeners. `contexts` is None when it does not speak TLS."""

    def __init__(
        self,
        on_message: OnMessage,
        on_lost: Callable[[int], None],
        on_failed: Callable[[str | None], None],
        on_sent: Callable[[str, int], None],
        counters: Counter[str],
        contexts: TlsContexts | None = None,
    ) -> None:
        self.received = on_message
        self.counters = counters
        self.contexts = contexts
        self._on_lost = on_lost
        self._on_failed = on_failed
        self._on_sent = on_sent
        self._listening: list[socket.socket] = []
        self._local_hosts: dict[int, str] = {}
        self._connections: dict[int, Connection] = {}
        self._by_peer: dict[tuple[str, str, int], int] = {}
        self._waiting: dict[_Peer, list[Transmit]] = {}
        self._sources: Counter[str] = Counter()
        self._beginning: dict[int, socket.socket] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._numbers = 0

    async def listen(self, listener: int, transport: str, host: str, port: int) -> tuple[str, int]:
        """Take connections; returns the address that was bound. OSError when it cannot be had."""
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        sock = socket.socket(found[0][0], socket.SOCK_STREAM)
        try:
            sock.setblocking(False)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if sock.family == socket.AF_INET6:
                # An address of its own for each family: a wildcard must not take IPv4's port.
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            sock.bind(found[0][4])
            sock.listen(BACKLOG)
        except BaseException:
            sock.close()
            raise
        name = sock.getsockname()
        self._local_hosts[listener] = name[0]
        self._listening.append(sock)
        self._start(self._accept(sock, listener, transport))
        return name[0], name[1]

    async def close(self) -> None:
        """Stop listening and close every connection once what was written has gone out."""
        for task in list(self._tasks):
            task.cancel()
        for sock in self._listening:
            sock.close()
        for connection in list(self._connections.values()):
            connection.close()
        await asyncio.sleep(0)

    # ---- sending

    def send(self, transmit: Transmit) -> None:
        """Over the connection it names, or one to the same peer, or a new one."""
        connection = self._find(transmit.target)
        if connection is not None:
            self._send(connection, transmit)
            return
        target = transmit.target
        name = (target.server_name or target.host) if target.transport == "TLS" else None
        peer = _Peer(target.transport, target.host, target.port, name)
        waiting = self._waiting.get(peer)
        if waiting is None:
            self._waiting[peer] = [transmit]
            self._start(self._connect(peer, target.listener))
        elif len(waiting) < MAX_WAITING:
            waiting.append(transmit)
        else:
            self._on_failed(transmit.transaction)

    def _send(self, connection: Connection | None, transmit: Transmit) -> None:
        if connection is None or not connection.send(transmit.data):
            self._on_failed(transmit.transaction)
        elif transmit.transaction is not None and transmit.target.connection != connection.number:
            self._on_sent(transmit.transaction, connection.number)

    def _find(self, target: Target) -> Connection | None:
        connection = self._connections.get(target.connection) if target.connection is not None else None
        if connection is not None and connection.is_usable and connection.transport == target.transport:
            return connection
        number = self._by_peer.get((target.transport, target.host, target.port))
        connection = self._connections.get(number) if number is not None else None
        if connection is None or not connection.is_usable:
            return None
        if target.transport == "TLS" and not self._proves(connection, target.server_name or target.host):
            return None
        return connection

    def _proves(self, connection: Connection, name: str) -> bool:
        wildcards = self.contexts.wildcards if self.contexts is not None else False
        return is_named(connection.names, name, wildcards)

    async def _connect(self, peer: _Peer, listener: int | None) -> None:
        connection: Connection | None = None
        try:
            if len(self._connections) >= MAX_CONNECTIONS:
                self.counters["sip.tcp_refused"] += 1
            else:
                connection = await self._open(peer, listener)
        except ssl.SSLError as error:
            self.counters["sip.tls_handshake_failed"] += 1
            log.warning("no TLS connection", host=peer.name, address=peer.host, why=_why(error))
        except (OSError, TimeoutError, UnicodeError):
            self.counters["sip.tcp_connect_failed"] += 1
        finally:
            waiting = self._waiting.pop(peer, [])
        for transmit in waiting:
            self._send(connection, transmit)

    async def _open(self, peer: _Peer, listener: int | None) -> Connection | None:
        loop = asyncio.get_running_loop()
        connection = self._new_connection(peer.transport, listener, is_ours=True, server_name=peer.name)
        context = None
        if peer.transport == "TLS":
            if self.contexts is None:
                return None
            context = self.contexts.client
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            sock = await self._connect_socket(peer, listener)
        await loop.create_connection(
            lambda: connection,
            sock=sock,
            ssl=context,
            # An address is no name that TLS could ask for (RFC 6066 §3).
            server_hostname=None if context is None else "" if address_of(peer.name or "") else peer.name,
            ssl_handshake_timeout=None if context is None else HANDSHAKE_TIMEOUT_S,
        )
        if not connection.is_usable:
            return None
        self._by_peer[peer.transport, peer.host, peer.port] = connection.number
        return connection

    async def _connect_socket(self, peer: _Peer, listener: int | None) -> socket.socket:
        """Connected from the address that we listen at, so that a peer that knows us by it does."""
        family = socket.AF_INET6 if family_of(peer.host) == 6 else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            sock.setblocking(False)
            local = self._local_hosts.get(listener) if listener is not None else None
            if local is not None and not ipaddress.ip_address(local).is_unspecified:
                sock.bind((local, 0))
            await asyncio.get_running_loop().sock_connect(sock, (peer.host, peer.port))
        except BaseException:
            sock.close()
            raise
        return sock

    def _new_connection(
        self, transport: str, listener: int | None, *, is_ours: bool = False, server_name: str | None = None
    ) -> Connection:
        self._numbers += 1
        return Connection(self, self._numbers, transport, listener, is_ours=is_ours, server_name=server_name)

    def _start(self, work: "asyncio._CoroutineLike[None]") -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # ---- taking connections

    async def _accept(self, listening: socket.socket, listener: int, transport: str) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                sock, address = await loop.sock_accept(listening)
            except OSError as error:  # the peer has gone already, or there is no descriptor left
                self.counters["sip.tcp_accept_failed"] += 1
                if self.counters["sip.tcp_accept_failed"] % ACCEPT_LOG_EVERY == 1:
                    log.warning("a connection cannot be accepted", why=_why(error))
                await asyncio.sleep(ACCEPT_PAUSE_S)
                continue
            try:
                self._take(sock, _source_key(address[0]), listener, transport)
            except Exception:
                # A listener must not end because of one who connects, not even if he finds a bug of ours.
                self.counters["sip.internal_errors"] += 1
                log.exception("a connection could not be taken")
                sock.close()

    def _take(self, sock: socket.socket, source: str, listener: int, transport: str) -> None:
        if self._sources[source] >= MAX_PER_SOURCE or not self._make_room():
            self.counters["sip.tcp_refused"] += 1
            sock.close()
            return
        self._sources[source] += 1
        connection = self._new_connection(transport, listener)
        self._beginning[connection.number] = sock
        self._start(self._begin(sock, source, connection))

    def _make_room(self) -> bool:
        """Whether one more connection of others can be taken; somebody of less use may have to go for it."""
        if len(self._beginning) >= MAX_BEGINNING:
            self.counters["sip.tcp_evicted"] += 1
            oldest = self._beginning.pop(next(iter(self._beginning)))
            with contextlib.suppress(OSError):
                oldest.shutdown(socket.SHUT_RDWR)  # its handshake fails then, and cleans up
        if len(self._connections) + len(self._beginning) < MAX_CONNECTIONS:
            return True
        stranger = next((each for each in self._connections.values() if each.is_strangers), None)
        if stranger is None:
            return False
        self.counters["sip.tcp_evicted"] += 1
        stranger.abort()
        self.lost(stranger)  # now, not when the loop comes to it: the next one needs the room
        return True

    async def _begin(self, sock: socket.socket, source: str, connection: Connection) -> None:
        """Take up a connection, with the TLS handshake if that is what its listener speaks."""
        connection.on_lost = lambda: self._left(source)
        is_tls = connection.transport == "TLS"
        context = self.contexts.server if self.contexts is not None and is_tls else None
        try:
            if is_tls and context is None:
                raise ssl.SSLError("no certificate")
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: connection,
                sock,
                ssl=context,
                ssl_handshake_timeout=HANDSHAKE_TIMEOUT_S if is_tls else None,
            )
        except (OSError, TimeoutError) as error:
            self.counters["sip.tls_handshake_failed" if is_tls else "sip.tcp_accept_failed"] += 1
            log.debug("TLS handshake failed", source=source, why=_why(error))  # the Internet does this all day
            sock.close()
            self._left(source)
        finally:
            self._beginning.pop(connection.number, None)

    def _left(self, source: str) -> None:
        """A connection of this source is over."""
        self._sources[source] -= 1
        if self._sources[source] <= 0:
            del self._sources[source]

    # ---- what connections tell

    def opened(self, connection: Connection, wire: asyncio.Transport) -> None:
        sealed = wire.get_extra_info("ssl_object")
        if connection.transport == "TLS":
            certificate = sealed.getpeercert() if sealed is not None else None
            connection.names = names_of(certificate)
            if connection.is_ours and not self._proves(connection, connection.server_name or ""):
                # RFC 5922 §7.1: the certificate is good, and somebody else's.
                self.counters["sip.tls_wrong_name"] += 1
                log.warning(
                    "the TLS certificate is of another name",
                    host=connection.server_name,
                    names=sorted(connection.names)[:8],
                )
                connection.abort()
                return
        self._beginning.pop(connection.number, None)
        self._connections[connection.number] = connection
        self._by_peer[connection.transport, *connection.peer] = connection.number

    def lost(self, connection: Connection) -> None:
        if self._connections.pop(connection.number, None) is None:
            return
        for peer in [peer for peer, number in self._by_peer.items() if number == connection.number]:
            del self._by_peer[peer]
        self._on_lost(connection.number)


def _source_key(host: str) -> str:
    """Whom a connection counts for: one address, or of IPv6 the /64 that a house has."""
    with contextlib.suppress(ValueError):
        address = ipaddress.ip_address(host.partition("%")[0])
        if address.version == 6:
            return str(ipaddress.IPv6Network((int(address) >> 64 << 64, 64)))
    return host


def _why(error: BaseException) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message
    return str(error) or type(error).__name__
