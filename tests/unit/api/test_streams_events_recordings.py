"""What the API has beside calls: streams, events, recordings, health."""

import base64
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
from tests.support.sealed import MASTER, chunks, seal, wav

from longline.api.audio import byte_range
from longline.base.ids import encode_id, new_id

CALLS = "/api/v1/voice/calls"


async def test_a_stream_is_opened_listed_and_closed(house: Any) -> None:
    call = await house.call()
    url = f"{CALLS}/{call.id}/streams"
    opened = await house.http.post(url, json={"ws_url": "wss://app.example/media?x=1"})
    assert opened.status_code == 201
    stream = opened.json()
    assert (stream["chunk_size"], stream["sample_rate"], stream["dialect"]) == (400, "8k", "teler")
    assert (stream["state"], stream["call_id"]) == ("connecting", encode_id("cs", call.id))
    assert (await house.http.get(url)).json()["data"] == [stream]
    closed = await house.http.delete(f"{url}/{stream['id']}")
    assert closed.status_code == 200
    assert (closed.json()["id"], closed.json()["state"]) == (stream["id"], "closed")


@pytest.mark.parametrize(
    "body",
    [{}, {"ws_url": "http://x"}, {"ws_url": "ws://x", "chunk_size": 30}, {"ws_url": "ws://x", "chunk_size": 2020},
     {"ws_url": "ws://x", "sample_rate": "44k"}, {"ws_url": "ws://x", "dialect": "other"},
     {"ws_url": "ws://x", "unknown": 1}, {"ws_url": "ws://x", "tracks": []}, {"ws_url": "ws://x", "tracks": [256]},
     {"ws_url": "ws://x", "tracks": ["inbound", 1], "dialect": "longline"}, {"ws_url": "ws://x", "tracks": [1, 2]},
     {"ws_url": "ws://x", "direction": "speak"},
     {"ws_url": "ws://x", "dialect": "longline", "speak_to": 1}, {"ws_url": "ws://x", "speak_to": "outbound"}],
)  # fmt: skip
async def test_a_mistake_in_a_stream_is_422(house: Any, body: Any) -> None:
    call = await house.call()
    assert (await house.http.post(f"{CALLS}/{call.id}/streams", json=body)).status_code == 422


async def test_streams_of_a_call_that_is_over_or_not_there_cannot_be_changed(house: Any) -> None:
    ended = await house.call(ended_at=house.clock.now())
    live = await house.call()
    body = {"ws_url": "ws://x"}
    assert (await house.http.post(f"{CALLS}/{ended.id}/streams", json=body)).json()["code"] == "call_not_live"
    assert (await house.http.post(f"{CALLS}/{new_id()}/streams", json=body)).status_code == 404
    assert (await house.http.delete(f"{CALLS}/{ended.id}/streams/{new_id()}")).status_code == 409
    for stream_id in (new_id(), "nonsense"):
        answer = await house.http.delete(f"{CALLS}/{live.id}/streams/{stream_id}")
        assert (answer.status_code, answer.json()["code"]) == (404, "stream_not_found")


async def test_the_events_of_a_call_come_in_the_order_they_happened(house: Any) -> None:
    call, other = await house.call(), await house.call()
    for kind in ("call.initiated", "leg.media_started", "call.completed"):
        await house.clock.advance(1)
        await house.event(call.id, type=kind, data={"kind": kind})
        await house.event(other.id, type=kind)
    first = (await house.http.get(f"{CALLS}/{call.id}/events", params={"limit": 2})).json()
    rest = (await house.http.get(f"{CALLS}/{call.id}/events", params={"cursor_after": first["next_cursor"]})).json()
    events = first["data"] + rest["data"]
    assert [event["type"] for event in events] == ["call.initiated", "leg.media_started", "call.completed"]
    assert events[1]["payload"] == {"kind": "leg.media_started"}


async def test_an_event_has_the_teler_shape_and_shows_the_webhook_as_it_was_sent(house: Any) -> None:
    call = await house.call()
    event = await house.event(
        call.id, leg_id=new_id(), data={"a": 1}, payload={"id": "evt_x"}, api_version="2026-06-01",
        target_url="http://x", delivery_status="failed_permanent", attempt_count=9, last_status_code=500,
        last_error="answered 500", last_attempt_at=house.clock.now(),
    )  # fmt: skip
    body = (await house.http.get(f"/api/v1/events/{encode_id('evt', event.id)}")).json()
    assert set(body) - {"stream_id"} == {
        "id", "account_id", "call_id", "sip_trunk_id", "leg_id", "type", "api_version", "occurred_at", "payload",
        "delivery_status", "attempt_count", "last_attempt_at", "last_status_code", "last_error", "delivered_at",
        "created_at",
    }  # fmt: skip
    assert (body["call_id"], body["payload"]) == (encode_id("cs", call.id), {"id": "evt_x"})
    (listed,) = (await house.http.get("/api/v1/events")).json()["data"]
    assert listed == body | {"details": {"a": 1}}
    assert (body["delivery_status"], body["attempt_count"], body["last_error"]) == (
        "failed_permanent", 9, "answered 500",
    )  # fmt: skip


