"""A trunk as calls see it, whether the configuration or the API made it: where calls to it go, who may come in by it.

`peer` is what the SIP stack has to know of it. Leaves out the set of all trunks (`trunk_book.py`) and the choice among
them (`routes.py`).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID, uuid5

from longline.base import trunk_config
from longline.base.errors import RemoteProtocolError
from longline.base.ids import DEFAULT_ACCOUNT_ID, Prefix, encode_id
from longline.sip.access.auth import TrunkCredential
from longline.sip.access.peers import DigestUser, Network, Peer, PeerTarget, Registration
from longline.sip.syntax.uri import SipUri, parse_uri
from longline.store.records import IpAclRecord, SipTrunkRecord

API_PRIORITY: Final = 100
"""Trunks of the API are tried after those of the configuration, unless these have a higher number."""
API_HEALTH_INTERVAL_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class Trunk:
    """`user` is the user part of every call to it, in place of the number. A limit of 0 is none."""

    id: UUID
    name: str
    peer: Peer
    account_id: UUID = DEFAULT_ACCOUNT_ID
    is_shared: bool = False
    """Calls of every account may leave through it; its inbound calls are its own account's."""
    priority: int = 10
    weight: int = 1
    is_way_out: bool = True
    """Calls to telephone numbers may leave through it."""
    user: str | None = None
    from_host: str | None = None
    from_user: str | None = None
    asserts_identity: bool = False
    follows_redirects: bool = False
    records_inbound: bool | None = None
    """Whether its inbound calls are recorded; None: as the node is set."""
    webhook_url: str | None = None
    webhook_version: str | None = None
    secret_id: UUID | None = None
    """What signs the webhooks of its inbound calls; None: the node's secret."""
    app: str | None = None
    """The voice app of the configuration that has its inbound calls, where the number called has none."""


def config_trunk_id(name: str) -> UUID:
    """The id of a trunk of the configuration: the same at every start."""
    return uuid5(DEFAULT_ACCOUNT_ID, f"trunk {name}")


def trunk_of_config(name: str, settings: trunk_config.Trunk) -> Trunk:
    """Raises ValueError when a URI cannot be called."""
    targets = tuple(
        PeerTarget(_with_transport(target.uri, settings.transport), target.priority, target.weight)
        for target in settings.all_targets
    )
    networks = tuple(ipaddress.ip_network(network) for network in settings.networks)
    # Whom we call may call us, unless it is said who may.
    admits_targets = not networks and settings.inbound_username is None
    if admits_targets:
        networks = _addresses(targets)
    users: tuple[DigestUser, ...] = ()
    if settings.inbound_username is not None and settings.inbound_password is not None:
        users = (DigestUser(settings.inbound_username, settings.inbound_password),)
    registration = _registration(settings, targets)
    first = registration.registrar if registration else targets[0].uri if targets else None
    host = _host(first) if first else ""
    credential = None
    if settings.username is not None and settings.password is not None:
        credential = TrunkCredential(host, settings.username, settings.password, settings.realm)
    peer = Peer(
        name=name,
        networks=networks,
        admits_targets=admits_targets,
        users=users,
        targets=targets,
        credential=credential,
        domain=settings.from_host if users else None,
        channel_limit=settings.channel_limit,
        cps_limit=settings.cps_limit,
        srtp=settings.srtp,
        registration=registration,
        health_interval_s=settings.health_interval_s,
    )
    return Trunk(
        id=config_trunk_id(name),
        name=name,
        peer=peer,
        is_shared=True,
        priority=settings.priority,
        weight=settings.weight,
        is_way_out=settings.outbound and bool(targets),
        from_host=settings.from_host,
        from_user=settings.from_user,
        asserts_identity=settings.asserts_identity,
        follows_redirects=settings.follow_redirects,
        app=settings.app,
    )


