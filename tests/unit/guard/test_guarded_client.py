"""The client over real sockets: whom it connects to, what it sends, and how much of an answer it takes."""

import asyncio
import gzip
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import pytest
from tests.support.certificates import Authority
from tests.support.egress import Names, Network, internet_guard, open_guard
from tests.support.http import RawServer, raw_server, response

from longline.guard.client import guarded_client
from longline.guard.guard import Guard
from longline.guard.refused import Refusal, Refused

MAX_BYTES = 1000


def client_of(
    guard: Guard, network: Network | None = None, *, total_s: float = 5, redirects: int = 0, ca: Path | None = None
) -> httpx2.AsyncClient:
    return guarded_client(
        guard,
        total_s=total_s,
        max_bytes=MAX_BYTES,
        network=network,
        max_redirects=redirects,
        ca_files=[ca] if ca else [],
    )


def port_of(server: RawServer) -> int:
    return int(server.url.rpartition(":")[2])


async def refusal(client: httpx2.AsyncClient, url: str) -> Refused:
    async with client:
        with pytest.raises(Refused) as refused:
            await client.get(url)
    return refused.value


def test_a_refusal_is_an_error_of_the_client_too() -> None:
    assert isinstance(Refused(Refusal.BAD_URL, "why"), httpx2.HTTPError)


async def test_a_name_that_is_rebound_leads_nowhere_else() -> None:
    names = Names({"app.example": ["8.8.8.8", "127.0.0.1"]})
    guard = internet_guard(resolver=names, requires_tls=False)
    async with raw_server(flow=response(b"{}")) as server:
        network = Network(port_of(server))
        async with client_of(guard, network) as client:
            assert (await client.get("http://app.example/flow")).status_code == 200
            # The one look-up is where the connection is made, and the connection is to what was judged.
            assert network.dialled == [("8.8.8.8", 80)] and names.asked == ["app.example"]
            # The answer closed the connection: the next one is made anew, and judged anew.
            with pytest.raises(Refused) as refused:
                await client.get("http://app.example/flow")
        assert refused.value.code is Refusal.ADDRESS_NOT_ALLOWED
        assert network.dialled == [("8.8.8.8", 80)]
        ((head, _),) = server.requests
    assert "host: app.example\r\n" in head.lower()


