"""INFO requests of ours within a call (RFC 6086 §4.2.1, in the old use that §4.2.2 leaves room for).

Leaves out: Info Packages, and what a body means (`info.py` has digits).
"""

from longline.base.errors import RemoteProtocolError
from longline.sip.core import Core
from longline.sip.events import InfoAnswered
from longline.sip.exchange import Exchange, Owner
from longline.sip.syntax.build import reason_phrase
from longline.sip.syntax.message import Response
from longline.sip.uac import ClientCore
from longline.sip.usage import InviteUsage, Stage

MAX_OPEN_INFOS = 8
"""INFOs of one call without a final response; one more is not sent and told as 503 (counter `sip.infos_refused`)."""
_GONE = (408, 481)


class InfoClient(Owner):
    """The owner of our INFOs."""

    def __init__(self, core: Core, client: ClientCore) -> None:
        self.core = core
        self.client = client

    def send(self, now: float, usage: InviteUsage, content_type: str, body: bytes) -> None:
        """InfoAnswered follows, or the end of the call."""
        if usage.open_infos >= MAX_OPEN_INFOS:
            self.core.counters["sip.infos_refused"] += 1
            self._tell(usage, 503)
            return
        request = usage.dialog.request("INFO", body=body)
        if body:
            request.headers.set("Content-Type", content_type)
        usage.open_infos += 1
        try:
            self.core.exchanges.send_within(now, request, self, usage.dialog, usage.handle)
        except RemoteProtocolError:
            self.core.counters["sip.unroutable"] += 1
            usage.open_infos -= 1
            self._tell(usage, 503)

    def on_response(self, now: float, exchange: Exchange, response: Response) -> None:
        if response.status >= 200:
            self._over(now, exchange, response.status)

    def on_failure(self, now: float, exchange: Exchange, cause: str) -> None:
        self._over(now, exchange, 408 if cause == "timeout" else 503)

    def _over(self, now: float, exchange: Exchange, status: int) -> None:
        usage = self.core.usages.get(exchange.handle or "")
        if usage is None or usage.stage is Stage.ENDED:
            return
        usage.open_infos -= 1
        if status in _GONE:
            # RFC 3261 §12.2.1.2: the dialog is over at the other end.
            self.client.bye(now, usage, None, "gone")
        else:
            self._tell(usage, status)

    def _tell(self, usage: InviteUsage, status: int) -> None:
        self.core.events.append(InfoAnswered(usage.handle, status, reason_phrase(status)))
