"""Ways to somebody: the addresses that are called one after the other until one answers (RFC 3261 §16.6, sequentially).

An account of ours is called at its bindings, the most wanted first; a redirect (`redirect`) names further targets.
Leaves out: ringing several at once.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from longline.sip.access.bindings import Binding
from longline.sip.dialog import Dialog
from longline.sip.syntax.uri import parse_uri

MAX_WAYS = 16
"""Addresses that one call tries; further ones are not."""


@dataclass(frozen=True, slots=True)
class Way:
    """One address. `routes` lead to it; `transport` and `host` are where its phone was heard from, if it can only be
    reached there; over `connection` while that lives."""

    uri: str
    routes: tuple[str, ...] = ()
    peer: str | None = None
    transport: str = ""
    host: str = ""
    port: int = 0
    connection: int | None = None
    listener: int | None = None
    trunk: str | None = None
    """The host whose credentials may be used there."""

    def enter(self, dialog: Dialog) -> None:
        """Let a dialog that has no answer yet lead this way."""
        dialog.remote_target = self.uri
        dialog.route_set = list(self.routes)
        dialog.secure = parse_uri(self.uri).scheme == "sips"
        dialog.remote_tag = dialog.remote_cseq = dialog.remote_sdp = None
        dialog.allow, dialog.supported = [], []
        dialog.peer, dialog.trunk = self.peer, self.trunk
        dialog.digests = []
        dialog.transport, dialog.connection = self.transport, self.connection
        dialog.remote_host, dialog.remote_port = self.host, self.port
        dialog.behind_nat = bool(self.host)
        dialog.listener = self.listener


def ways_to(account: str, bindings: Iterable[Binding]) -> list[Way]:
    """The ways to an account: its bindings are in their order already."""
    return [_way(account, binding) for binding in bindings][:MAX_WAYS]


def _way(account: str, binding: Binding) -> Way:
    if binding.path:
        return Way(binding.contact, binding.path, account)
    transport = binding.transport if binding.connection is not None or binding.is_translated else ""
    way = Way(binding.contact, (), account, transport, connection=binding.connection, listener=binding.listener)
    return replace(way, host=binding.host, port=binding.port) if binding.is_translated else way
