"""jambonz' words for what is ours: the states of a call, and the signature of its requests. Pure.

A request is signed by HMAC-SHA256 over "<timestamp>.<body>", under the secret that both sides know, in hexadecimal.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final
from uuid import UUID

SIGNATURE_HEADER: Final = "Jambonz-Signature"


def encode(fields: Mapping[str, Any]) -> bytes:
    """As JavaScript writes JSON: a receiver that has read the body signs what it writes again."""
    return json.dumps(fields, separators=(",", ":"), ensure_ascii=False).encode()


def signed(secret: str | None, body: bytes, at: datetime) -> dict[str, str]:
    """The header that signs a request; none without a secret."""
    if secret is None:
        return {}
    timestamp = str(int(at.timestamp()))
    proof = hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()
    return {SIGNATURE_HEADER: f"t={timestamp},v1={proof}"}


def call_facts(
    *, call_id: UUID, account_id: UUID, application_id: UUID, from_number: str | None, to_number: str | None
) -> dict[str, Any]:
    """What every request of jambonz' says of its call."""
    return {
        "call_sid": str(call_id),
        "account_sid": str(account_id),
        "application_sid": str(application_id),
        "call_id": str(call_id),
        "from": from_number or "",
        "to": to_number or "",
    }


def call_status(state: str, reason: str | None = None) -> tuple[str, int]:
    """jambonz' word for a state of ours (`calls/call.py`), and, of a call that has failed, for its reason; and the SIP
    status that stands for it."""
    return _STATES.get(state) or _FAILURES.get(reason or "", ("failed", 500))


_STATES: Final = {
    "initiated": ("trying", 100),
    "created": ("trying", 100),
    "ringing": ("ringing", 180),
    "answered": ("in-progress", 200),
    "completed": ("completed", 200),
}
_FAILURES: Final = {
    "busy": ("busy", 486),
    "rejected": ("busy", 603),
    "no_answer": ("no-answer", 480),
    "canceled": ("no-answer", 487),
}
