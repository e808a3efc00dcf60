"""Where a request may go (RFC 3263): from the host of a URI to addresses in order of preference.

`locate` is a generator without I/O: it yields the questions that it has for DNS, is sent the answers, and returns the
places to try. Whoever drives it asks, and remembers (`transport/resolver`). Weights are drawn with the given `random`
(RFC 2782). Leaves out: SCTP and WebSocket services, ENUM, and whether a place answers.
"""

import ipaddress
import itertools
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass

from longline.sip.wire import default_port

MAX_PLACES = 16
"""Places that one look-up gives; further ones are left off."""
MAX_RECORDS = 32
"""Records of one answer that are looked at; further ones are left off."""

_NAPTR_SERVICES = {"SIP+D2U": "UDP", "SIP+D2T": "TCP", "SIPS+D2T": "TLS"}
"""RFC 3263 §4.1. `SIP+D2S` and the rest are not ours."""
_SRV_PREFIXES = {"UDP": "_sip._udp.", "TCP": "_sip._tcp.", "TLS": "_sips._tcp."}


@dataclass(frozen=True, slots=True)
class Question:
    """`kind` is `NAPTR`, `SRV`, `A` or `AAAA`."""

    name: str
    kind: str


@dataclass(frozen=True, slots=True)
class Naptr:
    order: int
    preference: int
    flags: str
    service: str
    replacement: str
    regexp: str = ""


@dataclass(frozen=True, slots=True)
class Srv:
    priority: int
    weight: int
    port: int
    target: str


Record = Naptr | Srv | str
"""An address is its text."""
Answers = Mapping[Question, Sequence[Record]]
"""What DNS said; a question without records may be left out."""


@dataclass(frozen=True, slots=True)
class Place:
    """`transport` is `UDP`, `TCP` or `TLS`, `host` an IP address."""

    transport: str
    host: str
    port: int


@dataclass(frozen=True, slots=True)
class _Server:
    """A name with all that is known but its addresses."""

    transport: str
    name: str
    port: int


Ways = Sequence[tuple[str, int]]
"""What we have sockets for: transport and address family (4 or 6), the preferred first."""
Locating = Generator[list[Question], Answers, list[Place]]


def locate(
    host: str,
    port: int | None,
    transport: str | None,
    secure: bool,
    ways: Ways,
    random: Callable[[], float],
) -> Locating:
    """The places for a URI's host, port and transport parameter (None: it has none), `secure` for a sips URI.

    Of the addresses of one server those come first whose family `ways` names first. Nothing found is an empty list;
    so is a name of which DNS says that it has no such service, and a transport that sips forbids."""
    host = host.strip("[]").rstrip(".").lower()
    if transport is not None:
        transport = _effective(transport.upper(), secure)
        if transport is None:
            return []
    literal = address_of(host)
    if literal is not None:
        # RFC 3263 §4.1, §4.2: a numeric host leaves nothing to ask.
        chosen = transport or ("TLS" if secure else "UDP")
        is_ours = (chosen, family_of(literal)) in ways
        return [Place(chosen, literal, port or default_port(chosen))] if is_ours else []
    transports = [name for name in _NAPTR_SERVICES.values() if any(way[0] == name for way in ways)]
    if secure:
        transports = [name for name in transports if name == "TLS"]
    if port is not None:
        # RFC 3263 §4.1: an explicit port means neither NAPTR nor SRV, and without a transport UDP (TLS for sips).
        servers = [_Server(transport or ("TLS" if secure else "UDP"), host, port)]
    elif transport is not None:
        servers = yield from _by_service(host, [transport], random)
    else:
        servers = (yield from _by_naptr(host, transports, random)) or (yield from _by_service(host, transports, random))
    return (yield from _addresses(servers[:MAX_PLACES], ways))


def address_of(host: str) -> str | None:
    """The IP address that a host is, in its shortest form, or None for a name."""
    try:
        return str(ipaddress.ip_address(host.strip("[]")))
    except ValueError:
        return None


def family_of(address: str) -> int:
    return 6 if ":" in address else 4


