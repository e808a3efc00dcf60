"""The HTTP client for every URL that others have named."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http.cookiejar import CookieJar, DefaultCookiePolicy
from pathlib import Path
from typing import Final

import httpcore2
import httpx2

from longline import __version__
from longline.base.tls import client_context
from longline.guard.guard import Guard
from longline.guard.transport import GuardedTransport

KEEP_IDLE_S: Final = 1.0
"""Well below the 5 s after which common servers close an idle connection: a request that crosses that close is lost."""


def guarded_client(
    guard: Guard,
    *,
    total_s: float,
    max_bytes: int,
    ca_files: Sequence[Path] = (),
    max_connections: int = 100,
    max_redirects: int = 0,
    headers: Mapping[str, str] | None = None,
    network: httpcore2.AsyncNetworkBackend | None = None,
) -> httpx2.AsyncClient:
    """`total_s` bounds each request, its redirects apart, from the look-up to the last byte, `max_bytes` its answer's
    body. What the guard refuses is raised as `Refused`. Redirects are followed up to `max_redirects`, each judged anew.
    """
    limits = httpx2.Limits(max_connections=max_connections, keepalive_expiry=KEEP_IDLE_S)
    transport = GuardedTransport(
        guard, client_context(ca_files), max_bytes=max_bytes, total_s=total_s, limits=limits, network=network
    )
    return httpx2.AsyncClient(
        transport=transport,
        trust_env=False,
        timeout=total_s,
        follow_redirects=max_redirects > 0,
        max_redirects=max_redirects,
        # One application's cookies are nobody else's business, and we have no use for them.
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
        headers={"user-agent": f"longline/{__version__}", "accept-encoding": "identity"} | dict(headers or {}),
    )
