"""Two accounts try every route on each other's objects: 404 or 403 everywhere.

The routes are those of the OpenAPI document, so a route that is added has to pass here too: with an id of a kind that
is not in `objects`, or a body that is not in `BODIES`, the tests say what is missing.
"""

import re
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from tests.unit.api.conftest import a_key

from longline.base.ids import Prefix, encode_id, new_id
from longline.store.records import AccountRecord

STRANGER = "ll_key-of-another-account"
API = "/api/v1"
CALL, TRUNK, ACL = (
    f"{API}/voice/calls/{{call_id}}",
    f"{API}/sip/trunks/{{trunk_id}}",
    f"{API}/sip/ip-acls/{{ip_acl_id}}",
)

BODIES: dict[tuple[str, str], dict[str, Any]] = {
    ("post", f"{CALL}/hangup"): {},
    ("post", f"{CALL}/dtmf"): {"digits": "1"},
    ("post", f"{CALL}/mute"): {"leg_id": str(new_id()), "on": True},
    ("post", f"{CALL}/hold"): {"on": True},
    ("post", f"{CALL}/play"): {"media_url": "https://app.example/a.wav"},
    ("post", f"{CALL}/transfer"): {"target": {"kind": "sip", "uri": "sip:bob@b.example"}},
    ("post", f"{CALL}/streams"): {"ws_url": "ws://app.example/"},
    ("patch", TRUNK): {"channel_limit": 3},
    ("patch", ACL): {"name": "changed"},
}
"""What makes a request good in all but its account."""

QUERIES: dict[tuple[str, str], str] = {("get", f"{API}/recordings"): "recording_id"}
"""Routes that name an object in their query."""

CREATES = {
    ("post", f"{API}/voice/calls/initiate"), ("post", f"{API}/calls/initiate"),
    ("post", f"{API}/sip/trunks"), ("post", f"{API}/sip/ip-acls"),
}  # fmt: skip
"""They name no object in path or query; what their bodies may name is tried below."""


@dataclass
class Apart:
    """What the default account has, by the name of its path parameter; and a client of another account."""

    house: Any
    objects: dict[str, str]
    stranger: httpx.AsyncClient

    @property
    def secrets(self) -> set[str]:
        """Whatever must not be in an answer to the other account."""
        return {*self.objects.values(), "+14155550100", "pbx of the owner", "list of the owner", "carrier", "alice"}


@pytest.fixture
async def apart(house: Any) -> Any:
    now = house.clock.now()
    other = AccountRecord(id=new_id(), name="other", created_at=now)
    await house.durable.accounts.save_account(other)
    await house.durable.accounts.save_key(a_key(STRANGER, other.id))
    call = await house.call()
    stream = await house.http.post(f"{API}/voice/calls/{call.id}/streams", json={"ws_url": "ws://app.example/"})
    event = await house.event(call.id, target_url="https://app.example/", payload={"a": 1})
    acl = await house.http.post(
        f"{API}/sip/ip-acls", json={"name": "list of the owner", "addresses": [{"address": "192.0.2.0/28"}]}
    )
    trunk = await house.http.post(
        f"{API}/sip/trunks",
        json={
            "name": "pbx of the owner", "domain_name": "pbx.example", "authentication_type": "IP",
            "auth_addresses": [{"name": "a", "address": "192.0.2.1"}],
        },
    )  # fmt: skip
    objects = {
        "call_id": encode_id(Prefix.CALL, call.id),
        "stream_id": stream.json()["id"],
        "event_id": encode_id(Prefix.EVENT, event.id),
        "ip_acl_id": acl.json()["id"],
        "trunk_id": trunk.json()["id"],
        "recording_id": encode_id(Prefix.RECORDING, (await house.recording()).id),
    }
    transport = httpx.ASGITransport(house.app, raise_app_exceptions=False)
    async with httpx.AsyncClient(
        transport=transport, base_url="http://longline.test", headers={"x-api-key": STRANGER}
    ) as http:
        yield Apart(house, objects, http)


async def protected(house: Any) -> list[tuple[str, str]]:
    """Method and path of every route that wants a key; those that delete come last."""
    document = (await house.http.get("/openapi.json")).json()
    routes = [
        (method, path)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if operation.get("security")
    ]
    return sorted(routes, key=lambda route: (route[0] == "delete", route[1].endswith("/hangup"), route[1]))


