"""DNS that answers, is silent, lies or changes: with a server on the loopback address."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import dns.rcode
import pytest
from tests.support.dns import DnsServer

from longline.sip.locate import Place
from longline.sip.transport import resolver as module
from longline.sip.transport.resolver import Resolver

WAYS = [("UDP", 4), ("TCP", 4), ("TLS", 4), ("UDP", 6)]
ZONE = {
    ("example.com", "NAPTR"): ['10 1 "s" "SIP+D2T" "" _sip._tcp.example.com.'],
    ("_sip._tcp.example.com", "SRV"): ["0 1 5070 one.example.com.", "1 1 5071 two.example.com."],
    ("one.example.com", "A"): ["192.0.2.1"],
    ("two.example.com", "A"): ["192.0.2.2"],
    ("two.example.com", "AAAA"): ["2001:db8::2"],
    ("host.example.com", "A"): ["192.0.2.9"],
}


class Desk:
    """A resolver and the server that it asks."""

    def __init__(self, dns_server: DnsServer, folder: Path) -> None:
        self.dns = dns_server
        self.counters: Counter[str] = Counter()
        self.hosts = folder / "hosts"
        self.resolver = Resolver(self.counters, [dns_server.address], hosts=self.hosts, draw=lambda: 0.0)

    async def find(self, host: str, port: int | None = None, transport: str | None = None) -> list[str]:
        async with asyncio.timeout(10):
            return shown(await self.resolver.locate(host, port, transport, False, WAYS))

    def known(self, host: str, port: int | None = None) -> list[str] | None:
        places = self.resolver.known(host, port, None, False, WAYS)
        return None if places is None else shown(places)


def shown(places: list[Place]) -> list[str]:
    return [f"{place.transport} {place.host} {place.port}" for place in places]


@pytest.fixture
async def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Desk]:
    monkeypatch.setattr(module, "QUESTION_TIMEOUT_S", 0.3)
    async with DnsServer(ZONE) as server:
        desk = Desk(server, tmp_path)
        yield desk
        desk.resolver.close()


async def test_naptr_srv_and_addresses_are_followed(desk: Desk) -> None:
    assert await desk.find("example.com") == ["TCP 192.0.2.1 5070", "TCP 192.0.2.2 5071"]


async def test_answers_are_remembered_until_they_end(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    assert desk.known("example.com") is None
    await desk.find("example.com")
    asked = len(desk.dns.asked)
    assert desk.known("example.com") == ["TCP 192.0.2.1 5070", "TCP 192.0.2.2 5071"]
    await desk.find("example.com")
    assert len(desk.dns.asked) == asked
    now = module._now()
    monkeypatch.setattr(module, "_now", lambda: now + 61)
    assert desk.known("example.com") is None
    await desk.find("example.com")
    assert len(desk.dns.asked) > asked


async def test_address_needs_no_look_up(desk: Desk) -> None:
    assert desk.known("192.0.2.77") == ["UDP 192.0.2.77 5060"]
    assert desk.known("2001:db8::1", 5080) == ["UDP 2001:db8::1 5080"]


async def test_ten_who_ask_at_once_are_one_question(desk: Desk) -> None:
    found = await asyncio.gather(*(desk.find("host.example.com", 5060) for _ in range(10)))
    assert found == [["UDP 192.0.2.9 5060"]] * 10
    assert desk.dns.asked.count("A host.example.com") == 1


@pytest.mark.parametrize("code", [dns.rcode.NXDOMAIN, dns.rcode.NOERROR])
async def test_name_that_does_not_exist_is_remembered_too(desk: Desk, code: dns.rcode.Rcode) -> None:
    desk.dns.code = code
    assert await desk.find("nobody.example.com") == []
    asked = len(desk.dns.asked)
    assert await desk.find("nobody.example.com") == []
    assert len(desk.dns.asked) == asked


async def test_server_that_is_silent_about_naptr_costs_time_and_nothing_else(desk: Desk) -> None:
    desk.dns.silent = {"NAPTR"}
    assert await desk.find("example.com") == ["TCP 192.0.2.1 5070", "TCP 192.0.2.2 5071"]
    assert desk.counters["sip.dns_failed"] == 1


async def test_what_was_known_stands_in_when_dns_has_gone(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    await desk.find("host.example.com", 5060)
    desk.dns.silent = {"A", "AAAA", "SRV", "NAPTR"}
    now = module._now()
    monkeypatch.setattr(module, "_now", lambda: now + 120)
    assert await desk.find("host.example.com", 5060) == ["UDP 192.0.2.9 5060"]
    assert desk.counters["sip.dns_stale"] == 1
    monkeypatch.setattr(module, "_now", lambda: now + 60 + module.STALE_S + 1)
    assert await desk.find("host.example.com", 5060) == []


async def test_refusing_server_is_not_asked_again_at_once(desk: Desk) -> None:
    desk.dns.code = dns.rcode.SERVFAIL
    assert await desk.find("other.example.com", 5060) == []
    asked = len(desk.dns.asked)
    assert await desk.find("other.example.com", 5060) == []
    assert len(desk.dns.asked) == asked


async def test_hosts_file_goes_first_and_is_read_again_when_it_changes(desk: Desk) -> None:
    desk.hosts.write_text("192.0.2.50 host.example.com other # a comment\n")
    assert desk.known("HOST.example.com.", 5060) == ["UDP 192.0.2.50 5060"]
    desk.hosts.write_text("192.0.2.51 host.example.com\n2001:db8::51\thost.example.com\n")
    assert desk.known("host.example.com", 5060) == ["UDP 192.0.2.51 5060", "UDP 2001:db8::51 5060"]
    assert desk.dns.asked == []


async def test_localhost_is_ourselves(desk: Desk) -> None:
    assert desk.known("localhost", 5060) == ["UDP 127.0.0.1 5060", "UDP ::1 5060"]


async def test_what_no_name_can_be_finds_nothing(desk: Desk) -> None:
    for host in ("a" * 64 + ".example", "..", "", "x" * 300, "ä.example", "a b"):
        assert await desk.find(host, 5060) == []


async def test_cache_is_bounded(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_CACHED", 10)
    for number in range(20):
        await desk.find(f"h{number}.example.com", 5060)
    assert desk.counters["sip.dns_evicted"] == 2 * 20 - 10


async def test_questions_under_way_are_bounded(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_ASKING", 4)
    desk.dns.silent = {"A", "AAAA"}
    await asyncio.gather(*(desk.find(f"h{number}.example.com", 5060) for number in range(5)))
    assert desk.counters["sip.dns_refused"] == 6


async def test_without_any_name_server_the_hosts_file_is_all(tmp_path: Path) -> None:
    (tmp_path / "hosts").write_text("192.0.2.1 here\n")
    counters: Counter[str] = Counter()
    lonely = Resolver(counters, hosts=tmp_path / "hosts", resolv_conf=tmp_path / "none")
    assert shown(await lonely.locate("here", 5060, None, False, WAYS)) == ["UDP 192.0.2.1 5060"]
    assert await lonely.locate("there", 5060, None, False, WAYS) == []


async def test_who_gives_up_waiting_takes_nothing_from_the_others(desk: Desk) -> None:
    first, second = (asyncio.create_task(desk.find("host.example.com", 5060)) for _ in range(2))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    first.cancel()
    assert await second == ["UDP 192.0.2.9 5060"]
