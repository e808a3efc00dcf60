"""SIP trunks and access lists over the API: what may be asked, what is answered, and what is never shown."""

from typing import Any

import pytest

from longline.base.ids import decode_id
from longline.sip.events import BindingsChanged

TRUNKS, ACLS = "/api/v1/sip/trunks", "/api/v1/sip/ip-acls"
BY_IP = {
    "name": "pbx", "domain_name": "pbx.example", "authentication_type": "IP",
    "auth_addresses": [{"name": "a", "address": "192.0.2.1"}],
}  # fmt: skip
BY_PASSWORD = {
    "name": "pbx", "domain_name": "pbx.example", "authentication_type": "credential",
    "auth_credential": {"username": "alice", "password": "sesame"},
}  # fmt: skip


async def made(house: Any, body: dict[str, Any]) -> dict[str, Any]:
    answer = await house.http.post(TRUNKS, json=body)
    assert answer.status_code == 201, answer.text
    result: dict[str, Any] = answer.json()
    return result


async def test_a_trunk_has_every_field_of_the_teler_api(house: Any) -> None:
    route = {"name": "main", "sip_url": "sip:pbx.example:5070", "sip_user": "desk"}
    more = {"channel_limit": 3, "recording": True, "webhook_url": "https://a/w", "inbound_route": route}
    trunk = await made(house, BY_IP | more)
    assert {
        "id", "name", "domain_name", "account_id", "channel_limit", "cps_limit", "recording_enabled", "secure",
        "transport", "is_active", "authentication_type", "auth_ip_addresses", "auth_credential_usernames", "ip_acl_id",
        "ip_acl_name", "sip_route", "webhook_url", "webhook_api_version", "created_at", "updated_at", "secret_id",
        "secret_name",
    } <= set(trunk)  # fmt: skip
    assert trunk["id"].startswith("st_")
    assert (trunk["transport"], trunk["secure"], trunk["is_active"], trunk["source"]) == ("tcp", False, True, "api")
    assert (trunk["auth_ip_addresses"], trunk["recording_enabled"], trunk["sip_route"]) == (["192.0.2.1"], True, route)
    assert trunk["live"] == {
        "calls": 0,
        "targets": [{"uri": "sip:pbx.example:5070;transport=tcp", "priority": 0, "weight": 1, "is_up": True}],
        "registration": None,
    }
    assert (await house.http.get(f"{TRUNKS}/{trunk['id']}")).json() == trunk


async def test_a_password_is_never_shown(house: Any) -> None:
    trunk = await made(house, BY_PASSWORD)
    assert trunk["auth_credential_usernames"] == ["alice"]
    for path in (TRUNKS, f"{TRUNKS}/{trunk['id']}"):
        assert "sesame" not in (await house.http.get(path)).text
    refused = await house.http.post(
        TRUNKS, json=BY_PASSWORD | {"auth_credential": {"username": "a", "password": "ses"}}
    )
    assert refused.status_code == 422 and "ses" not in refused.text.replace("sesame", "")


@pytest.mark.parametrize(
    ("changes", "transport", "secure"),
    [
        ({}, "tcp", False), ({"secure": True}, "tls", True), ({"secure": False}, "tcp", False),
        ({"transport": "tls"}, "tls", True), ({"transport": "udp"}, "udp", False),
    ],
)  # fmt: skip
async def test_the_transport_follows_from_what_is_given(
    house: Any, changes: dict[str, Any], transport: str, secure: bool
) -> None:
    trunk = await made(house, BY_PASSWORD | changes)
    assert (trunk["transport"], trunk["secure"]) == (transport, secure)


@pytest.mark.parametrize(
    "body",
    [
        BY_IP | {"transport": "udp"},
        BY_IP | {"secure": True, "transport": "tls"},
        BY_IP | {"auth_addresses": [{"address": "192.0.2.0/28"}]},
        BY_IP | {"auth_addresses": [{"address": f"192.0.2.{n}"} for n in range(6)]},
        BY_IP | {"auth_addresses": []},
        BY_IP | {"auth_addresses": None},
        BY_IP | {"ip_acl_id": "acl_01ARZ3NDEKTSV4RRFFQ69G5FAV"},
        BY_IP | {"auth_credential": {"username": "alice", "password": "sesame"}},
        BY_PASSWORD | {"auth_credential": None},
        BY_PASSWORD | {"auth_credential": {"username": "abcd", "password": "sesame"}},
        BY_PASSWORD | {"auth_credential": {"username": "alice", "password": "1234"}},
        BY_PASSWORD | {"auth_credential": {"username": "al:ce", "password": "sesame"}},
        BY_PASSWORD | {"auth_addresses": [{"address": "192.0.2.1"}]},
        BY_IP | {"inbound_route": {"sip_url": "http://pbx.example"}},
        BY_IP | {"inbound_route": {"sip_url": "sip:pbx\r\nX: y"}},
        BY_IP | {"inbound_route": {"sip_url": "sip:pbx", "sip_user": "a b"}},
        BY_IP | {"inbound_route": {"name": "no url"}},
        BY_IP | {"authentication_type": "ip"},
        BY_IP | {"unknown": 1},
        BY_IP | {"channel_limit": -1},
        BY_IP | {"name": "   "},
        BY_IP | {"name": "x" * 65},
        BY_IP | {"domain_name": "not a domain"},
        BY_IP | {"webhook_url": "ftp://a"},
        BY_IP | {"webhook_api_version": "2020-01-01"},
    ],
)
async def test_what_cannot_be_is_422(house: Any, body: dict[str, Any]) -> None:
    answer = await house.http.post(TRUNKS, json=body)
    assert answer.status_code == 422, answer.text
    assert answer.json()["message"] == "Validation Error"


