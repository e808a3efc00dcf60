"""Where a stream leads whose URL is not yet that of its WebSocket: an https:// URL that answers it, for each call anew,
or one with credentials in it.

As Exotel has both: the answer is `{"url": "wss://…"}`, and a name and a password before the host are sent by HTTP's
Basic scheme. Neither is then part of what is kept or told of the stream.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit, urlunsplit

import httpx2

from longline.base.urls import with_query, ws_url
from longline.calls.call import Call
from longline.calls.dialects import DIALECTS
from longline.calls.stream import StreamAuth, StreamRequest
from longline.guard.client import guarded_client
from longline.guard.guard import Guard
from longline.guard.refused import Refusal, Refused

ANSWER_TIMEOUT_S: Final = 5.0
ANSWER_MAX_BYTES: Final = 16 * 1024


class StreamUrls:
    """One for a node."""

    def __init__(self, guard: Guard, ca_files: Sequence[Path] = ()) -> None:
        self._client = guarded_client(
            guard, total_s=ANSWER_TIMEOUT_S, max_bytes=ANSWER_MAX_BYTES, ca_files=ca_files, max_connections=50
        )

    async def close(self) -> None:
        await self._client.aclose()

    async def find(self, call: Call, request: StreamRequest) -> StreamRequest:
        """The request with the URL of its WebSocket. Raise Refused when there is none."""
        if not DIALECTS[request.dialect].takes_https:
            return request
        if urlsplit(request.ws_url).scheme in ("http", "https"):
            request = dataclasses.replace(request, ws_url=await self._ask(call, request.ws_url))
        return without_user_info(request)

    async def _ask(self, call: Call, url: str) -> str:
        asked = with_query(
            url,
            {
                "CallSid": call.id.hex,
                "CallFrom": call.from_number,
                "CallTo": call.to_number,
                "Direction": "incoming" if call.direction == "inbound" else "outgoing",
            },
        )
        try:
            answer = await self._client.get(asked, headers={"accept": "application/json"})
        except Refused:
            raise
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
            raise Refused(Refusal.BAD_URL, f"{url}: {error or type(error).__name__}") from None
        if answer.status_code != 200:
            raise Refused(Refusal.BAD_URL, f"{url} answered {answer.status_code}")
        try:
            told = json.loads(answer.content)
            return ws_url(told["url"] if isinstance(told, dict) else "")
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise Refused(Refusal.BAD_URL, f'{url} did not answer {{"url": "wss://…"}}') from None


def without_user_info(request: StreamRequest) -> StreamRequest:
    """What stands before the host proves the stream, unless it has something else that does."""
    parts = urlsplit(request.ws_url)
    user_info, at, host = parts.netloc.rpartition("@")
    if not at:
        return request
    name, _, password = user_info.partition(":")
    auth = request.auth or StreamAuth(username=unquote(name), password=unquote(password))
    url = urlunsplit((parts.scheme, host, parts.path, parts.query, parts.fragment))
    return dataclasses.replace(request, ws_url=url, auth=auth)
