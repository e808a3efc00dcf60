"""The session description in a message's body: alone, or as one part of a multipart (RFC 2046 §5.1, RFC 5621).

Leaves out: encodings other than identity, and every other kind of part.
"""

from longline.base.errors import RemoteProtocolError
from longline.sip.syntax.headers import parse_params, unquote
from longline.sip.syntax.message import Message

MAX_PARTS = 16
"""Parts of a multipart body; those after them are not looked at."""
SDP = "application/sdp"


def media_type(value: str) -> str:
    return value.partition(";")[0].strip().lower()


def sdp_of(message: Message) -> bytes | None:
    """The first session description of a message, or None."""
    if not message.body:
        return None
    content_type = message.headers.get("Content-Type") or ""
    kind = media_type(content_type)
    if kind == SDP:
        return message.body
    if kind.startswith("multipart/"):
        return _sdp_part(content_type, message.body)
    return None


def _sdp_part(content_type: str, body: bytes) -> bytes | None:
    try:
        boundary = unquote(parse_params(content_type[content_type.find(";") :]).get("boundary") or "")
    except RemoteProtocolError:
        return None
    if not boundary or len(boundary) > 70:
        return None
    delimiter = b"\r\n--" + boundary.encode("utf-8", "surrogateescape")
    for part in (b"\r\n" + body).split(delimiter, MAX_PARTS + 1)[1 : MAX_PARTS + 1]:
        head, _, content = part.partition(b"\r\n\r\n")
        for line in head.decode("utf-8", "surrogateescape").split("\r\n"):
            name, _, value = line.partition(":")
            if name.strip().lower() == "content-type" and media_type(value) == SDP:
                return content
    return None
