"""What an application attaches to a call, and how much has happened in one."""

from pathlib import Path

import pytest
import structlog
from tests.support.calls import House

from longline.base.errors import CallNotFound, InvalidField
from longline.base.ids import new_id
from longline.calls.metadata import MAX_METADATA_BYTES, check_metadata, patched
from longline.flows.fetch import flow_request
from longline.media.protocol.events import LegDigit, LegQuality
from longline.sip.events import Ended


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def test_a_patch_replaces_removes_and_merges() -> None:  # RFC 7396 appendix A
    value = {"a": 1, "b": {"c": 2, "d": [1]}, "e": 3}
    patch = {"a": [0], "b": {"c": None, "f": {"g": None, "h": 1}}, "e": None, "x": {"y": "z"}}
    assert patched(value, patch) == {"a": [0], "b": {"d": [1], "f": {"h": 1}}, "x": {"y": "z"}}
    assert value == {"a": 1, "b": {"c": 2, "d": [1]}, "e": 3}, "what there was is not changed"


def test_the_largest_metadata_is_taken_and_one_byte_more_is_not() -> None:
    largest = {"a": "x" * (MAX_METADATA_BYTES - len('{"a":""}'))}
    assert check_metadata(largest) is largest
    with pytest.raises(ValueError, match="at most 4096 bytes"):
        check_metadata({"a": largest["a"] + "x"})


async def test_metadata_of_a_live_call_is_stored_told_and_carried_by_flow_requests_and_streams(house: House) -> None:
    await house.incoming()
    call_id = house.record.id
    live = await house.manager.find(call_id)
    assert "metadata" not in flow_request(live.call, "2026-06-01"), "five fields, as old clients know them"
    changed = await house.manager.update_metadata(call_id, {"ticket": 7, "who": "ann"})
    assert changed.properties["metadata"] == {"ticket": 7, "who": "ann"} == house.record.properties["metadata"]
    assert house.event("call.updated").data == {"metadata_keys": ["ticket", "who"]}
    await house.manager.update_metadata(call_id, {"who": None})
    assert flow_request(live.call, "2026-06-01")["metadata"] == {"ticket": 7}
    await house.stream_connects()
    await live.open_stream(live.call.streams[next(iter(live.call.streams))].request)
    assert house.media.find("stream.open").metadata == {"ticket": 7}


async def test_metadata_that_grows_too_large_stays_as_it_was(house: House) -> None:
    await house.incoming()
    await house.manager.update_metadata(house.record.id, {"a": "x" * 3000})
    with pytest.raises(InvalidField, match="at most 4096"):
        await house.manager.update_metadata(house.record.id, {"b": "x" * 3000})
    assert list(house.record.properties["metadata"]) == ["a"]


async def test_a_call_that_is_over_can_still_be_annotated_and_none_that_never_was(house: House) -> None:
    handle = await house.incoming()
    await house.sip(Ended(handle, "remote", "bye"))
    await house.manager.update_metadata(house.record.id, {"outcome": "sold"})
    assert house.record.properties["metadata"] == {"outcome": "sold"}
    assert house.record.state == "completed"
    with pytest.raises(CallNotFound):
        await house.manager.update_metadata(new_id(), {"a": 1})


@pytest.mark.parametrize("tells", [False, True])
async def test_digits_are_counted_and_told_only_if_that_is_wished(tmp_path: Path, tells: bool) -> None:
    house = House(tmp_path, digits_in_events=tells)
    handle = await house.incoming()
    await house.stream_connects()
    for digit in "49":
        await house.media_tells(
            LegDigit(at=0.0, session=house.session.id, leg=house.leg_id, digit=digit, duration_ms=100)
        )
    told = [event.data.get("digit") for event in house.events if event.type == "dtmf.received"]
    assert told == (["4", "9"] if tells else [None, None])
    assert (house.manager.properties(house.record.id) or {})["activity"] == {"streams": 1, "digits_received": 2}
    await house.sip(Ended(handle, "remote", "bye"))
    assert house.record.properties["activity"]["digits_received"] == 2
    assert house.manager.properties(house.record.id) is None


async def test_the_latest_quality_of_the_first_leg_is_known_while_the_call_lives(house: House) -> None:
    await house.incoming()
    await house.media_tells(LegQuality(at=0.0, session=house.session.id, leg=house.leg_id, quality={"mos": 4.2}))
    assert (house.manager.properties(house.record.id) or {})["quality"] == {"mos": 4.2}


async def test_what_a_call_does_is_logged_under_its_id(house: House) -> None:
    await house.incoming()
    live = await house.manager.find(house.record.id)

    async def bound() -> dict[str, object]:
        return structlog.contextvars.get_contextvars()

    assert await live.ask(bound) == {"call_id": str(house.record.id)}
    assert structlog.contextvars.get_contextvars() == {}, "and what others do is not"
