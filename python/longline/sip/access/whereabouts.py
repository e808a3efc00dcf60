"""Which peer an address is, by its network or because the name of one of its targets leads there.

A carrier is configured by a name, and calls from the addresses of that name. A peer that `admits_targets` is known by
them from the first look-up on, and by the newest one alone: what DNS has taken back is a stranger again. Its health
checks keep that fresh. Leaves out: looking up (`core`), and names of SRV and MX records that no call ever asked for.
"""

from __future__ import annotations

from collections.abc import Iterable

from longline.base.errors import RemoteProtocolError
from longline.sip.access.peers import Peer, Peers
from longline.sip.syntax.uri import parse_uri
from longline.sip.wire import is_address


class Whereabouts:
    """Bounded by the targets of the peers, and by how many addresses one look-up gives."""

    def __init__(self) -> None:
        self._peers = Peers()
        self._owners: dict[str, str] = {}
        """By the name of a target: the name of its peer."""
        self._found: dict[str, frozenset[str]] = {}
        """By the name of a target: its addresses."""
        self._at: dict[str, str] = {}
        """By address: the name of a peer."""

    def set_peers(self, peers: Peers) -> None:
        self._peers = peers
        self._owners = {}
        for peer in peers:
            if peer.admits_targets:
                for host in _names_of(peer):
                    self._owners.setdefault(host, peer.name)
        self._found = {host: addresses for host, addresses in self._found.items() if host in self._owners}
        self._index()

    def found(self, host: str, addresses: Iterable[str]) -> None:
        """A name was looked up, and leads there."""
        host = host.lower()
        if host in self._owners:
            self._found[host] = frozenset(addresses)
            self._index()

    def peer_at(self, address: str) -> Peer | None:
        """The peer at an IP address. A network that somebody wrote down counts for more than what DNS says."""
        return self._peers.of_address(address) or self._peers.get(self._at.get(address.removeprefix("::ffff:")))

    def _index(self) -> None:
        self._at = {}
        for host, owner in self._owners.items():
            for address in self._found.get(host, ()):
                self._at.setdefault(address, owner)


def _names_of(peer: Peer) -> Iterable[str]:
    uris = [target.uri for target in peer.targets]
    uris += [peer.registration.registrar] if peer.registration is not None else []
    for uri in uris:
        try:
            host = parse_uri(uri).host.strip("[]").lower()
        except RemoteProtocolError:
            continue
        if not is_address(host):
            yield host
