"""The signatures of a webhook: ours, and, where it is asked for, those of Standard Webhooks (standardwebhooks.com).

Ours is HMAC-SHA256 over "<timestamp>.<raw body>" under the secret as it is written, in lower-case hexadecimal. Standard
Webhooks signs "<id>.<timestamp>.<raw body>" under what is base64 after `whsec_`, and lists one signature for each
secret. While a rotation is fresh there are two secrets, the new one first.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence
from typing import Final

SIGNATURE_MAX_AGE_S: Final = 300
"""A receiver should refuse an older (or later) timestamp, so that a captured webhook cannot be replayed."""
SECRET_PREFIX: Final = "whsec_"


def sign(secret: str, timestamp: str, body: bytes) -> str:
    """`timestamp` is Unix seconds, as sent in X-Teler-Timestamp."""
    return hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()


def verify(secret: str, timestamp: str, body: bytes, signature: str, now: float) -> bool:
    """Whether the signature is ours and fresh: what a receiver should check."""
    if not timestamp.isdecimal() or not timestamp.isascii() or abs(now - int(timestamp)) > SIGNATURE_MAX_AGE_S:
        return False
    return hmac.compare_digest(sign(secret, timestamp, body).encode(), signature.encode(errors="replace"))


def standard_sign(secret: str, message_id: str, timestamp: str, body: bytes) -> str:
    """One signature of a `webhook-signature` header: "v1," and base64."""
    signed = f"{message_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(_standard_key(secret), signed, "sha256")).decode()


def _standard_key(secret: str) -> bytes:
    """What is base64 after `whsec_` (or without it); a secret that is no base64 is taken as it is written."""
    text = secret.removeprefix(SECRET_PREFIX)
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return text.encode()


def signature_headers(
    secrets: Sequence[str], message_id: str, timestamp: str, body: bytes, *, standard: bool = False
) -> dict[str, str]:
    """The headers that sign a webhook; none without a secret. The id is that of the event: a receiver knows a
    repetition by it."""
    if not secrets:
        return {}
    headers = {"X-Teler-Timestamp": timestamp, "X-Teler-Signature": sign(secrets[0], timestamp, body)}
    if len(secrets) > 1:
        headers["X-Teler-Signature-Previous"] = sign(secrets[1], timestamp, body)
    if standard:
        headers |= {
            "webhook-id": message_id,
            "webhook-timestamp": timestamp,
            "webhook-signature": " ".join(standard_sign(secret, message_id, timestamp, body) for secret in secrets),
        }
    return headers
