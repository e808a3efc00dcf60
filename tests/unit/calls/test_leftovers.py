"""Calls that outlived their node only in the store."""

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

from tests.support.sealed import MASTER, chunks, seal, wav

from longline.base.bus import Bus
from longline.base.clock import VirtualClock
from longline.base.events import Event
from longline.base.ids import new_id
from longline.calls.leftovers import end_leftovers, end_recordings
from longline.store.durable import Durable
from longline.store.records import CallRecord, CallState, LegRecord, RecordingRecord, StreamRecord
from longline.webhooks.outbox import Outbox

THEN = datetime(2025, 12, 31, 23, 59, tzinfo=UTC)


def a_call(state: CallState) -> CallRecord:
    answered_at = THEN if state in ("answered", "completed") else None
    call = CallRecord(id=new_id(), direction="inbound", created_at=THEN, state=state, answered_at=answered_at)
    leg = LegRecord(id=new_id(), call_session_id=call.id, direction="inbound", created_at=THEN, answered_at=answered_at)
    call.legs.append(leg)
    return call


def outbox_of(durable: Durable, bus: Bus) -> Outbox:
    return Outbox(durable, bus, "2025-08-01", VirtualClock(), Counter(), lambda _: None)


async def test_calls_left_live_are_ended_and_told_of_once(tmp_path: Path) -> None:
    durable = await Durable.open(f"sqlite+aiosqlite:///{tmp_path}/longline.db")
    bus, told = Bus(), list[Event]()
    bus.subscribe(told.append)
    ringing, answered, over = a_call("ringing"), a_call("answered"), a_call("completed")
    stream = StreamRecord(id=new_id(), call_id=answered.id, ws_url="ws://app/", created_at=THEN, state="connected")
    for call in (ringing, answered, over):
        await durable.save_call(call)
    await durable.save_stream(stream)

    assert await end_leftovers(durable, outbox_of(durable, bus), VirtualClock()) == 2
    assert await end_leftovers(durable, outbox_of(durable, bus), VirtualClock()) == 0

    assert {(event.type, event.call_id) for event in told} == {
        ("call.failed", ringing.id),
        ("stream.failed", answered.id),
        ("call.completed", answered.id),
    }
    stored = await durable.get_call(answered.id)
    assert stored is not None
    assert (stored.state, stored.reason, stored.legs[0].state) == ("completed", "server_shutdown", "completed")
    assert told[-1].data["duration_seconds"] == 60
    untouched = await durable.get_call(over.id)
    assert untouched is not None and untouched.reason is None
    await durable.close()


async def test_recordings_left_under_way_are_found_with_their_true_duration(tmp_path: Path) -> None:
    durable = await Durable.open(f"sqlite+aiosqlite:///{tmp_path}/longline.db")
    bus, told = Bus(), list[Event]()
    bus.subscribe(told.append)
    call = a_call("completed")
    await durable.save_call(call)

    async def left(name: str, track: str, *, encrypted: bool = False) -> RecordingRecord:
        record = RecordingRecord(
            id=new_id(), call_id=call.id, leg_id=call.legs[0].id, path=str(tmp_path / name), created_at=THEN,
            track=track, encrypted=encrypted, state="recording",
        )  # fmt: skip
        await durable.save_recording(record)
        return record

    stereo = await left("a.wav", "stereo", encrypted=True)
    parties, gone = await left("b.wav", "parties"), await left("c.wav", "mono")
    ends = seal(tmp_path / "a.wav", chunks(wav(2000)))
    with (tmp_path / "a.wav").open("r+b") as file:
        file.truncate(ends[4] + 7)
    (tmp_path / "b.streams.wav").write_bytes(wav(1000))
    (tmp_path / "b.leg1.wav").write_bytes(wav(1000)[:-3200])

    assert await end_recordings(durable, outbox_of(durable, bus), VirtualClock(), MASTER) == 3
    assert await end_recordings(durable, outbox_of(durable, bus), VirtualClock(), MASTER) == 0

    assert [(event.type, event.data.get("duration_ms")) for event in told] == [
        ("recording.completed", 1500),
        ("recording.completed", 1000),
        ("recording.completed", 900),
        ("recording.failed", None),
    ]
    kept = [await durable.get_recording(record.id) for record in (stereo, parties, gone)]
    assert [(record.state, record.track) for record in kept if record is not None] == [
        ("completed", "stereo"),
        ("completed", "streams"),
        ("failed", "mono"),
    ]
    stored = await durable.get_call(call.id)
    assert stored is not None and len(stored.legs[0].recordings) == 3
    await durable.close()
