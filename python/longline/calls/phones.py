"""The phones of the configuration, `[phones.NAME]`, as peers of the SIP stack, and where they are kept.

The registrar tells each change of an account's bindings (`BindingsChanged`); it is written to the store, and a node
that starts takes back what has not expired. Leaves out: the registrar itself (`sip/access/registrar.py`).
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from longline.base.clock import Clock
from longline.base.config import Config
from longline.base.log import get_logger
from longline.media.protocol.framing import format_address
from longline.sip.access.default_deny import AdmissionPolicy
from longline.sip.access.lockout import LockoutPolicy
from longline.sip.access.peers import DigestUser, Network, Peer
from longline.sip.events import BindingsChanged
from longline.store.records import RegistrationRecord

KEEP_TIMEOUT_S = 2.0
"""How long the answer to a REGISTER waits for the store."""
BURST = 3
"""How many times the requests of one second a stranger may send at once."""

log = get_logger(__name__)


def phone_peer_name(account: str) -> str:
    """The name of a phone among the peers; no trunk has such a one."""
    return f"phone:{account}"


def phone_peers(config: Config) -> list[Peer]:
    return [
        Peer(
            phone_peer_name(name),
            users=(DigestUser(name, phone.password),),
            channel_limit=phone.channel_limit,
            is_trunk=False,
        )
        for name, phone in config.phones.items()
    ]


def admission_policy(config: Config) -> AdmissionPolicy:
    """Who is let in, as `[access]` has it."""
    access = config.access
    return AdmissionPolicy(
        networks=(*(ipaddress.ip_network(network) for network in access.networks), *_own_addresses(config)),
        domains=tuple(access.domains),
        realm=access.realm,
        algorithms=tuple(access.algorithms),
        lockout=LockoutPolicy(
            per_address=access.failures_per_address,
            per_account=access.failures_per_account,
            unanswered=access.unanswered_challenges,
            window_s=access.window_s,
            lock_s=access.lockout_s,
        ),
        rate_per_s=access.requests_per_s,
        burst=access.requests_per_s * BURST,
    )


def _own_addresses(config: Config) -> list[Network]:
    """Where this machine is let in, it is so by its other addresses too: what it sends to one of them comes from there.
    No stranger can, for a host drops what comes from outside in its own name."""
    if not config.access.lets_this_machine_in:
        return []
    found: list[Network] = []
    for _, host, _ in config.sip_addresses:
        with contextlib.suppress(ValueError):
            address = ipaddress.ip_address(host)
            if not address.is_unspecified and not address.is_loopback:
                found.append(ipaddress.ip_network(address))
    return found


@dataclass(frozen=True, slots=True)
class PhonePlace:
    """One binding: the Contact, and the address (`host:port`) that its REGISTER came from."""

    contact: str
    transport: str
    address: str
    user_agent: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class PhoneState:
    """An account, and where it has registered; the place that is called first is the first."""

    name: str
    channel_limit: int
    places: list[PhonePlace]


class RegistrationStore(Protocol):
    async def save(self, registration: RegistrationRecord) -> None: ...
    async def all(self) -> Sequence[RegistrationRecord]: ...


class Registrar(Protocol):
    def restore_bindings(self, account: str, bindings: Iterable[dict[str, Any]]) -> None: ...
    def bindings_kept(self, ticket: str) -> None: ...


class PhoneBook:
    """Keeps where the phones are."""

    def __init__(self, config: Config, store: RegistrationStore, clock: Clock) -> None:
        self._phones = config.phones
        self._store = store
        self._clock = clock
        self._kept: dict[str, RegistrationRecord] = {}
        self._registrar: Registrar | None = None
        self._saving: set[asyncio.Task[None]] = set()

    async def restore(self, registrar: Registrar) -> int:
        """Give the registrar back what was kept; the number of accounts. It is told of what is kept from now on."""
        self._registrar = registrar
        now = self._clock.now()
        found = 0
        for kept in await self._store.all():
            passed = (now - kept.written_at).total_seconds()
            # A clock that was set back must not make a binding last longer than was granted.
            bindings = [{**binding, "expires_s": binding["expires_s"] - max(0.0, passed)} for binding in kept.bindings]
            try:
                registrar.restore_bindings(kept.account, bindings)
            except (KeyError, TypeError, ValueError):
                log.warning("a registration that was kept cannot be read", account=kept.account)
                continue
            self._kept[kept.account] = kept
            found += bool(bindings)
        return found

    def on_bindings(self, event: BindingsChanged) -> None:
        record = RegistrationRecord(event.account, list(event.bindings), self._clock.now())
        self._kept[event.account] = record
        log.info(
            "phone registered" if event.bindings else "phone gone", account=event.account, bindings=len(event.bindings)
        )
        task = asyncio.create_task(self._keep(record, event.ticket))
        self._saving.add(task)
        task.add_done_callback(self._saving.discard)

    def phones(self) -> list[PhoneState]:
        """Every phone of the configuration, and where it is."""
        return [PhoneState(name, phone.channel_limit, self._places(name)) for name, phone in self._phones.items()]

    def _places(self, name: str) -> list[PhonePlace]:
        kept = self._kept.get(phone_peer_name(name))
        if kept is None:
            return []
        places = [
            PhonePlace(
                contact=binding["contact"],
                transport=binding["transport"],
                address=format_address((binding["host"], binding["port"])),
                user_agent=binding["user_agent"],
                expires_at=kept.written_at + timedelta(seconds=binding["expires_s"]),
            )
            for binding in kept.bindings
        ]
        return [place for place in places if place.expires_at > self._clock.now()]

    async def _keep(self, record: RegistrationRecord, ticket: str) -> None:
        """Persist before the answer that reveals it; a store that is slow or broken holds no phone up for long."""
        try:
            async with asyncio.timeout(KEEP_TIMEOUT_S):
                await self._store.save(record)
        except Exception as error:  # a store that cannot be written costs the registration after a restart, no more
            log.error("a registration could not be kept", account=record.account, error_type=type(error).__name__)
        if self._registrar is not None:
            self._registrar.bindings_kept(ticket)

    async def stop(self) -> None:
        """Wait for what is being written."""
        if self._saving:
            await asyncio.wait(self._saving)
