"""The answers of voice apps, virtual numbers and secrets, as the wire has them. Field names are the Teler API's.

None of them may have a key `data`: the Teler client would take it for an envelope, and unwrap it.
"""

from typing import Literal

from pydantic import BaseModel, Field

from longline.api.fields import Timestamp
from longline.store.records import Source


class VoiceApp(BaseModel):
    id: str
    account_id: str
    name: str
    flow_url: str | None = Field(description="null: the configuration has a static stream in its place.")
    webhook_url: str | None
    fallback_url: str | None
    status: Literal["active", "inactive"]
    channel_limit: int | None = Field(description="Calls at once; 0 or null: no limit.")
    vn_count: int = Field(description="How many virtual numbers lead to it.")
    secret_id: str | None
    secret_name: str | None
    webhook_api_version: str
    source: Source = Field(description="Beyond the Teler API: one of the configuration file cannot be changed here.")
    created_at: Timestamp
    updated_at: Timestamp


class Named(BaseModel):
    id: str
    name: str


class NumberLocation(BaseModel):
    id: str
    name: str
    region_code: str | None
    country_code: str | None
    country_name: str | None


class VirtualNumber(BaseModel):
    id: str
    account_id: str
    name: str
    number: str
    location: NumberLocation | None
    voice_app: Named | None = Field(description="What has its calls.")
    sip_trunk: Named | None = Field(description="Where its calls are dialled, in place of an app.")
    source: Source = Field(description="Beyond the Teler API: one of the configuration file is named there.")


class Done(BaseModel):
    """It is done, and in force."""

    success: bool = True
    message: str


class ListedSecret(BaseModel):
    id: str
    name: str


class Secret(ListedSecret):
    secret_value: str
    rotated_at: Timestamp | None
    created_at: Timestamp
    needs_rotation: bool = Field(description="Its value is a year old.")
    sip_trunks: list[Named]
    voice_apps: list[Named]
