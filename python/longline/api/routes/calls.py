"""Calls: placing, listing, looking at and hanging up."""

from typing import Annotated

from fastapi import APIRouter, Header, Query

from longline.api.answers import CallInitiateResponse, CallLeg, CallSession, ListedEvent, PageOf
from longline.api.deps import CallerOf, DepsOf, StoreOf, ViewsOf
from longline.api.owned import CallId, ExistingCallId
from longline.api.problems import declare
from longline.api.requests import CallInitiateRequest, CallQuery, CallUpdateRequest, PageQuery
from longline.base.errors import CallNotFound
from longline.store.records import EventFilter

router = APIRouter(tags=["calls"])

IdempotencyKey = Annotated[str | None, Header(alias="Idempotency-Key", min_length=1, max_length=255)]
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
