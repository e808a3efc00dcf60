"""The requests of SIP trunks and IP access lists, as the wire has them. Unknown keys are refused.

Beyond the Teler API a trunk may be given a `cps_limit`. What depends on the other trunks is checked in
`calls/trunk_book.py`.
"""

import ipaddress
from dataclasses import replace
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, WithJsonSchema, model_validator

from longline.api.fields import HttpUrlField, IpAclIdField, SecretIdField, TrunkIdField
from longline.api.requests import CallsQuery, PageQuery
from longline.base.config import WebhookVersion
from longline.base.errors import RemoteProtocolError
from longline.calls.trunk import shown_network
from longline.calls.trunk_changes import AclChange, NewTrunk, TrunkAuth, TrunkChange
from longline.sip.syntax.uri import parse_uri
from longline.store.records import AuthenticationType, CallFilter, SipTrunkFilter, TrunkTransport

MAX_AUTH_ADDRESSES = 5
"""Addresses that stand in a trunk itself."""
MAX_ACL_ADDRESSES = 50
"""Entries of one access list."""
MIN_PREFIX_LENGTHS = {4: 24, 6: 64}
"""The widest network of an access list, by IP version."""


_ADDRESS_SCHEMA: Any = {"type": "string", "anyOf": [{"format": "ipv4"}, {"format": "ipv6"}]}
_NETWORK_SCHEMA: Any = {"type": "string", "pattern": r"^[0-9A-Fa-f:.]+(/[0-9]{1,3})?$"}


def _sip_url(text: str) -> str:
    try:
        uri = parse_uri(text)
    except RemoteProtocolError as error:
        raise ValueError(f"must be a SIP URL, such as sip:pbx.example.com: {error}") from None
    if uri.headers is not None:
        raise ValueError("must have no headers")
    return text


def _single_address(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text.strip()))
    except ValueError:
        raise ValueError("must be one IP address; a network belongs into an IP access list") from None


def _usable_network(text: str) -> str:
    try:
        network = ipaddress.ip_network(text.strip(), strict=False)
    except ValueError:
        raise ValueError("must be an IP address or network, such as 203.0.113.0/28") from None
    widest = MIN_PREFIX_LENGTHS[network.version]
    if network.prefixlen < widest:
        raise ValueError(f"covers too many addresses; use /{widest} or narrower")
    if network.network_address.is_unspecified or network.network_address.is_loopback:
        raise ValueError("is not a usable SIP source address")
    return shown_network(network)


_Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=64)]
_Domain = Annotated[
    str, StringConstraints(strip_whitespace=True, max_length=253, pattern=r"^[A-Za-z0-9]([A-Za-z0-9.\-]*[A-Za-z0-9])?$")
]
_SipUser = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9\-_.!~*'()+]+$")]


class _StrictRequest(BaseModel):
    model_config = ConfigDict(extra="forbid")


class AuthCredential(_StrictRequest):
    """What the trunk logs in with; also how our calls to it answer its challenges."""

    username: Annotated[str, StringConstraints(min_length=5, max_length=64, pattern=r"^[!-9;-~]+$")]
    password: Annotated[str, StringConstraints(min_length=5, max_length=128, pattern=r"^[ -~]+$")] = Field(repr=False)


class AuthAddress(_StrictRequest):
    name: Annotated[str, StringConstraints(max_length=64)] = ""
    address: Annotated[str, AfterValidator(_single_address), WithJsonSchema(_ADDRESS_SCHEMA)] = Field(
        description="One IP address."
    )


class InboundRoute(_StrictRequest):
    """Where calls to the trunk go. `sip_user` takes the place of the number in their Request-URI."""

    name: Annotated[str, StringConstraints(max_length=64)] = ""
    sip_url: Annotated[str, StringConstraints(max_length=255), AfterValidator(_sip_url)]
    sip_user: _SipUser | None = None


