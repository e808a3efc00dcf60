"""The settings of who may talk SIP to us and whom calls may reach: `[access]`, and the accounts `[phones.NAME]`.

Leaves out: trunks (`trunk_config`), and what is made of these (`calls/phones.py`, `calls/destinations.py`).
"""

import ipaddress
import re
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

LOOPBACK = ("127.0.0.0/8", "::1/128")


def _network(text: str) -> str:
    try:
        return str(ipaddress.ip_network(text, strict=False))
    except ValueError:
        raise ValueError("must be an IP address or network, such as 192.0.2.10 or 192.0.2.0/24") from None


def _domain(text: str) -> str:
    if re.fullmatch(r"[A-Za-z0-9](?:[A-Za-z0-9.\-]{0,251}[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\]", text) is None:
        raise ValueError("must be a host name or an IP address, such as sip.example.com")
    return text.strip("[]").lower()


def _prefix(text: str) -> str:
    if re.fullmatch(r"\+\d{0,15}", text) is None:
        raise ValueError("must be the beginning of an E.164 number, such as +1900; + is every number")
    return text


Network = Annotated[str, AfterValidator(_network)]
Domain = Annotated[str, AfterValidator(_domain)]
Prefix = Annotated[str, AfterValidator(_prefix)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Access(_Section):
    """Who is answered at all, and which numbers may be called."""

    networks: list[Network] = Field(
        default=list(LOOPBACK),
        max_length=256,
        description="Networks whose SIP is let in without a trunk or a password (REGISTER needs one even so). The "
        "default is this machine alone (by the addresses of sip_listen as well); empty for nobody.",
    )
    domains: list[Domain] = Field(
        default_factory=list,
        max_length=64,
        description="Names that phones know this node by. Who calls another name and is no trunk hears nothing. If not "
        "given, the host of sip_advertise or sip_listen.",
    )
    realm: str | None = Field(
        default=None,
        min_length=1,
        max_length=255,
        pattern=r'^[^"\\\r\n]+$',
        description="Realm of our challenges; the first of access.domains if not given.",
    )
    algorithms: list[Literal["SHA-256", "MD5"]] = Field(
        default=["SHA-256", "MD5"], min_length=1, description="Digest algorithms that are offered, in this order."
    )
    failures_per_address: int = Field(
        default=10, ge=1, description="Wrong passwords from one address until nothing from it is answered."
    )
    failures_per_account: int = Field(
        default=50,
        ge=1,
        description="Wrong passwords for one account until only addresses that have logged in to it before may.",
    )
    unanswered_challenges: int = Field(
        default=60, ge=1, description="Challenges that an address leaves unanswered until nothing from it is answered."
    )
    window_s: float = Field(default=300.0, gt=0, description="How long failures are counted together.")
    lockout_s: float = Field(default=900.0, gt=0, description="How long somebody who failed so often is shut out.")
    requests_per_s: float = Field(
        default=20.0,
        gt=0,
        description="SIP requests of one address (one /64 of IPv6) that is not a trunk's nor in access.networks; three "
        "times as many at once.",
    )
    transfers: Literal["phones", "everyone", "nobody"] = Field(
        default="phones",
        description="Whose REFER is carried out within a call: that of phones that log in and of callers let in by "
        "access.networks, everyone's, or nobody's. Whoever transfers a call makes one at your cost.",
    )
    deny_destinations: list[Prefix] = Field(
        default_factory=list, max_length=1000, description="Numbers that begin so are not called."
    )
    allow_destinations: list[Prefix] = Field(
        default_factory=list,
        max_length=1000,
        description="If given, only numbers that begin so are called. Of two prefixes that fit the longer one counts.",
    )

    @property
    def lets_this_machine_in(self) -> bool:
        return any(ipaddress.ip_network(network).is_loopback for network in self.networks)

    @property
    def lets_others_in(self) -> bool:
        """Whether any network but this machine is named."""
        return any(not ipaddress.ip_network(network).is_loopback for network in self.networks)


class Phone(_Section):
    """An account that a phone registers with; its name is the user name."""

    password: str = Field(min_length=8, repr=False, description="Password of the account.")
    channel_limit: int = Field(default=0, ge=0, description="Calls of the phone at once; 0 for as many as it likes.")
