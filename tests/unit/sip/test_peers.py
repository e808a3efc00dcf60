"""Whom we know, by address and by user name."""

import ipaddress

from longline.sip.access.peers import DigestUser, Peer, Peers


def net(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    return ipaddress.ip_network(text)


def test_narrowest_network_has_the_address() -> None:
    wide, narrow = Peer("wide", networks=(net("192.0.2.0/24"),)), Peer("narrow", networks=(net("192.0.2.8/32"),))
    peers = Peers([wide, narrow])
    assert peers.of_address("192.0.2.8") is narrow
    assert peers.of_address("192.0.2.9") is wide
    assert peers.of_address("198.51.100.1") is None
    assert peers.of_address("no address") is None


def test_mapped_address_is_its_ipv4_one() -> None:
    peer = Peer("p", networks=(net("192.0.2.0/24"), net("2001:db8::/64")))
    peers = Peers([peer])
    assert peers.of_address("::ffff:192.0.2.1") is peer
    assert peers.of_address("2001:db8::7") is peer
    assert peers.of_address("2001:db9::7") is None


def test_first_of_two_claims_stands() -> None:
    first = Peer("a", users=(DigestUser("alice", "one"),), networks=(net("192.0.2.1/32"),))
    second = Peer("b", users=(DigestUser("alice", "two"),), networks=(net("192.0.2.1/32"),))
    peers = Peers([first, second])
    found = peers.of_user("alice")
    assert found is not None and found[0] is first
    assert peers.of_address("192.0.2.1") is first
    assert len(peers) == 2 and peers.get("b") is second and peers.get(None) is None


def test_password_does_not_show() -> None:
    assert "secret" not in repr(Peers([Peer("a", users=(DigestUser("alice", "secret"),))]).get("a"))