async def test_the_certificate_must_be_the_names_though_an_address_is_dialled(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    guard = internet_guard({"app.example": ["8.8.8.8"], "other.example": ["8.8.4.4"]})
    async with tls_server(authority.issue("app.example")) as port:
        network = Network(port)
        async with client_of(guard, network, ca=authority.file) as client:
            assert (await client.get("https://app.example/")).status_code == 200
            with pytest.raises(httpx2.ConnectError, match="certificate"):
                await client.get("https://other.example/")
    assert network.dialled == [("8.8.8.8", 443), ("8.8.4.4", 443)]


async def test_the_next_address_is_tried_when_one_is_dead() -> None:
    guard = internet_guard({"app.example": ["2606:4700::1111 8.8.8.8"]}, requires_tls=False)
    async with raw_server(flow=response()) as server:
        network = Network(port_of(server), dead=["2606:4700::1111"])
        async with client_of(guard, network) as client:
            assert (await client.get("http://app.example/flow")).status_code == 200
    assert [host for host, _ in network.dialled] == ["2606:4700::1111", "8.8.8.8"]


@pytest.mark.parametrize(
    ("location", "code"),
    [
        ("http://127.0.0.1:9/", Refusal.ADDRESS_NOT_ALLOWED),
        ("http://169.254.169.254/latest/meta-data/", Refusal.ADDRESS_NOT_ALLOWED),
        ("http://inside.example/", Refusal.ADDRESS_NOT_ALLOWED),
        ("http://user:password@app.example/", Refusal.USER_INFO),
        ("http://0x7f000001/", Refusal.BAD_HOST),
        ("//2130706433/", Refusal.BAD_HOST),
        ("http://app.example:22/", Refusal.PORT_NOT_ALLOWED),
    ],
)
async def test_a_redirect_is_judged_like_the_url_itself(location: str, code: Refusal) -> None:
    guard = internet_guard({"app.example": ["8.8.8.8"], "inside.example": ["10.0.0.1"]}, requires_tls=False)
    async with raw_server(old=response(b"", "302 Found", f"Location: {location}")) as server:
        network = Network(port_of(server))
        refused = await refusal(client_of(guard, network, redirects=3), "http://app.example/old")
    assert refused.code is code
    assert network.dialled == [("8.8.8.8", 80)]


async def test_redirects_have_an_end_and_are_not_followed_unless_asked() -> None:
    async with raw_server(old=response(b"", "302 Found", "Location: /old")) as server:
        async with client_of(open_guard()) as client:
            assert (await client.get(f"{server.url}/old")).status_code == 302
        async with client_of(open_guard(), redirects=3) as client:
            with pytest.raises(httpx2.TooManyRedirects):
                await client.get(f"{server.url}/old")
    assert len(server.requests) == 1 + 4


async def test_what_is_announced_as_a_gigabyte_is_not_read() -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n" + b"x" * 100
    async with raw_server(big=answer) as server:
        refused = await refusal(client_of(open_guard()), f"{server.url}/big")
    assert refused.code is Refusal.TOO_LARGE and "more than 1000 bytes" in str(refused)


@pytest.mark.parametrize("head", ["Transfer-Encoding: chunked", "Connection: close"])
async def test_a_body_that_never_ends_is_given_up_after_so_many_bytes(head: str) -> None:
    part = b"x" * 100
    sent = b"64\r\n" + part + b"\r\n" if "chunked" in head else part
    async with endless_server(f"HTTP/1.1 200 OK\r\n{head}\r\n\r\n".encode(), sent) as (url, gone):
        assert (await refusal(client_of(open_guard()), url)).code is Refusal.TOO_LARGE
        await asyncio.wait_for(gone.wait(), 5)


async def test_a_body_that_trickles_is_given_up_after_the_time() -> None:
    async with endless_server(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", b"x", every_s=0.02) as (url, gone):
        async with client_of(open_guard(), total_s=0.3) as client:
            with pytest.raises(httpx2.ReadTimeout, match=r"0\.3 s"):
                await client.get(url)
        await asyncio.wait_for(gone.wait(), 5)


@pytest.mark.parametrize("part", [b"HTTP/1.1 100 Continue\r\n\r\n", b"X-Header: more\r\n"])
async def test_a_head_that_never_ends_is_given_up(part: bytes) -> None:
    begin = b"" if part.startswith(b"HTTP") else b"HTTP/1.1 200 OK\r\n"
    async with endless_server(begin, part, every_s=0.001) as (url, gone):
        async with client_of(open_guard(), total_s=0.5) as client:
            with pytest.raises(httpx2.TransportError):
                await client.get(url)
        await asyncio.wait_for(gone.wait(), 5)


@pytest.mark.parametrize("encoding", ["gzip", "br", "deflate, gzip", "zstd"])
async def test_a_compressed_answer_was_not_asked_for_and_is_not_unpacked(encoding: str) -> None:
    bomb = gzip.compress(b"\0" * 1_000_000)[: MAX_BYTES - 1]
    async with raw_server(bomb=response(bomb, "200 OK", f"Content-Encoding: {encoding}")) as server:
        assert (await refusal(client_of(open_guard()), f"{server.url}/bomb")).code is Refusal.ENCODED
        ((head, _),) = server.requests
    assert "accept-encoding: identity" in head.lower()


@pytest.mark.parametrize("value", ["a\r\nX-Injected: 1", "a\nX-Injected: 1", "a\r\n\r\nGET /other HTTP/1.1", "a\x00b"])
async def test_no_value_begins_another_header(value: str) -> None:
    async with raw_server(flow=response()) as server:
        async with client_of(open_guard()) as client:
            with pytest.raises((httpx2.LocalProtocolError, ValueError)):
                await client.get(f"{server.url}/flow", headers={"X-Call": value})
    assert server.requests == []


async def test_cookies_are_not_kept() -> None:
    async with raw_server(flow=response(b"{}", "200 OK", "Set-Cookie: who=me; Path=/")) as server:
        async with client_of(open_guard()) as client:
            await client.get(f"{server.url}/flow")
            await client.get(f"{server.url}/flow")
    assert not any("cookie" in head.lower() for head, _ in server.requests)


async def test_proxies_and_passwords_of_the_environment_are_not_used(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login a password b\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    async with raw_server(flow=response()) as server:
        async with client_of(open_guard()) as client:
            assert (await client.get(f"{server.url}/flow")).status_code == 200
    assert "authorization" not in server.requests[0][0].lower()


@asynccontextmanager
async def tls_server(certificate: Path) -> AsyncIterator[int]:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(response())
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)
    async with server:
        yield server.sockets[0].getsockname()[1]


@asynccontextmanager
async def endless_server(
    begin: bytes, part: bytes, *, every_s: float = 0.0
) -> AsyncIterator[tuple[str, asyncio.Event]]:
    """Sends `part` again and again until the client has left; `gone` tells that."""
    gone = asyncio.Event()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(begin)
            while True:
                writer.write(part)
                await writer.drain()
                await asyncio.sleep(every_s)
        except ConnectionError:
            gone.set()
        finally:
            writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/", gone
