"""Host names to addresses, as the system has them, on threads of their own.

The loop's own threads also read files: a slow name server shall not hold those up.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_address
from typing import Final, Protocol

from longline.guard.destination import IpAddress
from longline.guard.refused import Refusal, Refused

THREADS: Final = 8
LOOKUPS_MAX: Final = 256
"""Look-ups at once. Rule when full: a further one fails at once, and says so."""
LOOKUP_TIMEOUT_S: Final = 5.0
ADDRESSES_MAX: Final = 8
"""Addresses of one name that are looked at and tried."""


class Resolver(Protocol):
    async def resolve(self, host: str) -> Sequence[IpAddress]:
        """At least one address, the preferred first. Raise Refused (name_not_found)."""

    def close(self) -> None: ...


class SystemResolver:
    """`getaddrinfo`: /etc/hosts, DNS, and whatever else the system asks."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="resolver")
        self._under_way = 0

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def resolve(self, host: str) -> Sequence[IpAddress]:
        if self._under_way >= LOOKUPS_MAX:
            raise Refused(Refusal.NAME_NOT_FOUND, f"{host}: {LOOKUPS_MAX} look-ups are under way")
        self._under_way += 1
        lookup = asyncio.get_running_loop().run_in_executor(self._threads, _look_up, host)
        lookup.add_done_callback(self._ended)  # not when it is given up: its thread is busy until then
        try:
            async with asyncio.timeout(LOOKUP_TIMEOUT_S):
                return await asyncio.shield(lookup)
        except TimeoutError:
            problem = f"{host} was not resolved within {LOOKUP_TIMEOUT_S:g} s"
            raise Refused(Refusal.NAME_NOT_FOUND, problem) from None
        except (OSError, UnicodeError) as error:
            why = error.strerror if isinstance(error, OSError) else None
            raise Refused(Refusal.NAME_NOT_FOUND, f"{host} was not found: {why or 'no such name'}") from None

    def _ended(self, lookup: asyncio.Future[Sequence[IpAddress]]) -> None:
        self._under_way -= 1
        if not lookup.cancelled():
            lookup.exception()  # has been seen


def _look_up(host: str) -> Sequence[IpAddress]:
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    # A scope ("fe80::1%eth0") is of no use to a check: the address alone is link-local, and refused.
    addresses = dict.fromkeys(ip_address(str(entry[4][0]).partition("%")[0]) for entry in found)
    return list(addresses)[:ADDRESSES_MAX]
