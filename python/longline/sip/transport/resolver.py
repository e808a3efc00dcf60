"""DNS for `locate`: asks, with dnspython, and remembers what it was told for as long as the records live.

The hosts file goes before DNS, and a name without a dot is tried in the search domains of resolv.conf; both files are
read again when they change. When DNS does not answer, what was known an hour ago is better than nothing (RFC 8767).
Leaves out: DNSSEC and DNS over TLS; whoever needs them runs a resolver on the host.
"""

import asyncio
import random
from collections import Counter, OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import dns.asyncresolver
import dns.exception
import dns.nameserver
import dns.resolver
from dns.rdtypes.IN.A import A
from dns.rdtypes.IN.AAAA import AAAA
from dns.rdtypes.IN.NAPTR import NAPTR
from dns.rdtypes.IN.SRV import SRV

from longline.sip.locate import Naptr, Place, Question, Record, Srv, Ways, locate

QUESTION_TIMEOUT_S = 2.0
"""How long one question may take, over all name servers; counter `sip.dns_failed`."""
LOOKUP_TIMEOUT_S = 6.0
"""How long the chain NAPTR, SRV, address may take; then nothing was found."""
MAX_CACHED = 4096
"""Questions whose answer is remembered; the one that was least lately used makes room (counter `sip.dns_evicted`)."""
MAX_ASKING = 256
"""Questions under way at once; more are as if not answered (counter `sip.dns_refused`)."""
MAX_TTL_S = 3600.0
MAX_NEGATIVE_S = 60.0
"""How long we believe, at most, that there is no such record."""
FAILED_S = 5.0
"""How long a question that was not answered is not asked again."""
STALE_S = 3600.0
"""How long after its end an answer may stand in when DNS does not answer; counter `sip.dns_stale`."""
MAX_HOSTS_BYTES = 1 << 20
HOSTS = Path("/etc/hosts")
RESOLV_CONF = Path("/etc/resolv.conf")

_LOOPBACK = {"A": ("127.0.0.1",), "AAAA": ("::1",)}


@dataclass(slots=True)
class _Cached:
    records: Sequence[Record]
    until: float


