"""Dialling in: how an application takes its stream up again by itself (docs/reference/longline-v1.md §6)."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from typing import Any, Final

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException
from websockets.typing import Subprotocol

from longline.streamkit.server_messages import PROTOCOL, ResumeOffer

DELAYS_S: Final = (0.0, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0)
"""Before each try; the last one again and again."""
CONNECT_WITHIN_S: Final = 5.0
MAX_MESSAGE_BYTES: Final = 1 << 20


def delays() -> Iterator[float]:
    """How long to wait before each try."""
    yield from DELAYS_S
    while True:
        yield DELAYS_S[-1]


async def dial(offer: ResumeOffer, *, tls: ssl.SSLContext | None = None) -> ClientConnection | None:
    """One try; None when it was not answered. The token travels in a header. Raises ValueError without a URL."""
    if offer.url is None:
        raise ValueError("this stream cannot be dialled")
    options: dict[str, Any] = {"ssl": tls} if offer.url.startswith("wss:") and tls is not None else {}
    try:
        return await connect(
            offer.url,
            additional_headers={"Authorization": f"Bearer {offer.token}"},
            subprotocols=[Subprotocol(PROTOCOL)],
            compression=None,
            open_timeout=CONNECT_WITHIN_S,
            max_size=MAX_MESSAGE_BYTES,
            **options,
        )
    except (TimeoutError, OSError, WebSocketException):
        return None
