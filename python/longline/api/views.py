"""From records to answers: the one place that decides how ids are shown."""

from collections.abc import Callable
from datetime import datetime
from typing import Final, TypeVar, cast
from uuid import UUID

from longline.api.answers import (
    CallInitiateResponse,
    CallLeg,
    CallSession,
    EventResource,
    InitiatedCall,
    ListedEvent,
    PageOf,
    RedeliverResponse,
    StreamResource,
    TransferResponse,
)
from longline.base.ids import Prefix, new_request_id, render_id
from longline.base.stream_formats import SampleRate
from longline.calls.activity import ACTIVITY_KEY, QUALITY_KEY
from longline.calls.lead import Transfer
from longline.calls.metadata import METADATA_KEY
from longline.calls.originate import OriginateRequest
from longline.store.pages import Page
from longline.store.records import CallRecord, EventRecord, LegRecord, StreamRecord

_SHOWN_BY_THEMSELVES: Final = frozenset({METADATA_KEY, ACTIVITY_KEY, QUALITY_KEY})

R = TypeVar("R")
A = TypeVar("A")


class Views:
    """Shows records under one webhook version: raw UUIDs in 2025-08-01, prefixed ids later. Recordings always have
    their prefix."""

    def __init__(self, version: str) -> None:
        self._version = version

    def id(self, prefix: Prefix, value: UUID) -> str:
        return render_id(prefix, value, self._version)

    def of(self, call: CallRecord) -> "Views":
        """Those of a call that has a version of its own: by its app, or its trunk."""
        return self if call.webhook_version in (None, self._version) else Views(call.webhook_version or self._version)

    def optional_id(self, prefix: Prefix, value: UUID | None) -> str | None:
        return None if value is None else self.id(prefix, value)

    def page(self, page: Page[R], view: Callable[[R], A]) -> PageOf[A]:
        return PageOf(
            data=[view(item) for item in page.items],
            next_cursor=page.next_cursor,
            previous_cursor=page.previous_cursor,
            has_more=page.has_more,
        )

    def initiated(self, call: CallRecord, request: OriginateRequest) -> CallInitiateResponse:
        data = InitiatedCall(
            id=self.of(call).id(Prefix.CALL, call.id),
            from_number=request.from_number,
            to_number=request.to_number,
            status_callback_url=request.status_callback_url,
            record=request.record,
        )
        return CallInitiateResponse(data=data)

    def call(self, call: CallRecord) -> CallSession:
        return self.of(call)._call(call)

    def _call(self, call: CallRecord) -> CallSession:
        return CallSession(
            id=self.id(Prefix.CALL, call.id),
            account_id=self.id(Prefix.ACCOUNT, call.account_id),
            voice_app_id=self.optional_id(Prefix.VOICE_APP, call.voice_app_id),
            state=call.state,
            direction=call.direction,
            from_number=call.from_number,
            to_number=call.to_number,
            properties={key: value for key, value in call.properties.items() if key not in _SHOWN_BY_THEMSELVES},
            metadata=call.properties.get(METADATA_KEY, {}),
            activity=call.properties.get(ACTIVITY_KEY, {}),
            quality=(call.properties.get("media") or {}).get("quality") or call.properties.get(QUALITY_KEY),
            created_at=call.created_at,
            answered_at=call.answered_at,
            ended_at=call.ended_at,
            reason=call.reason,
            legs=[self.leg(leg) for leg in call.legs],
        )

    def leg(self, leg: LegRecord) -> CallLeg:
        return CallLeg(
            id=self.id(Prefix.LEG, leg.id),
            call_session_id=self.id(Prefix.CALL, leg.call_session_id),
            direction=leg.direction,
            role=leg.role,
            state=leg.state,
            from_number=leg.from_number,
            to_number=leg.to_number,
            parent_leg_id=self.optional_id(Prefix.LEG, leg.parent_leg_id),
            recordings=leg.recordings,
            created_at=leg.created_at,
            answered_at=leg.answered_at,
            ended_at=leg.ended_at,
            reason=leg.reason,
            ended_by=leg.ended_by,
        )

    def transfer(self, call_id: UUID, transfer: Transfer) -> TransferResponse:
        return TransferResponse(
            id=self.id(Prefix.OPERATION, transfer.id),
            call_id=self.id(Prefix.CALL, call_id),
            target_leg_id=self.id(Prefix.LEG, transfer.request.leg_id),
            mode=transfer.mode,
            request_id=new_request_id(),
        )

    def stream(self, stream: StreamRecord) -> StreamResource:
        return StreamResource(
            id=self.id(Prefix.STREAM, stream.id),
            call_id=self.id(Prefix.CALL, stream.call_id),
            ws_url=stream.ws_url,
            dialect=stream.dialect,
            chunk_size=stream.chunk_size,
            sample_rate=cast("SampleRate", stream.sample_rate),
            state=stream.state,
            created_at=stream.created_at,
            connected_at=stream.connected_at,
            ended_at=stream.ended_at,
            reason=stream.reason,
            stats=stream.stats,
        )

    def event(self, event: EventRecord) -> EventResource:
        return EventResource(
            id=self.id(Prefix.EVENT, event.id),
            account_id=self.id(Prefix.ACCOUNT, event.account_id),
            call_id=self.optional_id(Prefix.CALL, event.call_id),
            sip_trunk_id=self.optional_id(Prefix.SIP_TRUNK, event.sip_trunk_id),
            leg_id=self.optional_id(Prefix.LEG, event.leg_id),
            stream_id=self.optional_id(Prefix.STREAM, event.stream_id),
            type=event.type,
            api_version=event.api_version,
            occurred_at=event.at,
            payload=event.data if event.payload is None else event.payload,
            delivery_status=event.delivery_status,
            attempt_count=event.attempt_count,
            last_attempt_at=event.last_attempt_at,
            last_status_code=event.last_status_code,
            last_error=event.last_error,
            delivered_at=event.delivered_at,
            created_at=event.at,
        )

    def listed_event(self, event: EventRecord) -> ListedEvent:
        return ListedEvent(**dict(self.event(event)), details=event.data)

    def redelivery(self, event_id: UUID, at: datetime) -> RedeliverResponse:
        return RedeliverResponse(event_id=self.id(Prefix.EVENT, event_id), redelivered_at=at)
