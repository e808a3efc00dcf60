"""The signature of a webhook: HMAC-SHA256 over "<timestamp>.<raw body>", in lower-case hexadecimal."""

import hashlib
import hmac
from typing import Final

SIGNATURE_MAX_AGE_S: Final = 300
"""A receiver should refuse an older (or later) timestamp, so that a captured webhook cannot be replayed."""


def sign(secret: str, timestamp: str, body: bytes) -> str:
    """`timestamp` is Unix seconds, as sent in X-Teler-Timestamp."""
    return hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()


def verify(secret: str, timestamp: str, body: bytes, signature: str, now: float) -> bool:
    """Whether the signature is ours and fresh: what a receiver should check."""
    if not timestamp.isdecimal() or not timestamp.isascii() or abs(now - int(timestamp)) > SIGNATURE_MAX_AGE_S:
        return False
    return hmac.compare_digest(sign(secret, timestamp, body).encode(), signature.encode(errors="replace"))