def _effective(transport: str, secure: bool) -> str | None:
    """RFC 3261 §26.2.2: sips goes over TLS whatever its transport parameter says, and never over UDP."""
    if not secure:
        return transport
    return "TLS" if transport in ("TCP", "TLS") else None


def _by_naptr(
    host: str, transports: Sequence[str], random: Callable[[], float]
) -> Generator[list[Question], Answers, list[_Server]]:
    """The servers that NAPTR leads to, in its order. None of them: ask for SRV."""
    question = Question(host, "NAPTR")
    answers = yield [question]
    records = [record for record in answers.get(question, ())[:MAX_RECORDS] if isinstance(record, Naptr)]
    usable = [
        (record, _NAPTR_SERVICES[record.service.upper()])
        for record in sorted(records, key=lambda record: (record.order, record.preference))
        # RFC 3263 §4.1: the flag "s" leads to SRV; a regexp has no place here.
        if record.flags.lower() == "s" and not record.regexp and record.service.upper() in _NAPTR_SERVICES
    ]
    usable = [(record, transport) for record, transport in usable if transport in transports]
    if not usable:
        return []
    questions = {Question(_name(record.replacement), "SRV"): transport for record, transport in usable}
    answers = yield list(questions)
    servers: list[_Server] = []
    for question, transport in questions.items():
        servers += _in_order(answers.get(question, ()), transport, random)
    return servers


def _by_service(
    host: str, transports: Sequence[str], random: Callable[[], float]
) -> Generator[list[Question], Answers, list[_Server]]:
    """The servers of SRV records; without any, the host itself."""
    if not transports:
        return []
    questions = {Question(_SRV_PREFIXES[name] + host, "SRV"): name for name in transports if name in _SRV_PREFIXES}
    answers = yield list(questions)
    servers: list[_Server] = []
    found = False
    for question, transport in questions.items():
        records = answers.get(question, ())
        found = found or bool(records)
        servers += _in_order(records, transport, random)
    if found:
        return servers
    # RFC 3263 §4.2: no SRV records: the addresses of the name, at the default port of UDP (of TLS for sips).
    return [_Server(transports[0], host, default_port(transports[0]))]


def _in_order(records: Iterable[Record], transport: str, random: Callable[[], float]) -> list[_Server]:
    """RFC 2782: by priority; among equals each time a draw by weight."""
    left = [record for record in records if isinstance(record, Srv)][:MAX_RECORDS]
    servers: list[_Server] = []
    for priority in sorted({record.priority for record in left}):
        # Those of weight 0 stand first, so that they have a chance, if a small one.
        group = sorted((record for record in left if record.priority == priority), key=lambda record: record.weight)
        while group:
            point = int(random() * (sum(record.weight for record in group) + 1))
            sums = itertools.accumulate(record.weight for record in group)
            chosen = next(record for record, total in zip(group, sums, strict=True) if total >= point)
            group.remove(chosen)
            # RFC 2782: the target "." says that the service is decidedly not there.
            if _name(chosen.target) and 0 < chosen.port <= 65_535:
                servers.append(_Server(transport, _name(chosen.target), chosen.port))
    return servers


def _addresses(servers: Sequence[_Server], ways: Ways) -> Generator[list[Question], Answers, list[Place]]:
    families = list(dict.fromkeys(family for _, family in ways))
    wanted = [
        (server, family, Question(server.name, "AAAA" if family == 6 else "A"))
        for server in servers
        for family in families
        if (server.transport, family) in ways
    ]
    answers: Answers = (yield list(dict.fromkeys(question for _, _, question in wanted))) if wanted else {}
    places: dict[Place, None] = {}
    for server, family, question in wanted:
        for record in answers.get(question, ())[:MAX_RECORDS]:
            address = address_of(record) if isinstance(record, str) else None
            if address is not None and family_of(address) == family:
                places[Place(server.transport, address, server.port)] = None
    return list(places)[:MAX_PLACES]


def _name(text: str) -> str:
    return text.rstrip(".").lower()
