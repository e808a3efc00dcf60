"""Plivo's words for what is ours: ids, the states of a call and why it ended, times, and the signature (version 3) of
its requests. Pure.

An account's id has no way back: whoever knows the account knows its id. The signature is base64 of HMAC-SHA256, under
the token that both sides know, over the URL, its fields in order, and a number used once.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final
from urllib.parse import parse_qsl, urlsplit
from uuid import UUID

SIGNATURE_HEADER: Final = "X-Plivo-Signature-V3"
NONCE_HEADER: Final = "X-Plivo-Signature-V3-Nonce"


def account_id(of: UUID) -> str:
    """MA and 18 letters or digits."""
    return "MA" + base64.b32encode(hashlib.sha256(of.bytes).digest()).decode()[:18]


def read_id(text: str) -> UUID | None:
    """Calls, requests, streams and recordings are named by plain UUIDs."""
    try:
        return UUID(text) if len(text) == 36 else None
    except ValueError:
        return None


def signature(token: str, method: str, url: str, nonce: str, form: Mapping[str, str] | None = None) -> str:
    """The value of X-Plivo-Signature-V3. `form` is what is posted; a GET has it in its URL already."""
    parts = urlsplit(url)
    query = "&".join(f"{name}={value}" for name, value in sorted(parse_qsl(parts.query, keep_blank_values=True)))
    signed = f"{parts.scheme}://{parts.netloc}{parts.path}"
    if query or form:
        signed += f"?{query}"
    if form and method != "GET":
        signed += ("." if query else "") + "".join(f"{name}{value}" for name, value in sorted(form.items()))
    return base64.b64encode(hmac.digest(token.encode(), f"{signed}.{nonce}".encode(), "sha256")).decode()


def signed(token: str | None, method: str, url: str, form: Mapping[str, str]) -> dict[str, str]:
    """The headers that sign a request; none without a token."""
    if token is None:
        return {}
    nonce = secrets.token_hex(10)
    value = signature(token, method, url, nonce, form)
    # Plivo signs for the main account too; here it is the same one.
    return {NONCE_HEADER: nonce, SIGNATURE_HEADER: value, "X-Plivo-Signature-Ma-V3": value}


def call_form(
    *, call_id: UUID, account: UUID, from_number: str | None, to_number: str | None, direction: str, status: str
) -> dict[str, str]:
    """What every request of Plivo's says of its call."""
    is_placed = direction == "outbound"
    return {
        "CallUUID": str(call_id),
        "ALegUUID": str(call_id),
        "From": from_number or "",
        "To": to_number or "",
        "Direction": direction,
        "CallStatus": status,
        "ParentAuthID": account_id(account),
        **({"RequestUUID": str(call_id), "ALegRequestUUID": str(call_id)} if is_placed else {}),
    }


def call_status(state: str, reason: str | None = None) -> str:
    """Plivo's word for a state of ours (`calls/call.py`), and, of a call that has failed, for its reason."""
    return _STATES.get(state) or _FAILURES.get(reason or "", "failed")


def hangup_cause(reason: str | None) -> tuple[str, int]:
    """Name and code of why a call ended."""
    return _CAUSES.get(reason or "", ("Unknown", 0))


def hangup_source(ended_by: str | None) -> str:
    return _SOURCES.get(ended_by or "", "Plivo")


def time_of(at: datetime) -> str:
    """ "2026-11-21 22:07:46", in UTC, as the fields of a request have it."""
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


def rest_time(at: datetime | None) -> str | None:
    """ "2026-11-21 22:07:46+00:00", as the REST API has it."""
    return None if at is None else at.astimezone(UTC).isoformat(sep=" ", timespec="seconds")


_STATES: Final = {
    "initiated": "queued",
    "created": "queued",
    "ringing": "ringing",
    "answered": "in-progress",
    "completed": "completed",
}
_FAILURES: Final = {
    "busy": "busy",
    "rejected": "busy",
    "no_answer": "no-answer",
    "canceled": "cancel",
}
_CAUSES: Final = {
    "completed": ("Normal Hangup", 4000),
    "normal_clearing": ("Normal Hangup", 4000),
    "canceled": ("Cancelled", 1000),
    "busy": ("Busy Line", 3010),
    "rejected": ("Rejected", 3020),
    "no_answer": ("No Answer", 3000),
    "flow_unreachable": ("Error Reaching Answer URL", 7011),
    "flow_timeout": ("Error Reaching Answer URL", 7011),
    "flow_invalid": ("Invalid Answer XML", 8011),
    "carrier_error": ("Network error", 5020),
    "internal_error": ("Internal Error", 6000),
}
_SOURCES: Final = {"caller": "Caller", "callee": "Callee", "api": "API Request"}
