"""Server-side request forgery, as a table: where URLs lead that somebody wrote who should not get there."""

import pytest
from tests.support.egress import Names, Network, internet_guard

from longline.guard.client import guarded_client
from longline.guard.guard import Guard
from longline.guard.refused import Refusal, Refused

NAMES = {
    "public.example": ["8.8.8.8"],
    "two.example": ["8.8.8.8 10.0.0.1"],
    "six.example": ["2606:4700::1111 fd00::1"],
    "localhost": ["127.0.0.1"],
    "localhost.example": ["127.0.0.1"],
    "metadata.example": ["169.254.169.254"],
    "mapped.example": ["::ffff:10.0.0.1"],
    "nat64.example": ["64:ff9b::a00:1"],
    "127.0.0.1.nip.example": ["127.0.0.1"],
}
ADDRESS, BAD_HOST, USER = Refusal.ADDRESS_NOT_ALLOWED, Refusal.BAD_HOST, Refusal.USER_INFO
BAD_URL, PORT, TLS = Refusal.BAD_URL, Refusal.PORT_NOT_ALLOWED, Refusal.TLS_REQUIRED

# `S` is the scheme with TLS, https or wss; `P` the one without.
REFUSED: list[tuple[str, Refusal]] = [
    # IPv4 addresses that are not of the public internet, each range at its first and last
    ("S://0.0.0.0/", ADDRESS),
    ("S://0.255.255.255/", ADDRESS),
    ("S://10.0.0.0/", ADDRESS),
    ("S://10.255.255.255/", ADDRESS),
    ("S://100.64.0.0/", ADDRESS),
    ("S://100.100.100.200/latest/meta-data", ADDRESS),  # a cloud's metadata
    ("S://100.127.255.255/", ADDRESS),
    ("S://127.0.0.1/", ADDRESS),
    ("S://127.255.255.254/", ADDRESS),
    ("S://168.63.129.16/machine", ADDRESS),
    ("S://169.254.169.254/latest/meta-data/", ADDRESS),
    ("S://172.16.0.1/", ADDRESS),
    ("S://172.31.255.255/", ADDRESS),
    ("S://192.0.0.192/", ADDRESS),
    ("S://192.0.2.1/", ADDRESS),
    ("S://192.88.99.1/", ADDRESS),
    ("S://192.168.1.1/", ADDRESS),
    ("S://198.18.0.1/", ADDRESS),
    ("S://198.19.255.255/", ADDRESS),
    ("S://198.51.100.1/", ADDRESS),
    ("S://203.0.113.1/", ADDRESS),
    ("S://224.0.0.1/", ADDRESS),
    ("S://239.255.255.250/", ADDRESS),
    ("S://240.0.0.1/", ADDRESS),
    ("S://255.255.255.255/", ADDRESS),
    # IPv6
    ("S://[::]/", ADDRESS),
    ("S://[::1]/", ADDRESS),
    ("S://[0:0:0:0:0:0:0:1]/", ADDRESS),
    ("S://[::127.0.0.1]/", ADDRESS),
    ("S://[::ffff:127.0.0.1]/", ADDRESS),
    ("S://[::ffff:7f00:1]/", ADDRESS),
    ("S://[::ffff:a9fe:a9fe]/", ADDRESS),
    ("S://[64:ff9b::8.8.8.8]/", ADDRESS),
    ("S://[64:ff9b::7f00:1]/", ADDRESS),
    ("S://[64:ff9b:1::1]/", ADDRESS),
    ("S://[100::1]/", ADDRESS),
    ("S://[2001::7f00:1]/", ADDRESS),
    ("S://[2001:db8::1]/", ADDRESS),
    ("S://[2002:7f00:1::]/", ADDRESS),
    ("S://[3fff::1]/", ADDRESS),
    ("S://[fc00::1]/", ADDRESS),
    ("S://[fd00:ec2::254]/", ADDRESS),
    ("S://[fe80::1]/", ADDRESS),
    ("S://[fec0::1]/", ADDRESS),
    ("S://[ff02::1]/", ADDRESS),
    # addresses in disguise
    ("S://2130706433/", BAD_HOST),
    ("S://0x7f000001/", BAD_HOST),
    ("S://0x7f.0x0.0x0.0x1/", BAD_HOST),
    ("S://0177.0.0.1/", BAD_HOST),
    ("S://017700000001/", BAD_HOST),
    ("S://127.1/", BAD_HOST),
    ("S://127.0.1/", BAD_HOST),
    ("S://127.0.0.01/", BAD_HOST),
    ("S://127.0.0.1./", ADDRESS),
    ("S://127.0.0.256/", BAD_HOST),
    ("S://1.2.3.4.5/", BAD_HOST),
    ("S://0/", BAD_HOST),
    ("S://0x/", BAD_HOST),
    ("S://[fe80::1%25eth0]/", BAD_HOST),
    ("S://[::1/", BAD_HOST),
    ("S://[127.0.0.1]/", BAD_HOST),
    ("S://[v1.fe80]/", BAD_HOST),
    ("S://%31%32%37.0.0.1/", BAD_HOST),
    ("S://public.example%2f@127.0.0.1/", USER),
    ("S://public.example%00.evil/", BAD_HOST),
    # names
    ("S://localhost/", ADDRESS),
    ("S://LOCALHOST./", ADDRESS),
    ("S://localhost.example/", ADDRESS),
    ("S://metadata.example/", ADDRESS),
    ("S://mapped.example/", ADDRESS),
    ("S://nat64.example/", ADDRESS),
    ("S://two.example/", ADDRESS),  # one address of two
    ("S://six.example/", ADDRESS),
    ("S://127.0.0.1.nip.example/", ADDRESS),
    ("S://nobody.example/", Refusal.NAME_NOT_FOUND),
    ("S://-a.example/", BAD_HOST),
    ("S://a..example/", BAD_HOST),
    ("S://a b.example/", BAD_URL),
    ("S:///path", BAD_HOST),
    ("S://?query", BAD_HOST),
    ("S://:443/", BAD_HOST),
    # user information, and what two parsers read in two ways
    ("S://user@public.example/", USER),
    ("S://user:password@public.example/", USER),
    ("S://public.example@127.0.0.1/", USER),
    ("S://127.0.0.1:80@public.example/", USER),
    ("S://@public.example/", USER),
    ("S://public.example\\@127.0.0.1/", BAD_URL),
    ("S://127.0.0.1\\.public.example/", BAD_URL),
    ("S://public.example:80:443/", BAD_HOST),
    ("S://[::1]public.example/", BAD_HOST),
    ("S://１２７.0.0.1/", BAD_URL),
    ("S://public。example/", BAD_URL),
    # ports
    ("S://public.example:22/", PORT),
    ("S://public.example:6379/", PORT),
    ("S://public.example:8443/", PORT),
    ("S://public.example:0/", BAD_URL),
    ("S://public.example:65536/", BAD_URL),
    ("S://public.example:4 43/", BAD_URL),
    ("S://public.example:-1/", BAD_HOST),
    ("S://public.example:0x1bb/", BAD_HOST),
    # no TLS, other schemes
    ("P://public.example/", TLS),
    ("P://8.8.8.8/", TLS),
    ("P://127.0.0.1/", ADDRESS),
    ("ftp://public.example/", BAD_URL),
    ("file:///etc/passwd", BAD_URL),
    ("gopher://127.0.0.1:6379/_FLUSHALL", BAD_URL),
    ("data:text/plain,x", BAD_URL),
    ("//public.example/", BAD_URL),
    ("public.example", BAD_URL),
    ("", BAD_URL),
    # what would begin a line of its own
    ("S://public.example/\r\nX-Injected: 1", BAD_URL),
    ("S://public.example\r\nHost: evil/", BAD_URL),
    ("S://public.example/\tx", BAD_URL),
    ("S://public.example/\x00", BAD_URL),
    ("S://public.example/" + "x" * 2083, BAD_URL),
]
REPAIRED = {"S://@public.example/", "S://public。example/"}
"""What httpx2 has made a harmless URL of before the guard sees it."""
ALLOWED = ["S://public.example/", "S://PUBLIC.example.:443/a?b#c", "S://8.8.8.8/", "S://public.example:80/"]


