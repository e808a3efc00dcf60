"""The settings of how SIP reaches others: where it listens, what it tells of that, TLS, name servers, RTP's addresses.

Leaves out: who is let in (`access_config`), trunks (`trunk_config`).
"""

import ipaddress
import re
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from longline.base.urls import host_port


def sip_host_port(text: str) -> tuple[str | None, str, int]:
    """Split "host:port" or "tls:host:port" (udp, tcp): transport or None, host, port. Raises ValueError."""
    transport, rest = _transport(text)
    return transport, *host_port(rest)


def sip_told(text: str) -> tuple[str | None, str, int | None]:
    """The same, where the port may be left out."""
    transport, rest = _transport(text)
    if re.fullmatch(r"[^\s:\[\]]+|\[[0-9A-Fa-f:.]+\]", rest):
        return transport, rest.strip("[]"), None
    return transport, *host_port(rest)


def _transport(text: str) -> tuple[str | None, str]:
    match = re.fullmatch(r"(udp|tcp|tls):(.+:.+|\[.+|[^:]*[^:\d][^:]*)", text)
    return (match[1].upper(), match[2]) if match else (None, text)


def _one_or_many(value: object) -> object:
    """What may be a list may be its one item."""
    return [item.strip() for item in value.split(",")] if isinstance(value, str) else value


def _sip_listen(texts: list[str]) -> list[str]:
    for text in texts:
        sip_host_port(text)
    return texts


def _sip_advertise(texts: list[str]) -> list[str]:
    for text in texts:
        sip_told(text)
    return texts


def _rtp_addresses(texts: list[str]) -> list[str]:
    addresses = [_address(text) for text in texts]
    if len({address.version for address in addresses}) < len(addresses):
        raise ValueError("must be at most one IPv4 and one IPv6 address")
    return [str(address) for address in addresses]


def _dns_servers(texts: list[str]) -> list[str]:
    for text in texts:
        dns_server(text)
    return texts


def dns_server(text: str) -> tuple[str, int]:
    """An IP address, with or without a port (53). Raises ValueError."""
    try:
        return str(ipaddress.ip_address(text)), 53
    except ValueError:
        host, port = host_port(text)
    return str(_address(host)), port


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        raise ValueError("must be an IP address, such as 192.0.2.10") from None


SipListen = Annotated[list[str], BeforeValidator(_one_or_many), AfterValidator(_sip_listen)]
SipAdvertise = Annotated[list[str], BeforeValidator(_one_or_many), AfterValidator(_sip_advertise)]
RtpAddresses = Annotated[list[str], BeforeValidator(_one_or_many), AfterValidator(_rtp_addresses)]
DnsServers = Annotated[list[str], BeforeValidator(_one_or_many), AfterValidator(_dns_servers)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class SipTls(_Section):
    """How SIP over TLS is done, both ways. The files are read again when they change."""

    certificate: Path | None = Field(
        default=None,
        description="Our certificate and its chain, PEM; shown to whoever connects and to whom we connect.",
    )
    key: Path | None = Field(default=None, description="Its key, PEM; in the file of the certificate if not given.")
    clients: Literal["any", "optional", "required"] = Field(
        default="any",
        description="Whether who connects must show a certificate: any asks for none, optional checks what is shown, "
        "required lets in nobody without.",
    )
    client_ca_files: list[Path] = Field(
        default_factory=list, max_length=64, description="PEM files of the authorities of such certificates."
    )
    wildcards: bool = Field(
        default=False,
        description="Take a certificate of *.example.com for sip.example.com, which RFC 5922 forbids and some carriers "
        "need.",
    )

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.key is not None and self.certificate is None:
            raise ValueError("key is given without certificate")
        if self.clients != "any" and not self.client_ca_files:
            raise ValueError("client_ca_files must be given when clients is not any")
        return self
