"""Whoever writes an application finds in his call's events why a URL was not asked; and it was not."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.support.calls import House
from tests.support.egress import Names, internet_guard
from tests.support.http import raw_server, response

from longline.base.config import Config
from longline.base.ids import new_id
from longline.calls.call import Call, Direction
from longline.calls.ports import FlowFailed
from longline.calls.reason import Reason
from longline.flows.fetch import MAX_FLOW_BYTES, HttpFlowFetcher
from longline.flows.media_files import MediaFiles
from longline.guard.guard import Guard
from longline.guard.policy import EgressPolicy
from longline.store.records import EventRecord
from longline.webhooks.sender import HttpSender

AT = datetime(2026, 6, 1, tzinfo=UTC)


@pytest.fixture
async def closed() -> AsyncIterator[Guard]:
    """The public internet alone, and a name that leads to a private address."""
    guard = internet_guard({"inside.example": ["10.0.0.1"]})
    yield guard
    guard.close()


def loopback() -> Guard:
    return Guard(EgressPolicy.of(["127.0.0.0/8"], [80, 443], requires_tls=True), Names())


@pytest.mark.parametrize(
    ("ws_url", "refusal"),
    [
        ("ws://10.0.0.1/", "address_not_allowed"),
        ("wss://169.254.169.254/", "address_not_allowed"),
        ("ws://user:password@app/", "user_info"),
        ("ws://0x7f000001/", "bad_host"),
    ],
)
async def test_a_stream_to_a_refused_url_fails_with_the_reason_and_is_not_dialled(
    tmp_path: Path, ws_url: str, refusal: str
) -> None:
    house = House(tmp_path, inbound={"stream": {"ws_url": ws_url}})
    await house.incoming()
    failed = house.event("stream.failed")
    assert (failed.data["reason"], failed.data["refusal"]) == ("url_refused", refusal) and failed.data["detail"]
    assert "stream.open" not in house.media.names()
    assert house.record.reason == Reason.STREAM_FAILED
    assert house.told().index("stream.initiated") < house.told().index("stream.failed")


async def test_a_stream_is_dialled_at_the_addresses_that_were_judged(tmp_path: Path) -> None:
    house = House(tmp_path, inbound={"stream": {"ws_url": "ws://app:9000/talk?who=me"}})
    await house.incoming()
    command = house.media.find("stream.open").to_message(1)
    assert command["url"] == "ws://app:9000/talk?who=me" and list(command["addresses"]) == ["127.0.0.1:9000"]


async def test_a_flow_that_leads_inside_fails_with_the_reason(closed: Guard) -> None:
    fetcher = HttpFlowFetcher(5.0, "2025-08-01", closed)
    call = Call(Direction.OUTBOUND, "+15550100", "+15550101", AT)
    for url, refusal in [
        ("https://inside.example/flow", "address_not_allowed"),
        ("http://127.0.0.1:6379/", "address_not_allowed"),
        ("https://8.8.8.8:22/", "port_not_allowed"),
        ("http://8.8.8.8/", "tls_required"),
        ("https://nobody.example/", "name_not_found"),
    ]:
        with pytest.raises(FlowFailed) as failed:
            await fetcher.fetch(url, call)
        data = failed.value.event_data()
        assert (data["reason"], data["refusal"]) == ("flow_unreachable", refusal) and url in data["detail"]
        assert closed.counters[f"refused_{refusal}"] >= 1
    await fetcher.close()


async def test_an_answer_that_is_too_much_is_a_wrong_flow() -> None:
    fetcher = HttpFlowFetcher(5.0, "2025-08-01", loopback())
    call = Call(Direction.OUTBOUND, "+15550100", "+15550101", AT)
    answers = {
        "big": response(b" " * (MAX_FLOW_BYTES + 1)),
        "packed": response(b"{}", "200 OK", "Content-Encoding: gzip"),
    }
    async with raw_server(**answers) as server:
        for path, refusal in [("big", "too_large"), ("packed", "encoded")]:
            with pytest.raises(FlowFailed) as failed:
                await fetcher.fetch(f"{server.url}/{path}", call)
            data = failed.value.event_data()
            assert (data["reason"], data["refusal"]) == ("flow_invalid", refusal)
    await fetcher.close()


async def test_a_sound_that_leads_inside_is_not_fetched_also_by_a_redirect(tmp_path: Path) -> None:
    files = MediaFiles(tmp_path / "media", tmp_path / "spool", loopback())
    moved = response(b"", "302 Found", "Location: http://169.254.169.254/latest/meta-data/iam")
    async with raw_server(sound=moved) as server:
        for url in (f"{server.url}/sound", "http://192.168.1.1/admin.wav"):
            with pytest.raises(FlowFailed) as failed:
                async with files.open(url):
                    pass
            assert failed.value.refusal == "address_not_allowed"
    assert list((tmp_path / "spool").iterdir()) == []
    await files.close()


async def test_a_webhook_that_leads_inside_says_so_in_its_event(closed: Guard) -> None:
    sender = HttpSender(closed)
    event = EventRecord(
        type="call.answered", call_id=new_id(), at=AT, api_version="2025-08-01", payload={},
        target_url="https://inside.example/hook", delivery_status="pending",
    )  # fmt: skip
    outcome = await sender.send(event, AT)
    assert outcome.status_code is None
    assert (outcome.error or "").startswith("refused, address_not_allowed: inside.example")
    await sender.close()


@pytest.mark.parametrize(
    ("settings", "accounts", "is_allowed"),
    [
        ({}, 1, True),  # a fresh install: `make demo` reaches its own application
        ({"http_listen": "[::1]:8080"}, 1, True),
        ({"http_listen": "0.0.0.0:8080", "rtp_address": "192.0.2.1"}, 1, False),
        ({}, 2, False),
        ({"egress": {"allow": []}}, 1, False),
        ({"egress": {"allow": ["127.0.0.1"]}, "http_listen": "0.0.0.0:8080"}, 2, True),
        ({"egress": {"allow": ["10.0.0.0/8"]}}, 1, False),
    ],
)
async def test_this_machine_is_reached_by_its_only_owner(
    settings: dict[str, object], accounts: int, is_allowed: bool
) -> None:
    guard = Guard.of(Config.model_validate(settings), accounts=accounts)
    try:
        found = await guard.check_ws("ws://127.0.0.1:9000/")
    except Exception as error:
        assert not is_allowed, error
    else:
        assert is_allowed and found == ("127.0.0.1:9000",)
    guard.close()


@pytest.mark.parametrize("entry", ["http://app/", "a b", "10.0.0.0/33", "app:80", "*", "*.*.x", "", "1.2.3"])
def test_what_is_no_place_is_no_setting(entry: str) -> None:
    with pytest.raises(ValueError, match="must be an IP address"):
        Config.model_validate({"egress": {"allow": [entry]}})