@pytest.mark.parametrize(
    "body",
    [
        {"auth_addresses": [{"address": "192.0.2.9"}]},
        {"auth_credential": {"username": "alice", "password": "sesame"}},
        {"ip_acl_id": "acl_01ARZ3NDEKTSV4RRFFQ69G5FAV"},
        {"authentication_type": "IP"},
        {"authentication_type": "credential"},
        {"transport": "udp"},
        {"account_id": "x"},
    ],
)
async def test_a_change_that_is_not_whole_is_422(house: Any, body: dict[str, Any]) -> None:
    trunk = await made(house, BY_IP)
    answer = await house.http.patch(f"{TRUNKS}/{trunk['id']}", json=body)
    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"]


async def test_a_change_leaves_what_it_does_not_name(house: Any) -> None:
    trunk = await made(house, BY_IP | {"channel_limit": 3, "webhook_url": "https://a/w"})
    await house.clock.advance(5)
    changed = (await house.http.patch(f"{TRUNKS}/{trunk['id']}", json={"name": " other ", "is_active": False})).json()
    assert changed["updated_at"] > trunk["updated_at"]
    assert changed == trunk | {
        "name": "other", "is_active": False, "updated_at": changed["updated_at"], "live": None,
    }  # fmt: skip
    login = {"authentication_type": "credential", "auth_credential": {"username": "alice", "password": "sesame"}}
    changed = (await house.http.patch(f"{TRUNKS}/{trunk['id']}", json=login | {"transport": "udp"})).json()
    assert (changed["auth_ip_addresses"], changed["auth_credential_usernames"]) == ([], ["alice"])
    assert changed["transport"] == "udp"


async def test_trunks_are_listed_with_those_of_the_configuration_and_filtered(house: Any) -> None:
    await house.clock.advance(1)
    one = await made(house, BY_IP)
    await house.clock.advance(1)
    two = await made(house, BY_IP | {"name": "second", "domain_name": "other.example"})
    await house.http.patch(f"{TRUNKS}/{two['id']}", json={"is_active": False})

    async def names(**params: Any) -> list[str]:
        answer = await house.http.get(TRUNKS, params=params)
        return [trunk["name"] for trunk in answer.json()["data"]]

    assert await names() == ["second", "pbx", "carrier"]
    assert await names(status="active") == ["pbx", "carrier"]
    assert await names(status=["active", "inactive"]) == await names()
    assert await names(search="OTHER.ex") == ["second"]
    page = (await house.http.get(TRUNKS, params={"limit": 1})).json()
    assert page["has_more"] and page["data"][0]["name"] == "second"
    assert await names(cursor_after=page["next_cursor"], limit=1) == [one["name"]]
    (configured,) = [trunk for trunk in (await house.http.get(TRUNKS)).json()["data"] if trunk["name"] == "carrier"]
    assert (configured["source"], configured["domain_name"]) == ("config", "sip.example.com")
    assert "secret" not in str({**configured, "secret_id": 0, "secret_name": 0}.values())


async def test_a_deleted_trunk_is_gone(house: Any) -> None:
    trunk = await made(house, BY_IP)
    answer = await house.http.delete(f"{TRUNKS}/{trunk['id']}")
    assert (answer.status_code, answer.json()["success"]) == (200, True)
    assert (await house.http.get(f"{TRUNKS}/{trunk['id']}")).json()["code"] == "sip_trunk_not_found"


async def test_the_numbers_of_a_trunk_are_none(house: Any) -> None:
    trunk = await made(house, BY_IP)
    answer = await house.http.get(f"{TRUNKS}/{trunk['id']}/virtual-numbers", params={"search": "1"})
    assert answer.json() == {"data": [], "next_cursor": None, "previous_cursor": None, "has_more": False}


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("192.0.2.1", "192.0.2.1"), ("192.0.2.1/32", "192.0.2.1"), ("203.0.113.7/24", "203.0.113.0/24"),
        (" 2001:DB8::5/64 ", "2001:db8::/64"), ("10.0.0.0/30", "10.0.0.0/30"),
    ],
)  # fmt: skip
async def test_an_address_of_an_access_list_is_shown_as_it_is_understood(house: Any, given: str, shown: str) -> None:
    answer = await house.http.post(ACLS, json={"name": "a", "addresses": [{"address": given, "description": "d"}]})
    assert answer.json()["addresses"] == [{"address": shown, "description": "d"}]


