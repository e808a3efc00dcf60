"""Calls: placing, listing, looking at and hanging up."""

from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Header, Query
from fastapi.responses import Response, StreamingResponse

from longline.api import live
from longline.api.answers import CallInitiateResponse, CallLeg, CallSession, ListedEvent, PageOf
from longline.api.deps import CallerOf, DepsOf, StoreOf, ViewsOf
from longline.api.owned import CallId, ExistingCallId
from longline.api.problems import declare
from longline.api.requests import CallInitiateRequest, CallQuery, CallUpdateRequest, PageQuery
from longline.base.errors import CallNotFound, LimitReached, Unavailable
from longline.store.records import EventFilter, EventRecord

router = APIRouter(tags=["calls"])

IdempotencyKey = Annotated[str | None, Header(alias="Idempotency-Key", min_length=1, max_length=255)]
EVENT_STREAM: Final = "text/event-stream"
_INITIATE = declare(400, 403, 413, 422, 503)


async def initiate_call(
    request: CallInitiateRequest, deps: DepsOf, views: ViewsOf, caller: CallerOf
) -> CallInitiateResponse:
    """Place a call. The answer comes before the far end rings, so whether it can be reached is told by the call's
    events and its `reason`, and never by a 502 or 504 here."""
    order = request.to_originate(caller.account_id, record=deps.config.recording)
    return views.initiated(await deps.manager.originate(order), order)


router.post("/voice/calls/initiate", status_code=202, responses=_INITIATE)(initiate_call)
router.post("/calls/initiate", name="initiate_call_deprecated", status_code=202, responses=_INITIATE, deprecated=True)(
    initiate_call
)


@router.get("/voice/calls", responses=declare(400, 403, 422))
async def list_calls(query: Annotated[CallQuery, Query()], store: StoreOf, views: ViewsOf) -> PageOf[CallSession]:
    """Calls, newest first."""
    return views.page(await store.list_calls(query.filters(), query.page()), views.call)


@router.get("/voice/calls/{call_id}", responses=declare(403, 404))
async def retrieve_call(call_id: CallId, deps: DepsOf, store: StoreOf, views: ViewsOf) -> CallSession:
    call = await store.get_call(call_id)
    if call is None:
        raise CallNotFound
    call.properties = deps.manager.properties(call_id) or call.properties
    return views.call(call)


@router.patch("/voice/calls/{call_id}", responses=declare(403, 404, 413, 422))
async def update_call(call_id: ExistingCallId, request: CallUpdateRequest, deps: DepsOf, views: ViewsOf) -> CallSession:
    """Attach metadata to a call, or change it, also after its end. Later flow requests and streams carry it. Beyond the
    Teler API."""
    return views.call(await deps.manager.update_metadata(call_id, request.metadata))


@router.get("/voice/calls/{call_id}/legs", responses=declare(400, 403, 404, 422))
async def list_call_legs(
    call_id: ExistingCallId, query: Annotated[PageQuery, Query()], store: StoreOf, views: ViewsOf
) -> PageOf[CallLeg]:
    """The legs of a call, in the order of their creation."""
    return views.page(await store.list_legs(call_id, query.page()), views.leg)


@router.get("/voice/calls/{call_id}/events", responses=declare(400, 403, 404, 422))
async def list_call_events(
    call_id: ExistingCallId, query: Annotated[PageQuery, Query()], store: StoreOf, views: ViewsOf
) -> PageOf[ListedEvent]:
    """What happened to a call, in order. Beyond the Teler API."""
    found = await store.list_events(EventFilter(call_id=call_id), query.page(), newest_first=False)
    return views.page(found, views.listed_event)


_LIVE: dict[int | str, dict[str, Any]] = {
    200: {"description": "Server-sent events; each `data` is an event as a list has it", "content": {EVENT_STREAM: {}}},
    204: {"description": "The call is over, and nothing behind Last-Event-ID is left to tell"},
}


@router.get("/voice/calls/{call_id}/live", response_class=StreamingResponse, responses=_LIVE | declare(403, 404, 503))
async def watch_call(
    call_id: CallId,
    deps: DepsOf,
    store: StoreOf,
    views: ViewsOf,
    last_event_id: Annotated[str | None, Header(description="The id of the last event that was received.")] = None,
) -> Response:
    """What happens to a call, while it happens, from its first event or from behind `Last-Event-ID`. Beyond the Teler
    API."""
    call = await store.get_call(call_id)
    if call is None:
        raise CallNotFound
    if deps.watchers is None:
        raise Unavailable
    after, over = live.last_event_id(last_event_id), live.is_over(call, deps.clock)

    async def read(after: UUID | None) -> list[EventRecord]:
        return await store.events_behind(call_id, after, live.PAGE)

    if over and after is not None and not await read(after):
        return Response(status_code=204)
    watchers = deps.watchers
    watchers.check_room(call_id)

    def show(event: EventRecord) -> str:
        return views.listed_event(event).model_dump_json()

    async def told() -> AsyncIterator[str]:
        with suppress(LimitReached), watchers.watch(call_id) as watcher:
            async for text in live.follow(watcher, read, show, after, deps.clock, over=over):
                yield text

    headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
    return StreamingResponse(told(), media_type=EVENT_STREAM, headers=headers)
