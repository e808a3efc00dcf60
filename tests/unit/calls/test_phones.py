"""The accounts of phones as peers, and their registrations across a restart."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from longline.base.clock import SystemClock
from longline.base.config import Config
from longline.calls.phones import PhoneBook, admission_policy, phone_peers
from longline.sip.access.peers import Peers
from longline.sip.events import BindingsChanged
from longline.store.records import RegistrationRecord

HOME = Config.model_validate({"phones": {name: {"password": "open sesame"} for name in ("alice", "bob")}})
AT = datetime(2026, 1, 2, tzinfo=UTC)


class FixedClock(SystemClock):
    def __init__(self, at: datetime) -> None:
        self.at = at

    def now(self) -> datetime:
        return self.at


class Kept:
    """A store of registrations, and a registrar that takes them back."""

    def __init__(self) -> None:
        self.rows: dict[str, RegistrationRecord] = {}
        self.restored: dict[str, list[dict[str, Any]]] = {}
        self.is_broken = False
        self.told: list[str] = []

    async def save(self, registration: RegistrationRecord) -> None:
        if self.is_broken:
            raise OSError("disk full")
        self.rows[registration.account] = registration

    def bindings_kept(self, ticket: str) -> None:
        self.told.append(ticket)

    async def all(self) -> Sequence[RegistrationRecord]:
        return list(self.rows.values())

    def restore_bindings(self, account: str, bindings: Iterable[dict[str, Any]]) -> None:
        self.restored[account] = [{"contact": b["contact"], "expires_s": b["expires_s"]} for b in bindings]


def test_phone_is_a_peer_that_logs_in_and_no_trunk() -> None:
    config = Config.model_validate({"phones": {"alice": {"password": "open sesame", "channel_limit": 2}}})
    found = Peers(phone_peers(config)).of_user("alice")
    assert found is not None
    peer, user = found
    assert (peer.name, peer.is_trunk, peer.channel_limit, user.password) == ("phone:alice", False, 2, "open sesame")
    assert "sesame" not in repr(config) + repr(peer)


def test_policy_lets_this_machine_in_unless_told_otherwise() -> None:
    assert [str(network) for network in admission_policy(Config()).networks] == ["127.0.0.0/8", "::1/128"]
    assert admission_policy(Config.model_validate({"access": {"networks": []}})).networks == ()


def test_this_machine_is_let_in_by_the_addresses_it_listens_at_as_well() -> None:
    listen = ["192.0.2.10:5060", "tcp:[2001:db8::1]:5060", "127.0.0.1:5060"]
    config = {"sip_listen": listen, "rtp_address": "192.0.2.10"}
    networks = [str(network) for network in admission_policy(Config.model_validate(config)).networks]
    assert networks == ["127.0.0.0/8", "::1/128", "192.0.2.10/32", "2001:db8::1/128"]
    shut = Config.model_validate(config | {"access": {"networks": ["198.51.100.0/24"]}})
    assert [str(network) for network in admission_policy(shut).networks] == ["198.51.100.0/24"]


async def test_registration_comes_back_with_what_is_left_of_it() -> None:
    kept = Kept()
    before = PhoneBook(HOME, kept, FixedClock(AT))
    before.on_bindings(BindingsChanged("phone:alice", ({"contact": "sip:a@h", "expires_s": 600.0},)))
    before.on_bindings(BindingsChanged("phone:bob", ()))
    await before.stop()
    assert await PhoneBook(HOME, kept, FixedClock(AT + timedelta(seconds=100))).restore(kept) == 1
    assert kept.restored == {"phone:alice": [{"contact": "sip:a@h", "expires_s": 500.0}], "phone:bob": []}


async def test_clock_that_was_set_back_makes_no_registration_longer() -> None:
    kept = Kept()
    await kept.save(RegistrationRecord("phone:alice", [{"contact": "sip:a@h", "expires_s": 600.0}], AT))
    await PhoneBook(HOME, kept, FixedClock(AT - timedelta(days=1))).restore(kept)
    assert kept.restored["phone:alice"][0]["expires_s"] == 600.0


async def test_registration_that_cannot_be_read_or_written_costs_itself_alone() -> None:
    kept = Kept()
    await kept.save(RegistrationRecord("phone:alice", [{"expires_s": 1.0}], AT))
    await kept.save(RegistrationRecord("phone:bob", [{"contact": "sip:b@h", "expires_s": 600.0}], AT))
    book = PhoneBook(HOME, kept, FixedClock(AT))
    assert await book.restore(kept) == 1
    assert list(kept.restored) == ["phone:bob"]
    kept.is_broken = True
    book.on_bindings(BindingsChanged("phone:bob", ()))
    await book.stop()


async def test_places_of_a_phone_are_shown_until_they_expire() -> None:
    clock = FixedClock(AT)
    book = PhoneBook(HOME, Kept(), clock)
    binding = {"contact": "sip:a@h", "transport": "UDP", "host": "::1", "port": 5061, "user_agent": "Phone/1"}
    book.on_bindings(BindingsChanged("phone:alice", ({**binding, "expires_s": 60.0}, {**binding, "expires_s": 90.0})))
    await book.stop()
    alice, bob = book.phones()
    assert (alice.name, len(alice.places), bob.places) == ("alice", 2, [])
    assert (alice.places[0].address, alice.places[0].expires_at) == ("[::1]:5061", AT + timedelta(seconds=60))
    clock.at += timedelta(seconds=70)
    assert len(book.phones()[0].places) == 1


async def test_phone_gets_its_answer_when_its_registration_is_stored_or_cannot_be() -> None:
    kept = Kept()
    book = PhoneBook(HOME, kept, FixedClock(AT))
    await book.restore(kept)
    book.on_bindings(BindingsChanged("phone:alice", (), "r1"))
    assert kept.told == []
    await book.stop()
    assert kept.told == ["r1"]
    kept.is_broken = True
    book.on_bindings(BindingsChanged("phone:alice", (), "r2"))
    await book.stop()
    assert kept.told == ["r1", "r2"]