class _TrunkFields(_StrictRequest):
    """What creation and change have in common. What is null is as if it were not there."""

    authentication_type: AuthenticationType | None = None
    channel_limit: int | None = Field(default=None, ge=0, le=100_000, description="Calls at once; 0 for no limit.")
    cps_limit: int | None = Field(
        default=None, ge=0, le=10_000, description="Beyond the Teler API: new calls per second; 0 for no limit."
    )
    recording: bool | None = Field(default=None, description="Record the calls that come in by it.")
    secure: bool | None = Field(
        default=None, description="Deprecated; true: tls, false: tcp. Not together with transport."
    )
    transport: TrunkTransport | None = Field(
        default=None, description="If not given: tcp. udp needs authentication_type credential."
    )
    webhook_url: HttpUrlField | None = Field(default=None, description="Told the status of its inbound calls.")
    webhook_api_version: WebhookVersion | None = None
    auth_credential: AuthCredential | None = None
    auth_addresses: list[AuthAddress] | None = Field(default=None, min_length=1, max_length=MAX_AUTH_ADDRESSES)
    ip_acl_id: IpAclIdField | None = None
    inbound_route: InboundRoute | None = None
    secret_id: SecretIdField | None = Field(default=None, description="Signs the webhooks of its inbound calls.")

    @model_validator(mode="after")
    def _one_transport(self) -> Self:
        if self.secure is not None and self.transport is not None:
            raise ValueError("give secure or transport, not both")
        if self.transport == "udp" and self.authentication_type == "IP":
            raise ValueError("transport udp needs authentication_type credential")
        return self

    @model_validator(mode="after")
    def _one_way_to_prove_itself(self) -> Self:
        has_material = (self.auth_credential, self.auth_addresses, self.ip_acl_id) != (None, None, None)
        if self.authentication_type == "credential":
            if self.auth_credential is None:
                raise ValueError("authentication_type credential needs auth_credential")
            if self.auth_addresses is not None or self.ip_acl_id is not None:
                raise ValueError("authentication_type credential goes with neither auth_addresses nor ip_acl_id")
        elif self.authentication_type == "IP":
            if (self.auth_addresses is None) == (self.ip_acl_id is None):
                raise ValueError("authentication_type IP needs exactly one of auth_addresses and ip_acl_id")
            if self.auth_credential is not None:
                raise ValueError("authentication_type IP does not go with auth_credential")
        elif has_material:
            raise ValueError("auth_credential, auth_addresses and ip_acl_id need authentication_type")
        return self

    def auth(self) -> TrunkAuth | None:
        if self.authentication_type is None:
            return None
        credential = self.auth_credential
        return TrunkAuth(
            type=self.authentication_type,
            username=None if credential is None else credential.username,
            password=None if credential is None else credential.password,
            addresses=[address.model_dump() for address in self.auth_addresses or ()],
            ip_acl_id=self.ip_acl_id,
        )

    def chosen_transport(self) -> TrunkTransport | None:
        if self.secure is None:
            return self.transport
        return "tls" if self.secure else "tcp"


class TrunkCreateRequest(_TrunkFields):
    """Make a SIP trunk. It is in force when the answer comes."""

    name: _Name
    domain_name: _Domain
    authentication_type: AuthenticationType

    def to_new(self, webhook_version: str) -> NewTrunk:
        """`webhook_version` is the node's."""
        auth = self.auth()
        assert auth is not None
        return NewTrunk(
            name=self.name,
            domain_name=self.domain_name,
            auth=auth,
            transport=self.chosen_transport() or "tcp",
            channel_limit=self.channel_limit or 0,
            cps_limit=self.cps_limit or 0,
            recording=bool(self.recording),
            webhook_url=self.webhook_url,
            webhook_version=self.webhook_api_version or webhook_version,
            inbound_route=None if self.inbound_route is None else self.inbound_route.model_dump(),
            secret_id=self.secret_id,
        )


class TrunkUpdateRequest(_TrunkFields):
    """Change a SIP trunk: what is not given, or null, stays as it is."""

    name: _Name | None = None
    domain_name: _Domain | None = None
    is_active: bool | None = None

    def to_change(self) -> TrunkChange:
        values: dict[str, Any] = {
            "name": self.name,
            "domain_name": self.domain_name,
            "is_active": self.is_active,
            "transport": self.chosen_transport(),
            "channel_limit": self.channel_limit,
            "cps_limit": self.cps_limit,
            "recording": self.recording,
            "webhook_url": self.webhook_url,
            "webhook_version": self.webhook_api_version,
            "inbound_route": None if self.inbound_route is None else self.inbound_route.model_dump(),
            "secret_id": self.secret_id,
        }
        return TrunkChange(
            values={name: value for name, value in values.items() if value is not None}, auth=self.auth()
        )


class AclAddress(_StrictRequest):
    address: Annotated[str, AfterValidator(_usable_network), WithJsonSchema(_NETWORK_SCHEMA)] = Field(
        description="An IP address, or a network of at least /24 (IPv4) or /64 (IPv6)."
    )
    description: Annotated[str, StringConstraints(max_length=255)] | None = None


def _distinct(addresses: list[AclAddress]) -> list[AclAddress]:
    if len({entry.address for entry in addresses}) < len(addresses):
        raise ValueError("must not name a network twice")
    return addresses


_Addresses = Annotated[list[AclAddress], Field(min_length=1, max_length=MAX_ACL_ADDRESSES), AfterValidator(_distinct)]


class AclCreateRequest(_StrictRequest):
    name: _Name
    addresses: _Addresses

    def rows(self) -> list[dict[str, str | None]]:
        return [entry.model_dump() for entry in self.addresses]


class AclUpdateRequest(_StrictRequest):
    """`addresses` replaces the whole set."""

    name: _Name | None = None
    addresses: _Addresses | None = None

    def to_change(self) -> AclChange:
        rows = None if self.addresses is None else [entry.model_dump() for entry in self.addresses]
        return AclChange(name=self.name, addresses=rows)


class TrunkQuery(PageQuery):
    search: Annotated[str, StringConstraints(max_length=255)] | None = Field(
        default=None, description="A part of the name or of the domain."
    )
    status: list[Literal["active", "inactive"]] = Field(default_factory=list, max_length=8)

    def filters(self) -> SipTrunkFilter:
        wanted = set(self.status)
        return SipTrunkFilter(search=self.search, is_active="active" in wanted if len(wanted) == 1 else None)


class AclQuery(PageQuery):
    search: Annotated[str, StringConstraints(max_length=255)] | None = Field(
        default=None, description="Part of the name."
    )


class SipCallQuery(CallsQuery):
    trunk_id: TrunkIdField | None = None

    def filters(self) -> CallFilter:
        return replace(super().filters(), sip_trunk_id=self.trunk_id)
