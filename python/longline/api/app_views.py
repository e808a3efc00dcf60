"""From records of voice apps, virtual numbers and secrets to answers."""

from longline.api.answers import PageOf
from longline.api.app_answers import (
    Done,
    ListedSecret,
    Named,
    NumberLocation,
    Secret,
    VirtualNumber,
    VoiceApp,
)
from longline.api.views import Views
from longline.base.ids import Prefix
from longline.calls.app_directory import AppDirectory
from longline.calls.secret_book import SecretBook
from longline.calls.trunk_book import TrunkBook
from longline.store.pages import Page
from longline.store.records import NumberRecord, SecretRecord, VoiceAppRecord


class AppViews:
    def __init__(self, views: Views, apps: AppDirectory, secrets: SecretBook, trunks: TrunkBook) -> None:
        self._views = views
        self._apps = apps
        self._secrets = secrets
        self._trunks = trunks

    def app(self, record: VoiceAppRecord) -> VoiceApp:
        secret_name = self._secrets.name(record.secret_id)
        return VoiceApp(
            id=self._views.id(Prefix.VOICE_APP, record.id),
            account_id=self._views.id(Prefix.ACCOUNT, record.account_id),
            name=record.name,
            flow_url=record.flow_url,
            webhook_url=record.webhook_url,
            fallback_url=record.fallback_url,
            status="active" if record.is_active else "inactive",
            channel_limit=record.channel_limit,
            vn_count=self._apps.numbers_of_app(record.id),
            secret_id=None if secret_name is None else self._views.optional_id(Prefix.SECRET, record.secret_id),
            secret_name=secret_name,
            webhook_api_version=record.webhook_version,
            source=record.source,
            created_at=record.created_at,
            updated_at=record.updated_at,
        )

    def apps(self, page: Page[VoiceAppRecord]) -> PageOf[VoiceApp]:
        return self._views.page(page, self.app)

    def number(self, record: NumberRecord) -> VirtualNumber:
        app = self._apps.find_app(record.voice_app_id)
        trunk_name = self._trunks.name(record.sip_trunk_id)
        trunk_id = self._views.optional_id(Prefix.SIP_TRUNK, record.sip_trunk_id)
        return VirtualNumber(
            id=self._views.id(Prefix.VIRTUAL_NUMBER, record.id),
            account_id=self._views.id(Prefix.ACCOUNT, record.account_id),
            name=record.name,
            number=record.number,
            location=self._location(record),
            voice_app=None if app is None else Named(id=self._views.id(Prefix.VOICE_APP, app.id), name=app.name),
            sip_trunk=None if trunk_id is None or trunk_name is None else Named(id=trunk_id, name=trunk_name),
            source=record.source,
        )

    def _location(self, record: NumberRecord) -> NumberLocation | None:
        place = record.location
        if place is None or record.location_id is None:
            return None
        return NumberLocation(
            id=self._views.id(Prefix.LOCATION, record.location_id),
            name=place.get("name") or "",
            region_code=place.get("region_code"),
            country_code=place.get("country_code"),
            country_name=place.get("country_name"),
        )

    def numbers(self, page: Page[NumberRecord]) -> PageOf[VirtualNumber]:
        return self._views.page(page, self.number)

    def secret(self, record: SecretRecord) -> Secret:
        return Secret(
            id=self._views.id(Prefix.SECRET, record.id),
            name=record.name,
            secret_value=record.value,
            rotated_at=record.rotated_at,
            created_at=record.created_at,
            needs_rotation=self._secrets.needs_rotation(record),
            sip_trunks=[
                Named(id=self._views.id(Prefix.SIP_TRUNK, trunk.id), name=trunk.name)
                for trunk in self._trunks.trunks_of_secret(record.id)
            ],
            voice_apps=[
                Named(id=self._views.id(Prefix.VOICE_APP, app.id), name=app.name)
                for app in self._apps.apps_of_secret(record.id)
            ],
        )

    def secrets(self, page: Page[SecretRecord]) -> PageOf[ListedSecret]:
        return self._views.page(
            page, lambda record: ListedSecret(id=self._views.id(Prefix.SECRET, record.id), name=record.name)
        )

    def assigned(self, count: int) -> Done:
        return Done(message=f"{count} virtual numbers assigned successfully.")

    def unassigned(self, count: int) -> Done:
        return Done(message=f"{count} virtual numbers unassigned successfully.")

    def deleted(self, what: str, name: str) -> Done:
        return Done(message=f"{what} {name} deleted successfully.")
