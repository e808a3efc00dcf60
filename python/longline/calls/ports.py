"""What calls need from above and beside, as protocols: `node.py` hands in the real ones, tests hand in fakes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol
from uuid import UUID

from longline.base.errors import LonglineError
from longline.base.events import Event
from longline.calls.reason import Reason
from longline.media.protocol.events import MediaEvent, StreamRequested
from longline.media.session import MediaSession
from longline.sip.features.redirect import MayFollow
from longline.store.records import CallRecord, RecordingRecord, StreamRecord

if TYPE_CHECKING:
    from longline.calls.live_call import LiveCall


class FlowFailed(LonglineError):
    """The flow could not go on; the call ends with `reason`, and `detail` says what went wrong."""

    def __init__(self, reason: Reason, detail: str, refusal: str | None = None) -> None:
        """`refusal` is the code of the guard that would not let a request go, or its answer in."""
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail
        self.refusal = refusal

    def event_data(self) -> dict[str, str]:
        data = {"reason": str(self.reason), "detail": self.detail}
        return data if self.refusal is None else data | {"refusal": str(self.refusal)}


class CallFlow(Protocol):
    """What is done with a call. It begins when the call rings (inbound) or is answered (outbound)."""

    async def run(self, live: LiveCall) -> None:
        """Return when the flow is over: the call is then hung up. Raise FlowFailed when it cannot go on.

        It is cancelled when the call ends.
        """


class StreamRequests(Protocol):
    """What the application of a stream may ask for over it."""

    async def carry_out(self, live: LiveCall, asked: StreamRequested) -> Mapping[str, Any]:
        """Do it, or begin to; what there is to say of it. Raise RequestError, MediaUnavailable, MediaCommandRefused."""
        ...


class Signalling(Protocol):
    """The SIP user agent. A handle names a dialog, or one that may come to be; a stale handle is not an error."""

    def invite(
        self,
        target: str,
        *,
        from_uri: str,
        to_uri: str | None = None,
        sdp: bytes | None = None,
        route: str | None = None,
        headers: Sequence[tuple[str, str]] = (),
        peer: str | None = None,
        tells_silence: bool = False,
        may_follow: MayFollow | None = None,
    ) -> str: ...
    async def family_toward(self, target: str) -> int | None: ...
    def ring(self, handle: str, sdp: bytes | None = None) -> None: ...
    def answer(self, handle: str, sdp: bytes) -> None: ...
    def reject(
        self, handle: str, status: int, reason: str | None = None, headers: Sequence[tuple[str, str]] = ()
    ) -> None: ...
    def cancel(self, handle: str) -> None: ...
    def bye(self, handle: str, reason: str | None = None) -> None: ...
    def reoffer(self, handle: str, sdp: bytes) -> None: ...
    def reanswer(self, handle: str, sdp: bytes) -> None: ...
    def reject_reoffer(self, handle: str, status: int) -> None: ...
    def accept_refer(self, referral: str) -> None: ...
    def reject_refer(self, referral: str, status: int) -> None: ...
    def notify_refer(self, referral: str, status: int) -> None: ...


class Egress(Protocol):
    """Where a WebSocket URL may lead."""

    async def check_ws(self, url: str) -> tuple[str, ...]:
        """The addresses, `ip:port`, to dial. Raise `Refused`."""


class Media(Protocol):
    """The media server."""

    @property
    def is_available(self) -> bool: ...
    def session(
        self, session_id: str, on_event: Callable[[MediaEvent], None], on_lost: Callable[[str], None]
    ) -> MediaSession: ...


class CallStore(Protocol):
    """Where calls are kept."""

    async def save(
        self, records: Sequence[CallRecord | StreamRecord | RecordingRecord], events: Sequence[Event] = ()
    ) -> None:
        """Store what has changed and the events that tell of it, in one transaction; then tell the bus of them."""
        ...

    async def get_call(self, call_id: UUID) -> CallRecord | None: ...
