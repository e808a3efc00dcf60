"""The settings of a trunk, `[trunks.NAME]`: a way to the telephone network, and from it.

Leaves out what is made of them (`calls/trunk.py`), and trunks that the API makes, which are in the store.
"""

import ipaddress
import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

MAX_TARGETS = 32
"""Targets of one trunk."""
MAX_NETWORKS = 256
"""Networks of one trunk."""


def sip_uri(text: str) -> str:
    """A SIP URI, roughly: `sip.uri` reads it. Raises ValueError."""
    if re.fullmatch(r"sips?:[^\s<>]+", text) is None:
        raise ValueError("must be a SIP URI, such as sip:sip.example.com;transport=udp")
    return text


def _network(text: str) -> str:
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise ValueError("must be an IP address or network, such as 192.0.2.10 or 192.0.2.0/28") from None
    if network.prefixlen == 0:
        raise ValueError("must not be the whole internet: whoever is in it needs no password")
    return str(network)


SipUri = Annotated[str, AfterValidator(sip_uri)]
Network = Annotated[str, AfterValidator(_network)]


class TrunkTarget(BaseModel):
    """One address of a trunk."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    uri: SipUri = Field(description="Where INVITEs are sent.")
    priority: int = Field(default=10, ge=0, le=65535, description="Lower is tried first.")
    weight: int = Field(default=1, ge=0, le=65535, description="Share among targets of the same priority.")


class Trunk(BaseModel):
    """A way to the telephone network."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    uri: SipUri | None = Field(default=None, description="Where INVITEs are sent; in place of targets.")
    targets: list[TrunkTarget] = Field(
        default_factory=list,
        max_length=MAX_TARGETS,
        description="Several addresses: tables of uri, priority (lower first, default 10) and weight (share among "
        "the same priority, default 1).",
    )
    priority: int = Field(
        default=10,
        ge=0,
        le=65535,
        description="Among trunks: lower is tried first; not asked when default_trunk is set.",
    )
    weight: int = Field(default=1, ge=0, le=65535, description="Share among trunks of the same priority.")
    outbound: bool = Field(default=True, description="Whether calls to telephone numbers may leave through it.")
    transport: Literal["udp", "tcp", "tls"] | None = Field(
        default=None, description="Transport of every target whose URI names none."
    )
    username: str | None = Field(default=None, description="Who we are when the trunk challenges us (digest).")
    password: str | None = Field(default=None, repr=False, description="For digest authentication.")
    realm: str | None = Field(default=None, description="The one realm that gets our password; any if not given.")
    from_host: str | None = Field(default=None, description="Host of the From URI; our own address if not given.")
    from_user: Annotated[str, Field(pattern=r"^[A-Za-z0-9\-_.!~*'()+]{1,64}$")] | None = Field(
        default=None, description="User of the From URI; the caller's number if not given."
    )
    asserts_identity: bool = Field(
        default=False,
        description="Tell the caller's number as P-Asserted-Identity (RFC 3325) too: to a carrier that trusts it.",
    )
    registration: bool = Field(default=False, description="Register there, so that the trunk knows where we are.")
    registrar: SipUri | None = Field(default=None, description="Where REGISTER goes; the first target if not given.")
    aor: SipUri | None = Field(
        default=None, description="Address of record that is registered; username@ the registrar's host if not given."
    )
    registration_expires_s: int = Field(
        default=3600, ge=60, le=86_400, description="Seconds of registration asked for."
    )
    networks: list[Network] = Field(
        default_factory=list,
        max_length=MAX_NETWORKS,
        description="Addresses and networks whose calls come in without a password; where the targets are (a name: "
        "where DNS says) if neither these nor inbound_username are given.",
    )
    inbound_username: str | None = Field(default=None, description="Who the trunk says it is when we challenge it.")
    inbound_password: str | None = Field(
        default=None, repr=False, description="For digest authentication of the trunk."
    )
    app: str | None = Field(
        default=None, description="Voice app of calls that come in by it to a number that has none; as [inbound] says."
    )
    channel_limit: int = Field(default=0, ge=0, le=100_000, description="Calls at once, both ways; 0 for no limit.")
    cps_limit: int = Field(default=0, ge=0, le=10_000, description="New calls per second, each way; 0 for no limit.")
    srtp: Literal["off", "preferred", "required"] | None = Field(
        default=None, description="SRTP with this trunk; as the node's if not given."
    )
    follow_redirects: bool = Field(
        default=False, description="Call where a 3xx of the trunk sends a call; if not, it has failed."
    )
    health_interval_s: float = Field(
        default=30.0, ge=0, le=3600, description="Seconds between two OPTIONS to each target; 0 for none."
    )

    @model_validator(mode="after")
    def _whole_credential(self) -> Self:
        if (self.username is None) != (self.password is None):
            raise ValueError("username and password are given together or not at all")
        if (self.inbound_username is None) != (self.inbound_password is None):
            raise ValueError("inbound_username and inbound_password are given together or not at all")
        return self

    @model_validator(mode="after")
    def _leads_somewhere(self) -> Self:
        if self.uri is not None and self.targets:
            raise ValueError("give uri or targets, not both")
        if not self.all_targets and not self.networks and self.inbound_username is None:
            raise ValueError("give uri or targets, or for calls that only come in networks or inbound_username")
        return self

    @model_validator(mode="after")
    def _can_register(self) -> Self:
        if not self.registration:
            return self
        if self.registrar is None and not self.all_targets:
            raise ValueError("registration needs registrar, uri or targets")
        if self.aor is None and self.username is None:
            raise ValueError("registration needs username or aor")
        return self

    @property
    def all_targets(self) -> list[TrunkTarget]:
        """The targets, or the one that `uri` is."""
        return [TrunkTarget(uri=self.uri)] if self.uri is not None else self.targets
