"""RFC 3263 and RFC 2782: from the host of a URI to places to try. DNS is a dictionary."""

import itertools
import random
from collections import defaultdict
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longline.sip.locate import MAX_PLACES, Naptr, Place, Question, Record, Srv, Ways, locate

Zone = dict[tuple[str, str], list[Record]]
ALL: Ways = [("UDP", 4), ("TCP", 4), ("TLS", 4)]
DUAL: Ways = [*ALL, ("UDP", 6), ("TCP", 6), ("TLS", 6)]


class Dns:
    """Answers from a zone, and what it was asked."""

    def __init__(self, zone: Zone) -> None:
        self.zone = zone
        self.asked: list[str] = []

    def find(
        self,
        host: str,
        port: int | None = None,
        transport: str | None = None,
        *,
        secure: bool = False,
        ways: Ways = ALL,
        draw: Callable[[], float] = lambda: 0.0,
    ) -> list[str]:
        locating = locate(host, port, transport, secure, ways, draw)
        try:
            questions = next(locating)
            while True:
                self.asked += [f"{question.kind} {question.name}" for question in questions]
                questions = locating.send({q: self.answer(q) for q in questions})
        except StopIteration as found:
            return [shown(place) for place in found.value]

    def answer(self, question: Question) -> list[Record]:
        return self.zone.get((question.name, question.kind), [])


def shown(place: Place) -> str:
    return f"{place.transport} {place.host} {place.port}"


EXAMPLE: Zone = {
    # RFC 3263 §4.1, the example of example.com
    ("example.com", "NAPTR"): [
        Naptr(90, 50, "s", "SIP+D2T", "_sip._tcp.example.com."),
        Naptr(50, 50, "s", "SIPS+D2T", "_sips._tcp.example.com."),
        Naptr(100, 50, "s", "SIP+D2U", "_sip._udp.example.com."),
    ],
    ("_sips._tcp.example.com", "SRV"): [Srv(0, 1, 5061, "server1.example.com.")],
    ("_sip._tcp.example.com", "SRV"): [
        Srv(0, 1, 5060, "server1.example.com."),
        Srv(1, 2, 5070, "server2.example.com."),
    ],
    ("_sip._udp.example.com", "SRV"): [Srv(0, 1, 5060, "server2.example.com.")],
    ("server1.example.com", "A"): ["192.0.2.1"],
    ("server2.example.com", "A"): ["192.0.2.2"],
    ("server2.example.com", "AAAA"): ["2001:db8::2"],
    ("example.com", "A"): ["192.0.2.9"],
}


def test_naptr_order_leads_over_srv_to_addresses() -> None:
    dns = Dns(EXAMPLE)
    assert dns.find("example.com") == [
        "TLS 192.0.2.1 5061",
        "TCP 192.0.2.1 5060",
        "TCP 192.0.2.2 5070",
        "UDP 192.0.2.2 5060",
    ]
    assert dns.asked[0] == "NAPTR example.com"


def test_transports_that_we_do_not_have_are_left_out() -> None:
    assert Dns(EXAMPLE).find("example.com", ways=[("UDP", 4)]) == ["UDP 192.0.2.2 5060"]


def test_sips_takes_nothing_but_tls() -> None:
    assert Dns(EXAMPLE).find("example.com", secure=True) == ["TLS 192.0.2.1 5061"]
    assert Dns(EXAMPLE).find("example.com", secure=True, transport="tcp") == ["TLS 192.0.2.1 5061"]
    assert Dns(EXAMPLE).find("example.com", secure=True, transport="udp") == []
    assert Dns(EXAMPLE).find("example.com", secure=True, ways=[("UDP", 4), ("TCP", 4)]) == []


def test_explicit_transport_skips_naptr() -> None:
    dns = Dns(EXAMPLE)
    assert dns.find("example.com", transport="tcp") == ["TCP 192.0.2.1 5060", "TCP 192.0.2.2 5070"]
    assert not [question for question in dns.asked if question.startswith("NAPTR")]


def test_explicit_port_asks_for_addresses_alone() -> None:
    dns = Dns(EXAMPLE)
    assert dns.find("example.com", 5080) == ["UDP 192.0.2.9 5080"]
    assert dns.find("example.com", 5080, secure=True) == ["TLS 192.0.2.9 5080"]
    assert dns.find("example.com", 5080, "tls") == ["TLS 192.0.2.9 5080"]
    assert set(dns.asked) == {"A example.com"}


