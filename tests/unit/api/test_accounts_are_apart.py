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
    ("patch", CALL): {"metadata": {"a": 1}},
    ("patch", TRUNK): {"channel_limit": 3},
    ("patch", ACL): {"name": "changed"},
    ("patch", f"{API}/voice/apps/{{voice_app_id}}"): {"channel_limit": 3},
    ("patch", f"{API}/virtual-numbers/{{vn_id}}"): {"name": "changed"},
    ("patch", f"{API}/secrets/{{secret_id}}"): {"rotate": True},
}
"""What makes a request good in all but its account."""

QUERIES: dict[tuple[str, str], str] = {("get", f"{API}/recordings"): "recording_id"}
"""Routes that name an object in their query."""

ENDLESS = {f"{CALL}/live"}
"""Their answers to the owner end with the call."""

CREATES = {
    ("post", f"{API}/voice/calls/initiate"), ("post", f"{API}/calls/initiate"),
    ("post", f"{API}/sip/trunks"), ("post", f"{API}/sip/ip-acls"), ("post", f"{API}/voice/apps"),
    ("post", f"{API}/virtual-numbers"), ("post", f"{API}/virtual-numbers/assign"),
    ("post", f"{API}/virtual-numbers/unassign"), ("post", f"{API}/secrets"),
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
        return {*self.objects.values(), "+14155550100", "pbx of the owner", "list of the owner", "carrier", "alice",
                "app of the owner", "secret of the owner", "+14155550177", "desk"}  # fmt: skip


def an_app(**changes: Any) -> dict[str, Any]:
    return {"name": "app", "flow_url": "https://app.example/f", "webhook_url": "https://app.example/w", **changes}


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
    secret = await house.http.post(f"{API}/secrets", json={"name": "secret of the owner"})
    app = await house.http.post(f"{API}/voice/apps", json=an_app(name="app of the owner"))
    number = await house.http.post(
        f"{API}/virtual-numbers", json={"number": "+14155550177", "voice_app_id": app.json()["id"]}
    )
    objects = {
        "call_id": encode_id(Prefix.CALL, call.id),
        "stream_id": stream.json()["id"],
        "event_id": encode_id(Prefix.EVENT, event.id),
        "ip_acl_id": acl.json()["id"],
        "trunk_id": trunk.json()["id"],
        "voice_app_id": app.json()["id"],
        "vn_id": number.json()["id"],
        "secret_id": secret.json()["id"],
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
        tried += 1
        if path in ENDLESS:
            continue
        owner = await apart.house.http.request(method, url, **request)  # the request is good: the owner is served
        assert owner.status_code not in (403, 404, 422), f"{method} {path} by its owner: {owner.text}"
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


async def test_a_voice_app_cannot_be_given_what_is_of_another_account(apart: Apart) -> None:
    apps, vn_id = f"{API}/voice/apps", apart.objects["vn_id"]
    answer = await apart.stranger.post(apps, json=an_app(secret_id=apart.objects["secret_id"]))
    assert (answer.status_code, answer.json()["code"]) == (400, "secret_not_found")
    answer = await apart.stranger.post(apps, json=an_app(vn_ids=[vn_id]))
    assert (answer.status_code, answer.json()["code"]) == (404, "virtual_number_not_found")
    own = (await apart.stranger.post(apps, json=an_app())).json()["id"]
    assign = f"{API}/virtual-numbers/assign"
    for whose in (own, apart.objects["voice_app_id"]):
        answer = await apart.stranger.post(assign, json={"vn_ids": [vn_id], "voice_app_id": whose})
        assert answer.status_code == 404
    everything = {"apply_to_all": True, "voice_app_id": own}
    assert (await apart.stranger.post(assign, json=everything)).json()["message"].startswith("0 ")
    assert (
        await apart.stranger.post(assign.replace("assign", "unassign"), json={"vn_ids": [vn_id]})
    ).status_code == 404
    number = (await apart.house.http.get(f"{API}/virtual-numbers/{vn_id}")).json()
    assert number["voice_app"]["id"] == apart.objects["voice_app_id"]


async def test_only_the_account_of_the_server_adds_and_removes_numbers(apart: Apart) -> None:
    numbers = f"{API}/virtual-numbers"
    body = {"number": "+14155550178"}
    answer = await apart.stranger.post(numbers, json=body)
    assert (answer.status_code, answer.json()["code"]) == (403, "not_provisioner")
    own = (await apart.stranger.post(f"{API}/voice/apps", json=an_app())).json()
    made = await apart.house.http.post(numbers, json=body | {"account_id": own["account_id"]})
    assert made.status_code == 201
    (listed,) = (await apart.stranger.get(numbers)).json()["data"]
    assert listed["number"] == body["number"]
    answer = await apart.stranger.post(f"{numbers}/assign", json={"vn_ids": [listed["id"]], "voice_app_id": own["id"]})
    assert answer.json()["message"].startswith("1 virtual numbers")
    answer = await apart.stranger.delete(f"{numbers}/{listed['id']}")
    assert (answer.status_code, answer.json()["code"]) == (403, "not_provisioner")
