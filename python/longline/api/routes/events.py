"""Events, and how their webhooks fared."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query

from longline.api.answers import EventResource, ListedEvent, PageOf, RedeliverResponse
from longline.api.deps import DepsOf, StoreOf, ViewsOf
from longline.api.fields import path_event_id
from longline.api.problems import declare
from longline.api.requests import EventQuery
from longline.base.errors import EventNotFound

router = APIRouter(tags=["events"])

EventId = Annotated[UUID, Depends(path_event_id)]


@router.get("/events", responses=declare(400, 403, 422))
async def list_events(query: Annotated[EventQuery, Query()], store: StoreOf, views: ViewsOf) -> PageOf[ListedEvent]:
    """Events, newest first; also those that are told to no webhook."""
    return views.page(await store.list_events(query.filters(), query.page()), views.listed_event)


@router.get("/events/{event_id}", responses=declare(403, 404))
async def retrieve_event(event_id: EventId, store: StoreOf, views: ViewsOf) -> EventResource:
    event = await store.get_event(event_id)
    if event is None:
        raise EventNotFound
    return views.event(event)


@router.post("/events/{event_id}/redeliver", status_code=202, responses=declare(403, 404, 409, 410))
async def redeliver_event(event_id: EventId, deps: DepsOf, store: StoreOf, views: ViewsOf) -> RedeliverResponse:
    """Send the webhook of an event again, with a new series of attempts."""
    if await store.get_event(event_id) is None:
        raise EventNotFound
    return views.redelivery(event_id, await deps.webhooks.redeliver(event_id))
