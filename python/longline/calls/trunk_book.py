"""The trunks of this node: those of the configuration, and those that the API makes, changes and deletes.

A change is stored, then in force: `on_change` is told every trunk that is active, and gives them to the SIP stack.
Leaves out the choice of a trunk for a call (`routes.py`), and how a trunk fares (`trunk_status.py`).
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable, Sequence
from typing import Final, Protocol
from uuid import UUID

from longline.base.clock import Clock
from longline.base.config import Config
from longline.base.errors import (
    AclInUse,
    AclNotFound,
    AddressTaken,
    ConfigError,
    InvalidField,
    LimitReached,
    NameTaken,
    SecretNotFound,
    TrunkIsConfigured,
    TrunkNotFound,
    UnknownAcl,
    UnknownSecret,
    UsernameTaken,
)
from longline.base.ids import new_id
from longline.base.log import get_logger
from longline.calls.trunk import Trunk, record_of_config, trunk_of_config, trunk_of_record
from longline.calls.trunk_changes import AclChange, NewTrunk, TrunkAuth, TrunkChange
from longline.store.records import IpAclRecord, SipTrunkRecord

MAX_TRUNKS: Final = 1000
"""Trunks in the store; one more is refused with LimitReached."""
MAX_ACLS: Final = 1000
"""Access lists in the store; one more is refused with LimitReached."""

log = get_logger(__name__)


class TrunkKeeper(Protocol):
    """Where trunks and access lists are kept."""

    async def save_trunk(self, trunk: SipTrunkRecord) -> None: ...
    async def delete_trunk(self, trunk_id: UUID) -> None: ...
    async def all_trunks(self) -> list[SipTrunkRecord]: ...
    async def save_acl(self, acl: IpAclRecord) -> None: ...
    async def delete_acl(self, acl_id: UUID) -> None: ...
    async def all_acls(self) -> list[IpAclRecord]: ...


class TrunkBook:
    """`load` first. `trunks` are those that are active; every change is made by one at a time."""

    def __init__(self, config: Config, store: TrunkKeeper, clock: Clock) -> None:
        self._config = config
        self._store = store
        self._clock = clock
        self._lock = asyncio.Lock()
        self._records: dict[UUID, SipTrunkRecord] = {}
        self._acls: dict[UUID, IpAclRecord] = {}
        self._by_id: dict[UUID, Trunk] = {}
        self._by_peer: dict[str, Trunk] = {}
        self._configured = [_configured(name, config) for name in config.trunks]
        self.check_secret: Callable[[UUID, UUID], object] = lambda account_id, secret_id: None
        """Raises SecretNotFound when the account has no such secret."""
        self.on_change: Callable[[Sequence[Trunk]], None] = lambda trunks: None
        self._apply()

    @property
    def trunks(self) -> Sequence[Trunk]:
        """Every active trunk; those of the configuration first."""
        return list(self._by_id.values())

    @property
    def default(self) -> Trunk | None:
        """The trunk that the configuration names for outbound calls."""
        name = self._config.default_trunk
        return next((trunk for trunk in self._configured if trunk.name == name), None)

    def get(self, trunk_id: UUID | None) -> Trunk | None:
        """An active trunk by its id."""
        return None if trunk_id is None else self._by_id.get(trunk_id)

    def of_peer(self, peer: str | None) -> Trunk | None:
        """The trunk that the SIP stack knows by this name."""
        return None if peer is None else self._by_peer.get(peer)

    async def load(self) -> None:
        """Read what is stored, and write down the trunks of the configuration as they are now."""
        async with self._lock:
            self._acls = {acl.id: acl for acl in await self._store.all_acls()}
            self._records = {record.id: record for record in await self._store.all_trunks()}
            await self._write_down_configured()
            self._apply()

    async def configure(self, config: Config) -> None:
        """The configuration was read again: its trunks are in force from now on. Raise ConfigError, and nothing has
        changed."""
        configured = [_configured(name, config) for name in config.trunks]
        async with self._lock:
            self._config, self._configured = config, configured
            await self._write_down_configured()
            self._apply()

    async def _write_down_configured(self) -> None:
        known = {record.id: record for record in self._records.values() if record.source == "config"}
        for name, settings in self._config.trunks.items():
            record = record_of_config(name, settings, self._clock.now())
            before = known.pop(record.id, None)
            if before is not None:
                record.created_at = before.created_at
                if dataclasses.replace(record, updated_at=before.updated_at) == before:
                    continue
            self._records[record.id] = record
            await self._store.save_trunk(record)
        for gone in known:
            del self._records[gone]
            await self._store.delete_trunk(gone)

    # --- trunks ----------------------------------------------------------------------------------------------------

    async def create_trunk(self, account_id: UUID, new: NewTrunk) -> SipTrunkRecord:
        """Raise NameTaken, UsernameTaken, AddressTaken, UnknownAcl, LimitReached."""
        async with self._lock:
            if len(self._records) >= MAX_TRUNKS:
                raise LimitReached(f"There are {MAX_TRUNKS} trunks, which is the limit.")
            self._check_name(new.name, account_id, None)
            self._check_auth(new.auth, account_id, None)
            self._check_secret(account_id, new.secret_id)
            at = self._clock.now()
            record = SipTrunkRecord(
                id=new_id(),
                account_id=account_id,
                name=new.name,
                domain_name=new.domain_name,
                authentication_type=new.auth.type,
                created_at=at,
                updated_at=at,
                channel_limit=new.channel_limit,
                cps_limit=new.cps_limit,
                recording=new.recording,
                transport=new.transport,
                inbound_route=new.inbound_route,
                webhook_url=new.webhook_url,
                webhook_version=new.webhook_version,
                secret_id=new.secret_id,
            )
            return await self._keep_trunk(_authenticated(record, new.auth))

    async def change_trunk(self, account_id: UUID, trunk_id: UUID, change: TrunkChange) -> SipTrunkRecord:
        """Raise TrunkNotFound, TrunkIsConfigured, NameTaken, UsernameTaken, AddressTaken, UnknownAcl, InvalidField."""
        async with self._lock:
            record = self._owned(account_id, trunk_id)
            if "name" in change.values:
                self._check_name(change.values["name"], account_id, trunk_id)
            self._check_secret(account_id, change.values.get("secret_id"))
            changed = dataclasses.replace(record, **change.values, updated_at=self._clock.now())
            if change.auth is not None:
                self._check_auth(change.auth, account_id, trunk_id)
                changed = _authenticated(changed, change.auth)
            if changed.transport == "udp" and changed.authentication_type != "credential":
                raise InvalidField("transport", "udp needs authentication_type credential")
            return await self._keep_trunk(changed)

    async def delete_trunk(self, account_id: UUID, trunk_id: UUID) -> SipTrunkRecord:
        """Its live calls go on. Raise TrunkNotFound, TrunkIsConfigured."""
        async with self._lock:
            record = self._owned(account_id, trunk_id)
            await self._store.delete_trunk(trunk_id)
            del self._records[trunk_id]
            self._apply()
            return record

    def record(self, account_id: UUID, trunk_id: UUID) -> SipTrunkRecord:
        """A trunk of this account. Raise TrunkNotFound."""
        record = self._records.get(trunk_id)
        if record is None or record.account_id != account_id:
            raise TrunkNotFound
        return record

    def _owned(self, account_id: UUID, trunk_id: UUID) -> SipTrunkRecord:
        record = self.record(account_id, trunk_id)
        if record.source == "config":
            raise TrunkIsConfigured
        return record

    def _check_name(self, name: str, account_id: UUID, own_id: UUID | None) -> None:
        own = (record for record in self._records.values() if record.account_id == account_id)
        if any(record.name == name and record.id != own_id for record in own):
            raise NameTaken(f"There is a SIP trunk with the name {name!r} already.")

    def _check_auth(self, auth: TrunkAuth, account_id: UUID, own_id: UUID | None) -> None:
        acl = self._acl_of_id(auth.ip_acl_id)
        if auth.ip_acl_id is not None and (acl is None or acl.account_id != account_id):
            raise UnknownAcl
        taken = {record.auth_username for record in self._records.values() if record.id != own_id}
        if auth.username is not None and auth.username in taken:
            raise UsernameTaken  # whoever logs in with it must be one trunk, and no other

    def _check_secret(self, account_id: UUID, secret_id: UUID | None) -> None:
        if secret_id is not None:
            try:
                self.check_secret(account_id, secret_id)
            except SecretNotFound:
                raise UnknownSecret from None

    def _check_sources(self, trunk: Trunk, is_active: bool) -> None:
        """Where a trunk calls from no trunk of another account may: its calls would come in as the other's."""
        others = (other for other in self._by_id.values() if other.account_id != trunk.account_id)
        taken = [network for other in others for network in other.peer.networks] if is_active else []
        for own in trunk.peer.networks:
            if any(own.version == other.version and own.overlaps(other) for other in taken):
                raise AddressTaken

    async def _keep_trunk(self, record: SipTrunkRecord) -> SipTrunkRecord:
        try:
            self._check_sources(trunk_of_record(record, self._acl_of(record)), record.is_active)
        except ValueError as error:
            raise InvalidField("inbound_route", str(error)) from error
        await self._store.save_trunk(record)
        self._records[record.id] = record
        self._apply()
        return record

    # --- access lists ----------------------------------------------------------------------------------------------

    async def create_acl(self, account_id: UUID, name: str, addresses: list[dict[str, str | None]]) -> IpAclRecord:
        """Raise NameTaken, LimitReached."""
        async with self._lock:
            if len(self._acls) >= MAX_ACLS:
                raise LimitReached(f"There are {MAX_ACLS} IP access lists, which is the limit.")
            self._check_acl_name(name, account_id, None)
            at = self._clock.now()
            made = IpAclRecord(
                id=new_id(), account_id=account_id, name=name, addresses=addresses, created_at=at, updated_at=at
            )
            return await self._keep_acl(made)

    async def change_acl(self, account_id: UUID, acl_id: UUID, change: AclChange) -> IpAclRecord:
        """In force at once for every trunk that it is attached to. Raise AclNotFound, NameTaken, AddressTaken."""
        async with self._lock:
            record = self.acl(account_id, acl_id)
            if change.name is not None:
                self._check_acl_name(change.name, account_id, acl_id)
            changed = dataclasses.replace(
                record,
                name=record.name if change.name is None else change.name,
                addresses=record.addresses if change.addresses is None else change.addresses,
                updated_at=self._clock.now(),
            )
            return await self._keep_acl(changed)

    async def delete_acl(self, account_id: UUID, acl_id: UUID) -> IpAclRecord:
        """Raise AclNotFound, AclInUse: a trunk is never left without a way to prove itself."""
        async with self._lock:
            record = self.acl(account_id, acl_id)
            if self.trunks_of_acl(acl_id):
                raise AclInUse
            await self._store.delete_acl(acl_id)
            del self._acls[acl_id]
            return record

    def acl(self, account_id: UUID, acl_id: UUID) -> IpAclRecord:
        """A list of this account. Raise AclNotFound."""
        record = self._acls.get(acl_id)
        if record is None or record.account_id != account_id:
            raise AclNotFound
        return record

    def _acl_of(self, record: SipTrunkRecord) -> IpAclRecord | None:
        return self._acl_of_id(record.ip_acl_id)

    def _acl_of_id(self, acl_id: UUID | None) -> IpAclRecord | None:
        return None if acl_id is None else self._acls.get(acl_id)

    def name(self, trunk_id: UUID | None) -> str | None:
        record = None if trunk_id is None else self._records.get(trunk_id)
        return None if record is None else record.name

    def trunks_of_secret(self, secret_id: UUID) -> list[SipTrunkRecord]:
        """Those whose webhooks it signs."""
        return [record for record in self._records.values() if record.secret_id == secret_id]

    def acl_name(self, acl_id: UUID | None) -> str | None:
        record = self._acl_of_id(acl_id)
        return None if record is None else record.name

    def trunks_of_acl(self, acl_id: UUID) -> int:
        """To how many trunks it is attached."""
        return sum(record.ip_acl_id == acl_id for record in self._records.values())

    def _check_acl_name(self, name: str, account_id: UUID, own_id: UUID | None) -> None:
        own = (acl for acl in self._acls.values() if acl.account_id == account_id)
        if any(acl.name == name and acl.id != own_id for acl in own):
            raise NameTaken(f"There is an IP access list with the name {name!r} already.")

    async def _keep_acl(self, record: IpAclRecord) -> IpAclRecord:
        for trunk in self._records.values():
            if trunk.ip_acl_id == record.id and trunk.source == "api":
                self._check_sources(trunk_of_record(trunk, record), trunk.is_active)
        await self._store.save_acl(record)
        self._acls[record.id] = record
        self._apply()
        return record

    # --- what is in force ------------------------------------------------------------------------------------------

    def _apply(self) -> None:
        trunks = list(self._configured)
        for record in self._records.values():
            if record.source != "api" or not record.is_active:
                continue
            try:
                trunks.append(trunk_of_record(record, self._acl_of(record)))
            except ValueError as error:  # written by another version, which could call it
                log.error("trunk left out", trunk=record.name, error=str(error))
        self._by_id = {trunk.id: trunk for trunk in trunks}
        self._by_peer = {trunk.peer.name: trunk for trunk in trunks}
        self.on_change(trunks)


def _configured(name: str, config: Config) -> Trunk:
    try:
        return trunk_of_config(name, config.trunks[name])
    except ValueError as error:
        raise ConfigError(f"trunks.{name}: {error}", f"trunks.{name}") from error


def _authenticated(record: SipTrunkRecord, auth: TrunkAuth) -> SipTrunkRecord:
    return dataclasses.replace(
        record,
        authentication_type=auth.type,
        auth_username=auth.username,
        auth_password=auth.password,
        auth_addresses=list(auth.addresses),
        ip_acl_id=auth.ip_acl_id,
    )
