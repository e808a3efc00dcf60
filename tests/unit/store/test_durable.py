"""What was saved is there: after the call that saved it, after a restart, and after the process was killed."""

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

import pytest

from longline.base.errors import ConfigError, LocalProtocolError
from longline.base.ids import new_id
from longline.store.durable import Durable
from longline.store.records import (
    CallRecord,
    EventFilter,
    EventRecord,
    LegRecord,
    RecordingRecord,
    StreamRecord,
)

NOW = datetime(2026, 6, 1, 12, 0, 0, 123456, tzinfo=UTC)


def a_call(**changes: object) -> CallRecord:
    call_id = new_id()
    leg = LegRecord(
        id=new_id(), call_session_id=call_id, direction="outbound", created_at=NOW, state="answered",
        from_number="+14155550100", to_number="+14155550101", recordings=["rec_1"], answered_at=NOW,
    )  # fmt: skip
    call = CallRecord(
        id=call_id, direction="outbound", created_at=NOW, voice_app_id=new_id(), from_number="+14155550100",
        to_number="+14155550101", flow_url="http://app/flow", properties={"k": [1, {"n": None}]}, legs=[leg],
    )  # fmt: skip
    return replace(call, **changes)  # type: ignore[arg-type]


def an_event(call_id: UUID, **changes: object) -> EventRecord:
    return replace(EventRecord(type="call.answered", call_id=call_id, at=NOW), **changes)  # type: ignore[arg-type]


async def test_a_call_with_its_legs_reads_back_as_it_was_saved(durable: Durable) -> None:
    call = a_call()
    await durable.save_call(call)
    assert await durable.get_call(call.id) == call
    assert (await durable.list_legs(call.id)).items == call.legs
    assert await durable.get_call(new_id()) is None


async def test_saving_again_replaces_the_call_and_its_legs(durable: Durable) -> None:
    call = a_call()
    await durable.save_call(call)
    call.state, call.ended_at, call.reason = "completed", NOW + timedelta(seconds=9), "normal_clearing"
    call.legs[0].state = "completed"
    call.legs.append(
        LegRecord(id=new_id(), call_session_id=call.id, direction="inbound", created_at=NOW + timedelta(seconds=1))
    )
    await durable.save_call(call)
    assert await durable.get_call(call.id) == call


async def test_times_of_any_zone_read_back_as_the_same_instant_in_utc(durable: Durable) -> None:
    at = datetime(2026, 6, 1, 14, 0, tzinfo=timezone(timedelta(hours=2)))
    call = a_call(created_at=at)
    await durable.save_call(call)
    found = await durable.get_call(call.id)
    assert found is not None
    assert found.created_at == at
    assert found.created_at.tzinfo is UTC


async def test_streams_events_and_recordings_read_back(durable: Durable) -> None:
    call_id = new_id()
    stream = StreamRecord(id=new_id(), call_id=call_id, ws_url="ws://a", created_at=NOW, stats={"messages_sent": 3})
    event = an_event(call_id, leg_id=new_id(), data={"a": 1}, payload={"event": "x"}, target_url="http://t")
    recording = RecordingRecord(id=new_id(), call_id=call_id, path="/x.wav", created_at=NOW, duration_ms=5)
    await asyncio.gather(durable.save_stream(stream), durable.save_event(event), durable.save_recording(recording))
    assert await durable.get_stream(stream.id) == stream
    assert (await durable.list_streams(call_id)).items == [stream]
    assert await durable.get_event(event.id) == event
    assert await durable.get_recording(recording.id) == recording
    assert await durable.get_recording(new_id()) is None


async def test_an_event_without_a_payload_is_not_one_with_null(durable: Durable) -> None:
    event = an_event(new_id())
    await durable.save_event(event)
    found = await durable.get_event(event.id)
    assert found is not None
    assert found.payload is None


async def test_events_are_filtered_by_call_type_time_and_delivery(durable: Durable) -> None:
    call_id = new_id()
    events = [
        an_event(call_id, at=NOW),
        an_event(call_id, type="call.completed", at=NOW + timedelta(seconds=1), delivery_status="pending"),
        an_event(new_id(), at=NOW + timedelta(seconds=2), delivery_status="pending"),
    ]
    await durable.save_events(events)
    await durable.save_events([])

    async def found(**filters: object) -> list[EventRecord]:
        return (await durable.list_events(EventFilter(**filters))).items  # type: ignore[arg-type]

    assert await found() == events[::-1]
    assert await found(call_id=call_id) == [events[1], events[0]]
    assert await found(type="call.completed") == [events[1]]
    assert await found(occurred_after=NOW + timedelta(seconds=1)) == [events[2]]
    assert await found(delivery_status="pending", call_id=call_id) == [events[1]]


