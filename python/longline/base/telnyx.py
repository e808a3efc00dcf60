"""Telnyx's words for what is ours: ids, why a call ended, times, and the signature of its webhooks. Pure.

A webhook is signed by Ed25519 over "<timestamp>|<body>". Its key is made from the secret that signs for the call, so
that the public half, which a receiver is given, can be had again at any time.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

SIGNATURE_HEADER: Final = "telnyx-signature-ed25519"
TIMESTAMP_HEADER: Final = "telnyx-timestamp"
CALL_IS_OVER: Final = "90018"
"""The code of a command for a call that has ended."""
CALL_IS_NOT_ANSWERED: Final = "90034"
"""The code of a command that wants a call to be answered."""


def call_control_id(call_id: UUID) -> str:
    """By which a call is told what to do: v3: and base64url."""
    return "v3:" + base64.urlsafe_b64encode(call_id.bytes).decode().rstrip("=")


def read_call_control_id(text: str) -> UUID | None:
    """None when it is none of ours."""
    kind, _, digits = text.partition(":")
    try:
        value = base64.b64decode(digits + "=" * (-len(digits) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
    return UUID(bytes=value) if kind == "v3" and len(value) == 16 else None


def hangup_cause(reason: str | None) -> str:
    return _CAUSES.get(reason or "", "unspecified")


def hangup_source(ended_by: str | None) -> str:
    return ended_by if ended_by in ("caller", "callee") else "unknown"


def time_of(at: datetime) -> str:
    """ "2026-11-21T22:07:46.123456Z"."""
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def public_key(secret: str) -> str:
    """What a receiver checks by, in base64."""
    return base64.b64encode(_key(secret).public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)).decode()


def signed(secret: str | None, body: bytes, at: datetime) -> dict[str, str]:
    """The headers that sign a webhook; none without a secret."""
    if secret is None:
        return {}
    timestamp = str(int(at.timestamp()))
    proof = _key(secret).sign(timestamp.encode() + b"|" + body)
    return {TIMESTAMP_HEADER: timestamp, SIGNATURE_HEADER: base64.b64encode(proof).decode()}


def _key(secret: str) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(hashlib.sha256(b"telnyx webhooks " + secret.encode()).digest())


_CAUSES: Final = {
    "completed": "normal_clearing",
    "normal_clearing": "normal_clearing",
    "canceled": "originator_cancel",
    "busy": "user_busy",
    "rejected": "call_rejected",
    "no_answer": "no_answer",
}
