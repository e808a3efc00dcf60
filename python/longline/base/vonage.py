"""Vonage's words for what is ours: ids, the states of a call, times, and the signature of its requests. Pure.

A request is signed by a JSON Web Token (RFC 7519, HS256) in its Authorization, under the secret that both sides know;
it has the SHA-256 of the body.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID


def conversation_uuid(call_id: UUID) -> str:
    return f"CON-{call_id}"


def number(text: str | None) -> str:
    """Vonage writes numbers without their +."""
    return (text or "").removeprefix("+")


def time_of(at: datetime) -> str:
    """ "2026-11-21T22:07:46.123Z"."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def signed(secret: str | None, body: bytes, at: datetime) -> dict[str, str]:
    """The header that signs a request; none without a secret."""
    if secret is None:
        return {}
    claims = {
        "iat": int(at.timestamp()),
        "jti": secrets.token_hex(16),
        "iss": "Vonage",
        "payload_hash": hashlib.sha256(body).hexdigest(),
    }
    signed_part = f"{_part({'alg': 'HS256', 'typ': 'JWT'})}.{_part(claims)}"
    proof = base64.urlsafe_b64encode(hmac.digest(secret.encode(), signed_part.encode(), "sha256")).decode().rstrip("=")
    return {"Authorization": f"Bearer {signed_part}.{proof}"}


def _part(value: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value, separators=(",", ":")).encode()).decode().rstrip("=")


def call_facts(*, call_id: UUID, from_number: str | None, to_number: str | None) -> dict[str, str]:
    """What every request of Vonage's says of its call."""
    return {
        "from": number(from_number),
        "to": number(to_number),
        "uuid": str(call_id),
        "conversation_uuid": conversation_uuid(call_id),
    }


def call_status(state: str, reason: str | None = None) -> str:
    """Vonage's word for a state of ours (`calls/call.py`), and, of a call that has failed, for its reason."""
    return _STATES.get(state) or _FAILURES.get(reason or "", "failed")


_STATES: Final = {
    "initiated": "started",
    "created": "started",
    "ringing": "ringing",
    "answered": "answered",
    "completed": "completed",
}
_FAILURES: Final = {
    "busy": "busy",
    "rejected": "rejected",
    "no_answer": "unanswered",
    "canceled": "cancelled",
}
