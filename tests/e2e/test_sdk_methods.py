"""Every method of the vendor's SDK 1.0.0, with both of its clients, against a real node and a carrier that answers."""

import asyncio
from pathlib import Path
from typing import Any

import httpx2
import pytest
from teler import AsyncClient, CallFlow, Client
from teler.exceptions import BadParametersException, ConflictException, NotFoundException, UnprocessableRequestException

from tests.support.app import App, Backend, listen
from tests.support.node import API_KEY, Node
from tests.support.ports import free_ports
from tests.support.sdk import Watched
from tests.support.sipp import Sipp
from tests.support.tone import tone, write_wav

FROM, TO = "+15550100", "+15550101"


@pytest.mark.parametrize("make_client", [AsyncClient, Client], ids=["asynchronous", "synchronous"])
async def test_every_method_of_the_sdk_is_answered_with_every_field_that_it_declares(
    tmp_path: Path, make_client: Any
) -> None:
    carrier_port, other_port = free_ports(2)
    media = tmp_path / "media"
    media.mkdir()
    write_wav(media / "tone.wav", tone(700, 0.3))
    settings = {
        "LONGLINE_TRUNKS__CARRIER__URI": f"sip:127.0.0.1:{carrier_port}",
        "LONGLINE_MEDIA_DIR": str(media),
        "LONGLINE_WEBHOOK_VERSION": "2026-06-01",
    }
    async with (
        Sipp(tmp_path / "carrier", "uas", "-rtp_echo", port=carrier_port),
        Sipp(tmp_path / "other", "uas", "-rtp_echo", port=other_port) as other,
        App(listen) as app,
        Backend(CallFlow.stream(app.url, chunk_size=100, record=True)) as backend,
        Node(tmp_path / "node", **settings) as node,
    ):
        sdk = Watched(make_client(API_KEY, base_url=node.url + "/api/v1"))
        await provisioning(sdk, node, backend)
        await calling(sdk, node, backend, other)
        assert sdk.used == sdk.methods()


async def provisioning(sdk: Watched, node: Node, backend: Backend) -> None:
    """Secrets, voice apps, access lists, trunks and numbers: made, found, changed; what is in use stays."""
    secret = await sdk.secrets.create("signing")
    rotated = await sdk.secrets.update(secret.id, name="signing 2", rotate=True)
    assert (rotated.name, rotated.secret_value == secret.secret_value) == ("signing 2", False)
    assert [each.id for each in (await sdk.secrets.list()).data] == [secret.id]

    acl = await sdk.sip.ip_acls.create("office", [{"address": "203.0.113.0/28", "description": "the office"}])
    await sdk.sip.ip_acls.update(acl.id, addresses=[{"address": "203.0.113.9"}])
    trunk = await sdk.sip.trunks.create("pbx", "127.0.0.1", "IP", ip_acl_id=acl.id)
    await sdk.sip.trunks.update(trunk.id, channel_limit=2)
    assert (await sdk.sip.trunks.retrieve(trunk.id)).channel_limit == 2
    assert (await sdk.sip.ip_acls.retrieve(acl.id)).trunk_count == 1
    assert [each.trunk_count for each in (await sdk.sip.ip_acls.list(search="office")).data] == [1]
    assert [each.id for each in (await sdk.sip.trunks.list(search="pbx", status=["active"])).data] == [trunk.id]
    with pytest.raises(ConflictException):
        await sdk.sip.ip_acls.delete(acl.id)

    made = (await node.api.post("/api/v1/virtual-numbers", json={"number": FROM})).raise_for_status().json()
    (number,) = (await sdk.virtual_numbers.list(search=FROM)).data
    assert (number.id, number.voice_app, number.sip_trunk) == (made["id"], None, None)
    assert (await sdk.virtual_numbers.update(number.id, name="Sales")).name == "Sales"
    with pytest.raises(UnprocessableRequestException):
        await sdk.virtual_numbers.update(number.id, name=" ")

    voice_app = await sdk.voice.apps.create(
        "sales", backend.flow_url, backend.webhook_url, secret_id=secret.id, vn_ids=[number.id], channel_limit=5
    )
    assert (voice_app.vn_count, voice_app.secret_name, voice_app.status) == (1, "signing 2", "active")
    assert (await sdk.voice.apps.update(voice_app.id, name="Sales")).name == "Sales"
    assert (await sdk.voice.apps.retrieve(voice_app.id)).webhook_api_version == "2026-06-01"
    assert voice_app.id in [each.id for each in (await sdk.voice.apps.list(search="sal", status=["active"])).data]
    assert [each.id for each in (await sdk.voice.apps.list_virtual_numbers(voice_app.id)).data] == [number.id]
    assert [each["id"] for each in (await sdk.secrets.retrieve(secret.id)).voice_apps] == [voice_app.id]

    assert "1 virtual number" in (await sdk.virtual_numbers.assign([number.id], sip_trunk_id=trunk.id)).message
    assert [each.id for each in (await sdk.sip.trunks.list_virtual_numbers(trunk.id)).data] == [number.id]
    assert (await sdk.virtual_numbers.unassign(apply_to_all=True, sip_trunk=[trunk.id])).success is True
    assert (await sdk.sip.trunks.list_virtual_numbers(trunk.id)).data == []
    assert (await sdk.sip.trunks.delete(trunk.id)).success is True
    with pytest.raises(NotFoundException):
        await sdk.sip.trunks.retrieve(trunk.id)
    assert (await sdk.sip.ip_acls.delete(acl.id)).success is True
    await sdk.voice.apps.update(voice_app.id, status="inactive")
    assert (await sdk.voice.apps.delete(voice_app.id)).success is True
    assert (await sdk.secrets.delete(secret.id)).success is True