def written(url: str, secure: str) -> str:
    for mark, scheme in (("S:", secure), ("P:", secure[:-1])):
        if url.startswith(mark):
            return scheme + url[1:]
    return url


def test_the_table_is_long_enough() -> None:
    assert len({url for url, _ in REFUSED}) >= 60


@pytest.mark.parametrize(("url", "code"), REFUSED)
async def test_a_websocket_url_is_refused_with_a_reason(url: str, code: Refusal) -> None:
    guard = internet_guard(NAMES)
    with pytest.raises(Refused) as refused:
        await guard.check_ws(written(url, "wss"))
    assert refused.value.code is code and str(refused.value)
    assert guard.counters[f"refused_{code}"] == 1


@pytest.mark.parametrize(("url", "code"), REFUSED)
async def test_an_http_request_is_refused_and_nothing_is_dialled(url: str, code: Refusal) -> None:
    guard, network = internet_guard(NAMES), Network(1)
    async with guarded_client(guard, total_s=5, max_bytes=100, network=network) as client:
        # httpx2 refuses some of these itself, before the guard is asked.
        with pytest.raises(Exception) as refused:
            await client.get(written(url, "https"))
    assert network.dialled == ([("8.8.8.8", 443)] if url in REPAIRED else [])
    if isinstance(refused.value, Refused):
        assert refused.value.code is code or BAD_URL in (code, refused.value.code)


