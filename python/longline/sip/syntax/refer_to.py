"""Refer-To (RFC 3515 §2.1) and Referred-By (RFC 3892): whom somebody is asked to call, and by whom.

Of the headers that a Refer-To URI may carry only Replaces is taken over (RFC 3261 §19.1.5 warns of the others).
Leaves out: the signed token of RFC 3892.
"""

from dataclasses import dataclass, replace
from urllib.parse import quote, unquote

from longline.base.errors import RemoteProtocolError
from longline.sip.refused import Refused
from longline.sip.syntax.headers import parse_name_addr
from longline.sip.syntax.message import Request
from longline.sip.syntax.replaces import Replaces, parse_replaces
from longline.sip.syntax.uri import parse_uri, scheme_of

_UNESCAPED = "-_.!~*'()[]/?:+$"
"""RFC 3261 §25.1: what may stand unescaped in the value of a URI header, besides letters and digits."""


@dataclass(frozen=True, slots=True)
class ReferTo:
    """`uri` is a sip:, sips: or tel: URI without method and headers."""

    uri: str
    replaces: Replaces | None = None

    def __str__(self) -> str:
        if self.replaces is None:
            return f"<{self.uri}>"
        return f"<{self.uri}?Replaces={quote(str(self.replaces), safe=_UNESCAPED)}>"


def parse_refer_to(request: Request) -> ReferTo:
    """Refused or RemoteProtocolError when it is nothing that we could call."""
    values = request.headers.get_list("Refer-To") if "Refer-To" in request.headers else []
    if len(values) != 1:
        raise Refused(400, "One Refer-To Is Needed")  # RFC 3515 §2.4.2
    uri = parse_name_addr(values[0]).uri
    scheme = scheme_of(uri)
    if scheme == "tel":
        return ReferTo(uri)
    if scheme not in ("sip", "sips"):
        raise Refused(416, "Unsupported Scheme In Refer-To")
    parsed = parse_uri(uri)
    if (parsed.param("method") or "INVITE").upper() != "INVITE":
        raise Refused(403, "Only Calls Are Referred")
    params = tuple((name, value) for name, value in parsed.params if name.lower() != "method")
    return ReferTo(str(replace(parsed, params=params, headers=None)), _replaces_in(parsed.headers or ""))


def _replaces_in(headers: str) -> Replaces | None:
    found = [value for name, _, value in (field.partition("=") for field in headers.split("&"))
             if name.lower() == "replaces"]  # fmt: skip
    if len(found) > 1:
        raise RemoteProtocolError("more than one Replaces in Refer-To")
    return parse_replaces(unquote(found[0])) if found else None


def referred_by_of(request: Request) -> str | None:
    """The Referred-By value as it came, or None; RemoteProtocolError(400) when it names nobody."""
    value = request.headers.get("Referred-By")
    if value is not None:
        parse_name_addr(value)
    return value
