"""Secrets: rotated with an overlap, named once, kept while something signs with them."""

from datetime import timedelta

import pytest
from tests.support.calls import FakeAppStore

from longline.base.clock import VirtualClock
from longline.base.errors import NameTaken, SecretInUse, SecretNotFound
from longline.base.ids import DEFAULT_ACCOUNT_ID, new_id
from longline.calls.secret_book import ROTATION_OVERLAP, SecretBook


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def store() -> FakeAppStore:
    return FakeAppStore()


@pytest.fixture
def book(store: FakeAppStore, clock: VirtualClock) -> SecretBook:
    return SecretBook(store, clock)


async def test_after_a_rotation_both_values_sign_for_a_day(book: SecretBook, clock: VirtualClock) -> None:
    made = await book.create(DEFAULT_ACCOUNT_ID, "one")
    assert made.value.startswith("whsec_") and book.values(made.id) == (made.value,)
    turned = await book.change(DEFAULT_ACCOUNT_ID, made.id, None, rotate=True)
    assert turned.value != made.value and turned.rotated_at == clock.now()
    assert book.values(made.id) == (turned.value, made.value)
    await clock.advance(ROTATION_OVERLAP.total_seconds() - 1)
    assert len(book.values(made.id)) == 2
    await clock.advance(1)
    assert book.values(made.id) == (turned.value,)


async def test_a_value_of_a_year_needs_rotation(book: SecretBook, clock: VirtualClock) -> None:
    made = await book.create(DEFAULT_ACCOUNT_ID, "one")
    assert not book.needs_rotation(made)
    await clock.advance(timedelta(days=365).total_seconds())
    assert book.needs_rotation(made)
    assert not book.needs_rotation(await book.change(DEFAULT_ACCOUNT_ID, made.id, None, rotate=True))


async def test_a_secret_that_signs_is_not_deleted(book: SecretBook, store: FakeAppStore) -> None:
    made = await book.create(DEFAULT_ACCOUNT_ID, "one")
    book.is_used = lambda secret_id: secret_id == made.id
    with pytest.raises(SecretInUse):
        await book.delete(DEFAULT_ACCOUNT_ID, made.id)
    book.is_used = lambda secret_id: False
    await book.delete(DEFAULT_ACCOUNT_ID, made.id)
    assert not store.secrets and book.values(made.id) == ()


async def test_a_name_is_one_accounts_own(book: SecretBook) -> None:
    made = await book.create(DEFAULT_ACCOUNT_ID, "one")
    with pytest.raises(NameTaken):
        await book.create(DEFAULT_ACCOUNT_ID, "one")
    await book.create(new_id(), "one")
    with pytest.raises(SecretNotFound):
        book.get(new_id(), made.id)


async def test_what_is_stored_is_there_after_a_restart(
    book: SecretBook, store: FakeAppStore, clock: VirtualClock
) -> None:
    made = await book.create(DEFAULT_ACCOUNT_ID, "one")
    again = SecretBook(store, clock)
    await again.load()
    assert again.get(DEFAULT_ACCOUNT_ID, made.id) == made
    assert made.value not in repr(made)
