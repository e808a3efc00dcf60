"""Where the phones are outlives the node."""

from datetime import UTC, datetime

from longline.store.durable import Durable
from longline.store.records import RegistrationRecord

AT = datetime(2026, 1, 2, tzinfo=UTC)


async def test_the_last_bindings_of_each_account_are_kept(durable: Durable) -> None:
    alice = RegistrationRecord("alice", [{"contact": "sip:alice@192.0.2.7", "expires_s": 60.5, "path": []}], AT)
    await durable.registrations.save(RegistrationRecord("alice", [], AT))
    await durable.registrations.save(RegistrationRecord("bob", [], AT))
    await durable.registrations.save(alice)
    assert sorted(await durable.registrations.all(), key=lambda row: row.account) == [
        alice,
        RegistrationRecord("bob", [], AT),
    ]
