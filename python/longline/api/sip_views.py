"""From records of trunks, access lists and calls to the answers of `/sip`."""

from dataclasses import asdict

from longline.api.answers import PageOf
from longline.api.sip_answers import (
    Deleted,
    IpAcl,
    IpAclAddress,
    ListedIpAcl,
    Phone,
    PhoneBinding,
    SipCall,
    SipRoute,
    SipTrunk,
    TrunkRegistrationState,
    TrunkState,
    TrunkTargetState,
)
from longline.api.views import Views
from longline.base.ids import Prefix
from longline.calls.phones import PhoneState
from longline.calls.secret_book import SecretBook
from longline.calls.trunk_book import TrunkBook
from longline.calls.trunk_limits import TrunkLimits
from longline.calls.trunk_status import TrunkStatus
from longline.store.pages import Page
from longline.store.records import CallRecord, IpAclRecord, SipTrunkRecord


class SipViews:
    def __init__(
        self, views: Views, trunks: TrunkBook, status: TrunkStatus, limits: TrunkLimits, secrets: SecretBook
    ) -> None:
        self._views = views
        self._trunks = trunks
        self._status = status
        self._limits = limits
        self._secrets = secrets

    def trunk(self, record: SipTrunkRecord) -> SipTrunk:
        secret_name = self._secrets.name(record.secret_id)
        return SipTrunk(
            id=self._views.id(Prefix.SIP_TRUNK, record.id),
            name=record.name,
            domain_name=record.domain_name,
            account_id=self._views.id(Prefix.ACCOUNT, record.account_id),
            channel_limit=record.channel_limit,
            cps_limit=record.cps_limit,
            recording_enabled=record.recording,
            secure=record.transport == "tls",
            transport=record.transport,
            is_active=record.is_active,
            authentication_type=record.authentication_type,
            auth_ip_addresses=[entry["address"] for entry in record.auth_addresses],
            auth_credential_usernames=[record.auth_username] if record.auth_username is not None else [],
            ip_acl_id=self._views.optional_id(Prefix.IP_ACL, record.ip_acl_id),
            ip_acl_name=self._trunks.acl_name(record.ip_acl_id),
            sip_route=None if record.inbound_route is None else SipRoute(**record.inbound_route),
            webhook_url=record.webhook_url,
            webhook_api_version=record.webhook_version,
            created_at=record.created_at,
            updated_at=record.updated_at,
            secret_id=None if secret_name is None else self._views.optional_id(Prefix.SECRET, record.secret_id),
            secret_name=secret_name,
            source=record.source,
            live=self._live(record),
        )

    def _live(self, record: SipTrunkRecord) -> TrunkState | None:
        trunk = self._trunks.get(record.id)
        if trunk is None:
            return None
        registration = self._status.registration(trunk)
        return TrunkState(
            calls=self._limits.calls(trunk.id),
            targets=[
                TrunkTargetState(
                    uri=target.uri,
                    priority=target.priority,
                    weight=target.weight,
                    is_up=self._status.is_up(trunk.peer.name, target.uri),
                )
                for target in trunk.peer.targets
            ],
            registration=None
            if registration is None
            else TrunkRegistrationState(
                state=registration.state, expires_at=registration.expires_at, reason=registration.reason
            ),
        )

    def trunks(self, page: Page[SipTrunkRecord]) -> PageOf[SipTrunk]:
        return self._views.page(page, self.trunk)

    def acl(self, record: IpAclRecord) -> IpAcl:
        return IpAcl(
            id=self._views.id(Prefix.IP_ACL, record.id),
            name=record.name,
            addresses=[
                IpAclAddress(address=str(entry["address"]), description=entry.get("description"))
                for entry in record.addresses
            ],
            trunk_count=self._trunks.trunks_of_acl(record.id),
            created_at=record.created_at,
            updated_at=record.updated_at,
        )

    def _listed_acl(self, record: IpAclRecord) -> ListedIpAcl:
        return ListedIpAcl(
            id=self._views.id(Prefix.IP_ACL, record.id),
            name=record.name,
            address_count=len(record.addresses),
            trunk_count=self._trunks.trunks_of_acl(record.id),
            created_at=record.created_at,
        )

    def acls(self, page: Page[IpAclRecord]) -> PageOf[ListedIpAcl]:
        return self._views.page(page, self._listed_acl)

    def phones(self, phones: list[PhoneState]) -> PageOf[Phone]:
        """All on one page: they are those of the configuration."""
        found = [
            Phone(
                name=phone.name,
                channel_limit=phone.channel_limit,
                bindings=[PhoneBinding(**asdict(place)) for place in phone.places],
            )
            for phone in phones
        ]
        return PageOf(data=found, next_cursor=None, previous_cursor=None, has_more=False)

    def deleted(self, what: str, name: str) -> Deleted:
        return Deleted(message=f"{what} {name} deleted successfully.")

    def call(self, call: CallRecord) -> SipCall:
        duration_s = None
        if call.answered_at is not None and call.ended_at is not None:
            duration_s = int((call.ended_at - call.answered_at).total_seconds())
        return SipCall(
            id=self._views.id(Prefix.CALL, call.id),
            account_id=self._views.id(Prefix.ACCOUNT, call.account_id),
            sip_trunk_id=self._views.optional_id(Prefix.SIP_TRUNK, call.sip_trunk_id),
            state=call.state,
            direction=call.direction,
            from_number=call.from_number,
            to_number=call.to_number,
            created_at=call.created_at,
            answered_at=call.answered_at,
            ended_at=call.ended_at,
            duration_seconds=duration_s,
            reason=call.reason,
            ended_by=call.legs[0].ended_by if call.legs else None,
            recordings=[recording for leg in call.legs for recording in leg.recordings],
        )

    def calls(self, page: Page[CallRecord]) -> PageOf[SipCall]:
        return self._views.page(page, self.call)
