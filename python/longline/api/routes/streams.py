"""The streams of a live call. Beyond the Teler API, where only a flow opens one."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query

from longline.api.answers import PageOf, StreamResource
from longline.api.deps import DepsOf, StoreOf, ViewsOf
from longline.api.fields import path_stream_id
from longline.api.owned import ExistingCallId
from longline.api.problems import declare
from longline.api.requests import PageQuery, StreamOpenRequest

router = APIRouter(tags=["streams"])

StreamId = Annotated[UUID, Depends(path_stream_id)]


@router.post("/voice/calls/{call_id}/streams", status_code=201, responses=declare(403, 404, 409, 413, 422, 503))
async def open_stream(
    call_id: ExistingCallId, request: StreamOpenRequest, deps: DepsOf, views: ViewsOf
) -> StreamResource:
    """Join a live call to one more WebSocket. The answer comes while it is dialled; its end never ends the call."""
    return views.stream(await deps.manager.open_stream(call_id, request.to_request()))


@router.get("/voice/calls/{call_id}/streams", responses=declare(400, 403, 404, 422))
async def list_streams(
    call_id: ExistingCallId, query: Annotated[PageQuery, Query()], store: StoreOf, views: ViewsOf
) -> PageOf[StreamResource]:
    """The streams of a call, those that have ended too, in the order of their creation."""
    return views.page(await store.list_streams(call_id, query.page()), views.stream)


@router.delete("/voice/calls/{call_id}/streams/{stream_id}", responses=declare(403, 404, 409))
async def close_stream(call_id: ExistingCallId, stream_id: StreamId, deps: DepsOf, views: ViewsOf) -> StreamResource:
    """Close a stream of a live call; the call goes on, unless its flow was waiting for this stream."""
    return views.stream(await deps.manager.close_stream(call_id, stream_id))
