"""SIP trunks: made, listed, looked at, changed and deleted. Every change is in force when its answer comes."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query

from longline.api.answers import PageOf
from longline.api.app_answers import VirtualNumber
from longline.api.app_requests import TrunkNumberQuery
from longline.api.deps import AppViewsOf, CallerOf, DepsOf, SipViewsOf, StoreOf
from longline.api.fields import path_trunk_id
from longline.api.problems import declare
from longline.api.sip_answers import Deleted, SipTrunk
from longline.api.sip_requests import TrunkCreateRequest, TrunkQuery, TrunkUpdateRequest

router = APIRouter(tags=["sip"])

TrunkId = Annotated[UUID, Depends(path_trunk_id)]


@router.post("/sip/trunks", status_code=201, responses=declare(400, 403, 409, 413, 422, 503))
async def create_sip_trunk(request: TrunkCreateRequest, deps: DepsOf, caller: CallerOf, views: SipViewsOf) -> SipTrunk:
    """Make a trunk: who may call in by it, and with inbound_route where calls to it go."""
    return views.trunk(await deps.trunks.create_trunk(caller.account_id, request.to_new(deps.config.webhook_version)))


@router.get("/sip/trunks", responses=declare(400, 403, 422))
async def list_sip_trunks(query: Annotated[TrunkQuery, Query()], store: StoreOf, views: SipViewsOf) -> PageOf[SipTrunk]:
    """Trunks, newest first; also those of the configuration file."""
    return views.trunks(await store.list_trunks(query.filters(), query.page()))


@router.get("/sip/trunks/{trunk_id}", responses=declare(403, 404))
async def retrieve_sip_trunk(trunk_id: TrunkId, deps: DepsOf, caller: CallerOf, views: SipViewsOf) -> SipTrunk:
    return views.trunk(deps.trunks.record(caller.account_id, trunk_id))


@router.patch("/sip/trunks/{trunk_id}", responses=declare(400, 403, 404, 409, 413, 422))
async def update_sip_trunk(
    trunk_id: TrunkId, request: TrunkUpdateRequest, deps: DepsOf, caller: CallerOf, views: SipViewsOf
) -> SipTrunk:
    """Change a trunk; its live calls go on."""
    return views.trunk(await deps.trunks.change_trunk(caller.account_id, trunk_id, request.to_change()))


@router.delete("/sip/trunks/{trunk_id}", responses=declare(403, 404, 409))
async def delete_sip_trunk(trunk_id: TrunkId, deps: DepsOf, caller: CallerOf, views: SipViewsOf) -> Deleted:
    """Delete a trunk; its live calls go on. Numbers that led there lead nowhere then."""
    trunk = await deps.trunks.delete_trunk(caller.account_id, trunk_id)
    await deps.apps.leave_trunk(trunk.id)
    return views.deleted("SIP trunk", trunk.name)


@router.get("/sip/trunks/{trunk_id}/virtual-numbers", responses=declare(400, 403, 404, 422))
async def list_sip_trunk_virtual_numbers(
    trunk_id: TrunkId,
    query: Annotated[TrunkNumberQuery, Query()],
    deps: DepsOf,
    caller: CallerOf,
    store: StoreOf,
    views: AppViewsOf,
) -> PageOf[VirtualNumber]:
    """The numbers that lead to a trunk, newest first."""
    trunk = deps.trunks.record(caller.account_id, trunk_id)
    return views.numbers(await store.list_numbers(query.filters(sip_trunk_ids=(trunk.id,)), query.page()))