async def test_an_object_of_another_account_is_not_found_on_any_route(apart: Apart) -> None:
    tried = 0
    for method, path in await protected(apart.house):
        names = re.findall(r"\{(\w+)\}", path)
        query = QUERIES.get((method, path))
        if not names and query is None:
            continue
        missing = [name for name in names if name not in apart.objects]
        assert not missing, f"{path}: the test has no object for {missing}; make one in `apart`"
        url = path.format(**apart.objects)
        request: dict[str, Any] = {"params": {} if query is None else {query: apart.objects[query]}}
        if method in ("post", "patch", "put"):
            request["json"] = BODIES.get((method, path), {})
        for _ in range(2):  # once more, with what the first has perhaps left behind
            answer = await apart.stranger.request(method, url, **request)
            assert answer.status_code in (403, 404), f"{method} {path}: {answer.status_code} {answer.text}"
            assert not any(text in answer.text for text in apart.secrets if text not in url), f"{method} {path}"
        owner = await apart.house.http.request(method, url, **request)  # the request is good: the owner is served
        assert owner.status_code not in (403, 404, 422), f"{method} {path} by its owner: {owner.text}"
        tried += 1
    assert tried >= 20


async def test_no_list_shows_what_another_account_has(apart: Apart) -> None:
    lists = [path for method, path in await protected(apart.house) if method == "get" and "{" not in path]
    lists = [path for path in lists if ("get", path) not in QUERIES]
    assert f"{API}/voice/calls" in lists
    for path in lists:
        answer = await apart.stranger.get(path)
        assert answer.status_code == 200, path
        assert answer.json().get("data", []) == [], path
        assert not any(text in answer.text for text in apart.secrets), path
        for text in apart.objects.values():
            for name in ("call_id", "trunk_id", "cursor_after"):
                filtered = await apart.stranger.get(path, params={name: text})
                assert not any(secret in filtered.text for secret in apart.secrets), (path, name)


async def test_every_route_is_one_that_these_tests_try(apart: Apart) -> None:
    for method, path in await protected(apart.house):
        is_tried = "{" in path or (method, path) in QUERIES or method == "get"
        assert is_tried or (method, path) in CREATES, f"{method} {path}: say how accounts are kept apart there"


async def test_what_another_account_made_is_untouched_and_its_own_is_its_own(apart: Apart) -> None:
    body = {
        "name": "pbx of the owner", "domain_name": "pbx.example", "authentication_type": "IP",
        "auth_addresses": [{"name": "a", "address": "198.51.100.1"}],
    }  # fmt: skip
    made = await apart.stranger.post(f"{API}/sip/trunks", json=body)  # a name is one's own
    assert made.status_code == 201
    assert (
        made.json()["account_id"] != (await apart.house.http.get(f"{API}/sip/trunks")).json()["data"][0]["account_id"]
    )
    assert (await apart.house.http.get(f"{API}/sip/trunks/{made.json()['id']}")).status_code == 404
    listed = (await apart.stranger.get(f"{API}/sip/trunks")).json()["data"]
    assert [trunk["id"] for trunk in listed] == [made.json()["id"]]


async def test_a_trunk_cannot_be_given_the_access_list_of_another_account(apart: Apart) -> None:
    body = {
        "name": "mine", "domain_name": "x.example", "authentication_type": "IP",
        "ip_acl_id": apart.objects["ip_acl_id"],
    }  # fmt: skip
    answer = await apart.stranger.post(f"{API}/sip/trunks", json=body)
    assert (answer.status_code, answer.json()["code"]) == (400, "ip_acl_not_found")


async def test_a_call_is_of_the_account_whose_key_placed_it(apart: Apart) -> None:
    answer = await apart.stranger.post(f"{API}/voice/calls/initiate", json=apart.house.initiate())
    call_id = answer.json()["data"]["id"]
    assert (await apart.stranger.get(f"{API}/voice/calls/{call_id}")).status_code == 200
    assert (await apart.house.http.get(f"{API}/voice/calls/{call_id}")).status_code == 404


async def test_an_idempotency_key_of_another_account_replays_nothing(apart: Apart) -> None:
    url, headers = CALL.format(**apart.objects) + "/dtmf", {"Idempotency-Key": "k"}
    assert (await apart.house.http.post(url, json={"digits": "1"}, headers=headers)).status_code == 202
    assert (await apart.stranger.post(url, json={"digits": "1"}, headers=headers)).status_code == 404
