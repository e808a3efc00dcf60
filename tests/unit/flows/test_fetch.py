"""The flow request: what is sent, and what is taken for an answer."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from uuid import UUID

import pytest
from tests.support.egress import open_guard
from tests.support.http import raw_server, response
from tests.support.ports import free_ports

from longline.calls.call import Call, Direction
from longline.calls.manner import manner_of
from longline.calls.ports import FlowFailed
from longline.calls.reason import Reason
from longline.flows.fetch import MAX_FLOW_BYTES, HttpFlowFetcher, flow_request

FLOW = {"action": "hangup"}


def a_call() -> Call:
    return Call(Direction.OUTBOUND, "+15550100", "+15550101", datetime(2026, 1, 1, tzinfo=UTC))


@pytest.fixture
async def fetcher() -> AsyncIterator[HttpFlowFetcher]:
    fetcher = HttpFlowFetcher(5.0, "2025-08-01", open_guard())
    yield fetcher
    await fetcher.close()


async def refusal(fetcher: HttpFlowFetcher, url: str) -> FlowFailed:
    with pytest.raises(FlowFailed) as failed:
        await fetcher.fetch(url, a_call())
    return failed.value


async def test_the_request_is_a_post_of_exactly_five_strings(fetcher: HttpFlowFetcher) -> None:
    call = a_call()
    async with raw_server(flow=response(json.dumps(FLOW).encode())) as server:
        assert await fetcher.fetch(f"{server.url}/flow", call) == FLOW
        ((head, body),) = server.requests
    assert head.startswith("POST /flow HTTP/1.1")
    assert "content-type: application/json" in head.lower()
    assert json.loads(body) == {
        "call_id": str(call.id),
        "account_id": str(call.account_id),
        "from_number": "+15550100",
        "to_number": "+15550101",
        "direction": "outbound",
    }


def test_the_webhook_version_chooses_the_form_of_the_ids() -> None:
    call = a_call()
    assert UUID(flow_request(call, "2025-08-01")["call_id"]) == call.id
    newer = flow_request(call, "2026-06-01")
    assert newer["call_id"].startswith("cs_") and newer["account_id"].startswith("acc_")


@pytest.mark.parametrize(
    ("answer", "reason", "words"),
    [
        (response(status="404 Not Found"), Reason.FLOW_UNREACHABLE, "answered 404"),
        (response(status="201 Created"), Reason.FLOW_UNREACHABLE, "answered 201"),
        (response(b"", "302 Found", "Location: /other"), Reason.FLOW_UNREACHABLE, "redirects are not followed"),
        (response(b"not json"), Reason.FLOW_INVALID, "did not answer JSON"),
        (response(b"\xff\xfe\x00"), Reason.FLOW_INVALID, "did not answer JSON"),
        (response(b"[" * 60_000), Reason.FLOW_INVALID, "did not answer JSON"),
        (response(b" " * (MAX_FLOW_BYTES + 1)), Reason.FLOW_INVALID, "more than 65536 bytes"),
        (b"nonsense\r\n\r\n", Reason.FLOW_UNREACHABLE, "/flow"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{", Reason.FLOW_UNREACHABLE, "/flow"),
    ],
    ids=["404", "201", "redirect", "text", "binary", "nested", "too-big", "no-http", "cut-off"],
)
async def test_whatever_is_not_a_200_with_json_is_told(
    fetcher: HttpFlowFetcher, answer: bytes, reason: Reason, words: str
) -> None:
    async with raw_server(flow=answer, other=response()) as server:
        failed = await refusal(fetcher, f"{server.url}/flow")
        assert len(server.requests) == 1
    assert (failed.reason, words in failed.detail) == (reason, True), failed.detail


async def test_the_largest_allowed_answer_is_taken(fetcher: HttpFlowFetcher) -> None:
    body = json.dumps(FLOW).encode()
    async with raw_server(flow=response(body + b" " * (MAX_FLOW_BYTES - len(body)))) as server:
        assert await fetcher.fetch(f"{server.url}/flow", a_call()) == FLOW


async def test_a_closed_port_is_unreachable(fetcher: HttpFlowFetcher) -> None:
    (port,) = free_ports(1)
    assert (await refusal(fetcher, f"http://127.0.0.1:{port}/")).reason is Reason.FLOW_UNREACHABLE


async def test_an_application_that_is_never_asked_is_not(fetcher: HttpFlowFetcher) -> None:
    call = a_call()
    call.manner = manner_of("telnyx")
    with pytest.raises(FlowFailed, match="is not asked for flows") as failed:
        await fetcher.fetch("http://127.0.0.1:1/", call)
    assert failed.value.reason is Reason.FLOW_INVALID


async def test_an_application_that_does_not_answer_is_a_timeout() -> None:
    fetcher = HttpFlowFetcher(0.1, "2025-08-01", open_guard())
    async with raw_server() as server:
        failed = await refusal(fetcher, f"{server.url}/flow")
        await asyncio.wait_for(server.gone.wait(), 5)
    assert failed.reason is Reason.FLOW_TIMEOUT and "0.1 s" in failed.detail
    await fetcher.close()


async def test_a_cancelled_fetch_lets_go_of_the_connection(fetcher: HttpFlowFetcher) -> None:
    async with raw_server() as server:
        fetch = asyncio.create_task(fetcher.fetch(f"{server.url}/flow", a_call()))
        async with asyncio.timeout(5):
            while not server.requests:
                await asyncio.sleep(0)
            fetch.cancel()
            await server.gone.wait()
        assert fetch.cancelled()


async def test_an_idle_connection_is_left_before_the_server_may_close_it(fetcher: HttpFlowFetcher) -> None:
    async def answer_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"}")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
        await reader.read(1)  # a second request here crosses the close
        writer.close()

    server = await asyncio.start_server(answer_once, "127.0.0.1", 0)
    async with server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/flow"
        assert await fetcher.fetch(url, a_call()) == {}
        await asyncio.sleep(1.2)
        assert await fetcher.fetch(url, a_call()) == {}
