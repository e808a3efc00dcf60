"""Why a request of ours was not made, or its answer not taken."""

from enum import StrEnum

import httpx2

from longline.base.errors import LonglineError


class Refusal(StrEnum):
    """The codes that an application's developer sees in the events of his call, and that are counted."""

    BAD_URL = "bad_url"  # not a URL of an allowed scheme, or with characters that no URL has
    USER_INFO = "user_info"  # user:password@ before the host
    BAD_HOST = "bad_host"  # neither a host name nor an address in its usual form
    NAME_NOT_FOUND = "name_not_found"
    ADDRESS_NOT_ALLOWED = "address_not_allowed"  # the host has an address that is not of the public internet
    PORT_NOT_ALLOWED = "port_not_allowed"
    TLS_REQUIRED = "tls_required"
    TOO_LARGE = "too_large"  # the answer
    ENCODED = "encoded"  # the answer is compressed, which was not asked for


class Refused(LonglineError, httpx2.TransportError):
    """`code` for programs, the text for people. Neither tells the addresses that a name has: they may be nobody's
    business. It is an error of the HTTP client too, so that whoever handles those handles this."""

    def __init__(self, code: Refusal, problem: str) -> None:
        httpx2.TransportError.__init__(self, problem)
        self.code = code
