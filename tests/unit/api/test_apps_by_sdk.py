"""Voice apps, virtual numbers and secrets by the published client library of the Teler API; and what it never asks."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from teler import AsyncClient, exceptions
from tests.unit.api.test_teler_sdk import KEY, serving

from longline.base.ids import decode_id

API = "/api/v1"
APP = {"name": "support", "flow_url": "https://a/f", "webhook_url": "https://a/w"}


@pytest.fixture
async def client(house: Any) -> AsyncIterator[AsyncClient]:
    async with serving(house.app) as url, AsyncClient(api_key=KEY, base_url=url) as made:
        yield made


async def number(house: Any, digits: str = "+14155550111", **more: Any) -> str:
    answer = await house.http.post(f"{API}/virtual-numbers", json={"number": digits, **more})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


async def test_a_voice_app_lives_from_its_making_to_its_end(house: Any, client: AsyncClient) -> None:
    secret = await client.secrets.create("one")
    vn_id = await number(house)
    app = await client.voice.apps.create(
        **APP, fallback_url="https://a/b", vn_ids=[vn_id], secret_id=secret.id, channel_limit=3
    )
    assert app.id.startswith("va_") and (app.status, app.vn_count, app.channel_limit) == ("active", 1, 3)
    assert (app.secret_id, app.secret_name, app.webhook_api_version) == (secret.id, "one", "2026-06-01")
    assert app.fallback_url == "https://a/b"
    assert await client.voice.apps.retrieve(app.id) == app
    (listed,) = (await client.voice.apps.list_virtual_numbers(app.id)).data
    assert (listed.id, listed.voice_app) == (vn_id, {"id": app.id, "name": "support"})
    changed = await client.voice.apps.update(app.id, name="sales", status="inactive", webhook_api_version="2025-08-01")
    assert (changed.name, changed.status, changed.webhook_api_version) == ("sales", "inactive", "2025-08-01")
    assert [found.id for found in (await client.voice.apps.list(status=["inactive"], search="SAL")).data] == [app.id]
    assert [found.name for found in (await client.voice.apps.list(status=["active"])).data] == ["desk"]
    gone = await client.voice.apps.delete(app.id)
    assert gone.success and "sales" in (gone.message or "")
    with pytest.raises(exceptions.NotFoundException):
        await client.voice.apps.retrieve(app.id)
    freed = (await client.virtual_numbers.list(search="0111")).data[0]
    assert freed.voice_app is None


async def test_a_version_that_is_not_given_is_the_first_one(house: Any) -> None:
    answer = await house.http.post(f"{API}/voice/apps", json=APP)
    assert answer.json()["webhook_api_version"] == "2025-08-01"


async def test_numbers_are_assigned_one_by_one_or_all_that_are_found(house: Any, client: AsyncClient) -> None:
    app = await client.voice.apps.create(**APP)
    place = {"name": "San Francisco", "region_code": "CA", "country_code": "US", "country_name": "United States"}
    first, second = await number(house, location=place), await number(house, "+14155550112", name="second")
    done = await client.virtual_numbers.assign(vn_ids=[first], voice_app_id=app.id)
    assert done.success and done.message == "1 virtual numbers assigned successfully."
    location = (await client.virtual_numbers.list(search="0111")).data[0].location
    assert location == place | {"id": location["id"]} and location["id"].startswith("loc_")
    found = await client.virtual_numbers.list(location=[location["id"]], voice_app=[app.id])
    assert [each.id for each in found.data] == [first]
    done = await client.virtual_numbers.unassign(apply_to_all=True, voice_app=[app.id])
    assert (done.message or "").startswith("1 ")
    trunk = await house.http.post(
        f"{API}/sip/trunks",
        json={
            "name": "pbx", "domain_name": "pbx.example", "authentication_type": "IP",
            "auth_addresses": [{"name": "a", "address": "192.0.2.1"}],
        },
    )  # fmt: skip
    trunk_id = trunk.json()["id"]
    await client.virtual_numbers.assign(vn_ids=[first, second], sip_trunk_id=trunk_id)
    listed = (await client.sip.trunks.list_virtual_numbers(trunk_id)).data
    assert [each.id for each in listed] == [second, first] and listed[0].sip_trunk == {"id": trunk_id, "name": "pbx"}
    assert (await client.virtual_numbers.update(first, "renamed")).name == "renamed"
    assert (await house.http.delete(f"{API}/sip/trunks/{trunk_id}")).status_code == 200
    assert all(each.sip_trunk is None for each in (await client.virtual_numbers.list()).data)


async def test_what_the_file_has_assigned_is_passed_over_or_refused(house: Any, client: AsyncClient) -> None:
    app = await client.voice.apps.create(**APP)
    fixed = (await client.virtual_numbers.list(search="0199")).data[0]
    assert fixed.voice_app is not None and fixed.voice_app["name"] == "desk"
    done = await client.virtual_numbers.assign(apply_to_all=True, voice_app_id=app.id)
    assert (done.message or "").startswith("0 ")
    with pytest.raises(exceptions.ConflictException):
        await client.virtual_numbers.assign(vn_ids=[fixed.id], voice_app_id=app.id)
    with pytest.raises(exceptions.ConflictException):
        await client.voice.apps.update(fixed.voice_app["id"], name="other")
    assert "in the file" not in (await house.http.get(f"{API}/voice/apps")).text


@pytest.mark.parametrize(
    "body",
    [
        {"vn_ids": ["x"], "voice_app_id": None, "sip_trunk_id": None},
        {"vn_ids": ["x"], "voice_app_id": "va", "sip_trunk_id": "st"},
        {"vn_ids": ["x"], "apply_to_all": True, "voice_app_id": "va"},
        {"voice_app_id": "va"},
    ],
)
async def test_an_assignment_names_numbers_and_one_place(house: Any, body: dict[str, Any]) -> None:
    known = {"x": await number(house), "va": (await house.http.post(f"{API}/voice/apps", json=APP)).json()["id"]}
    known["st"] = (await house.http.get(f"{API}/sip/trunks")).json()["data"][0]["id"]
    sent = {key: [known["x"]] if key == "vn_ids" else known.get(str(value), value) for key, value in body.items()}
    answer = await house.http.post(f"{API}/virtual-numbers/assign", json=sent)
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_request"), answer.text


async def test_a_secret_is_rotated_named_and_kept_while_it_signs(house: Any, client: AsyncClient) -> None:
    secret = await client.secrets.create("one")
    assert secret.id.startswith("sk_") and (secret.secret_value or "").startswith("whsec_")
    assert secret.needs_rotation is False and secret.rotated_at is None
    app = await client.voice.apps.create(**APP, secret_id=secret.id)
    turned = await client.secrets.update(secret.id, name="two", rotate=True)
    assert turned.secret_value != secret.secret_value and turned.rotated_at is not None and turned.name == "two"
    assert turned.voice_apps == [{"id": app.id, "name": "support"}]
    assert house.deps.secrets.values(decode_id(secret.id, "sk")) == (turned.secret_value, secret.secret_value)
    (listed,) = (await client.secrets.list(search="TWO")).data
    assert listed.raw == {"id": secret.id, "name": "two"}
    with pytest.raises(exceptions.ConflictException):
        await client.secrets.delete(secret.id)
    await house.http.patch(f"{API}/voice/apps/{app.id}", json={"secret_id": None})
    assert (await client.secrets.delete(secret.id)).success
    with pytest.raises(exceptions.NotFoundException):
        await client.secrets.retrieve(secret.id)


async def test_a_key_that_may_only_read_is_not_told_what_signs(house: Any, client: AsyncClient) -> None:
    from tests.unit.api.conftest import a_key

    from longline.base.ids import DEFAULT_ACCOUNT_ID

    key = a_key("ll_reader", DEFAULT_ACCOUNT_ID)
    key.scopes = ["read"]
    await house.durable.accounts.save_key(key)
    secret = await client.secrets.create("one")
    reader = {"x-api-key": "ll_reader"}
    assert (await house.http.get(f"{API}/secrets", headers=reader)).status_code == 200
    answer = await house.http.get(f"{API}/secrets/{secret.id}", headers=reader)
    assert (answer.status_code, answer.json()["code"]) == (403, "missing_scope")


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/voice/apps", APP | {"more": 1}, 422),
        ("/voice/apps", APP | {"flow_url": "ftp://a/"}, 422),
        ("/voice/apps", APP | {"webhook_api_version": "2024-01-01"}, 422),
        ("/voice/apps", APP | {"channel_limit": -1}, 422),
        ("/voice/apps", {"name": "x"}, 422),
        ("/secrets", {"name": "x", "more": 1}, 201),
        ("/secrets", {"name": "  "}, 422),
        ("/virtual-numbers/unassign", {"vn_ids": [], "apply_to_all": True, "more": 1}, 200),
    ],
)
async def test_unknown_keys_are_refused_where_the_teler_api_refuses_them(
    house: Any, path: str, body: dict[str, Any], status: int
) -> None:
    assert (await house.http.post(f"{API}{path}", json=body)).status_code == status


async def test_a_malformed_id_in_a_path_is_that_of_nothing(house: Any) -> None:
    for path in ("voice/apps", "virtual-numbers", "secrets"):
        assert (await house.http.get(f"{API}/{path}/nonsense")).status_code == 404


async def test_a_trunk_signs_with_a_secret_too(house: Any, client: AsyncClient) -> None:
    secret = await client.secrets.create("one")
    trunk = await client.sip.trunks.create(
        name="pbx", domain_name="pbx.example", authentication_type="IP", secret_id=secret.id,
        auth_addresses=[{"name": "a", "address": "192.0.2.1"}],
    )  # fmt: skip
    assert (trunk.secret_id, trunk.secret_name) == (secret.id, "one")
    assert (await client.secrets.retrieve(secret.id)).sip_trunks == [{"id": trunk.id, "name": "pbx"}]


async def test_an_app_may_be_one_of_another_platform(house: Any) -> None:
    answer = await house.http.post("/api/v1/voice/apps", json=APP | {"webhook_api_version": "twilio"})
    assert (answer.status_code, answer.json()["webhook_api_version"]) == (201, "twilio")
