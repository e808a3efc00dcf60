"""The trunks of a node: of the configuration and of the API, in force at once, and told to the SIP stack as peers."""

from collections import Counter
from typing import Any

import pytest
from tests.support.calls import FakeTrunkStore

from longline.base.bus import Bus
from longline.base.clock import VirtualClock
from longline.base.config import Config
from longline.base.errors import (
    AclInUse,
    AclNotFound,
    AddressTaken,
    ConfigError,
    InvalidField,
    NameTaken,
    TrunkIsConfigured,
    TrunkNotFound,
    UnknownAcl,
    UsernameTaken,
)
from longline.base.events import Event
from longline.base.ids import DEFAULT_ACCOUNT_ID as OWNER
from longline.base.ids import new_id
from longline.calls.trunk import Trunk, config_trunk_id, shown_network
from longline.calls.trunk_book import TrunkBook
from longline.calls.trunk_changes import AclChange, NewTrunk, TrunkAuth, TrunkChange
from longline.calls.trunk_status import MAX_SUSPECTS, TrunkStatus
from longline.sip.events import RegistrationChanged, TargetChanged

IP = TrunkAuth(type="IP", addresses=[{"name": "a", "address": "192.0.2.1"}])
LOGIN = TrunkAuth(type="credential", username="alice", password="secret")
CARRIER = {"uri": "sip:sip.example.com;transport=tcp", "username": "us", "password": "hush"}


async def book(store: FakeTrunkStore | None = None, **trunks: Any) -> TrunkBook:
    made = TrunkBook(Config(trunks=trunks), store or FakeTrunkStore(), VirtualClock())
    await made.load()
    return made


def new(name: str = "pbx", **changes: Any) -> NewTrunk:
    values: dict[str, Any] = {
        "name": name, "domain_name": "pbx.example", "auth": IP, "transport": "tcp", "channel_limit": 0, "cps_limit": 0,
        "recording": False, "webhook_url": None, "webhook_version": "2026-06-01",
        "inbound_route": {"name": "r", "sip_url": "sip:pbx.example", "sip_user": None},
    }  # fmt: skip
    return NewTrunk(**values | changes)


def networks(trunk: Trunk) -> list[str]:
    return [str(network) for network in trunk.peer.networks]


async def test_a_trunk_of_the_configuration_is_a_peer_by_its_name() -> None:
    trunks = await book(carrier=CARRIER | {"channel_limit": 3, "cps_limit": 2, "srtp": "required"})
    (trunk,) = trunks.trunks
    peer = trunk.peer
    assert (peer.name, peer.channel_limit, peer.cps_limit, peer.srtp) == ("carrier", 3, 2, "required")
    assert [target.uri for target in peer.targets] == ["sip:sip.example.com;transport=tcp"]
    assert peer.credential is not None and (peer.credential.username, peer.credential.password) == ("us", "hush")
    assert trunks.of_peer("carrier") is trunk and trunks.get(config_trunk_id("carrier")) is trunk


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"uri": "sip:192.0.2.9:5070"}, ["192.0.2.9/32"]),
        ({"uri": "sip:[2001:db8::1]"}, ["2001:db8::1/128"]),
        ({"uri": "sip:sip.example.com"}, []),
        ({"uri": "sip:192.0.2.9", "networks": ["198.51.100.0/24"]}, ["198.51.100.0/24"]),
        ({"uri": "sip:192.0.2.9", "inbound_username": "u", "inbound_password": "p"}, []),
    ],
)
async def test_whom_we_call_by_address_may_call_us_unless_it_is_said_otherwise(
    settings: dict[str, Any], expected: list[str]
) -> None:
    (trunk,) = (await book(a=settings)).trunks
    assert networks(trunk) == expected
    assert trunk.peer.admits_targets is not bool({"networks", "inbound_username"} & set(settings))