async def calling(sdk: Watched, node: Node, backend: Backend, other: Sipp) -> None:
    """A call is placed, recorded, played to, muted, given away and hung up, and its history read."""
    created = await sdk.voice.calls.create(FROM, TO, backend.flow_url, backend.webhook_url, record=True)
    await until(node, created.id, "stream.initiated")
    assert [each.id for each in (await sdk.voice.calls.list(state="answered", from_number=FROM)).data] == [created.id]
    (leg,) = (await sdk.voice.calls.list_legs(created.id)).data
    assert (await sdk.voice.mutations.play(created.id, "tone.wav", leg_id=leg.id, loop=1)).playback_id
    await sdk.voice.mutations.mute(created.id, leg.id, True)
    await sdk.voice.mutations.mute(created.id, leg.id, False)
    await sdk.voice.mutations.dtmf(created.id, "1#", duration_ms=40)
    await until(node, created.id, "dtmf.sent")
    target = {"kind": "sip", "uri": other.uri, "custom_headers": {"X-Ticket": "1"}}
    with pytest.raises(BadParametersException):
        await sdk.voice.operations.transfer(created.id, target, "warm")
    begun = await sdk.voice.operations.transfer(created.id, target, "cold", timeout=20, ringback="passthrough")
    assert begun.call_id == created.id
    await until(node, created.id, "call.transfer.completed")
    await sdk.voice.mutations.hangup(created.id, reason="DONE")
    await node.until_call()
    with pytest.raises(ConflictException):
        await sdk.voice.mutations.hangup(created.id)
    assert [leg["role"] for leg in (await sdk.voice.calls.retrieve(created.id)).legs] == ["primary", "transfer_target"]

    (listed,) = (await sdk.sip.calls.list(to_number=TO)).data
    assert (await sdk.sip.calls.retrieve(listed.id)).duration_seconds is not None
    (event,) = (await sdk.events.list(call_id=created.id, type="call.completed")).data
    assert (await sdk.events.retrieve(event.id)).payload == event.payload
    assert (await sdk.events.redeliver(event.id)).event_id == event.id
    await until(node, created.id, "recording.completed")
    ended = await node.call(created.id)
    recordings = [recording for leg in ended["legs"] for recording in leg["recordings"]]
    link = await sdk.recordings.retrieve(recordings[0], expires_in=60)
    async with httpx2.AsyncClient() as anybody:
        assert (await anybody.get(link.url)).content[:4] == b"RIFF"


async def until(node: Node, call_id: str, kind: str) -> None:
    async with asyncio.timeout(15):
        while kind not in [event["type"] for event in await node.events(call_id)]:
            await asyncio.sleep(0.05)