def test_numeric_host_asks_nothing() -> None:
    dns = Dns({})
    assert dns.find("192.0.2.7") == ["UDP 192.0.2.7 5060"]
    assert dns.find("192.0.2.7", secure=True) == ["TLS 192.0.2.7 5061"]
    assert dns.find("192.0.2.7", 5090, "tcp") == ["TCP 192.0.2.7 5090"]
    assert dns.find("[2001:DB8:0::7]", 5090, ways=DUAL) == ["UDP 2001:db8::7 5090"]
    assert dns.find("2001:db8::7", ways=ALL) == []
    assert dns.asked == []


def test_without_naptr_the_services_we_speak_are_asked_for() -> None:
    zone = {key: records for key, records in EXAMPLE.items() if key[1] != "NAPTR"}
    dns = Dns(zone)
    assert dns.find("example.com")[0] == "UDP 192.0.2.2 5060"
    assert set(dns.asked[1:4]) == {
        "SRV _sip._udp.example.com",
        "SRV _sip._tcp.example.com",
        "SRV _sips._tcp.example.com",
    }


def test_without_naptr_and_srv_the_addresses_of_the_host_are_taken() -> None:
    dns = Dns({("host.example", "A"): ["192.0.2.3", "192.0.2.4"]})
    assert dns.find("host.example") == ["UDP 192.0.2.3 5060", "UDP 192.0.2.4 5060"]
    assert dns.find("HOST.example.", secure=True) == ["TLS 192.0.2.3 5061", "TLS 192.0.2.4 5061"]
    assert dns.find("nowhere.example") == []


def test_naptr_of_other_services_and_terminals_is_passed_over() -> None:
    zone: Zone = {
        ("x.example", "NAPTR"): [
            Naptr(1, 1, "s", "SIP+D2S", "_sip._sctp.x.example"),
            Naptr(2, 1, "u", "SIP+D2U", "", "!^.*$!sip:a@b!"),
            Naptr(3, 1, "s", "SIP+D2U", "_sip._udp.x.example", "!.*!x!"),
            Naptr(4, 1, "S", "sip+d2t", "_sip._tcp.x.example"),
        ],
        ("_sip._tcp.x.example", "SRV"): [Srv(1, 1, 5060, "a.x.example")],
        ("a.x.example", "A"): ["192.0.2.1"],
    }
    assert Dns(zone).find("x.example") == ["TCP 192.0.2.1 5060"]


def test_service_that_is_decidedly_absent_is_not_tried_at_the_host() -> None:
    zone: Zone = {("_sip._udp.x.example", "SRV"): [Srv(0, 0, 0, ".")], ("x.example", "A"): ["192.0.2.1"]}
    assert Dns(zone).find("x.example", transport="udp") == []


def test_priorities_come_in_order_and_weights_as_often_as_they_say() -> None:
    records: list[Record] = [
        Srv(20, 0, 5060, "backup.example"),
        Srv(10, 60, 5060, "big.example"),
        Srv(10, 30, 5060, "small.example"),
        Srv(10, 10, 5060, "tiny.example"),
    ]
    names = ("backup", "big", "small", "tiny")
    zone: Zone = {(f"{name}.example", "A"): [f"192.0.2.{number}"] for number, name in enumerate(names, 1)}
    zone["_sip._udp.x.example", "SRV"] = records
    generator = random.Random(7)
    orders = [Dns(zone).find("x.example", transport="udp", draw=generator.random) for _ in range(5000)]
    assert all(len(order) == 4 and order[-1] == "UDP 192.0.2.1 5060" for order in orders)
    first = [order[0] for order in orders]
    for number, share in ((2, 0.6), (3, 0.3), (4, 0.1)):
        assert first.count(f"UDP 192.0.2.{number} 5060") / 5000 == pytest.approx(share, abs=0.03)