async def test_what_is_registered_follows_from_the_credential_unless_it_is_said_otherwise() -> None:
    base = CARRIER | {"registration": True}
    (trunk,) = (await book(a=base)).trunks
    assert trunk.peer.registration is not None
    assert trunk.peer.registration.aor == "sip:us@sip.example.com"
    assert trunk.peer.registration.registrar == "sip:sip.example.com;transport=tcp"
    assert (trunk.peer.registration.expires_s, trunk.peer.registration.contact_user) == (3600, "us")
    more = {"registrar": "sip:x@reg.example:5070", "aor": "sip:+1555@carrier.example", "registration_expires_s": 90}
    (trunk,) = (await book(a=base | more)).trunks
    assert trunk.peer.registration is not None
    assert (trunk.peer.registration.registrar, trunk.peer.registration.aor) == (
        "sip:reg.example:5070", "sip:+1555@carrier.example",
    )  # fmt: skip
    assert (trunk.peer.registration.expires_s, trunk.peer.registration.contact_user) == (90, "+1555")


async def test_a_transport_is_that_of_every_target_that_names_none() -> None:
    uris = ["sip:a", "sip:b;transport=udp", "sips:c"]
    (trunk,) = (await book(a={"targets": [{"uri": uri} for uri in uris], "transport": "tls"})).trunks
    assert [target.uri for target in trunk.peer.targets] == ["sip:a;transport=tls", "sip:b;transport=udp", "sips:c"]


async def test_a_uri_that_cannot_be_called_stops_the_start() -> None:
    with pytest.raises(ConfigError, match=r"trunks\.a: sip:host:99999: bad port"):
        await book(a={"uri": "sip:host:99999"})


async def test_trunks_of_the_configuration_are_written_down_without_their_secrets() -> None:
    store = FakeTrunkStore()
    await book(store, carrier=CARRIER | {"inbound_username": "them!", "inbound_password": "open sesame"})
    (record,) = store.trunks.values()
    assert (record.source, record.name, record.domain_name, record.transport) == (
        "config", "carrier", "sip.example.com", "tcp",
    )  # fmt: skip
    assert record.auth_password is None and "hush" not in str(record) and "sesame" not in str(record)
    await book(store, other={"uri": "sip:x"})
    assert [record.name for record in store.trunks.values()] == ["other"]


async def test_a_configuration_that_is_read_again_is_in_force_at_once() -> None:
    store = FakeTrunkStore()
    trunks = await book(store, carrier=CARRIER, other={"uri": "sip:x"})
    made = await trunks.create_trunk(OWNER, new())
    told: list[list[str]] = []
    trunks.on_change = lambda active: told.append([trunk.name for trunk in active])
    changed = {"carrier": CARRIER | {"password": "new"}, "third": {"uri": "sip:y"}}
    await trunks.configure(Config(trunks=changed, default_trunk="third"))
    assert told == [["carrier", "third", "pbx"]]
    assert trunks.default is not None and trunks.default.name == "third"
    credential = trunks.trunks[0].peer.credential
    assert credential is not None and credential.password == "new"
    assert {record.name for record in store.trunks.values()} == {"carrier", "third", "pbx"}
    with pytest.raises(ConfigError):
        await trunks.configure(Config(trunks={"bad": {"uri": "sip:host:99999"}}))
    assert [trunk.id for trunk in trunks.trunks][-1] == made.id and len(told) == 1


async def test_a_trunk_that_did_not_change_is_not_written_again() -> None:
    store = FakeTrunkStore()
    await book(store, carrier=CARRIER)
    (before,) = store.trunks.values()
    await book(store, carrier=CARRIER)
    assert list(store.trunks.values()) == [before] and store.trunks[before.id] is before


async def test_a_trunk_that_is_made_is_in_force_and_survives_a_restart() -> None:
    store = FakeTrunkStore()
    trunks = await book(store)
    told: list[list[str]] = []
    trunks.on_change = lambda active: told.append([trunk.name for trunk in active])
    record = await trunks.create_trunk(OWNER, new(auth=LOGIN, transport="tls", channel_limit=4, cps_limit=5))
    assert told == [["pbx"]]
    for present in (trunks, await book(store)):
        (trunk,) = present.trunks
        assert trunk.peer.name.startswith("st_") and present.of_peer(trunk.peer.name) is trunk
        assert [(user.username, user.password) for user in trunk.peer.users] == [("alice", "secret")]
        assert trunk.peer.credential is not None and trunk.peer.credential.password == "secret"
        assert [target.uri for target in trunk.peer.targets] == ["sip:pbx.example;transport=tls"]
        assert (trunk.peer.channel_limit, trunk.peer.cps_limit, trunk.id) == (4, 5, record.id)
        assert trunk.records_inbound is False and trunk.webhook_version == "2026-06-01"


