"""Secrets: what signs webhooks. Made here, rotated here, named in voice apps and SIP trunks."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query

from longline.api.answers import PageOf
from longline.api.app_answers import Done, ListedSecret, Secret
from longline.api.app_requests import SecretCreateRequest, SecretQuery, SecretUpdateRequest
from longline.api.deps import AppViewsOf, CallerOf, DepsOf, StoreOf, check_may_see_secrets
from longline.api.fields import path_secret_id
from longline.api.problems import declare

router = APIRouter(tags=["secrets"])

SecretId = Annotated[UUID, Depends(path_secret_id)]


@router.post("/secrets", status_code=201, responses=declare(403, 409, 413, 422, 503))
async def create_secret(request: SecretCreateRequest, deps: DepsOf, caller: CallerOf, views: AppViewsOf) -> Secret:
    """Make a secret; its value is made up by the server."""
    return views.secret(await deps.secrets.create(caller.account_id, request.name))


@router.get("/secrets", responses=declare(400, 403, 422))
async def list_secrets(
    query: Annotated[SecretQuery, Query()], store: StoreOf, views: AppViewsOf
) -> PageOf[ListedSecret]:
    """Secrets, newest first, without their values."""
    return views.secrets(await store.list_secrets(query.search, query.page()))


@router.get("/secrets/{secret_id}", dependencies=[Depends(check_may_see_secrets)], responses=declare(403, 404))
async def retrieve_secret(secret_id: SecretId, deps: DepsOf, caller: CallerOf, views: AppViewsOf) -> Secret:
    """A secret and its value, for a key with the scope admin."""
    return views.secret(deps.secrets.get(caller.account_id, secret_id))


@router.patch("/secrets/{secret_id}", responses=declare(403, 404, 409, 413, 422))
async def update_secret(
    secret_id: SecretId, request: SecretUpdateRequest, deps: DepsOf, caller: CallerOf, views: AppViewsOf
) -> Secret:
    """Rename a secret, or rotate it: its value is another then."""
    return views.secret(await deps.secrets.change(caller.account_id, secret_id, request.name, request.rotate))


@router.delete("/secrets/{secret_id}", responses=declare(403, 404, 409))
async def delete_secret(secret_id: SecretId, deps: DepsOf, caller: CallerOf, views: AppViewsOf) -> Done:
    """Delete a secret with which nothing is signed any more."""
    return views.deleted("Secret", (await deps.secrets.delete(caller.account_id, secret_id)).name)
