"""The requests of voice apps, virtual numbers and secrets, as the wire has them.

Those of secrets, assignment and unassignment ignore keys that they do not know, as the Teler API does; the others
refuse them. What depends on what is there already is checked in `calls/app_directory.py`.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, StrictBool, StrictInt, StringConstraints

from longline.api.fields import (
    E164,
    AccountIdField,
    HttpUrlField,
    LocationIdField,
    Name,
    NumberIdField,
    SecretIdField,
    TrunkIdField,
    VoiceAppIdField,
)
from longline.api.requests import PageQuery, StrictRequest
from longline.base.app_config import MAX_CHANNEL_LIMIT
from longline.base.config import WebhookVersion
from longline.base.errors import BadRequest
from longline.calls.app_changes import AppChange, Location, NewApp, NewNumber
from longline.store.records import NumberFilter

MAX_IDS = 1000
"""Numbers that one request may name."""
MAX_FILTER_IDS = 64
"""Ids of one filter."""

_NumberIds = Annotated[list[NumberIdField], Field(max_length=MAX_IDS)]
_ChannelLimit = Annotated[StrictInt, Field(ge=0, le=MAX_CHANNEL_LIMIT)]
_Search = Annotated[str, StringConstraints(max_length=255)]


class AppCreateRequest(StrictRequest):
    """Make a voice app: what is done with the calls of its numbers, and who is told."""

    name: Name
    flow_url: HttpUrlField = Field(description="Asked for the call flow of each inbound call.")
    webhook_url: HttpUrlField = Field(description="Told the status of each inbound call.")
    fallback_url: HttpUrlField | None = Field(default=None, description="Asked when flow_url fails.")
    vn_ids: _NumberIds | None = Field(default=None, description="Virtual numbers that are assigned to it at once.")
    secret_id: SecretIdField | None = Field(default=None, description="Signs its webhooks.")
    webhook_api_version: WebhookVersion | None = Field(
        default=None, description="Format of its webhooks and ids; if not given, 2025-08-01."
    )
    channel_limit: _ChannelLimit | None = Field(default=None, description="Calls at once; 0 or null for no limit.")

    def to_new(self) -> NewApp:
        return NewApp(
            name=self.name,
            flow_url=self.flow_url,
            webhook_url=self.webhook_url,
            fallback_url=self.fallback_url,
            channel_limit=self.channel_limit,
            secret_id=self.secret_id,
            webhook_version=self.webhook_api_version or "2025-08-01",
            number_ids=self.vn_ids or (),
        )


class AppUpdateRequest(StrictRequest):
    """Change a voice app: what is not given stays. null takes away fallback_url, secret_id or channel_limit; elsewhere
    it is as if it were not given."""

    name: Name | None = None
    flow_url: HttpUrlField | None = None
    webhook_url: HttpUrlField | None = None
    fallback_url: HttpUrlField | None = None
    status: Literal["active", "inactive"] | None = Field(
        default=None, description="An inactive app takes no calls, and places none."
    )
    channel_limit: _ChannelLimit | None = None
    secret_id: SecretIdField | None = None
    webhook_api_version: WebhookVersion | None = None

    def to_change(self) -> AppChange:
        values: dict[str, Any] = {
            "name": self.name,
            "flow_url": self.flow_url,
            "webhook_url": self.webhook_url,
            "is_active": None if self.status is None else self.status == "active",
            "webhook_version": self.webhook_api_version,
        }
        changed = {name: value for name, value in values.items() if value is not None}
        for name in ("fallback_url", "channel_limit", "secret_id"):
            if name in self.model_fields_set:
                changed[name] = getattr(self, name)
        return AppChange(values=changed)


class AppQuery(PageQuery):
    search: _Search | None = Field(default=None, description="A part of the name.")
    status: list[Literal["active", "inactive"]] = Field(default_factory=list, max_length=8)

    @property
    def is_active(self) -> bool | None:
        wanted = set(self.status)
        return "active" in wanted if len(wanted) == 1 else None


class AppNumberQuery(PageQuery):
    """The numbers of one app."""

    limit: int = Field(default=10, ge=1, le=50)
    search: _Search | None = Field(default=None, description="A part of the name or the number.")
    location: list[LocationIdField] = Field(default_factory=list, max_length=MAX_FILTER_IDS)

    def filters(self, **of: Any) -> NumberFilter:
        return NumberFilter(search=self.search, location_ids=tuple(self.location), **of)


class TrunkNumberQuery(AppNumberQuery):
    limit: int = Field(default=10, ge=1, le=100)


class NumberSelection(BaseModel):
    """Which numbers: each filter must hold, by one of its ids."""

    search: _Search | None = Field(default=None, description="A part of the name or the number.")
    location: list[LocationIdField] = Field(default_factory=list, max_length=MAX_FILTER_IDS)
    voice_app: list[VoiceAppIdField] = Field(default_factory=list, max_length=MAX_FILTER_IDS)
    sip_trunk: list[TrunkIdField] = Field(default_factory=list, max_length=MAX_FILTER_IDS)

    def filters(self) -> NumberFilter:
        return NumberFilter(
            search=self.search,
            location_ids=tuple(self.location),
            voice_app_ids=tuple(self.voice_app),
            sip_trunk_ids=tuple(self.sip_trunk),
        )


class NumberQuery(NumberSelection, PageQuery):
    limit: int = Field(default=10, ge=1, le=100)


class LocationRequest(StrictRequest):
    name: Name
    region_code: Annotated[str, StringConstraints(max_length=16)] | None = None
    country_code: Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")] | None = None
    country_name: Name | None = None


class NumberCreateRequest(StrictRequest):
    """Tell the server of a number that a carrier brings it. Beyond the Teler API, whose numbers are bought."""

    number: Annotated[str, StringConstraints(pattern=f"^{E164}$")] = Field(description="E.164.")
    name: Name | None = Field(default=None, description="For people; the number itself if not given.")
    location: LocationRequest | None = None
    voice_app_id: VoiceAppIdField | None = None
    sip_trunk_id: TrunkIdField | None = None
    account_id: AccountIdField | None = Field(default=None, description="Whose it is; your own if not given.")

    def to_new(self) -> NewNumber:
        """Raises BadRequest."""
        if self.voice_app_id is not None and self.sip_trunk_id is not None:
            raise BadRequest("Give voice_app_id or sip_trunk_id, not both.")
        return NewNumber(
            number=self.number,
            name=self.name,
            location=None if self.location is None else Location(**self.location.model_dump()),
            voice_app_id=self.voice_app_id,
            sip_trunk_id=self.sip_trunk_id,
        )


class NumberUpdateRequest(StrictRequest):
    name: Name


class _Chosen(BaseModel):
    vn_ids: _NumberIds | None = None
    apply_to_all: StrictBool = Field(default=False, description="All that the filters of the query find.")

    def _check_choice(self) -> None:
        if bool(self.vn_ids) == self.apply_to_all:
            raise BadRequest("Give vn_ids or apply_to_all, one of them.")


class UnassignRequest(_Chosen):
    """Numbers that are to lead nowhere."""

    def check(self) -> None:
        """Raises BadRequest."""
        self._check_choice()


class AssignRequest(_Chosen):
    """Numbers that are to lead to a voice app or to a SIP trunk."""

    voice_app_id: VoiceAppIdField | None = None
    sip_trunk_id: TrunkIdField | None = None

    def check(self) -> None:
        """Raises BadRequest."""
        self._check_choice()
        if (self.voice_app_id is None) == (self.sip_trunk_id is None):
            raise BadRequest("Give voice_app_id or sip_trunk_id, one of them.")


class SecretCreateRequest(BaseModel):
    name: Name


class SecretUpdateRequest(BaseModel):
    name: Name | None = None
    rotate: StrictBool = Field(default=False, description="Make a new value; the old one signs beside it for 24 hours.")


class SecretQuery(PageQuery):
    limit: int = Field(default=10, ge=1, le=100)
    search: _Search | None = Field(default=None, description="A part of the name.")
