"""The flow request: a call's application is asked, over HTTP, what to do with it.

One POST, no retry: the caller is waiting. The body has exactly the five fields of the Teler API, all strings, and the
call's `metadata` if its application has attached any; a request for the next flow also tells what the action before it
has come to (`digits`, `recording_id`, …). Only a
200 with a JSON object of at most MAX_FLOW_BYTES counts; redirects are not followed, because the application that a
flow URL names is the one that was trusted.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import httpx2

from longline import __version__
from longline.base.ids import Prefix, render_id
from longline.base.tls import client_context
from longline.calls.call import Call
from longline.calls.ports import FlowFailed
from longline.calls.reason import Reason

MAX_FLOW_BYTES = 64 * 1024
_MAX_CONNECTIONS = 200
_KEEP_IDLE_S = 1.0
"""Well below the 5 s after which common servers close an idle connection: a request that crosses that close is lost."""


class FlowFetcher(Protocol):
    """Asks for a flow. Raises FlowFailed with the reason flow_unreachable, flow_timeout or flow_invalid."""

    async def fetch(self, url: str, call: Call, result: Mapping[str, Any] | None = None) -> Any:
        """The decoded JSON value that `url` answered; `result` is told beside the call."""


def flow_request(call: Call, webhook_version: str, result: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The body of the flow request: the five fields of the Teler API, `metadata` if the call has any, and `result`."""
    request: dict[str, Any] = dict(result or {}) | {
        "call_id": render_id(Prefix.CALL, call.id, webhook_version),
        "account_id": render_id(Prefix.ACCOUNT, call.account_id, webhook_version),
        "from_number": call.from_number,
        "to_number": call.to_number,
        "direction": str(call.direction),
    }
    return request | ({"metadata": call.metadata} if call.metadata else {})


class HttpFlowFetcher:
    """`timeout_s` bounds the whole exchange, from the name look-up to the last byte."""

    def __init__(self, timeout_s: float, webhook_version: str, ca_files: Sequence[Path] = ()) -> None:
        self._timeout_s = timeout_s
        self._webhook_version = webhook_version
        self._client = httpx2.AsyncClient(
            verify=client_context(ca_files),
            follow_redirects=False,
            timeout=timeout_s,
            limits=httpx2.Limits(max_connections=_MAX_CONNECTIONS, keepalive_expiry=_KEEP_IDLE_S),
            headers={"user-agent": f"longline/{__version__}", "accept": "application/json"},
        )

    async def close(self) -> None:
        await self._client.aclose()

    async def fetch(self, url: str, call: Call, result: Mapping[str, Any] | None = None) -> Any:
        try:
            async with asyncio.timeout(self._timeout_s):
                body = await self._post(url, flow_request(call, call.webhook_version or self._webhook_version, result))
        except (TimeoutError, httpx2.TimeoutException) as error:
            raise FlowFailed(Reason.FLOW_TIMEOUT, f"{url} did not answer within {self._timeout_s:g} s") from error
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
            what = str(error) or type(error).__name__
            raise FlowFailed(Reason.FLOW_UNREACHABLE, f"{url}: {what}") from error
        try:
            return json.loads(body)
        except (ValueError, RecursionError) as error:
            raise FlowFailed(Reason.FLOW_INVALID, f"{url} did not answer JSON: {error}") from error

    async def _post(self, url: str, request: dict[str, Any]) -> bytes:
        async with self._client.stream("POST", url, json=request) as response:
            if response.status_code != 200:
                hint = "; redirects are not followed" if 300 <= response.status_code < 400 else ""
                raise FlowFailed(Reason.FLOW_UNREACHABLE, f"{url} answered {response.status_code}{hint}")
            body = bytearray()
            async for part in response.aiter_bytes():
                body += part
                if len(body) > MAX_FLOW_BYTES:
                    raise FlowFailed(Reason.FLOW_INVALID, f"{url} answered more than {MAX_FLOW_BYTES} bytes")
            return bytes(body)
