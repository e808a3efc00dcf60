"""IP access lists: named sets of sources that trunks authorise against."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query

from longline.api.answers import PageOf
from longline.api.deps import CallerOf, DepsOf, SipViewsOf, StoreOf
from longline.api.fields import path_acl_id
from longline.api.problems import declare
from longline.api.sip_answers import Deleted, IpAcl, ListedIpAcl
from longline.api.sip_requests import AclCreateRequest, AclQuery, AclUpdateRequest

router = APIRouter(tags=["sip"])

AclId = Annotated[UUID, Depends(path_acl_id)]


@router.post("/sip/ip-acls", status_code=201, responses=declare(403, 409, 413, 422, 503))
async def create_ip_acl(request: AclCreateRequest, deps: DepsOf, caller: CallerOf, views: SipViewsOf) -> IpAcl:
    return views.acl(await deps.trunks.create_acl(caller.account_id, request.name, request.rows()))


@router.get("/sip/ip-acls", responses=declare(400, 403, 422))
async def list_ip_acls(query: Annotated[AclQuery, Query()], store: StoreOf, views: SipViewsOf) -> PageOf[ListedIpAcl]:
    """Access lists, newest first."""
    return views.acls(await store.list_acls(query.search, query.page()))


@router.get("/sip/ip-acls/{ip_acl_id}", responses=declare(403, 404))
async def retrieve_ip_acl(ip_acl_id: AclId, deps: DepsOf, caller: CallerOf, views: SipViewsOf) -> IpAcl:
    return views.acl(deps.trunks.acl(caller.account_id, ip_acl_id))


@router.patch("/sip/ip-acls/{ip_acl_id}", responses=declare(403, 404, 409, 413, 422))
async def update_ip_acl(
    ip_acl_id: AclId, request: AclUpdateRequest, deps: DepsOf, caller: CallerOf, views: SipViewsOf
) -> IpAcl:
    """Rename a list or replace its addresses; in force at once for every trunk that it is attached to."""
    return views.acl(await deps.trunks.change_acl(caller.account_id, ip_acl_id, request.to_change()))


@router.delete("/sip/ip-acls/{ip_acl_id}", responses=declare(403, 404, 409))
async def delete_ip_acl(ip_acl_id: AclId, deps: DepsOf, caller: CallerOf, views: SipViewsOf) -> Deleted:
    """Delete a list that is attached to no trunk."""
    return views.deleted("IP access list", (await deps.trunks.delete_acl(caller.account_id, ip_acl_id)).name)
