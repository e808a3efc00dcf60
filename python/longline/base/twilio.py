"""Twilio's words for what is ours: SIDs, the states of a call, times, and the signature of its requests. Pure.

A SID is two letters and the 32 hexadecimal digits of one of our ids, so that each can be read back. The signature is
base64 of HMAC-SHA1, under the token that both sides know, over the URL and the fields of a form.
"""

import base64
import hmac
from collections.abc import Mapping
from datetime import datetime
from email.utils import format_datetime
from enum import StrEnum
from typing import Final
from urllib.parse import urlsplit, urlunsplit
from uuid import UUID

API_VERSION: Final = "2010-04-01"
SIGNATURE_HEADER: Final = "X-Twilio-Signature"

_HEX: Final = frozenset("0123456789abcdef")


class Sid(StrEnum):
    """The first two letters, by what they name."""

    ACCOUNT = "AC"
    CALL = "CA"
    STREAM = "MZ"
    RECORDING = "RE"


def sid(kind: Sid, value: UUID) -> str:
    """`read_sid` reverses it."""
    return f"{kind}{value.hex}"


def read_sid(kind: Sid, text: str) -> UUID | None:
    """The id behind a SID; None when it is none of this kind."""
    digits = text[2:]
    if text[:2] != kind or len(digits) != 32 or not _HEX.issuperset(digits):
        return None
    return UUID(hex=digits)


def signed_url(url: str) -> str:
    """The URL as it is signed. Twilio leaves the port out where there is TLS or a WebSocket, and what stands before an
    @; of a WebSocket's URL the query too."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    if parts.scheme != "http":
        host = host.rpartition(":")[0] if not host.endswith("]") and ":" in host else host
    query = "" if parts.scheme in ("ws", "wss") else parts.query
    return urlunsplit((parts.scheme, host, parts.path, query, ""))


def signature(token: str, url: str, form: Mapping[str, str] | None = None) -> str:
    """The value of X-Twilio-Signature: `form` is what is posted; a GET has it in its URL already."""
    signed = signed_url(url) + "".join(f"{name}{value}" for name, value in sorted((form or {}).items()))
    return base64.b64encode(hmac.digest(token.encode(), signed.encode(), "sha1")).decode()


def rfc2822(at: datetime) -> str:
    """A time as Twilio writes it: "Tue, 31 Aug 2010 20:36:28 +0000"."""
    return format_datetime(at)


def call_status(state: str, reason: str | None = None) -> str:
    """Twilio's word for a state of ours (`calls/call.py`), and, of a call that has failed, for its reason."""
    return _STATES.get(state) or _FAILURES.get(reason or "", "failed")


def call_direction(direction: str) -> str:
    """Of the call that a flow or the API is about."""
    return "inbound" if direction == "inbound" else "outbound-api"


def call_form(
    *, call_id: UUID, account_id: UUID, from_number: str | None, to_number: str | None, direction: str, status: str
) -> dict[str, str]:
    """What every request of Twilio's says of its call."""
    caller, called = from_number or "", to_number or ""
    return {
        "AccountSid": sid(Sid.ACCOUNT, account_id),
        "ApiVersion": API_VERSION,
        "CallSid": sid(Sid.CALL, call_id),
        "CallStatus": status,
        "Called": called,
        "Caller": caller,
        "Direction": call_direction(direction),
        "From": caller,
        "To": called,
    }


def recording_path(account_id: UUID, recording_id: UUID) -> str:
    """Where a recording is, below our own address; with .wav or .mp3 behind it, as Twilio has it, or bare."""
    return f"/{API_VERSION}/Accounts/{sid(Sid.ACCOUNT, account_id)}/Recordings/{sid(Sid.RECORDING, recording_id)}"


_STATES: Final = {
    "initiated": "queued",
    "created": "queued",
    "ringing": "ringing",
    "answered": "in-progress",
    "completed": "completed",
}
_FAILURES: Final = {
    "busy": "busy",
    "rejected": "busy",  # Twilio has no other word for who declines
    "no_answer": "no-answer",
    "canceled": "canceled",
}
