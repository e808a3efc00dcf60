"""A guard for tests: names are what a test says, and by default it lets everything through that a test may reach."""

import asyncio
from collections.abc import Iterable, Mapping
from ipaddress import ip_address

import httpcore2

from longline.base.access_config import LOOPBACK
from longline.guard.destination import IpAddress
from longline.guard.guard import Guard
from longline.guard.policy import EgressPolicy
from longline.guard.refused import Refusal, Refused


class Names:
    """Names and their addresses. With several answers, each look-up gets the next, the last for ever: a name whose
    owner rebinds it. `asked` are the look-ups. A name that is not there has `otherwise`, or is not found."""

    def __init__(self, names: Mapping[str, Iterable[str]] | None = None, otherwise: str | None = None) -> None:
        self._answers = {name: list(answers) for name, answers in (names or {}).items()}
        self._otherwise = otherwise
        self.asked: list[str] = []

    async def resolve(self, host: str) -> list[IpAddress]:
        self.asked.append(host)
        answers = self._answers.get(host, [self._otherwise] if self._otherwise else [])
        if not answers:
            raise Refused(Refusal.NAME_NOT_FOUND, f"{host} was not found: no such name")
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        return [ip_address(text) for text in answer.split()]

    def close(self) -> None:
        pass


def open_guard() -> Guard:
    """Loopback is allowed, any scheme is, and every name is 127.0.0.1."""
    return Guard(EgressPolicy.of(LOOPBACK, [80, 443], requires_tls=False), Names(otherwise="127.0.0.1"))


def internet_guard(
    names: Mapping[str, Iterable[str]] | None = None,
    *allow: str,
    requires_tls: bool = True,
    resolver: Names | None = None,
) -> Guard:
    """The public internet, and what is allowed."""
    return Guard(EgressPolicy.of(allow, [80, 443], requires_tls), resolver or Names(names))


class Network(httpcore2.AsyncNetworkBackend):
    """Whatever address is dialled, the connection is to a server of the test; `dialled` are the addresses."""

    def __init__(self, port: int, dead: Iterable[str] = ()) -> None:
        self._port = port
        self._dead = set(dead)
        self._real = httpcore2.AnyIOBackend()
        self.dialled: list[tuple[str, int]] = []

    async def connect_tcp(self, host, port, timeout=None, local_address=None, socket_options=None):  # type: ignore[no-untyped-def]  # noqa: ASYNC109
        self.dialled.append((host, port))
        if host in self._dead:
            raise httpcore2.ConnectError("refused")
        return await self._real.connect_tcp("127.0.0.1", self._port, timeout)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
