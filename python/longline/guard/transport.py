"""The transport of the guarded client: each request, and so each redirect, is judged, and goes to an address that was.

The look-up happens where the connection is made, and nowhere else; the connection is then to that address, while `Host`
and the name in the certificate stay the URL's. An answer is bounded in bytes and in time, and is taken as it comes: a
compressed one was not asked for, and a few bytes of it could become gigabytes. Proxies of the environment are not used:
they would look names up themselves.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterable
from typing import Final

import httpcore2
import httpx2

from longline.guard.destination import Destination, IpAddress
from longline.guard.guard import Guard
from longline.guard.refused import Refusal, Refused

ADDRESS_TIMEOUT_S: Final = 2.0
"""How long one address may keep the others of its host waiting."""

SocketOptions = Iterable[tuple[int, int, int] | tuple[int, int, bytes | bytearray] | tuple[int, int, None, int]]


class Dialer(httpcore2.AsyncNetworkBackend):
    """Connects to judged addresses of a host."""

    def __init__(self, guard: Guard, scheme: str, network: httpcore2.AsyncNetworkBackend) -> None:
        self._guard = guard
        self._scheme = scheme
        self._network = network

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 (its name in the interface)
        local_address: str | None = None,
        socket_options: SocketOptions | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        destination = self._guard.parse(f"{self._scheme}://{_bracketed(host)}:{port}")
        *others, last = await self._guard.addresses(destination)
        for address in others:
            try:
                return await self._connect(address, port, min(timeout or ADDRESS_TIMEOUT_S, ADDRESS_TIMEOUT_S))
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout):
                continue
        return await self._connect(last, port, timeout)

    async def _connect(self, address: IpAddress, port: int, within_s: float | None) -> httpcore2.AsyncNetworkStream:
        return await self._network.connect_tcp(str(address), port, within_s)

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ASYNC109
        socket_options: SocketOptions | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        raise NotImplementedError("a URL never names a Unix socket")

    async def sleep(self, seconds: float) -> None:
        await self._network.sleep(seconds)


class _Pool(httpx2.AsyncHTTPTransport):
    """The connections of one scheme. httpx2 has no parameter for the network beneath it; its pool has."""

    def __init__(self, dialer: Dialer, tls: ssl.SSLContext, limits: httpx2.Limits) -> None:
        self._pool = httpcore2.AsyncConnectionPool(
            ssl_context=tls,
            max_connections=limits.max_connections,
            max_keepalive_connections=limits.max_keepalive_connections,
            keepalive_expiry=limits.keepalive_expiry,
            network_backend=dialer,
        )


class GuardedTransport(httpx2.AsyncBaseTransport):
    """`max_bytes` of an answer's body, `total_s` from the request to the last of them."""

    def __init__(
        self,
        guard: Guard,
        tls: ssl.SSLContext,
        *,
        max_bytes: int,
        total_s: float,
        limits: httpx2.Limits,
        network: httpcore2.AsyncNetworkBackend | None = None,
    ) -> None:
        network = network or httpcore2.AnyIOBackend()
        self._guard = guard
        self._max_bytes = max_bytes
        self._total_s = total_s
        self._pools = {scheme: _Pool(Dialer(guard, scheme, network), tls, limits) for scheme in ("http", "https")}

    async def aclose(self) -> None:
        for pool in self._pools.values():
            await pool.aclose()

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        destination = self._guard.parse(str(request.url))
        self._check_alike(destination, request.url)
        deadline = asyncio.get_running_loop().time() + self._total_s
        try:
            async with asyncio.timeout_at(deadline):
                response = await self._pools[destination.scheme].handle_async_request(request)
        except TimeoutError:
            raise httpx2.ReadTimeout(f"no answer within {self._total_s:g} s") from None
        body = _BoundedBody(response, self._guard, self._max_bytes, deadline, self._total_s)
        return httpx2.Response(
            response.status_code, headers=response.headers, stream=body, extensions=response.extensions
        )

    def _check_alike(self, destination: Destination, url: httpx2.URL) -> None:
        """What the client would connect to is what was parsed: two parsers that differ are a way around either."""
        host = _bracketed(url.raw_host.decode("ascii"))
        alike = self._guard.parse(f"{url.scheme}://{host}:{url.port or destination.port}")
        if alike != destination:
            raise self._guard.count(Refused(Refusal.BAD_HOST, "the host of the URL can be read in two ways"))


class _BoundedBody(httpx2.AsyncByteStream):
    """The body of an answer, up to a number of bytes and a moment."""

    def __init__(
        self, response: httpx2.Response, guard: Guard, max_bytes: int, deadline: float, total_s: float
    ) -> None:
        self._response = response
        self._guard = guard
        self._max_bytes = max_bytes
        self._deadline = deadline
        self._total_s = total_s

    async def __aiter__(self) -> AsyncIterator[bytes]:
        headers, stream = self._response.headers, self._response.stream
        assert isinstance(stream, httpx2.AsyncByteStream)
        encoding = headers.get("content-encoding", "identity").strip().lower()
        if encoding not in ("", "identity"):
            problem = "the answer is compressed; it must have no Content-Encoding"
            raise self._guard.count(Refused(Refusal.ENCODED, problem))
        announced = headers.get("content-length", "")
        if announced.isdecimal() and int(announced[:20]) > self._max_bytes:
            raise self._too_large()
        size = 0
        parts = aiter(stream)
        while True:
            try:
                async with asyncio.timeout_at(self._deadline):
                    part = await anext(parts)
            except StopAsyncIteration:
                return
            except TimeoutError:
                raise httpx2.ReadTimeout(f"the answer was not complete within {self._total_s:g} s") from None
            size += len(part)
            if size > self._max_bytes:
                raise self._too_large()
            yield part

    async def aclose(self) -> None:
        await self._response.aclose()

    def _too_large(self) -> Refused:
        return self._guard.count(Refused(Refusal.TOO_LARGE, f"the answer has more than {self._max_bytes} bytes"))


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
