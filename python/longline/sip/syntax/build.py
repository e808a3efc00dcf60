"""Messages we make: responses to a request (RFC 3261 §8.2.6), ACK and CANCEL of an INVITE (§17.1.1.3, §9.1).

Leaves out: requests within a dialog (`dialog`), and the Via of a new request (`transaction_layer`).
"""

from collections.abc import Iterable

from longline.base.errors import RemoteProtocolError
from longline.sip.syntax.headers import Headers, parse_name_addr
from longline.sip.syntax.message import Request, Response

REASON_PHRASES = {
    100: "Trying",
    180: "Ringing",
    183: "Session Progress",
    200: "OK",
    202: "Accepted",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    406: "Not Acceptable",
    407: "Proxy Authentication Required",
    408: "Request Timeout",
    415: "Unsupported Media Type",
    416: "Unsupported URI Scheme",
    420: "Bad Extension",
    422: "Session Interval Too Small",
    480: "Temporarily Unavailable",
    481: "Call/Transaction Does Not Exist",
    482: "Loop Detected",
    483: "Too Many Hops",
    484: "Address Incomplete",
    486: "Busy Here",
    487: "Request Terminated",
    488: "Not Acceptable Here",
    489: "Bad Event",
    491: "Request Pending",
    500: "Server Internal Error",
    501: "Not Implemented",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Server Time-out",
    505: "Version Not Supported",
    513: "Message Too Large",
    600: "Busy Everywhere",
    603: "Decline",
}

MAX_TOLD_CHARS = 80
"""Of a reason phrase that is told to people; the rest is left off."""
_COPIED = ("From", "To", "Call-ID", "CSeq")


def reason_phrase(status: int) -> str:
    return REASON_PHRASES.get(status, "Unknown")


def told_status(response: Response) -> str:
    """A refusal as it is told to people: the status and the reason phrase, of which a peer may have written a novel."""
    printable = "".join(c for c in response.reason[:MAX_TOLD_CHARS] if c.isprintable())
    return f"{response.status} {printable}".strip()


def response_to(
    request: Request,
    status: int,
    reason: str | None = None,
    *,
    to_tag: str | None = None,
    headers: Iterable[tuple[str, str]] = (),
    body: bytes = b"",
    content_type: str = "application/sdp",
) -> Response:
    """A response with the request's Via, From, To, Call-ID and CSeq; `to_tag` is added where To has none."""
    fields = [(name, value) for name, value in request.headers if name == "Via"]
    for name in _COPIED:
        value = request.headers.get(name)
        if value is not None:
            fields.append((name, _with_tag(value, to_tag) if name == "To" and to_tag else value))
    response = Headers.of_canonical(fields)
    for name, value in headers:
        response.add(name, value)
    if body:
        response.add("Content-Type", content_type)
    return Response(status, reason or reason_phrase(status), response, body)


def _with_tag(to: str, tag: str) -> str:
    """To with our tag, if it has none; one that cannot be parsed is echoed as it is."""
    try:
        address = parse_name_addr(to)
    except RemoteProtocolError:
        return to
    if address.tag is not None:
        return to
    # RFC 3261 §20: in the form without angle brackets parameters belong to the header as well, so appending is right.
    return f"{to};tag={tag}"


def ack_of_failure(invite: Request, response: Response) -> Request:
    """The ACK of a 300-699: same Via, Request-URI and Route as the INVITE, To of the response."""
    return _companion(invite, "ACK", response.headers.get("To") or "")


def cancel_of(invite: Request, reason: str | None) -> Request:
    """The CANCEL of an INVITE, with a Reason header (RFC 3326) when there is one."""
    request = _companion(invite, "CANCEL", invite.headers.get("To") or "")
    if reason:
        request.headers.add("Reason", reason)
    return request


def _companion(invite: Request, method: str, to: str) -> Request:
    fields = [("Via", str(invite.top_via)), ("Max-Forwards", "70")]
    fields += [(name, value) for name, value in invite.headers if name == "Route"]
    fields += [("From", invite.headers.get("From") or ""), ("To", to), ("Call-ID", invite.call_id)]
    fields.append(("CSeq", f"{invite.cseq[0]} {method}"))
    return Request(method, invite.uri, Headers.of_canonical(fields))


def reason_header(cause: str | None) -> str | None:
    """The value of a Reason header: one given as `protocol;…` goes as it is, plain text becomes its text parameter."""
    if not cause:
        return None
    if cause.split(";")[0].upper() in ("SIP", "Q.850"):
        return cause.replace("\r", " ").replace("\n", " ")
    text = "".join(c if c.isprintable() and c not in '"\\' else " " for c in cause)
    return f'SIP;cause=200;text="{text}"'