def test_weight_of_zero_is_drawn_but_seldom() -> None:
    zone: Zone = {
        ("_sip._udp.x.example", "SRV"): [Srv(1, 0, 5060, "a.example"), Srv(1, 99, 5060, "b.example")],
        ("a.example", "A"): ["192.0.2.1"],
        ("b.example", "A"): ["192.0.2.2"],
    }
    assert Dns(zone).find("x.example", transport="udp", draw=lambda: 0.0)[0] == "UDP 192.0.2.1 5060"
    assert Dns(zone).find("x.example", transport="udp", draw=lambda: 0.02)[0] == "UDP 192.0.2.2 5060"
    assert Dns(zone).find("x.example", transport="udp", draw=lambda: 0.999)[0] == "UDP 192.0.2.2 5060"


def test_family_that_we_name_first_is_tried_first() -> None:
    zone: Zone = {("x.example", "A"): ["192.0.2.1"], ("x.example", "AAAA"): ["2001:db8::1"]}
    four, six = "UDP 192.0.2.1 5060", "UDP 2001:db8::1 5060"
    assert Dns(zone).find("x.example", ways=[("UDP", 4), ("UDP", 6)]) == [four, six]
    assert Dns(zone).find("x.example", ways=[("UDP", 6), ("UDP", 4)]) == [six, four]
    assert Dns(zone).find("x.example", ways=[("UDP", 6), ("TCP", 4)]) == [six]


def test_answers_without_end_are_bounded() -> None:
    zone: Zone = {
        ("_sip._udp.x.example", "SRV"): [Srv(n, 0, 5060, f"h{n}.example") for n in range(1000)],
        **{(f"h{n}.example", "A"): [f"10.{n // 250}.{n % 250}.{i}" for i in range(200)] for n in range(1000)},
    }
    dns = Dns(zone)
    assert len(dns.find("x.example", transport="udp")) == MAX_PLACES
    assert len(dns.asked) <= 1 + MAX_PLACES


def test_records_that_make_no_sense_are_passed_over() -> None:
    zone: Zone = {
        ("_sip._udp.x.example", "SRV"): [Srv(1, 1, 0, "a.example"), Srv(1, 1, 70_000, "a.example"), "text",
                                         Srv(2, 1, 5060, "a.example")],
        ("a.example", "A"): ["no address", Srv(1, 1, 1, "x"), "2001:db8::1", "192.0.2.1", "192.0.2.1"],
    }  # fmt: skip
    assert Dns(zone).find("x.example", transport="udp") == ["UDP 192.0.2.1 5060"]


def test_one_place_is_named_once() -> None:
    names = itertools.repeat(Srv(1, 1, 5060, "a.example"), 3)
    zone: Zone = {("_sip._udp.x.example", "SRV"): list(names), ("a.example", "A"): ["192.0.2.1"]}
    assert Dns(zone).find("x.example", transport="udp") == ["UDP 192.0.2.1 5060"]


NAMES = st.sampled_from(["", ".", "x.example", "_sip._udp.x.example", "_sip._tcp.x.example", "a.example", "192.0.2.1"])
NUMBERS = st.integers(-1, 70_000)
TEXTS = st.sampled_from(["s", "S", "u", "", "SIP+D2U", "SIPS+D2T", "sip+d2t", "x"])
RECORDS = st.one_of(
    st.builds(Naptr, NUMBERS, NUMBERS, TEXTS, TEXTS, NAMES, TEXTS),
    st.builds(Srv, NUMBERS, st.integers(0, 70_000), NUMBERS, NAMES),
    st.sampled_from(["192.0.2.1", "2001:db8::1", "::ffff:192.0.2.1", "", "x", "fe80::1%eth0"]),
)


@given(st.lists(st.tuples(NAMES, st.sampled_from(["NAPTR", "SRV", "A", "AAAA"]), RECORDS), max_size=20), st.booleans())
def test_whatever_dns_says_the_places_are_few_and_of_our_kind(
    records: list[tuple[str, str, Record]], secure: bool
) -> None:
    zone: Zone = defaultdict(list)
    for name, kind, record in records:
        zone[name, kind].append(record)
    dns = Dns(zone)
    for found in dns.find("x.example", secure=secure, ways=DUAL):
        transport, host, port = found.split()
        assert (transport, 6 if ":" in host else 4) in DUAL
        assert 0 < int(port) <= 65_535
        assert transport == "TLS" or not secure
    assert len(dns.asked) <= 4 * MAX_PLACES
