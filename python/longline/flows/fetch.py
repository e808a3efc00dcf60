"""The flow request: a call's application is asked, over HTTP, what to do with it.

One POST, no retry: the caller is waiting. The body has exactly the five fields of the Teler API, all strings, and the
call's `metadata` if its application has attached any; a request for the next flow also tells what the action before it
has come to (`digits`, `recording_id`, …). Where the call is spoken to in another platform's manner, that platform's
request is made instead (`language.py`). Only a
200 with at most MAX_FLOW_BYTES counts, of JSON, or of a document in another language; redirects are not followed,
because the application that a flow URL names is the one that was trusted.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import httpx2

from longline.base.ids import Prefix, render_id
from longline.base.trace import TraceHeaders, no_headers
from longline.calls.call import Call
from longline.calls.context import FindSecret
from longline.calls.manner import Method
from longline.calls.ports import FlowFailed
from longline.calls.reason import Reason
from longline.flows.language import Document, FlowRequest, Languages, Question
from longline.flows.languages import LANGUAGES
from longline.flows.parse import FlowInvalid
from longline.flows.xml import is_xml
from longline.guard.client import guarded_client
from longline.guard.guard import Guard
from longline.guard.refused import Refusal, Refused

MAX_FLOW_BYTES = 64 * 1024
_MAX_CONNECTIONS = 200
_JSON = {"accept": "application/json", "content-type": "application/json"}
_WRONG_ANSWERS = frozenset({Refusal.TOO_LARGE, Refusal.ENCODED})


class FlowFetcher(Protocol):
    """Asks for a flow. Raises FlowFailed with the reason flow_unreachable, flow_timeout or flow_invalid."""

    async def fetch(
        self, url: str, call: Call, result: Mapping[str, Any] | None = None, method: Method = "POST"
    ) -> Any:
        """The decoded JSON value that `url` answered, or a Document; `result` is told beside the call."""


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
        *,
        languages: Languages = LANGUAGES,
        find_secret: FindSecret = lambda secret_id: None,
    ) -> None:
        """`find_secret` says what signs the requests of other languages; ours are not signed."""
        self._languages = languages
        self._find_secret = find_secret
        self._trace_headers = trace_headers
        self._timeout_s = timeout_s
        self._webhook_version = webhook_version
        self._client = guarded_client(
            guard,
            total_s=timeout_s,
            max_bytes=MAX_FLOW_BYTES,
            ca_files=ca_files,
            max_connections=_MAX_CONNECTIONS,
        )

    async def close(self) -> None:
        await self._client.aclose()

    async def fetch(
        self, url: str, call: Call, result: Mapping[str, Any] | None = None, method: Method = "POST"
    ) -> Any:
        language = self._languages.get(call.manner.language or "")
        if language is None:
            body = json.dumps(flow_request(call, call.webhook_version or self._webhook_version, result))
            request = FlowRequest("POST", url, body.encode(), _JSON)
        else:
            question = Question(call, url, method, result or {}, at=datetime.now(UTC))
            try:
                request = language.request(question, self._find_secret(call.secret_id))
            except FlowInvalid as error:  # nobody is asked in this language
                raise FlowFailed(Reason.FLOW_INVALID, f"{url}: {error.problem}") from None
        document = await self._ask(url, request, self._trace_headers(call.id))
        if language is not None or is_xml(document.body, document.content_type):
            return document
        try:
            return json.loads(document.body)
        except (ValueError, RecursionError) as error:
            raise FlowFailed(Reason.FLOW_INVALID, f"{url} did not answer JSON: {error}") from error

    async def _ask(self, url: str, request: FlowRequest, trace: Mapping[str, str]) -> Document:
        try:
            async with asyncio.timeout(self._timeout_s):
                return await self._send(url, request, trace)
        except (TimeoutError, httpx2.TimeoutException) as error:
            raise FlowFailed(Reason.FLOW_TIMEOUT, f"{url} did not answer within {self._timeout_s:g} s") from error
        except Refused as error:
            reason = Reason.FLOW_INVALID if error.code in _WRONG_ANSWERS else Reason.FLOW_UNREACHABLE
            raise FlowFailed(reason, f"{url}: {error}", error.code) from error
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
            what = str(error) or type(error).__name__
            raise FlowFailed(Reason.FLOW_UNREACHABLE, f"{url}: {what}") from error

    async def _send(self, url: str, request: FlowRequest, trace: Mapping[str, str]) -> Document:
        headers = dict(request.headers) | dict(trace)
        sent = self._client.stream(request.method, request.url, content=request.body, headers=headers)
        async with sent as response:
            if response.status_code != 200:
                hint = "; redirects are not followed" if 300 <= response.status_code < 400 else ""
                raise FlowFailed(Reason.FLOW_UNREACHABLE, f"{url} answered {response.status_code}{hint}")
            return Document(await response.aread(), url, response.headers.get("content-type", ""))
