"""What a handler of requests raises instead of carrying one out.

Leaves out: refusing what is no proper SIP at all; that is `RemoteProtocolError`.
"""


class Refused(Exception):
    """A request gets this answer instead of being carried out."""

    def __init__(self, status: int, reason: str | None = None, headers: list[tuple[str, str]] | None = None) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.headers = headers or []