async def test_concurrent_writes_share_transactions_and_the_last_version_stands(durable: Durable) -> None:
    call = a_call()
    versions = [replace(call, properties={"version": version}) for version in range(200)]
    await asyncio.gather(*(durable.save_call(version) for version in versions))
    assert await durable.get_call(call.id) == versions[-1]
    assert durable.counters["writes"] == 200
    assert durable.counters["transactions"] < 20


async def test_a_bad_row_costs_only_its_own_caller(durable: Durable) -> None:
    good, bad = [a_call() for _ in range(5)], a_call(properties={"not JSON": object()})
    outcomes = await asyncio.gather(*(durable.save_call(call) for call in [*good, bad]), return_exceptions=True)
    assert outcomes[:5] == [None] * 5
    assert isinstance(outcomes[5], Exception)
    assert [await durable.get_call(call.id) for call in good] == good
    await durable.save_call(good[0])


async def test_a_caller_that_is_cancelled_does_not_undo_its_write(durable: Durable) -> None:
    call = a_call()
    task = asyncio.create_task(durable.save_call(call))
    await asyncio.sleep(0)
    task.cancel()
    await durable.save_event(an_event(call.id))
    assert await durable.get_call(call.id) == call


async def test_closing_commits_what_waits_and_then_refuses(url: str) -> None:
    durable = await Durable.open(url)
    call = a_call()
    saving = asyncio.create_task(durable.save_call(call))
    await asyncio.sleep(0)
    await durable.close()
    await saving
    with pytest.raises(LocalProtocolError):
        await durable.save_call(call)
    again = await Durable.open(url)
    assert await again.get_call(call.id) == call
    await again.close()


async def test_a_secret_is_made_once_and_the_same_for_every_node_of_the_database(url: str) -> None:
    one, other = await Durable.open(url), await Durable.open(url)
    made = await asyncio.gather(one.secret("links"), other.secret("links"), one.secret("links"))
    assert len(set(made)) == 1
    assert len(made[0]) == 32
    assert await one.secret("other") != made[0]
    await one.close()
    await other.close()


async def test_sqlite_is_in_wal_mode(sqlite_url: str) -> None:
    durable = await Durable.open(sqlite_url)
    connection = sqlite3.connect(sqlite_url.removeprefix("sqlite+aiosqlite:///"))
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()
    await durable.close()


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        ("mysql://h/x", "sqlite\\+aiosqlite"),
        ("nonsense", "database_url"),
        ("sqlite+aiosqlite://", "must have a file"),
        ("sqlite+aiosqlite:////proc/nowhere/x.db", "database_url"),
        ("postgresql+nodriver://h/x", "driver is not installed"),
    ],
)
async def test_a_database_that_cannot_be_used_is_a_config_error(bad: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        await Durable.open(bad)


_WRITER = """
import asyncio, sys
from datetime import UTC, datetime
from longline.base.ids import new_id
from longline.store.durable import Durable
from longline.store.records import CallRecord

async def main():
    durable = await Durable.open(sys.argv[1])
    while True:
        call = CallRecord(id=new_id(), direction="inbound", created_at=datetime.now(UTC))
        await durable.save_call(call)
        print(call.id, flush=True)

asyncio.run(main())
"""


def acknowledged_before_a_kill(url: str) -> list[UUID]:
    """The calls that a process was told to be saved, before it was killed without warning."""
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen([sys.executable, "-c", _WRITER, url], stdout=subprocess.PIPE, text=True, env=environ)
    with process:
        assert process.stdout is not None
        lines = [process.stdout.readline().strip() for _ in range(50)]
        process.send_signal(signal.SIGKILL)
        lines += process.stdout.read().split()
    return [UUID(line) for line in lines if len(line) == 36]


async def test_what_was_acknowledged_before_a_kill_is_there_after_it(url: str) -> None:
    acknowledged = await asyncio.to_thread(acknowledged_before_a_kill, url)
    assert len(acknowledged) >= 50
    durable = await Durable.open(url)
    assert None not in [await durable.get_call(call_id) for call_id in acknowledged]
    await durable.close()
