"""What may be asked of a trunk or an access list: plain values that were checked one by one.

Leaves out what is checked against the other trunks (`trunk_book.py`), and the wire shapes (`api`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from longline.store.records import AuthenticationType, TrunkTransport


@dataclass(frozen=True, slots=True, kw_only=True)
class TrunkAuth:
    """How a trunk proves who it is: one of `credential`, `addresses`, `ip_acl_id`."""

    type: AuthenticationType
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    addresses: list[dict[str, str]] = field(default_factory=list)
    ip_acl_id: UUID | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewTrunk:
    name: str
    domain_name: str
    auth: TrunkAuth
    transport: TrunkTransport
    channel_limit: int
    cps_limit: int
    recording: bool
    webhook_url: str | None
    webhook_version: str
    inbound_route: dict[str, Any] | None
    secret_id: UUID | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TrunkChange:
    """`values` are fields of the record that change; `auth` replaces the whole of the old one."""

    values: dict[str, Any]
    auth: TrunkAuth | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AclChange:
    """None stays as it is. `addresses` replaces the whole set."""

    name: str | None = None
    addresses: list[dict[str, str | None]] | None = None
