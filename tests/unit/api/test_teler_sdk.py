"""The published client library of the Teler API, unmodified, over a real socket: only its base URL is ours."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
import uvicorn
from teler import AsyncClient, Client, exceptions

from longline.base.ids import decode_id, encode_id, new_id

NUMBERS = {"from_number": "+14155550100", "to_number": "+14155550101"}
URLS = {"flow_url": "https://app.example/flow", "status_callback_url": "https://app.example/status"}
KEY = "test-key-1"


@asynccontextmanager
async def serving(app: Any) -> AsyncIterator[str]:
    """The base URL of the application on a port of its own."""
    config = uvicorn.Config(app, host="127.0.0.1", port=0, log_config=None, access_log=False, lifespan="off", ws="none")
    server = uvicorn.Server(config)
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
    listener = config.bind_socket()
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/api/v1"
    finally:
        server.should_exit = True
        await task


@pytest.fixture
async def base_url(house: Any) -> AsyncIterator[str]:
    async with serving(house.app) as url:
        yield url


@pytest.fixture
async def client(base_url: str) -> AsyncIterator[AsyncClient]:
    async with AsyncClient(api_key=KEY, base_url=base_url) as made:
        yield made


async def test_a_call_is_created_and_retrieved_with_its_legs(house: Any, client: AsyncClient) -> None:
    created = await client.voice.calls.create(**NUMBERS, **URLS, record=False)
    assert (created.from_number, created.to_number) == (NUMBERS["from_number"], NUMBERS["to_number"])
    assert (created.status_callback_url, created.record) == (URLS["status_callback_url"], False)
    call = await client.voice.calls.retrieve(created.id)
    assert (call.id, call.state, call.direction) == (created.id, "answered", "outbound")
    legs = await client.voice.calls.list_legs(created.id)
    assert [leg.call_session_id for leg in legs.data] == [created.id]
    assert legs.has_more is False


async def test_calls_are_listed_and_walked_by_cursor(house: Any, client: AsyncClient) -> None:
    made = [encode_id("cs", (await house.call()).id) for _ in range(5)]
    seen: list[str] = []
    page = await client.voice.calls.list(limit=2)
    while True:
        seen += [call.id for call in page.data]
        if not page.has_more:
            break
        page = await client.voice.calls.list(limit=2, cursor_after=page.next_cursor)
    assert seen == made[::-1]
    assert (await client.voice.calls.list(state="failed")).data == []


async def test_hangup_is_accepted_once_and_then_a_conflict(house: Any, client: AsyncClient) -> None:
    call_id = encode_id("cs", (await house.call()).id)
    accepted = await client.voice.mutations.hangup(call_id, reason="DONE", idempotency_key="k1")
    assert accepted.request_id.startswith("req_")
    again = await client.voice.mutations.hangup(call_id, reason="DONE", idempotency_key="k1")
    assert again.request_id == accepted.request_id
    with pytest.raises(exceptions.ConflictException):
        await client.voice.mutations.hangup(call_id)
    with pytest.raises(exceptions.UnprocessableRequestException):
        await client.voice.mutations.hangup(call_id, reason="lower case")


async def test_events_are_listed_retrieved_and_redelivered(house: Any, client: AsyncClient) -> None:
    call = await house.call()
    event = await house.event(call.id, target_url="http://x", payload={"a": 1})
    (listed,) = (await client.events.list(call_id=encode_id("cs", call.id))).data
    assert (listed.id, listed.type, listed.payload) == (encode_id("evt", event.id), "call.answered", {"a": 1})
    assert (await client.events.retrieve(listed.id)).delivery_status == "backfill_skipped"
    assert (await client.events.redeliver(listed.id)).event_id == listed.id


async def test_sip_trunks_and_access_lists_are_made_used_and_deleted(house: Any, client: AsyncClient) -> None:
    acl = await client.sip.ip_acls.create("office", [{"address": "203.0.113.7/28", "description": "the office"}])
    assert [entry["address"] for entry in acl.addresses] == ["203.0.113.0/28"]
    acl = await client.sip.ip_acls.update(acl.id, name="branch", addresses=[{"address": "203.0.113.9"}])
    route = {"name": "main", "sip_url": "sip:pbx.example.com", "sip_user": "desk"}
    trunk = await client.sip.trunks.create("pbx", "pbx.example.com", "IP", ip_acl_id=acl.id, inbound_route=route)
    assert (trunk.ip_acl_name, trunk.transport, trunk.is_active, trunk.sip_route) == ("branch", "tcp", True, route)
    assert (await client.sip.ip_acls.retrieve(acl.id)).trunk_count == 1
    (listed,) = (await client.sip.ip_acls.list(search="bran")).data
    assert (listed.address_count, listed.trunk_count) == (1, 1)
    with pytest.raises(exceptions.ConflictException):
        await client.sip.ip_acls.delete(acl.id)
    credential = {"username": "alice", "password": "open sesame"}
    trunk = await client.sip.trunks.update(
        trunk.id, authentication_type="credential", auth_credential=credential, transport="udp", is_active=False
    )
    assert (trunk.auth_credential_usernames, trunk.transport, trunk.is_active) == (["alice"], "udp", False)
    assert (trunk.ip_acl_id, trunk.auth_ip_addresses) == (None, [])
    assert (await client.sip.trunks.retrieve(trunk.id)).updated_at == trunk.updated_at
    assert [each.id for each in (await client.sip.trunks.list(status=["inactive"], search="PBX")).data] == [trunk.id]
    assert (await client.sip.trunks.list_virtual_numbers(trunk.id)).data == []
    assert (await client.sip.trunks.delete(trunk.id)).success is True
    assert (await client.sip.ip_acls.delete(acl.id)).success is True
    with pytest.raises(exceptions.NotFoundException):
        await client.sip.trunks.retrieve(trunk.id)


async def test_sip_calls_are_listed_and_retrieved(house: Any, client: AsyncClient) -> None:
    trunk = await client.sip.trunks.create("pbx", "pbx.example.com", "IP", auth_addresses=[{"address": "192.0.2.1"}])
    call = await house.call(sip_trunk_id=decode_id(trunk.id, "st"))
    await house.call()
    (found,) = (await client.sip.calls.list(trunk_id=trunk.id)).data
    assert (found.id, found.sip_trunk_id, found.state) == (encode_id("cs", call.id), trunk.id, "answered")
    assert (await client.sip.calls.retrieve(found.id)).direction == "outbound"
    with pytest.raises(exceptions.NotFoundException):
        await client.sip.calls.retrieve(encode_id("cs", new_id()))


async def test_a_recording_is_retrieved_by_its_link(house: Any, client: AsyncClient) -> None:
    recording = await house.recording(b"RIFF")
    found = await client.recordings.retrieve(encode_id("rec", recording.id))
    async with httpx.AsyncClient() as http:
        assert (await http.get(found.url)).content == b"RIFF"


async def test_refusals_are_the_exceptions_that_the_library_knows(
    house: Any, client: AsyncClient, base_url: str
) -> None:
    async with AsyncClient(api_key="wrong", base_url=base_url) as stranger:
        with pytest.raises(exceptions.ForbiddenException, match=r"Invalid API Key\."):
            await stranger.voice.calls.list()
    with pytest.raises(exceptions.NotFoundException):
        await client.voice.calls.retrieve(encode_id("cs", new_id()))
    with pytest.raises(exceptions.UnprocessableRequestException):
        await client.voice.calls.create(from_number="1", to_number="2", **URLS)
    with pytest.raises(exceptions.BadParametersException):
        await client.voice.calls.list(cursor_after="nonsense")


async def test_the_synchronous_client_works_alike(house: Any, base_url: str) -> None:
    def use() -> tuple[str, str, list[str]]:
        with Client(api_key=KEY, base_url=base_url) as made:
            created = made.voice.calls.create(**NUMBERS, **URLS)
            listed = made.voice.calls.list()
            made.voice.mutations.hangup(created.id)
            return created.id, made.voice.calls.retrieve(created.id).state, [call.id for call in listed.data]

    created, state, listed = await asyncio.to_thread(use)
    assert listed == [created]
    assert state == "completed"


class TestWebhookVersion2025:
    @pytest.fixture
    def version(self) -> str:
        return "2025-08-01"

    async def test_raw_uuids_serve_the_library_as_well(self, house: Any, client: AsyncClient) -> None:
        created = await client.voice.calls.create(**NUMBERS, **URLS)
        assert "_" not in created.id
        assert (await client.voice.calls.retrieve(created.id)).id == created.id
        assert (await client.voice.mutations.hangup(created.id)).request_id


async def test_a_call_is_controlled_and_transferred(house: Any, client: AsyncClient) -> None:
    call = await house.call()
    call_id, leg_id = encode_id("cs", call.id), encode_id("cl", call.legs[0].id)
    muted = await client.voice.mutations.mute(call_id, leg_id, True)
    assert muted.request_id.startswith("req_")
    played = await client.voice.mutations.play(call_id, "https://app.example/a.wav", leg_id=leg_id, loop=2)
    assert played.playback_id
    begun = await client.voice.operations.transfer(
        call_id,
        {"kind": "sip", "uri": "sip:bob@b.example", "custom_headers": {"X-Ticket": "1"}},
        "cold",
        dial_music={"action": "play", "media_url": "https://app.example/m.wav", "loop": True},
    )
    assert (begun.status, begun.mode) == ("initiated", "cold") and begun.target_leg_id and begun.id
    with pytest.raises(exceptions.BadParametersException):
        await client.voice.operations.transfer(call_id, {"kind": "sip", "uri": "sip:bob@b.example"}, "warm")