@pytest.mark.parametrize(
    "addresses",
    [
        [], [{"address": "192.0.2.0/23"}], [{"address": "2001:db8::/63"}], [{"address": "127.0.0.1"}],
        [{"address": "0.0.0.0/32"}], [{"address": "::1"}], [{"address": "::/128"}], [{"address": "nonsense"}],
        [{"address": "192.0.2.1"}, {"address": "192.0.2.1/32"}],
        [{"address": "192.0.2.1", "description": "x" * 256}],
        [{"address": f"192.0.2.{n}"} for n in range(51)],
        [{"description": "no address"}], [{"address": "192.0.2.1", "more": 1}],
    ],
)  # fmt: skip
async def test_an_access_list_that_lets_in_too_much_or_nobody_is_422(house: Any, addresses: list[Any]) -> None:
    answer = await house.http.post(ACLS, json={"name": "a", "addresses": addresses})
    assert answer.status_code == 422, answer.text


async def test_access_lists_tell_how_many_addresses_and_trunks_they_have(house: Any) -> None:
    acl = (await house.http.post(ACLS, json={"name": "a", "addresses": [{"address": "192.0.2.1"}]})).json()
    trunk = await made(house, BY_IP | {"auth_addresses": None, "ip_acl_id": acl["id"]})
    assert (trunk["ip_acl_id"], trunk["ip_acl_name"]) == (acl["id"], "a")
    (listed,) = (await house.http.get(ACLS)).json()["data"]
    assert (listed["address_count"], listed["trunk_count"]) == (1, 1)
    assert "addresses" not in listed
    changed = (await house.http.patch(f"{ACLS}/{acl['id']}", json={"addresses": [{"address": "192.0.2.2"}]})).json()
    assert (changed["name"], [entry["address"] for entry in changed["addresses"]]) == ("a", ["192.0.2.2"])
    answer = await house.http.delete(f"{ACLS}/{acl['id']}")
    assert (answer.status_code, answer.json()["code"]) == (409, "ip_acl_in_use")


async def test_sip_calls_are_found_by_their_trunk(house: Any) -> None:
    trunk = await made(house, BY_IP)
    call = await house.call(sip_trunk_id=decode_id(trunk["id"], "st"), state="completed", reason="completed")
    await house.call()
    answer = await house.http.get("/api/v1/sip/calls", params={"trunk_id": trunk["id"]})
    (found,) = answer.json()["data"]
    assert (found["sip_trunk_id"], found["state"], found["recordings"]) == (trunk["id"], "completed", [])
    assert found["duration_seconds"] is None  # it has no end
    assert len((await house.http.get("/api/v1/sip/calls")).json()["data"]) == 2
    one = (await house.http.get(f"/api/v1/sip/calls/{call.id}")).json()
    assert one == found


async def test_events_are_found_by_their_trunk(house: Any) -> None:
    trunk = await made(house, BY_IP)
    await house.event(None, type="trunk.target_down", sip_trunk_id=decode_id(trunk["id"], "st"))
    await house.event((await house.call()).id)
    (found,) = (await house.http.get("/api/v1/events", params={"sip_trunk_id": trunk["id"]})).json()["data"]
    assert (found["type"], found["sip_trunk_id"], found["call_id"]) == ("trunk.target_down", trunk["id"], None)


class TestOtherWebhookVersion:
    @pytest.fixture
    def version(self) -> str:
        return "2025-08-01"

    async def test_ids_of_trunks_are_raw_too(self, house: Any) -> None:
        trunk = await made(house, BY_IP)
        assert "_" not in trunk["id"] and trunk["webhook_api_version"] == "2025-08-01"
        assert (await house.http.get(f"{TRUNKS}/{trunk['id']}")).status_code == 200


async def test_phones_are_listed_with_the_places_where_they_have_registered(house: Any) -> None:
    house.deps.phones.on_bindings(
        BindingsChanged("phone:alice", ({
            "contact": "sip:alice@10.0.0.3", "transport": "UDP", "host": "192.0.2.7", "port": 5061,
            "user_agent": "Phone/1", "expires_s": 60.0,
        },))
    )  # fmt: skip
    await house.deps.phones.stop()
    answer = await house.http.get("/api/v1/sip/phones")
    assert answer.status_code == 200, answer.text
    (alice,) = answer.json()["data"]
    assert (alice["name"], alice["channel_limit"]) == ("alice", 2)
    (place,) = alice["bindings"]
    assert (place["contact"], place["address"]) == ("sip:alice@10.0.0.3", "192.0.2.7:5061")
    assert "sesame" not in answer.text