async def test_events_are_filtered_newest_first(house: Any) -> None:
    call, other = await house.call(), await house.call()
    one = await house.event(call.id, type="call.initiated")
    await house.clock.advance(1)
    two = await house.event(call.id, type="call.answered", delivery_status="pending")
    three = await house.event(other.id, type="call.answered", at=two.at + timedelta(seconds=1))

    async def found(**params: Any) -> list[str]:
        return [event["id"] for event in (await house.http.get("/api/v1/events", params=params)).json()["data"]]

    ids = [encode_id("evt", event.id) for event in (one, two, three)]
    assert await found() == ids[::-1]
    assert await found(call_id=str(call.id)) == [ids[1], ids[0]]
    assert await found(type="call.answered", call_id=encode_id("cs", call.id)) == [ids[1]]
    assert await found(delivery_status="pending") == [ids[1]]
    assert await found(occurred_after=one.at.isoformat()) == [ids[2], ids[1]]


@pytest.mark.parametrize("params", [{"delivery_status": "lost"}, {"call_id": "nonsense"}, {"limit": 0}])
async def test_a_bad_filter_of_events_is_422(house: Any, params: dict[str, Any]) -> None:
    assert (await house.http.get("/api/v1/events", params=params)).status_code == 422


async def test_an_event_can_be_redelivered_if_it_has_a_target(house: Any) -> None:
    call = await house.call()
    told = await house.event(call.id, target_url="http://x", payload={})
    untold = await house.event(call.id)
    answer = await house.http.post(f"/api/v1/events/{told.id}/redeliver")
    assert answer.status_code == 202
    assert answer.json() == {"event_id": encode_id("evt", told.id), "redelivered_at": "2026-01-01T00:00:01.000Z"}
    assert (await house.http.post(f"/api/v1/events/{untold.id}/redeliver")).status_code == 409


@pytest.mark.parametrize("event_id", ["nonsense", encode_id("evt", UUID(int=2))])
async def test_an_event_that_is_not_there_is_404(house: Any, event_id: str) -> None:
    for answer in (
        await house.http.get(f"/api/v1/events/{event_id}"),
        await house.http.post(f"/api/v1/events/{event_id}/redeliver"),
    ):
        assert (answer.status_code, answer.json()["code"]) == (404, "event_not_found")


async def link(house: Any, recording_id: object, **params: Any) -> str:
    answer = await house.http.get("/api/v1/recordings", params={"recording_id": str(recording_id), **params})
    assert answer.status_code == 307
    return str(answer.headers["location"])


