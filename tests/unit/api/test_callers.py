"""Whose a key is, how long it is good, what it may do, and how much it may send."""

from datetime import timedelta
from typing import Any

import httpx
import pytest
from tests.unit.api.conftest import a_key

from longline.api.callers import REMEMBERED_S, USE_NOTED_EVERY_S, Caller
from longline.api.rates import BUCKETS_MAX, BURST_S, RequestRates
from longline.api.scopes import ALL_SCOPES, Scope, allows, scope_of
from longline.base.ids import DEFAULT_ACCOUNT_ID, new_id
from longline.store.records import AccountRecord, ApiKeyRecord

CALLS = "/api/v1/voice/calls"
TRUNKS = "/api/v1/sip/trunks"
KEY = "ll_a-key-of-these-tests"
TRUNK = {
    "name": "pbx", "domain_name": "pbx.example", "authentication_type": "IP",
    "auth_addresses": [{"name": "a", "address": "192.0.2.1"}],
}  # fmt: skip


async def status_of(house: Any, key: str = KEY, path: str = CALLS) -> int:
    answer: httpx.Response = await house.http.get(path, headers={"x-api-key": key})
    return answer.status_code


async def kept(house: Any, **changes: Any) -> ApiKeyRecord:
    key = a_key(KEY, **changes)
    await house.durable.accounts.save_key(key)
    return key


async def test_a_key_is_good_until_it_expires_to_the_moment(house: Any) -> None:
    await kept(house, expires_at=house.clock.now() + timedelta(seconds=0.5))
    assert await status_of(house) == 200
    await house.clock.advance(0.49)
    assert await status_of(house) == 200  # remembered, and not beyond its end
    await house.clock.advance(0.02)
    assert await status_of(house) == 403


async def test_a_revoked_key_is_refused_after_a_moment_at_the_latest(house: Any) -> None:
    key = await kept(house)
    assert await status_of(house) == 200
    key.revoked_at = house.clock.now()
    await house.durable.accounts.save_key(key)
    await house.clock.advance(REMEMBERED_S + 0.01)
    assert await status_of(house) == 403


async def test_no_key_of_an_inactive_account_is_good(house: Any) -> None:
    account = AccountRecord(id=new_id(), name="late payer", created_at=house.clock.now())
    await house.durable.accounts.save_account(account)
    await kept(house, account_id=account.id)
    assert await status_of(house) == 200
    account.is_active = False
    await house.durable.accounts.save_account(account)
    await house.clock.advance(REMEMBERED_S + 0.01)
    assert await status_of(house) == 403


async def test_a_key_of_an_account_that_is_not_there_is_refused(house: Any) -> None:
    await kept(house, account_id=new_id())
    assert await status_of(house) == 403


async def test_a_valid_key_costs_no_query_while_it_is_remembered(house: Any) -> None:
    await kept(house)
    looked_up: list[str] = []
    directory = house.durable.accounts
    find = directory.find_key

    async def counted(key_hash: str) -> Any:
        looked_up.append(key_hash)
        return await find(key_hash)

    house.monkeypatch.setattr(directory, "find_key", counted)
    for _ in range(3):
        assert await status_of(house) == 200
    assert len(looked_up) == 1


async def test_it_is_known_when_a_key_was_last_used(house: Any) -> None:
    key = await kept(house)
    first = house.clock.now()
    assert await status_of(house) == 200
    assert await house.durable.accounts.last_uses() == {key.id: first}
    await house.clock.advance(USE_NOTED_EVERY_S - 1)
    await status_of(house)
    assert await house.durable.accounts.last_uses() == {key.id: first}  # not written for each request
    await house.clock.advance(2)
    await status_of(house)
    assert await house.durable.accounts.last_uses() == {key.id: house.clock.now()}


@pytest.mark.parametrize(
    ("scopes", "may"),
    [(["read"], (200, 403, 403)), (["calls"], (403, 202, 403)), (["admin"], (200, 202, 201)), ([], (403, 403, 403)),
     (["read", "calls"], (200, 202, 403)), (["root", "READ"], (403, 403, 403))],
)  # fmt: skip
async def test_a_key_may_do_what_its_scopes_say(house: Any, scopes: list[str], may: tuple[int, ...]) -> None:
    await kept(house, scopes=scopes)
    headers = {"x-api-key": KEY}
    answers = [
        await house.http.get(CALLS, headers=headers),
        await house.http.post(f"{CALLS}/initiate", json=house.initiate(), headers=headers),
        await house.http.post(TRUNKS, json=TRUNK, headers=headers),
    ]
    assert tuple(answer.status_code for answer in answers) == may
    refused = [answer.json() for answer in answers if answer.status_code == 403]
    assert all(problem["code"] == "missing_scope" and problem["success"] is False for problem in refused)


