"""Calls as SIP sees them: each with the trunk that carries it, if one does."""

from typing import Annotated

from fastapi import APIRouter, Query

from longline.api.answers import PageOf
from longline.api.deps import DepsOf, SipViewsOf
from longline.api.problems import declare
from longline.api.routes.calls import CallId
from longline.api.sip_answers import SipCall
from longline.api.sip_requests import SipCallQuery
from longline.base.errors import CallNotFound

router = APIRouter(tags=["sip"])


@router.get("/sip/calls", responses=declare(400, 403, 422))
async def list_sip_calls(query: Annotated[SipCallQuery, Query()], deps: DepsOf, views: SipViewsOf) -> PageOf[SipCall]:
    """Calls, newest first, those too that no trunk carries."""
    return views.calls(await deps.durable.list_calls(query.filters(), query.page()))


@router.get("/sip/calls/{call_id}", responses=declare(403, 404))
async def retrieve_sip_call(call_id: CallId, deps: DepsOf, views: SipViewsOf) -> SipCall:
    call = await deps.durable.get_call(call_id)
    if call is None:
        raise CallNotFound
    return views.call(call)
