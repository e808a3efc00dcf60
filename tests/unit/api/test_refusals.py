"""Who is let in, how much they may send, and that every refusal is in the envelope."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from longline.api.auth import ensure_api_key, hash_key
from longline.api.idempotency import IdempotencyTable
from longline.api.limits import BODY_MAX_BYTES
from longline.base.clock import VirtualClock
from longline.base.errors import CallNotLive, IdempotencyKeyReused
from longline.base.ids import new_id
from longline.store.durable import Durable

CALLS = "/api/v1/voice/calls"
INITIATE = f"{CALLS}/initiate"
FORBIDDEN = {"success": False, "message": "Invalid API Key."}
JSON = {"content-type": "application/json"}


@pytest.mark.parametrize("key", [None, "", "wrong", "test-key-", "test-key-11", "k" * 300, "clé".encode()])
@pytest.mark.parametrize("path", [CALLS, "/api/v1/no/such/route", f"{CALLS}/nonsense", "/api/v2"])
async def test_without_a_valid_key_everything_is_403(house: Any, key: Any, path: str) -> None:
    headers = {} if key is None else {"x-api-key": key}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(house.app), base_url="http://x") as http:
        answer = await http.get(path, headers=headers)
    assert (answer.status_code, answer.json()) == (403, FORBIDDEN)


async def test_the_key_is_checked_before_the_body(house: Any) -> None:
    answer = await house.http.post(INITIATE, content=b"{", headers={**JSON, "x-api-key": "wrong"})
    assert answer.status_code == 403


async def test_a_configured_key_and_a_generated_one_are_valid(house: Any) -> None:
    for key in ("test-key-1", "ll_generated-key"):
        assert (await house.http.get(CALLS, headers={"x-api-key": key})).status_code == 200
    assert (await house.http.get(CALLS, headers={"x-api-key": hash_key("ll_generated-key")})).status_code == 403


async def test_a_key_is_generated_once_and_only_its_hash_is_kept(tmp_path: Path) -> None:
    durable = await Durable.open(f"sqlite+aiosqlite:///{tmp_path / 'store.db'}")
    clock = VirtualClock()
    assert await ensure_api_key(durable, "configured-key", clock) is None
    key = await ensure_api_key(durable, None, clock)
    assert key is not None
    assert await ensure_api_key(durable, None, clock) is None
    found = await durable.accounts.find_key(hash_key(key))
    assert found is not None and found[0].is_valid(clock.now()) and key.startswith(found[0].prefix)
    await durable.close()
    assert key.encode() not in b"".join(path.read_bytes() for path in tmp_path.iterdir())


@pytest.mark.parametrize("body", [b"{", b"\xff\xfe", b'{"a":}', b"[" * 100_000, b""])
async def test_a_body_that_is_not_json_is_422(house: Any, body: bytes) -> None:
    answer = await house.http.post(INITIATE, content=body, headers=JSON)
    assert answer.status_code == 422
    assert answer.json()["message"] == "Validation Error"
    assert answer.json()["errors"]


async def test_unknown_routes_and_methods_are_told_in_the_envelope(house: Any) -> None:
    for method, path, status in (("GET", "/nowhere", 404), ("GET", "/api/v1/nowhere", 404), ("PUT", CALLS, 405)):
        answer = await house.http.request(method, path)
        assert answer.status_code == status
        assert answer.json()["success"] is False
        assert answer.json()["message"]


@pytest.mark.parametrize(
    ("path", "methods"),
    [
        (CALLS, "GET"),
        ("/api/v1/voice/calls/initiate", "POST"),
        ("/api/v1/sip/trunks", "GET, POST"),
        ("/api/v1/sip/trunks/x", "DELETE, GET, PATCH"),
    ],
)
async def test_a_405_names_every_method_that_the_path_has(house: Any, path: str, methods: str) -> None:
    """RFC 9110 §15.5.6. The last part of /voice/calls/initiate could also be the id of a call."""
    answer = await house.http.put(path)
    assert (answer.status_code, answer.headers["allow"]) == (405, methods)


@pytest.mark.parametrize("time", ["0.5", "1767225600", "now", ""])
async def test_a_time_is_written_as_one(house: Any, time: str) -> None:
    assert (await house.http.get(CALLS, params={"created_after": time})).status_code == 422
    assert (await house.http.get(CALLS, params={"created_after": "2026-01-31T12:00:00+05:30"})).status_code == 200


async def test_a_body_above_the_limit_is_413_whether_its_length_is_told_or_not(house: Any) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(BODY_MAX_BYTES // 1024 + 1):
            yield b" " * 1024

    for content in (b" " * (BODY_MAX_BYTES + 1), pieces()):
        answer = await house.http.post(INITIATE, content=content, headers=JSON)
        assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")


async def test_a_body_of_exactly_the_limit_is_read(house: Any) -> None:
    body = b'{"x":"' + b" " * (BODY_MAX_BYTES - 8) + b'"}'
    assert len(body) == BODY_MAX_BYTES
    assert (await house.http.post(INITIATE, content=body, headers=JSON)).status_code == 422


@pytest.mark.parametrize("sent", [b"", b'{"leg_id":'])
async def test_half_a_request_is_not_acted_on(house: Any, sent: bytes) -> None:
    call = await house.call()
    messages = [
        {"type": "http.request", "body": sent, "more_body": True},
        {"type": "http.disconnect"},
    ]
    answers: list[Any] = []

    async def receive() -> dict[str, Any]:
        return messages.pop(0) if messages else {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        answers.append(message)

    path = f"{CALLS}/{call.id}/hangup"
    headers = [(b"x-api-key", b"test-key-1"), (b"content-type", b"application/json"), (b"content-length", b"80")]
    scope = {
        "type": "http", "method": "POST", "path": path, "raw_path": path.encode(), "query_string": b"",
        "headers": headers, "http_version": "1.1", "scheme": "http", "root_path": "", "client": ("x", 1),
        "server": ("x", 80),
    }  # fmt: skip
    await house.app(scope, receive, send)
    assert answers == []
    assert house.manager.asked == []


async def test_a_fault_of_ours_is_500_in_the_envelope_and_says_nothing_of_its_cause(house: Any) -> None:
    house.manager.refusal = RuntimeError("secret detail")
    answer = await house.http.post(INITIATE, json=house.initiate())
    assert answer.status_code == 500
    assert answer.json() == {
        "success": False, "message": "Internal Server Error.", "code": "internal_error", "type": "internal_error",
    }  # fmt: skip


async def test_the_input_is_not_repeated_in_a_validation_error(house: Any) -> None:
    secret = "sip:user:hunter2 @host"
    answer = await house.http.post(INITIATE, json=house.initiate(to_number=secret, flow_url=secret))
    assert answer.status_code == 422
    assert "hunter2" not in answer.text


async def test_the_idempotency_table_forgets_the_oldest_answer_beyond_its_bound() -> None:
    table = IdempotencyTable(answers_max=2)
    done: list[str] = []

    async def act(key: str) -> str:
        async def action() -> str:
            done.append(key)
            return f"{key}{len(done)}"

        return await table.run("scope", key, None, action)

    assert [await act(key) for key in "ABABC"] == ["A1", "B2", "A1", "B2", "C3"]
    assert (await act("A"), table.forgotten, table.replayed) == ("A4", 2, 2)


async def test_a_refusal_is_not_stored_and_the_next_try_acts() -> None:
    table = IdempotencyTable()
    outcomes: list[Any] = [CallNotLive(), "done"]

    async def action() -> Any:
        outcome = outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    with pytest.raises(CallNotLive):
        await table.run("s", "k", 1, action)
    assert await table.run("s", "k", 1, action) == "done"
    assert await table.run("s", "k", 1, action) == "done"
    with pytest.raises(IdempotencyKeyReused):
        await table.run("s", "k", 2, action)


async def test_who_waits_for_a_first_request_that_is_abandoned_acts_itself() -> None:
    table = IdempotencyTable()
    started = asyncio.Event()

    async def stuck() -> str:
        started.set()
        await asyncio.Event().wait()
        return "never"

    async def act() -> str:
        return "done"

    first = asyncio.create_task(table.run("s", "k", 1, stuck))
    await started.wait()
    second = asyncio.create_task(table.run("s", "k", 1, act))
    await asyncio.sleep(0)
    first.cancel()
    assert await second == "done"


@pytest.mark.parametrize("path", ["/docs", "/redoc"])
async def test_the_documentation_loads_nothing_from_another_host(house: Any, path: str) -> None:
    answer = await house.http.get(path)
    assert answer.status_code == 200
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "http://" not in answer.text
    assert "https://" not in answer.text
    assert "openapi.json" in answer.text


async def test_an_unknown_call_and_a_bad_key_are_not_told_apart_by_a_stranger(house: Any) -> None:
    call = await house.call()
    wrong = {"x-api-key": "wrong"}
    answers = [await house.http.get(f"{CALLS}/{each}", headers=wrong) for each in (call.id, new_id())]
    assert answers[0].content == answers[1].content
