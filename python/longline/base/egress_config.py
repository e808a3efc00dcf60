"""The settings of where our own requests may go: `[egress]`. What is made of them is in `longline/guard`."""

import ipaddress
import re
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from longline.base.access_config import LOOPBACK


def _entry(text: str) -> str:
    try:
        return str(ipaddress.ip_network(text, strict=False))
    except ValueError:
        pass
    name = text.lower().removesuffix(".")
    label = r"[a-z0-9_](?:[a-z0-9_\-]{0,61}[a-z0-9_])?"
    if len(name) > 253 or re.fullmatch(rf"(?:\*\.)?(?:{label}\.)*(?!\d+$){label}", name) is None:
        raise ValueError("must be an IP address, a network, a host name, or *. and a domain, such as *.apps.internal")
    return name


Entry = Annotated[str, AfterValidator(_entry)]
Port = Annotated[int, Field(ge=1, le=65535)]


class Egress(BaseModel):
    """Where flow, webhook, media and WebSocket URLs may lead."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    allow: list[Entry] | None = Field(
        default=None,
        max_length=256,
        description="Addresses, networks and host names outside of the public internet that URLs of applications may "
        "lead to, at any port and without TLS. If not given: this machine, while there is one account and http_listen "
        "is an address of this machine alone; else nothing. Empty for nothing.",
    )
    ports: list[Port] = Field(
        default=[80, 443], max_length=256, description="Ports at hosts of the public internet that URLs may name."
    )
    require_tls: bool = Field(
        default=True, description="Whether URLs to the public internet must be https:// or wss://."
    )

    def allowed(self, listens_on_loopback: bool) -> list[str]:
        """`allow`, default applied."""
        if self.allow is not None:
            return self.allow
        return list(LOOPBACK) if listens_on_loopback else []
