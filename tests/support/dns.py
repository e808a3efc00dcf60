"""A small DNS server on the loopback address: it knows a zone, and forgets to answer when it is told to."""

import asyncio
from collections.abc import Iterable, Mapping
from typing import Self

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset


class DnsServer(asyncio.DatagramProtocol):
    """`zone` has texts as in a zone file: {("example.com", "SRV"): ["0 1 5060 a.example.com."]}. `async with` it.

    `asked` lists what came in, `silent` kinds get no answer, `code` is given to names that are not in the zone."""

    def __init__(self, zone: Mapping[tuple[str, str], Iterable[str]], ttl_s: int = 60) -> None:
        self.zone = {key: list(texts) for key, texts in zone.items()}
        self.ttl_s = ttl_s
        self.silent: set[str] = set()
        self.code = dns.rcode.NOERROR
        self.asked: list[str] = []
        self.address = ("127.0.0.1", 0)
        self._transport: asyncio.DatagramTransport | None = None

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=self.address)
        self.address = self._transport.get_extra_info("sockname")[:2]
        return self

    async def __aexit__(self, *error: object) -> None:
        assert self._transport is not None
        self._transport.close()

    @property
    def server(self) -> str:
        """As the setting `dns_servers` has it."""
        return f"{self.address[0]}:{self.address[1]}"

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        query = dns.message.from_wire(data)
        (question,) = query.question
        kind = dns.rdatatype.to_text(question.rdtype)
        name = question.name.to_text(omit_final_dot=True).lower()
        self.asked.append(f"{kind} {name}")
        if kind in self.silent:
            return
        response = dns.message.make_response(query)
        response.flags |= dns.flags.RA
        texts = self.zone.get((name, kind))
        if texts:
            response.answer.append(dns.rrset.from_text(question.name, self.ttl_s, "IN", kind, *texts))
        else:
            response.set_rcode(self.code)
        assert self._transport is not None
        self._transport.sendto(response.to_wire(), addr)
