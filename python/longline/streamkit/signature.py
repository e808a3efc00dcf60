"""The signature of Longline's upgrade (docs/reference/longline-v1.md §9), made and checked."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from typing import Final

OLDEST_S: Final = 300
"""A signature that is older, or so far in the future, is refused."""
TIMESTAMP: Final = "Longline-Timestamp"
STREAM_ID: Final = "Longline-Stream-Id"
SIGNATURE: Final = "Longline-Signature"


def sign(secret: str, timestamp: int, stream_id: str, target: str) -> str:
    """The value of `Longline-Signature`; `target` is the request target, path and query, as it is on the wire."""
    digest = hmac.new(secret.encode(), f"{timestamp}.{stream_id}.{target}".encode(), hashlib.sha256)
    return f"v1={digest.hexdigest()}"


def signed(secret: str, timestamp: int, stream_id: str, target: str) -> dict[str, str]:
    """The three header fields."""
    signature = sign(secret, timestamp, stream_id, target)
    return {TIMESTAMP: str(timestamp), STREAM_ID: stream_id, SIGNATURE: signature}


def fault(secret: str, headers: Mapping[str, str], target: str, unix_s: float) -> str | None:
    """Why the request is not to be trusted; None when it is."""
    try:
        timestamp, stream_id, given = int(headers[TIMESTAMP]), headers[STREAM_ID], headers[SIGNATURE]
    except (KeyError, ValueError):
        return "it is not signed"
    if abs(unix_s - timestamp) > OLDEST_S:
        return f"its signature is more than {OLDEST_S} s old"
    # A signature is a list, so that a secret can be changed.
    wanted = sign(secret, timestamp, stream_id, target)
    if not any(hmac.compare_digest(wanted.encode(), each.strip().encode()) for each in given.split(",")):
        return "its signature is not ours"
    return None
