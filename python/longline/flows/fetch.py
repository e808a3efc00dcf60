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

from longline.base.ids import Prefix, render_id
from longline.base.trace import TraceHeaders, no_headers
from longline.calls.call import Call
from longline.calls.ports import FlowFailed
from longline.calls.reason import Reason
from longline.guard.client import guarded_client
from longline.guard.guard import Guard
from longline.guard.refused import Refusal, Refused

MAX_FLOW_BYTES = 64 * 1024
_MAX_CONNECTIONS = 200
_WRONG_ANSWERS = frozenset({Refusal.TOO_LARGE, Refusal.ENCODED})


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

    def __init__(
        self,
        timeout_s: float,
        webhook_version: str,
        guard: Guard,
        ca_files: Sequence[Path] = (),
        trace_headers: TraceHeaders = no_headers,
    ) -> None:
        self._trace_headers = trace_headers
        self._timeout_s = timeout_s
        self._webhook_version = webhook_version
        self._client = guarded_client(
            guard,
            total_s=timeout_s,
            max_bytes=MAX_FLOW_BYTES,
            ca_files=ca_files,
            max_connections=_MAX_CONNECTIONS,
            headers={"accept": "application/json"},
        )

    async def close(self) -> None:
        await self._client.aclose()

    async def fetch(self, url: str, call: Call, result: Mapping[str, Any] | None = None) -> Any:
        try:
            async with asyncio.timeout(self._timeout_s):
                request = flow_request(call, call.webhook_version or self._webhook_version, result)
                body = await self._post(url, request, self._trace_headers(call.id))
        except (TimeoutError, httpx2.TimeoutException) as error:
            raise FlowFailed(Reason.FLOW_TIMEOUT, f"{url} did not answer within {self._timeout_s:g} s") from error
        except Refused as error:
            reason = Reason.FLOW_INVALID if error.code in _WRONG_ANSWERS else Reason.FLOW_UNREACHABLE
            raise FlowFailed(reason, f"{url}: {error}", error.code) from error
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
            what = str(error) or type(error).__name__
            raise FlowFailed(Reason.FLOW_UNREACHABLE, f"{url}: {what}") from error
        try:
            return json.loads(body)
        except (ValueError, RecursionError) as error:
            raise FlowFailed(Reason.FLOW_INVALID, f"{url} did not answer JSON: {error}") from error

    async def _post(self, url: str, request: dict[str, Any], headers: Mapping[str, str]) -> bytes:
        async with self._client.stream("POST", url, json=request, headers=dict(headers)) as response:
            if response.status_code != 200:
                hint = "; redirects are not followed" if 300 <= response.status_code < 400 else ""
                raise FlowFailed(Reason.FLOW_UNREACHABLE, f"{url} answered {response.status_code}{hint}")
            return await response.aread()
