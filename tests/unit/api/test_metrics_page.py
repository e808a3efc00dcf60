"""/metrics, and what is told of every request."""

from dataclasses import replace
from typing import Any

import httpx
import pytest

from longline.api.app import create_app
from longline.observe.metrics import Metrics

TOKEN = "a-token-for-prometheus"


def client(house: Any, metrics: Metrics, address: str = "127.0.0.1", **config: Any) -> httpx.AsyncClient:
    deps = replace(
        house.deps,
        config=house.deps.config.model_copy(update=config),
        render_metrics=metrics.render,
        observe_request=metrics.observe_request,
    )
    transport = httpx.ASGITransport(create_app(deps), client=(address, 5000))
    return httpx.AsyncClient(transport=transport, base_url="http://longline.test", headers={"x-api-key": "test-key-1"})


async def test_requests_are_measured_by_route_and_never_by_id(house: Any) -> None:
    call = await house.call()
    async with client(house, Metrics()) as http:
        for path in (f"/api/v1/voice/calls/{call.id}", "/api/v1/voice/calls/nonsense", "/nowhere/7"):
            assert (await http.get(path)).headers["x-request-id"].startswith("req_")
        assert (await http.get("/api/v1/voice/calls", headers={"x-api-key": "wrong"})).status_code == 403
        page = (await http.get("/metrics")).text
    count = "longline_http_request_seconds_count"
    assert f'{count}{{method="GET",route="/api/v1/voice/calls/{{call_id}}",status="2xx"}} 1.0' in page
    assert f'{count}{{method="GET",route="/api/v1/voice/calls/{{call_id}}",status="4xx"}} 1.0' in page
    assert f'{count}{{method="GET",route="(none)",status="4xx"}} 2.0' in page, "unknown, and refused unseen"
    assert str(call.id) not in page and "nowhere" not in page


@pytest.mark.parametrize(
    ("address", "headers", "config", "status"),
    [
        ("127.0.0.1", {}, {}, 200),
        ("::1", {}, {}, 200),
        ("192.0.2.1", {}, {}, 403),
        ("127.0.0.1", {"x-forwarded-for": "192.0.2.1"}, {}, 403),
        ("127.0.0.1", {"forwarded": "for=192.0.2.1"}, {}, 403),
        ("127.0.0.1", {}, {"metrics_token": TOKEN}, 403),
        ("192.0.2.1", {"authorization": f"Bearer {TOKEN}"}, {"metrics_token": TOKEN}, 200),
        ("192.0.2.1", {"authorization": "Bearer wrong"}, {"metrics_token": TOKEN}, 403),
    ],
)
async def test_metrics_are_for_this_machine_or_whoever_has_the_token(
    house: Any, address: str, headers: dict[str, str], config: dict[str, Any], status: int
) -> None:
    async with client(house, Metrics(), address, **config) as http:
        assert (await http.get("/metrics", headers=headers)).status_code == status