def record_of_config(name: str, settings: trunk_config.Trunk, at: datetime) -> SipTrunkRecord:
    """How a trunk of the configuration is listed and named in the store: without its credentials."""
    trunk = trunk_of_config(name, settings)
    uri = parse_uri(trunk.peer.targets[0].uri) if trunk.peer.targets else None
    transport = "tls" if uri is not None and uri.scheme == "sips" else uri.transport.lower() if uri else "udp"
    return SipTrunkRecord(
        id=trunk.id,
        source="config",
        name=name,
        domain_name=settings.from_host or (uri.host if uri else ""),
        authentication_type="credential" if settings.inbound_username else "IP",
        created_at=at,
        updated_at=at,
        channel_limit=settings.channel_limit,
        cps_limit=settings.cps_limit,
        transport="tls" if transport == "tls" else "tcp" if transport == "tcp" else "udp",
        auth_username=settings.inbound_username,
        auth_addresses=[{"name": "", "address": shown_network(network)} for network in trunk.peer.networks],
        inbound_route=None if uri is None else {"name": name, "sip_url": str(uri), "sip_user": None},
    )


def trunk_of_record(record: SipTrunkRecord, acl: IpAclRecord | None) -> Trunk:
    """Raises ValueError when what is stored cannot be called."""
    route = record.inbound_route
    targets: tuple[PeerTarget, ...] = ()
    if route is not None:
        targets = (PeerTarget(_with_transport(str(route["sip_url"]), record.transport)),)
    users: tuple[DigestUser, ...] = ()
    credential = None
    networks: tuple[Network, ...] = ()
    if record.authentication_type == "credential":
        if record.auth_username is not None and record.auth_password is not None:
            users = (DigestUser(record.auth_username, record.auth_password),)
            host = _host(targets[0].uri) if targets else ""
            credential = TrunkCredential(host, record.auth_username, record.auth_password) if targets else None
    else:
        entries = record.auth_addresses if acl is None else acl.addresses
        networks = tuple(ipaddress.ip_network(str(entry["address"]), strict=False) for entry in entries)
    peer = Peer(
        name=encode_id(Prefix.SIP_TRUNK, record.id),
        networks=networks,
        users=users,
        targets=targets,
        credential=credential,
        domain=record.domain_name,
        channel_limit=record.channel_limit,
        cps_limit=record.cps_limit,
        health_interval_s=API_HEALTH_INTERVAL_S,
    )
    return Trunk(
        id=record.id,
        name=record.name,
        peer=peer,
        account_id=record.account_id,
        priority=API_PRIORITY,
        is_way_out=bool(targets),
        user=None if route is None else route.get("sip_user"),
        records_inbound=record.recording,
        webhook_url=record.webhook_url,
        webhook_version=record.webhook_version,
        secret_id=record.secret_id,
    )


def shown_network(network: Network) -> str:
    """A network of one address is shown as that address."""
    return str(network.network_address if network.prefixlen == network.max_prefixlen else network)


def _registration(settings: trunk_config.Trunk, targets: Sequence[PeerTarget]) -> Registration | None:
    if not settings.registration:
        return None
    registrar = parse(settings.registrar or targets[0].uri)
    # RFC 3261 §10.2: the Request-URI of a REGISTER names the domain; userinfo MUST NOT be there.
    uri = str(SipUri(registrar.host, registrar.port, params=registrar.params, scheme=registrar.scheme))
    aor = settings.aor or f"{registrar.scheme}:{settings.username}@{registrar.host}"
    return Registration(aor=aor, registrar=uri, expires_s=settings.registration_expires_s, contact_user=parse(aor).user)


def _with_transport(uri: str, transport: str | None) -> str:
    parsed = parse(uri)
    if transport is None or parsed.scheme == "sips" or parsed.param("transport") is not None:
        return uri
    return str(
        SipUri(
            parsed.host,
            parsed.port,
            parsed.user,
            parsed.password,
            (*parsed.params, ("transport", transport)),
            parsed.headers,
            parsed.scheme,
        )
    )


def _addresses(targets: Sequence[PeerTarget]) -> tuple[Network, ...]:
    """The targets that are addresses and no names: whom we call may call us."""
    found: dict[Network, None] = {}
    for target in targets:
        try:
            found[ipaddress.ip_network(_host(target.uri))] = None
        except ValueError:
            continue
    return tuple(found)


def _host(uri: str) -> str:
    return parse(uri).host_port[0]


def parse(uri: str) -> SipUri:
    """`sip.uri.parse_uri`, for a URI that somebody of ours wrote: ValueError says what is wrong with it."""
    try:
        return parse_uri(uri)
    except RemoteProtocolError as error:
        raise ValueError(f"{uri}: {error}") from error
