"""Calls that outlived their node only in the store."""

from datetime import UTC, datetime
from pathlib import Path

from longline.base.bus import Bus
from longline.base.clock import VirtualClock
from longline.base.events import Event
from longline.base.ids import new_id
from longline.calls.leftovers import end_leftovers
from longline.store.durable import Durable
from longline.store.records import CallRecord, CallState, LegRecord, StreamRecord

THEN = datetime(2025, 12, 31, 23, 59, tzinfo=UTC)


def a_call(state: CallState) -> CallRecord:
    answered_at = THEN if state in ("answered", "completed") else None
    call = CallRecord(id=new_id(), direction="inbound", created_at=THEN, state=state, answered_at=answered_at)
    leg = LegRecord(id=new_id(), call_session_id=call.id, direction="inbound", created_at=THEN, answered_at=answered_at)
    call.legs.append(leg)
    return call


async def test_calls_left_live_are_ended_and_told_of_once(tmp_path: Path) -> None:
    durable = await Durable.open(f"sqlite+aiosqlite:///{tmp_path}/longline.db")
    bus, told = Bus(), list[Event]()
    bus.subscribe(told.append)
    ringing, answered, over = a_call("ringing"), a_call("answered"), a_call("completed")
    stream = StreamRecord(id=new_id(), call_id=answered.id, ws_url="ws://app/", created_at=THEN, state="connected")
    for call in (ringing, answered, over):
        await durable.save_call(call)
    await durable.save_stream(stream)

    assert await end_leftovers(durable, bus, VirtualClock()) == 2
    assert await end_leftovers(durable, bus, VirtualClock()) == 0

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
