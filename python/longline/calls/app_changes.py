"""What may be asked of a voice app or a virtual number: plain values that were checked one by one.

Leaves out what is checked against the others (`app_directory.py`), and the wire shapes (`api`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid5

from longline.base.ids import DEFAULT_ACCOUNT_ID
from longline.store.records import WebhookFormat


@dataclass(frozen=True, slots=True, kw_only=True)
class NewApp:
    name: str
    flow_url: str
    webhook_url: str
    fallback_url: str | None = None
    channel_limit: int | None = None
    secret_id: UUID | None = None
    webhook_version: WebhookFormat = "2025-08-01"
    number_ids: Sequence[UUID] = ()
    """The numbers that are assigned to it with its making."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AppChange:
    """`values` are fields of the record that change."""

    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Location:
    """Where a number is, for people. The same place has the same id everywhere."""

    name: str
    region_code: str | None = None
    country_code: str | None = None
    country_name: str | None = None

    @property
    def id(self) -> UUID:
        return uuid5(DEFAULT_ACCOUNT_ID, f"location {self.country_code}/{self.region_code}/{self.name}")


@dataclass(frozen=True, slots=True, kw_only=True)
class NewNumber:
    """It leads to an app or to a trunk, or nowhere yet."""

    number: str
    name: str | None = None
    location: Location | None = None
    voice_app_id: UUID | None = None
    sip_trunk_id: UUID | None = None
