"""Calls as SIP sees them: each with the trunk that carries it, if one does."""

from typing import Annotated

from fastapi import APIRouter, Query

from longline.api.answers import PageOf
from longline.api.deps import SipViewsOf, StoreOf
from longline.api.owned import CallId
from longline.api.problems import declare
from longline.api.sip_answers import SipCall
from longline.api.sip_requests import SipCallQuery
from longline.base.errors import CallNotFound

router = APIRouter(tags=["sip"])


@router.get("/sip/calls", responses=declare(400, 403, 422))
async def list_sip_calls(query: Annotated[SipCallQuery, Query()], store: StoreOf, views: SipViewsOf) -> PageOf[SipCall]:
    """Calls, newest first, those too that no trunk carries."""
    return views.calls(await store.list_calls(query.filters(), query.page()))


@router.get("/sip/calls/{call_id}", responses=declare(403, 404))
async def retrieve_sip_call(call_id: CallId, store: StoreOf, views: SipViewsOf) -> SipCall:
    call = await store.get_call(call_id)
    if call is None:
        raise CallNotFound
    return views.call(call)
