"""/metrics, for Prometheus: of the whole node, so for whoever runs it and not for its accounts.

With `metrics_token` it wants `Authorization: Bearer <token>`. Without, it answers this machine alone, and nobody who
comes through a proxy: a proxy on this machine would make strangers look local.
"""

import hmac
import ipaddress
from typing import Final

from fastapi import APIRouter, Request, Response

from longline.api.deps import DepsOf
from longline.base.errors import MetricsForbidden

router = APIRouter(include_in_schema=False)

_OF_PROXIES: Final = ("forwarded", "x-forwarded-for", "via", "x-real-ip")


@router.get("/metrics")
async def metrics(request: Request, deps: DepsOf) -> Response:
    if not _may_read(request, deps.config.metrics_token):
        raise MetricsForbidden
    body, content_type = deps.render_metrics(request.headers.get("accept", ""))
    return Response(body, headers={"content-type": content_type, "cache-control": "no-store"})


def _may_read(request: Request, token: str | None) -> bool:
    if token is not None:
        given = request.headers.get("authorization", "")
        return hmac.compare_digest(given.encode(), f"Bearer {token}".encode())
    if request.client is None or any(name in request.headers for name in _OF_PROXIES):
        return False
    try:
        return ipaddress.ip_address(request.client.host).is_loopback
    except ValueError:
        return False
