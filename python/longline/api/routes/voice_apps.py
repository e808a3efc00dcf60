"""Voice apps: what is done with the calls of their numbers, and who is told. A change is in force with its answer."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query

from longline.api.answers import PageOf
from longline.api.app_answers import Done, VirtualNumber, VoiceApp
from longline.api.app_requests import AppCreateRequest, AppNumberQuery, AppQuery, AppUpdateRequest
from longline.api.deps import AppViewsOf, CallerOf, DepsOf, StoreOf
from longline.api.fields import path_app_id
from longline.api.problems import declare

router = APIRouter(tags=["voice apps"])

AppId = Annotated[UUID, Depends(path_app_id)]


@router.post("/voice/apps", status_code=201, responses=declare(400, 403, 404, 409, 413, 422, 503))
async def create_voice_app(request: AppCreateRequest, deps: DepsOf, caller: CallerOf, views: AppViewsOf) -> VoiceApp:
    """Make a voice app, and assign it numbers."""
    return views.app(await deps.apps.create_app(caller.account_id, request.to_new()))


@router.get("/voice/apps", responses=declare(400, 403, 422))
async def list_voice_apps(query: Annotated[AppQuery, Query()], store: StoreOf, views: AppViewsOf) -> PageOf[VoiceApp]:
    """Voice apps, newest first; also those of the configuration file."""
    return views.apps(await store.list_apps(query.search, query.is_active, query.page()))


@router.get("/voice/apps/{voice_app_id}", responses=declare(403, 404))
async def retrieve_voice_app(voice_app_id: AppId, deps: DepsOf, caller: CallerOf, views: AppViewsOf) -> VoiceApp:
    return views.app(deps.apps.app(caller.account_id, voice_app_id))


@router.patch("/voice/apps/{voice_app_id}", responses=declare(400, 403, 404, 409, 413, 422))
async def update_voice_app(
    voice_app_id: AppId, request: AppUpdateRequest, deps: DepsOf, caller: CallerOf, views: AppViewsOf
) -> VoiceApp:
    """Change a voice app; its live calls go on as they began."""
    return views.app(await deps.apps.change_app(caller.account_id, voice_app_id, request.to_change()))


@router.delete("/voice/apps/{voice_app_id}", responses=declare(403, 404, 409))
async def delete_voice_app(voice_app_id: AppId, deps: DepsOf, caller: CallerOf, views: AppViewsOf) -> Done:
    """Delete a voice app. Its numbers lead nowhere then; its live calls go on."""
    return views.deleted("Voice app", (await deps.apps.delete_app(caller.account_id, voice_app_id)).name)


@router.get("/voice/apps/{voice_app_id}/virtual-numbers", responses=declare(400, 403, 404, 422))
async def list_voice_app_virtual_numbers(
    voice_app_id: AppId,
    query: Annotated[AppNumberQuery, Query()],
    deps: DepsOf,
    caller: CallerOf,
    store: StoreOf,
    views: AppViewsOf,
) -> PageOf[VirtualNumber]:
    """The numbers that lead to a voice app, newest first."""
    app = deps.apps.app(caller.account_id, voice_app_id)
    return views.numbers(await store.list_numbers(query.filters(voice_app_ids=(app.id,)), query.page()))
