"""The answers of SIP trunks, IP access lists and SIP calls, as the wire has them. Field names are the Teler API's.

None of them may have a key `data`: the Teler client would take it for an envelope, and unwrap it.
"""

from typing import Literal

from pydantic import BaseModel, Field

from longline.api.fields import Timestamp
from longline.store.records import AuthenticationType, CallState, Direction, TrunkSource, TrunkTransport


class TrunkTargetState(BaseModel):
    uri: str
    priority: int
    weight: int
    is_up: bool = Field(description="False while it answers neither OPTIONS nor calls.")


class TrunkRegistrationState(BaseModel):
    state: Literal["trying", "registered", "failed", "unregistered"]
    expires_at: Timestamp | None
    reason: str | None = Field(description="Why the last REGISTER came to nothing.")


class TrunkState(BaseModel):
    """How a trunk fares at this moment, at this node."""

    calls: int = Field(description="Calls by it that live now.")
    targets: list[TrunkTargetState]
    registration: TrunkRegistrationState | None = Field(description="null: we do not register there.")


class SipRoute(BaseModel):
    """The inbound_route of a trunk: where calls to it go."""

    name: str
    sip_url: str
    sip_user: str | None


class SipTrunk(BaseModel):
    id: str
    name: str
    domain_name: str
    account_id: str
    channel_limit: int = Field(description="0: no limit.")
    cps_limit: int = Field(description="0: no limit.")
    recording_enabled: bool
    secure: bool
    transport: TrunkTransport
    is_active: bool
    authentication_type: AuthenticationType
    auth_ip_addresses: list[str]
    auth_credential_usernames: list[str]
    ip_acl_id: str | None
    ip_acl_name: str | None
    sip_route: SipRoute | None
    webhook_url: str | None
    webhook_api_version: str
    created_at: Timestamp
    updated_at: Timestamp
    secret_id: str | None
    secret_name: str | None
    source: TrunkSource = Field(
        description="Beyond the Teler API: one of the configuration file cannot be changed here."
    )
    live: TrunkState | None = Field(description="Beyond the Teler API: how it fares now; null when it is not active.")


class IpAclAddress(BaseModel):
    address: str
    description: str | None


class IpAcl(BaseModel):
    id: str
    name: str
    addresses: list[IpAclAddress]
    trunk_count: int
    created_at: Timestamp
    updated_at: Timestamp


class ListedIpAcl(BaseModel):
    id: str
    name: str
    address_count: int
    trunk_count: int
    created_at: Timestamp


class Deleted(BaseModel):
    success: bool = True
    message: str


class PhoneBinding(BaseModel):
    """One place where a phone has registered."""

    contact: str
    transport: str
    address: str = Field(description="host:port that its REGISTER came from.")
    user_agent: str
    expires_at: Timestamp


class Phone(BaseModel):
    """An account of the configuration. It is called at its bindings in their order."""

    name: str
    channel_limit: int
    bindings: list[PhoneBinding]


class SipCall(BaseModel):
    id: str
    account_id: str
    sip_trunk_id: str | None
    state: CallState
    direction: Direction
    from_number: str | None
    to_number: str | None
    created_at: Timestamp
    answered_at: Timestamp | None
    ended_at: Timestamp | None
    duration_seconds: int | None = Field(description="From the answer to the end.")
    reason: str | None
    ended_by: str | None
    recordings: list[str]
