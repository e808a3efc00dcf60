"""A carrier that is configured by a name calls from the addresses of that name. In virtual time."""

import ipaddress

from tests.unit.sip.sip_pair import Party, Wire
from tests.unit.sip.strangers import guarded, request_text

from longline.sip.access.peers import Peer, Peers, PeerTarget, Registration
from longline.sip.events import IncomingCall
from longline.sip.wire import Source

NAMED = PeerTarget("sip:sip.carrier.example;transport=udp")


def by_name(**more: object) -> Peer:
    values = {"targets": (NAMED,), "admits_targets": True, "health_interval_s": 30.0} | more
    return Peer("named", **values)  # type: ignore[arg-type]


def knocks(wire: Wire, node: Party, host: str) -> str | None:
    """Call from an address: the peer that it is taken for, or None when nobody hears of it."""
    node.events.clear()
    wire.inject(node, request_text(host=host), Source("UDP", host, 5060))
    calls = [event.peer for event in node.events if isinstance(event, IncomingCall)]
    return calls[0] if calls else None


def test_whoever_a_trunks_name_leads_to_is_that_trunk_and_nobody_else_is() -> None:
    wire, node = guarded(by_name())
    wire.names["sip.carrier.example"] = ["198.51.100.40", "198.51.100.41"]
    assert knocks(wire, node, "198.51.100.40") is None  # nobody has looked it up yet
    wire.run(2)
    assert knocks(wire, node, "198.51.100.40") == knocks(wire, node, "198.51.100.41") == "named"
    assert knocks(wire, node, "198.51.100.42") is None


def test_an_address_that_dns_has_taken_back_is_a_strangers_again() -> None:
    wire, node = guarded(by_name())
    wire.names["sip.carrier.example"] = ["198.51.100.40"]
    wire.run(2)
    wire.names["sip.carrier.example"] = ["198.51.100.41"]
    wire.run(60)
    assert knocks(wire, node, "198.51.100.40") is None
    assert knocks(wire, node, "198.51.100.41") == "named"


def test_a_name_that_leads_nowhere_for_a_while_changes_nothing() -> None:
    wire, node = guarded(by_name())
    wire.names["sip.carrier.example"] = ["198.51.100.40"]
    wire.run(2)
    del wire.names["sip.carrier.example"]
    wire.run(60)
    assert knocks(wire, node, "198.51.100.40") == "named"


def test_the_registrars_name_counts_too() -> None:
    registration = Registration("sip:us@carrier.example", "sip:reg.carrier.example", 3600, "us")
    wire, node = guarded(by_name(targets=(), registration=registration))
    wire.names["reg.carrier.example"] = ["198.51.100.50"]
    wire.run(2)
    assert knocks(wire, node, "198.51.100.50") == "named"


def test_a_peer_that_does_not_want_that_is_known_by_its_networks_alone() -> None:
    network = (ipaddress.ip_network("203.0.113.0/24"),)
    wire, node = guarded(by_name(admits_targets=False, networks=network))
    wire.names["sip.carrier.example"] = ["198.51.100.40"]
    wire.run(2)
    assert knocks(wire, node, "198.51.100.40") is None
    assert knocks(wire, node, "203.0.113.9") == "named"


def test_a_network_that_is_written_down_counts_for_more_than_dns() -> None:
    wire, node = guarded(by_name())
    wire.names["sip.carrier.example"] = ["192.0.2.1"]  # within the network of the peer "carrier"
    wire.run(2)
    assert knocks(wire, node, "192.0.2.1") == "carrier"


def test_a_trunk_that_is_gone_is_not_known_by_its_name() -> None:
    wire, node = guarded(by_name())
    wire.names["sip.carrier.example"] = ["198.51.100.40"]
    wire.run(2)
    node.endpoint.set_peers(Peers([]))
    assert knocks(wire, node, "198.51.100.40") is None