async def test_a_trunk_that_is_not_active_is_not_in_force() -> None:
    trunks = await book()
    record = await trunks.create_trunk(OWNER, new())
    await trunks.change_trunk(OWNER, record.id, TrunkChange(values={"is_active": False}))
    assert trunks.trunks == [] and trunks.record(OWNER, record.id).is_active is False
    await trunks.change_trunk(OWNER, record.id, TrunkChange(values={"is_active": True}))
    assert [trunk.id for trunk in trunks.trunks] == [record.id]


async def test_other_authentication_replaces_the_whole_of_the_old_one() -> None:
    trunks = await book()
    record = await trunks.create_trunk(OWNER, new(auth=LOGIN))
    changed = await trunks.change_trunk(OWNER, record.id, TrunkChange(values={}, auth=IP))
    assert (changed.auth_username, changed.auth_password) == (None, None)
    (trunk,) = trunks.trunks
    assert networks(trunk) == ["192.0.2.1/32"] and trunk.peer.users == () and trunk.peer.credential is None


async def test_an_access_list_is_in_force_for_its_trunks_when_it_changes() -> None:
    trunks = await book()
    acl = await trunks.create_acl(OWNER, "office", [{"address": "192.0.2.0/28", "description": None}])
    await trunks.create_trunk(OWNER, new(auth=TrunkAuth(type="IP", ip_acl_id=acl.id)))
    assert networks(trunks.trunks[0]) == ["192.0.2.0/28"]
    await trunks.change_acl(OWNER, acl.id, AclChange(addresses=[{"address": "198.51.100.1", "description": "new"}]))
    assert networks(trunks.trunks[0]) == ["198.51.100.1/32"]
    with pytest.raises(AclInUse):
        await trunks.delete_acl(OWNER, acl.id)
    await trunks.delete_trunk(OWNER, trunks.trunks[0].id)
    await trunks.delete_acl(OWNER, acl.id)
    with pytest.raises(AclNotFound):
        trunks.acl(OWNER, acl.id)


async def test_names_usernames_and_access_lists_are_checked_against_what_is_there() -> None:
    trunks = await book(carrier=CARRIER | {"inbound_username": "known", "inbound_password": "x"})
    await trunks.create_trunk(OWNER, new(auth=LOGIN))
    with pytest.raises(NameTaken):
        await trunks.create_trunk(OWNER, new("carrier"))
    with pytest.raises(UsernameTaken):
        await trunks.create_trunk(OWNER, new("second", auth=LOGIN))
    with pytest.raises(UsernameTaken):
        await trunks.create_trunk(
            OWNER, new("second", auth=TrunkAuth(type="credential", username="known", password="y"))
        )
    with pytest.raises(UnknownAcl):
        await trunks.create_trunk(OWNER, new("second", auth=TrunkAuth(type="IP", ip_acl_id=new_id())))
    with pytest.raises(TrunkNotFound):
        await trunks.delete_trunk(OWNER, new_id())
    second = await trunks.create_trunk(OWNER, new("second"))
    with pytest.raises(NameTaken):
        await trunks.change_trunk(OWNER, second.id, TrunkChange(values={"name": "pbx"}))
    with pytest.raises(InvalidField, match="udp"):
        await trunks.change_trunk(OWNER, second.id, TrunkChange(values={"transport": "udp"}))
    await trunks.change_trunk(OWNER, second.id, TrunkChange(values={"name": "second"}))


async def test_a_trunk_of_the_configuration_is_not_changed_by_the_api() -> None:
    trunks = await book(carrier=CARRIER)
    for change in (trunks.delete_trunk(OWNER, config_trunk_id("carrier")),
                   trunks.change_trunk(OWNER, config_trunk_id("carrier"), TrunkChange(values={}))):  # fmt: skip
        with pytest.raises(TrunkIsConfigured):
            await change