class Resolver:
    """`servers` are name servers (address and port) to ask instead of those of resolv.conf."""

    def __init__(
        self,
        counters: Counter[str],
        servers: Sequence[tuple[str, int]] = (),
        *,
        hosts: Path = HOSTS,
        resolv_conf: Path = RESOLV_CONF,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._counters = counters
        self._servers = tuple(servers)
        self._hosts = _Hosts(hosts)
        self._resolv_conf = resolv_conf
        self._conf_seen: tuple[int, int] | None = None
        self._stub: dns.asyncresolver.Resolver | None = None
        self._draw = draw
        self._cache: OrderedDict[Question, _Cached] = OrderedDict()
        self._asking: dict[Question, asyncio.Task[Sequence[Record]]] = {}

    def known(self, host: str, port: int | None, transport: str | None, secure: bool, ways: Ways) -> list[Place] | None:
        """The places, when nothing needs to be asked for them (an address, or all is remembered), else None."""
        locating = locate(host, port, transport, secure, ways, self._draw)
        try:
            questions = next(locating)
            while True:
                answers = {question: self._remembered(question) for question in questions}
                if any(records is None for records in answers.values()):
                    return None
                questions = locating.send({question: records or () for question, records in answers.items()})
        except StopIteration as found:
            places: list[Place] = found.value
            return places

    async def locate(self, host: str, port: int | None, transport: str | None, secure: bool, ways: Ways) -> list[Place]:
        """The places to try, in order; see `sip.locate`. Never raises: what cannot be found out is an empty list."""
        locating = locate(host, port, transport, secure, ways, self._draw)
        try:
            async with asyncio.timeout(LOOKUP_TIMEOUT_S):
                questions = next(locating)
                while True:
                    answers = await asyncio.gather(*(self._answer(question) for question in questions))
                    questions = locating.send(dict(zip(questions, answers, strict=True)))
        except StopIteration as found:
            places: list[Place] = found.value
            return places
        except TimeoutError:
            self._counters["sip.dns_failed"] += 1
            return []

    def close(self) -> None:
        """Ask nothing more."""
        for task in self._asking.values():
            task.cancel()

    # ---- one question

    def _remembered(self, question: Question) -> Sequence[Record] | None:
        if question.kind in _LOOPBACK:
            local = self._hosts.find(question)
            if local is not None:
                return local
        cached = self._cache.get(question)
        if cached is None or cached.until <= _now():
            return None
        self._cache.move_to_end(question)
        return cached.records

    async def _answer(self, question: Question) -> Sequence[Record]:
        known = self._remembered(question)
        if known is not None:
            return known
        task = self._asking.get(question)
        if task is None:
            if len(self._asking) >= MAX_ASKING:
                self._counters["sip.dns_refused"] += 1
                return ()
            task = asyncio.get_running_loop().create_task(self._ask(question))
            self._asking[question] = task
            task.add_done_callback(lambda _: self._asking.pop(question, None))
        # Who waits may give up; others may wait for the same answer.
        return await asyncio.shield(task)

    async def _ask(self, question: Question) -> Sequence[Record]:
        stub = self._stub_resolver()
        self._counters["sip.dns_questions"] += 1
        try:
            if stub is None:
                raise dns.resolver.NoResolverConfiguration
            answer = await stub.resolve(
                question.name,
                question.kind,
                raise_on_no_answer=False,
                lifetime=QUESTION_TIMEOUT_S,
                search=question.kind in _LOOPBACK,
            )
        except dns.resolver.NXDOMAIN:
            return self._remember(question, (), MAX_NEGATIVE_S)
        except (dns.exception.DNSException, OSError, ValueError, UnicodeError):
            # Not answered, or with what no resolver can read, or no name that DNS could have.
            return self._not_answered(question)
        ttl = min(float(answer.chaining_result.minimum_ttl), MAX_TTL_S)
        if answer.rrset is None:
            return self._remember(question, (), min(ttl, MAX_NEGATIVE_S))
        return self._remember(question, tuple(record for item in answer.rrset if (record := _record(item))), ttl)

    def _not_answered(self, question: Question) -> Sequence[Record]:
        self._counters["sip.dns_failed"] += 1
        cached = self._cache.get(question)
        if cached is not None and cached.records and cached.until + STALE_S > _now():
            # It keeps its end, so that it does not live for ever, and is asked for again the next time.
            self._counters["sip.dns_stale"] += 1
            return cached.records
        return self._remember(question, (), FAILED_S)

    def _remember(self, question: Question, records: Sequence[Record], ttl_s: float) -> Sequence[Record]:
        self._cache[question] = _Cached(records, _now() + ttl_s)
        self._cache.move_to_end(question)
        if len(self._cache) > MAX_CACHED:
            self._cache.popitem(last=False)
            self._counters["sip.dns_evicted"] += 1
        return records

    def _stub_resolver(self) -> dns.asyncresolver.Resolver | None:
        if self._servers:
            if self._stub is None:
                self._stub = dns.asyncresolver.Resolver(configure=False)
                self._stub.nameservers = [dns.nameserver.Do53Nameserver(*server) for server in self._servers]
            return self._stub
        seen = _stamp(self._resolv_conf)
        if seen != self._conf_seen or self._stub is None:
            self._conf_seen = seen
            try:
                self._stub = dns.asyncresolver.Resolver(filename=str(self._resolv_conf))
            except dns.exception.DNSException:
                self._stub = None
        return self._stub


class _Hosts:
    """The hosts file, read again when it has changed. `localhost` is ourselves even without it (RFC 6761 §6.3)."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, int] | None = None
        self._addresses: dict[str, list[str]] = {}

    def find(self, question: Question) -> Sequence[str] | None:
        """The addresses of a name that it has, perhaps none of the family that is asked for; None for other names."""
        seen = _stamp(self._path)
        if seen != self._seen:
            self._seen = seen
            self._addresses = self._read()
        found = self._addresses.get(question.name)
        if found is not None:
            return [address for address in found if (":" in address) == (question.kind == "AAAA")]
        if question.name == "localhost" or question.name.endswith(".localhost"):
            return _LOOPBACK[question.kind]
        return None

    def _read(self) -> dict[str, list[str]]:
        addresses: dict[str, list[str]] = {}
        try:
            with self._path.open("rb") as file:
                text = file.read(MAX_HOSTS_BYTES).decode("utf-8", "replace")
        except OSError:
            return addresses
        for line in text.splitlines():
            address, *names = line.partition("#")[0].split() or [""]
            for name in names:
                addresses.setdefault(name.rstrip(".").lower(), []).append(address)
        return addresses


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size


def _record(item: object) -> Record | None:
    match item:
        case A() | AAAA():
            return str(item.address)
        case SRV():
            return Srv(item.priority, item.weight, item.port, item.target.to_text())
        case NAPTR():
            return Naptr(
                item.order,
                item.preference,
                item.flags.decode("latin-1"),
                item.service.decode("latin-1"),
                item.replacement.to_text(),
                item.regexp.decode("latin-1"),
            )
    return None


def _now() -> float:
    return asyncio.get_running_loop().time()