@pytest.mark.parametrize("url", ALLOWED)
async def test_the_public_internet_is_allowed(url: str) -> None:
    (address,) = await internet_guard(NAMES).check_ws(written(url, "wss"))
    assert address in ("8.8.8.8:443", "8.8.8.8:80")


async def test_a_refusal_does_not_tell_the_addresses_of_a_name() -> None:
    with pytest.raises(Refused) as refused:
        await internet_guard(NAMES).check_ws("wss://two.example/")
    assert "10.0.0.1" not in str(refused.value) and "private" in str(refused.value)


def guard_that_allows(*allow: str) -> Guard:
    return internet_guard(
        {"app.internal": ["10.1.2.3"], "meta.internal": ["169.254.169.254"], "public.example": ["8.8.8.8"]}, *allow
    )


@pytest.mark.parametrize(
    ("allow", "url", "address"),
    [
        ("127.0.0.0/8", "ws://127.0.0.1:9000/", "127.0.0.1:9000"),
        ("127.0.0.0/8", "ws://[::ffff:127.0.0.1]:9000/", "[::ffff:7f00:1]:9000"),
        ("::1", "wss://[::1]/", "[::1]:443"),
        ("10.1.0.0/16", "ws://app.internal:8080/", "10.1.2.3:8080"),
        ("app.internal", "ws://APP.internal.:8080/", "10.1.2.3:8080"),
        ("*.internal", "ws://app.internal/", "10.1.2.3:80"),
        ("public.example", "ws://public.example:9000/", "8.8.8.8:9000"),
    ],
)
async def test_what_is_allowed_may_have_any_port_and_no_tls(allow: str, url: str, address: str) -> None:
    assert await guard_that_allows(allow).check_ws(url) == (address,)


@pytest.mark.parametrize(
    ("allow", "url"),
    [
        ("10.2.0.0/16", "wss://app.internal/"),
        ("internal", "wss://app.internal/"),
        ("*.app.internal", "wss://app.internal/"),
        ("app.internal", "wss://10.1.2.3/"),
        ("*.internal", "wss://meta.internal/"),  # a name never leads to a cloud's metadata
    ],
)
async def test_what_is_allowed_ends_where_it_ends(allow: str, url: str) -> None:
    with pytest.raises(Refused) as refused:
        await guard_that_allows(allow).check_ws(url)
    assert refused.value.code is ADDRESS


async def test_a_metadata_address_is_allowed_only_by_its_own_network() -> None:
    assert await guard_that_allows("169.254.169.254").check_ws("ws://meta.internal/") == ("169.254.169.254:80",)


async def test_a_name_is_looked_up_once() -> None:
    names = Names({"app.example": ["8.8.8.8", "127.0.0.1"]})
    guard = internet_guard(resolver=names)
    assert await guard.check_ws("wss://app.example/") == ("8.8.8.8:443",)
    assert names.asked == ["app.example"]