async def test_a_trunk_that_another_version_wrote_and_nobody_can_call_is_left_out() -> None:
    store = FakeTrunkStore()
    trunks = await book(store)
    record = await trunks.create_trunk(OWNER, new())
    assert record.inbound_route is not None
    record.inbound_route["sip_url"] = "nonsense"
    assert (await book(store)).trunks == []


# --- how they fare -------------------------------------------------------------------------------------------------


async def status(*names: str) -> tuple[TrunkStatus, list[Event], VirtualClock, TrunkBook]:
    trunks = await book(**{name: CARRIER | {"registration": True} for name in names})
    bus, events, clock = Bus(), [], VirtualClock()
    bus.subscribe(events.append)
    return TrunkStatus(bus, clock, Counter(), trunks.of_peer), events, clock, trunks


async def test_a_registration_is_told_when_it_changes_and_not_when_it_is_refreshed() -> None:
    made, events, clock, trunks = await status("a")
    (trunk,) = trunks.trunks
    first = made.registration(trunk)
    assert first is not None and first.state == "trying"
    for _ in range(3):
        made.on_registration(RegistrationChanged("a", "registered", 60))
    now = made.registration(trunk)
    assert now is not None and now.expires_at is not None and (now.expires_at - clock.now()).total_seconds() == 60
    for _ in range(2):
        made.on_registration(RegistrationChanged("a", "failed", reason="403 No", retry_in_s=30))
    made.on_registration(RegistrationChanged("a", "registered", 60))
    made.on_registration(RegistrationChanged("a", "unregistered"))
    assert [event.type for event in events] == [
        "trunk.registered", "trunk.registration_failed", "trunk.registered", "trunk.unregistered",
    ]  # fmt: skip
    assert events[1].data == {"name": "a", "reason": "403 No", "retry_in_s": 30}


async def test_what_is_known_of_a_trunk_goes_with_it() -> None:
    made, events, _, trunks = await status("a", "b")
    for name in ("a", "b"):
        made.on_target(TargetChanged(name, "sip:sip.example.com;transport=tcp", False, "no response"))
    made.on_trunks([trunk for trunk in trunks.trunks if trunk.name == "a"])
    uri = "sip:sip.example.com;transport=tcp"
    assert (made.is_up("a", uri), made.is_up("b", uri)) == (False, True)
    made.on_target(TargetChanged("gone", uri, False))
    assert [event.data["name"] for event in events] == ["a", "b"]


async def test_suspicion_is_bounded_and_passes() -> None:
    made, _, clock, _ = await status("a")
    for number in range(MAX_SUSPECTS + 1):
        made.has_failed("a", f"sip:{number}")
    assert made.is_up("a", "sip:0") and not made.is_up("a", "sip:1")
    made.has_answered("a", "sip:1")
    assert made.is_up("a", "sip:1")
    await clock.advance(31)
    assert made.is_up("a", f"sip:{MAX_SUSPECTS}")


async def test_two_accounts_do_not_call_in_from_the_same_address() -> None:
    """Peers are told apart by their address: the calls of the one would come in as the other's."""
    trunks = await book(carrier=CARRIER)
    other = new_id()
    await trunks.create_trunk(OWNER, new())
    with pytest.raises(AddressTaken):
        await trunks.create_trunk(other, new())
    acl = await trunks.create_acl(other, "wide", [{"address": "203.0.113.0/24", "description": None}])
    made = await trunks.create_trunk(other, new(auth=TrunkAuth(type="IP", ip_acl_id=acl.id)))
    everything: list[dict[str, str | None]] = [{"address": shown_network(n)} for n in trunks.trunks[-2].peer.networks]
    with pytest.raises(AddressTaken):
        await trunks.change_acl(other, acl.id, AclChange(addresses=everything))
    assert trunks.acl(other, acl.id).addresses == acl.addresses
    await trunks.change_trunk(other, made.id, TrunkChange(values={"is_active": False}))
    await trunks.change_acl(other, acl.id, AclChange(addresses=everything))
    with pytest.raises(AddressTaken):
        await trunks.change_trunk(other, made.id, TrunkChange(values={"is_active": True}))