def test_what_has_no_tag_that_we_know_is_for_administrators() -> None:
    assert scope_of("GET", ["anything"]) is Scope.READ
    assert (
        scope_of("POST", ["calls"]) is scope_of("DELETE", ["streams"]) is scope_of("PATCH", ["events"]) is Scope.CALLS
    )
    assert scope_of("POST", []) is scope_of("DELETE", ["new"]) is Scope.ADMIN
    assert not allows([Scope.READ, Scope.CALLS], Scope.ADMIN)


async def test_too_many_requests_of_a_key_are_429_and_told_when_to_try_again(house: Any) -> None:
    await kept(house, requests_per_s=0.25)  # one at once, then one in 4 s
    assert await status_of(house) == 200
    answer = await house.http.get(CALLS, headers={"x-api-key": KEY})
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "4")
    assert answer.json()["code"] == "rate_limited"
    assert await status_of(house, "test-key-1") == 200  # others are served
    await house.clock.advance(4)
    assert await status_of(house) == 200


async def test_every_route_that_wants_a_key_declares_that_it_may_be_429(house: Any) -> None:
    document = (await house.http.get("/openapi.json")).json()
    await kept(house, requests_per_s=0.001)
    await status_of(house)
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            assert ("429" in operation["responses"]) == bool(operation.get("security"))
            if operation.get("security"):
                answer = await house.http.request(method, path, headers={"x-api-key": KEY})
                assert (answer.status_code, answer.json()["code"]) == (429, "rate_limited"), path
                assert int(answer.headers["retry-after"]) > 0


def a_caller(**changes: Any) -> Caller:
    values: dict[str, Any] = {"account_id": DEFAULT_ACCOUNT_ID, "scopes": ALL_SCOPES, "key_id": new_id()} | changes
    return Caller(**values)


def test_one_account_that_sends_too_much_takes_nothing_from_another() -> None:
    rates = RequestRates(key_per_s=0, account_per_s=10)
    loud, quiet = a_caller(account_id=new_id()), a_caller(account_id=new_id())
    served = {loud.account_id: 0, quiet.account_id: 0}
    for tick in range(1000):  # 10 s: the one asks 100 times a second, the other 5 times
        for caller, every in ((loud, 1), (quiet, 20)):
            if tick % every == 0 and rates.take(caller, tick / 100) == 0:
                served[caller.account_id] += 1
    assert served[quiet.account_id] == 50
    assert served[loud.account_id] == 100 + 10 * BURST_S - 1
    assert rates.counters["refused_account"] == 1000 - served[loud.account_id]


def test_a_key_beyond_its_rate_does_not_use_up_that_of_its_account() -> None:
    rates = RequestRates(key_per_s=1, account_per_s=5)
    loud, quiet = a_caller(), a_caller()
    for _ in range(500):
        rates.take(loud, 0.0)
    assert rates.counters == {"refused_key": 498, "refused_account": 0}
    assert rates.take(quiet, 0.0) == 0


def test_the_account_is_limited_whatever_the_number_of_its_keys() -> None:
    rates = RequestRates(key_per_s=0, account_per_s=5)
    assert sum(rates.take(a_caller(), 0.0) == 0 for _ in range(100)) == 5 * BURST_S


def test_a_limit_of_its_own_counts_instead_of_the_nodes_and_0_is_none() -> None:
    rates = RequestRates(key_per_s=1, account_per_s=1)
    free = a_caller(key_requests_per_s=0, account_requests_per_s=0)
    assert not any(rates.take(free, 0.0) for _ in range(100))
    slow = a_caller(key_requests_per_s=0.1, account_requests_per_s=0)
    assert (rates.take(slow, 0.0), rates.take(slow, 0.0)) == (0.0, 10.0)
    assert rates.take(slow, 5.0) == pytest.approx(5.0)


def test_the_rates_of_as_many_keys_are_kept_as_there_is_room_for() -> None:
    rates = RequestRates(key_per_s=0.5, account_per_s=0)
    callers = [a_caller() for _ in range(BUCKETS_MAX + 1)]
    assert [rates.take(caller, 0.0) for caller in callers] == [0.0] * (BUCKETS_MAX + 1)
    assert len(rates._buckets) == BUCKETS_MAX
    assert rates.take(callers[-1], 0.0) > 0
    assert rates.take(callers[0], 0.0) == 0.0  # forgotten, as if it had been silent
