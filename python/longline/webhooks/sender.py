"""One attempt to deliver a webhook: a POST, and what came of it. Never raises for anything the far side does.

Any 2xx acknowledges. Redirects are not followed. The answer's body is not read.
"""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final, Protocol
from uuid import UUID

import httpx2

from longline import __version__
from longline.base.ids import PREFIXED_IDS_SINCE, Prefix, encode_id
from longline.guard.client import guarded_client
from longline.guard.guard import Guard
from longline.guard.refused import Refused
from longline.store.records import EventRecord
from longline.webhooks.format import HookRequest
from longline.webhooks.formats import FORMATS
from longline.webhooks.signature import signature_headers

ATTEMPT_TIMEOUT_S: Final = 10.0
DELIVERIES_AT_ONCE: Final = 64
"""Open webhook requests of this node; further ones wait for one to end."""
_ANSWER_BYTES_MAX: Final = 64 * 1024
_ERROR_CHARS_MAX: Final = 200


@dataclass(frozen=True, slots=True)
class Outcome:
    """`status_code` is None when no answer came; `error` is None when it was acknowledged."""

    status_code: int | None
    error: str | None


class Sender(Protocol):
    async def send(self, event: EventRecord, at: datetime) -> Outcome: ...

    async def close(self) -> None: ...


class Secrets(Protocol):
    """What signs webhooks, by id."""

    def values(self, secret_id: UUID) -> Sequence[str]:
        """The value, and while a rotation is fresh the one before it. Nothing: there is no such secret any more."""
        ...


class HttpSender:
    """`secret`, when given, signs every webhook that has no secret of its own (`secrets` knows those), and so does
    `previous_secret` while it is being replaced; `standard` adds the headers of Standard Webhooks."""

    def __init__(
        self,
        guard: Guard,
        secret: str | None = None,
        ca_files: Sequence[Path] = (),
        *,
        previous_secret: str | None = None,
        secrets: Secrets | None = None,
        standard: bool = False,
    ) -> None:
        self._of_node = [given for given in (secret, previous_secret) if given is not None]
        self._secrets = secrets
        self._standard = standard
        self._at_once = asyncio.Semaphore(DELIVERIES_AT_ONCE)
        self._client = guarded_client(
            guard,
            total_s=ATTEMPT_TIMEOUT_S,
            max_bytes=_ANSWER_BYTES_MAX,
            ca_files=ca_files,
            max_connections=DELIVERIES_AT_ONCE,
        )

    async def close(self) -> None:
        await self._client.aclose()

    async def send(self, event: EventRecord, at: datetime) -> Outcome:
        """Send the event's payload to its target, once."""
        request = self._request(event, at)
        async with self._at_once:
            try:
                async with asyncio.timeout(ATTEMPT_TIMEOUT_S):
                    status_code = await self._make(request)
            except (TimeoutError, httpx2.TimeoutException):
                return Outcome(None, f"no answer within {ATTEMPT_TIMEOUT_S:g} s")
            except Refused as error:
                return Outcome(None, f"refused, {error.code}: {error}"[:_ERROR_CHARS_MAX])
            except (httpx2.HTTPError, httpx2.InvalidURL, OSError, ValueError) as error:
                return Outcome(None, f"{type(error).__name__}: {error}"[:_ERROR_CHARS_MAX])
        if 200 <= status_code < 300:
            return Outcome(status_code, None)
        hint = "; redirects are not followed" if 300 <= status_code < 400 else ""
        return Outcome(status_code, f"answered {status_code}{hint}")

    def _secrets_of(self, event: EventRecord) -> Sequence[str]:
        if event.secret_id is None or self._secrets is None:
            return self._of_node
        return self._secrets.values(event.secret_id) or self._of_node

    def _request(self, event: EventRecord, at: datetime) -> HookRequest:
        url, secrets = event.target_url or "", self._secrets_of(event)
        foreign = FORMATS.get(event.api_version or "")
        if foreign is not None:
            return foreign.request(event.payload or {}, url, next(iter(secrets), None), at)
        body = json.dumps(event.payload, separators=(",", ":")).encode()
        return HookRequest("POST", url, body, request_headers(event, body, at, secrets, standard=self._standard))

    async def _make(self, request: HookRequest) -> int:
        sent = self._client.stream(request.method, request.url, content=request.body, headers=dict(request.headers))
        async with sent as response:
            return int(response.status_code)


def request_headers(
    event: EventRecord, body: bytes, at: datetime, secrets: Sequence[str], *, standard: bool = False
) -> dict[str, str]:
    """The headers of an attempt. 2025-08-01 has neither version nor event id; both versions are signed alike."""
    headers = {"content-type": "application/json", "user-agent": f"longline/{__version__}"}
    timestamp, message_id = str(int(at.timestamp())), encode_id(Prefix.EVENT, event.id)
    is_2026 = (event.api_version or "") >= PREFIXED_IDS_SINCE
    if is_2026:
        headers |= {
            "X-Teler-Timestamp": timestamp,
            "X-Teler-Api-Version": event.api_version or "",
            "X-Teler-Event-Id": message_id,
            "X-Teler-Source": "longline",
        }
    return headers | signature_headers(secrets, message_id, timestamp, body, standard=standard)