async def without_key(house: Any, url: str, **headers: str) -> httpx.Response:
    transport = httpx.ASGITransport(house.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://longline.test", headers=headers) as http:
        return await http.get(url)


async def test_a_recording_is_downloaded_without_a_key_by_its_signed_link(house: Any) -> None:
    recording = await house.recording(b"RIFF0123456789")
    for name in (recording.id, encode_id("rec", recording.id)):
        url = await link(house, name)
        assert url.startswith("http://longline.test/api/v1/recordings/rec_")
        answer = await without_key(house, url)
        assert (answer.status_code, answer.content) == (200, b"RIFF0123456789")
        assert answer.headers["content-type"] == "audio/wav"
    part = await without_key(house, url, range="bytes=0-3")
    assert (part.status_code, part.content) == (206, b"RIFF")


def test_of_a_range_what_is_there_is_served() -> None:
    for header, expected in (
        (None, (0, 100)), ("bytes=0-9", (0, 10)), ("bytes=90-200", (90, 100)), ("bytes=95-", (95, 100)),
        ("bytes=-5", (95, 100)), ("bytes=-500", (0, 100)), ("bytes=100-", None), ("bytes=-0", None),
        ("bytes=9-3", None), ("bytes=0-1,5-6", (0, 100)), ("lines=1-2", (0, 100)), ("bytes=-", (0, 100)),
    ):  # fmt: skip
        assert byte_range(header, 100) == expected


async def test_an_encrypted_recording_is_decrypted_on_the_way(house: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    recording = await house.recording()
    recording.encrypted = True
    await house.durable.save_recording(recording)
    seal(Path(recording.path), chunks(wav(1000, 0xFFFFFFFF - 36)))
    url = await link(house, recording.id)
    assert (await without_key(house, url)).json()["code"] == "recording_unreadable"
    monkeypatch.setitem(house.deps.config.__dict__, "recording_key", base64.b64encode(MASTER.key).decode())
    whole = wav(1000, 32_000)
    answer = await without_key(house, url)
    assert (answer.status_code, answer.content) == (200, whole)
    assert (answer.headers["content-type"], answer.headers["content-length"]) == ("audio/wav", str(len(whole)))
    part = await without_key(house, url, range="bytes=40-99")
    assert (part.status_code, part.content) == (206, whole[40:100])
    assert part.headers["content-range"] == f"bytes 40-99/{len(whole)}"
    assert (await without_key(house, url, range="bytes=99999-")).status_code == 416


async def test_a_recording_that_has_not_ended_is_404(house: Any) -> None:
    recording = await house.recording()
    recording.state = "recording"
    await house.durable.save_recording(recording)
    answer = await house.http.get("/api/v1/recordings", params={"recording_id": str(recording.id)})
    assert answer.status_code == 404


async def test_the_old_path_with_a_slash_redirects_to_the_one_without(house: Any) -> None:
    answer = await house.http.get("/api/v1/recordings/", params={"recording_id": "rec_x"})
    assert answer.status_code == 307
    assert "/api/v1/recordings?" in answer.headers["location"]


async def test_a_link_ends_at_its_time(house: Any) -> None:
    url = await link(house, (await house.recording()).id, expires_in=60)
    await house.clock.advance(59)
    assert (await without_key(house, url)).status_code == 200
    await house.clock.advance(1)
    answer = await without_key(house, url)
    assert (answer.status_code, answer.json()["code"]) == (403, "invalid_link")


async def test_a_link_that_was_altered_is_refused(house: Any) -> None:
    one, other = await house.recording(), await house.recording()
    url = httpx.URL(await link(house, one.id))
    altered = [
        url.copy_merge_params({"expires": str(int(url.params["expires"]) + 1)}),
        url.copy_merge_params({"signature": "0" * 64}),
        url.copy_merge_params({"signature": "é"}),
        str(url).replace(encode_id("rec", one.id), encode_id("rec", other.id)),
        str(url).replace(encode_id("rec", one.id), "nonsense"),
    ]
    assert [(await without_key(house, str(each))).status_code for each in altered] == [403] * 5
    assert (await without_key(house, str(url).partition("?")[0])).status_code == 422


async def test_a_recording_without_audio_is_404_and_a_malformed_id_422(house: Any) -> None:
    missing = await house.recording(None)

    async def status(**params: Any) -> int:
        return int((await house.http.get("/api/v1/recordings", params=params)).status_code)

    assert await status(recording_id=str(missing.id)) == 404
    assert await status(recording_id=str(new_id())) == 404
    assert await status(recording_id="nonsense") == 422
    assert await status() == 422
    assert await status(recording_id=str(missing.id), expires_in=59) == 422
    assert await status(recording_id=str(missing.id), expires_in=86401) == 422


async def test_a_file_that_was_removed_after_the_link_was_made_is_404(house: Any) -> None:
    recording = await house.recording()
    url = await link(house, recording.id)
    (house.directory / f"{encode_id('rec', recording.id)}.wav").unlink()
    assert (await without_key(house, url)).status_code == 404


async def test_health_and_readiness_need_no_key(house: Any) -> None:
    health = await without_key(house, "/healthz")
    assert (health.status_code, health.json()) == (200, {"status": "ok"})
    ready = await without_key(house, "/readyz")
    assert (ready.status_code, ready.json()) == (
        200, {"status": "ready", "checks": {"media_server": True, "database": True}},
    )  # fmt: skip


async def test_a_part_that_is_not_there_makes_the_server_not_ready(house: Any) -> None:
    house.ready["media_server"] = False
    answer = await house.http.get("/readyz")
    assert (answer.status_code, answer.json()["status"]) == (503, "not_ready")


async def test_a_database_that_does_not_answer_makes_the_server_not_ready(
    house: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(_: object) -> None:
        raise OSError("gone")

    monkeypatch.setattr(type(house.durable), "check", broken)
    answer = await house.http.get("/readyz")
    assert (answer.status_code, answer.json()["checks"]["database"]) == (503, False)
