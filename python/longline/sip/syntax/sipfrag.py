"""`message/sipfrag` (RFC 3420) as NOTIFY carries it for REFER (RFC 3515 §2.4.5): the status line of a response.

Leaves out: headers and bodies of the fragment; of a fragment that we get they are not looked at.
"""

import re

from longline.base.errors import LocalProtocolError
from longline.sip.syntax.build import reason_phrase

SIPFRAG = "message/sipfrag"
CONTENT_TYPE = f"{SIPFRAG};version=2.0"
MAX_REASON_CHARS = 256
"""What is kept of a reason phrase."""

_STATUS_LINE = re.compile(rb"\s*SIP/2\.0[ \t]+([1-6][0-9]{2})(?:[ \t]+([^\r\n]*))?(?:\r?\n|\Z)", re.IGNORECASE)


def encode_sipfrag(status: int, reason: str | None = None) -> bytes:
    """The status line of one response."""
    text = reason or reason_phrase(status)
    if "\r" in text or "\n" in text:
        raise LocalProtocolError("a reason phrase may not hold a line break")
    return f"SIP/2.0 {status} {text}\r\n".encode()


def parse_sipfrag(body: bytes) -> tuple[int, str] | None:
    """Status and reason, or None when the fragment does not begin with a status line."""
    match = _STATUS_LINE.match(body)
    if match is None:
        return None
    return int(match.group(1)), (match.group(2) or b"").decode("utf-8", "replace").strip()[:MAX_REASON_CHARS]
