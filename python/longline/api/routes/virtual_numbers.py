"""Virtual numbers: the telephone numbers of this server, and where each leads. A change is in force with its answer."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query

from longline.api.answers import PageOf
from longline.api.app_answers import Done, VirtualNumber
from longline.api.app_requests import (
    AssignRequest,
    NumberCreateRequest,
    NumberQuery,
    NumberSelection,
    NumberUpdateRequest,
    UnassignRequest,
)
from longline.api.deps import AppViewsOf, CallerOf, DepsOf, StoreOf, check_may_provision
from longline.api.fields import path_number_id
from longline.api.problems import declare

router = APIRouter(tags=["virtual numbers"])

NumberId = Annotated[UUID, Depends(path_number_id)]
_ASSIGN = declare(400, 403, 404, 409, 413, 422)


@router.get("/virtual-numbers", responses=declare(400, 403, 422))
async def list_virtual_numbers(
    query: Annotated[NumberQuery, Query()], store: StoreOf, views: AppViewsOf
) -> PageOf[VirtualNumber]:
    """Virtual numbers, newest first; also those of the configuration file."""
    return views.numbers(await store.list_numbers(query.filters(), query.page()))


@router.post("/virtual-numbers", status_code=201, responses=declare(400, 403, 404, 409, 413, 422, 503))
async def create_virtual_number(
    request: NumberCreateRequest, deps: DepsOf, caller: CallerOf, views: AppViewsOf
) -> VirtualNumber:
    """Tell the server of a number. Beyond the Teler API; for the account that the server is of, for itself or for
    another."""
    check_may_provision(caller)
    account_id = request.account_id or caller.account_id
    return views.number(await deps.apps.create_number(account_id, request.to_new()))


@router.post("/virtual-numbers/assign", responses=_ASSIGN)
async def assign_virtual_numbers(
    selection: Annotated[NumberSelection, Query()],
    request: AssignRequest,
    deps: DepsOf,
    caller: CallerOf,
    store: StoreOf,
    views: AppViewsOf,
) -> Done:
    """Lead numbers to a voice app or to a SIP trunk: all of them, or none. Of apply_to_all those are left out that the
    configuration file has assigned."""
    request.check()
    chosen = request.vn_ids or await store.matching_numbers(selection.filters())
    count = await deps.apps.assign(
        caller.account_id,
        chosen,
        app_id=request.voice_app_id,
        trunk_id=request.sip_trunk_id,
        skip_fixed=request.apply_to_all,
    )
    return views.assigned(count)


@router.post("/virtual-numbers/unassign", responses=_ASSIGN)
async def unassign_virtual_numbers(
    selection: Annotated[NumberSelection, Query()],
    request: UnassignRequest,
    deps: DepsOf,
    caller: CallerOf,
    store: StoreOf,
    views: AppViewsOf,
) -> Done:
    """Lead numbers nowhere: all of them, or none."""
    request.check()
    chosen = request.vn_ids or await store.matching_numbers(selection.filters())
    return views.unassigned(await deps.apps.assign(caller.account_id, chosen, skip_fixed=request.apply_to_all))


@router.get("/virtual-numbers/{vn_id}", responses=declare(403, 404))
async def retrieve_virtual_number(vn_id: NumberId, deps: DepsOf, caller: CallerOf, views: AppViewsOf) -> VirtualNumber:
    """Beyond the Teler API."""
    return views.number(deps.apps.number(caller.account_id, vn_id))


@router.patch("/virtual-numbers/{vn_id}", responses=declare(403, 404, 409, 413, 422))
async def update_virtual_number(
    vn_id: NumberId, request: NumberUpdateRequest, deps: DepsOf, caller: CallerOf, views: AppViewsOf
) -> VirtualNumber:
    return views.number(await deps.apps.rename_number(caller.account_id, vn_id, request.name))


@router.delete("/virtual-numbers/{vn_id}", responses=declare(403, 404, 409))
async def delete_virtual_number(vn_id: NumberId, deps: DepsOf, caller: CallerOf, views: AppViewsOf) -> Done:
    """Forget a number. Beyond the Teler API; for the account that the server is of."""
    number = deps.apps.number(caller.account_id, vn_id)
    check_may_provision(caller)
    await deps.apps.delete_number(caller.account_id, number.id)
    return views.deleted("Virtual number", number.number)
