"""Telnyx's call control. A command is answered when it is known to be done; what comes of it is told by webhooks."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends

from longline.api.compat.fields import FieldsOf
from longline.api.compat.telnyx import requests
from longline.api.compat.telnyx.door import NotAnswered
from longline.api.deps import CallerOf, Deps, DepsOf, StoreOf
from longline.api.owned import own_call
from longline.base import telnyx
from longline.base.errors import BadRequest, CallNotFound, CallNotLive
from longline.store.pages import PAGE_LIMIT_MAX, PageRequest
from longline.store.records import CallRecord

router = APIRouter(prefix="/v2", tags=["calls"], include_in_schema=False)

OK: dict[str, Any] = {"data": {"result": "ok"}}


async def existing_call(call_control_id: str, deps: DepsOf, caller: CallerOf) -> UUID:
    """The id of a call of the account that there is, or was. Raises CallNotFound."""
    return await own_call(telnyx.read_call_control_id(call_control_id), deps, caller)


CallId = Annotated[UUID, Depends(existing_call)]


@contextlib.asynccontextmanager
async def of_answered(deps: Deps, call_id: UUID) -> AsyncIterator[None]:
    """What is done here is done to a call that is answered. Raises NotAnswered, CallNotLive."""
    try:
        yield
    except CallNotLive:
        call = await deps.durable.get_call(call_id)
        if call is None or call.ended_at is not None:
            raise
        raise NotAnswered from None


def shown(call: CallRecord, *, is_alive: bool) -> dict[str, Any]:
    data: dict[str, Any] = {
        "record_type": "call",
        "call_control_id": telnyx.call_control_id(call.id),
        "call_session_id": str(call.id),
        "call_leg_id": str(call.id),
        "is_alive": is_alive,
        "start_time": telnyx.time_of(call.created_at),
    }
    if call.ended_at is not None:
        began = call.answered_at or call.ended_at
        data |= {
            "end_time": telnyx.time_of(call.ended_at),
            "call_duration": int((call.ended_at - began).total_seconds()),
        }
    return {"data": data}


@router.post("/calls")
async def dial(fields: FieldsOf, deps: DepsOf, caller: CallerOf) -> dict[str, Any]:
    """Place a call; when it is answered it is joined to `stream_url`, if there is one."""
    order = requests.dial(fields, caller.account_id, record=deps.config.recording)
    return shown(await deps.manager.originate(order), is_alive=False)


@router.get("/calls/{call_control_id}")
async def retrieve_call(call_control_id: str, store: StoreOf) -> dict[str, Any]:
    call_id = telnyx.read_call_control_id(call_control_id)
    call = None if call_id is None else await store.get_call(call_id)
    if call is None:
        raise CallNotFound
    return shown(call, is_alive=call.ended_at is None)


@router.post("/calls/{call_control_id}/actions/answer")
async def answer(call_id: CallId, fields: FieldsOf, deps: DepsOf) -> dict[str, Any]:
    """Answer a call that came in, and join it to `stream_url`, if there is one."""
    stream = requests.stream(fields)
    await deps.manager.answer(call_id)
    if stream is not None:
        await deps.manager.open_stream(call_id, stream)
    return OK


@router.post("/calls/{call_control_id}/actions/reject")
@router.post("/calls/{call_control_id}/actions/hangup")
async def hang_up(call_id: CallId, deps: DepsOf) -> dict[str, Any]:
    await deps.manager.hangup(call_id)
    return OK


@router.post("/calls/{call_control_id}/actions/streaming_start")
async def start_stream(call_id: CallId, fields: FieldsOf, deps: DepsOf) -> dict[str, Any]:
    stream = requests.stream(fields)
    if stream is None:
        raise BadRequest("stream_url is missing.")
    async with of_answered(deps, call_id):
        opened = await deps.manager.open_stream(call_id, stream)
    return {"data": {"result": "ok", "stream_id": str(opened.id)}}


@router.post("/calls/{call_control_id}/actions/streaming_stop")
async def stop_stream(call_id: CallId, fields: FieldsOf, store: StoreOf, deps: DepsOf) -> dict[str, Any]:
    """The one that `stream_id` names, or all."""
    wanted = fields.get("stream_id")
    for stream in (await store.list_streams(call_id, PageRequest(PAGE_LIMIT_MAX))).items:
        if stream.ended_at is None and wanted in (None, "", str(stream.id)):
            await deps.manager.close_stream(call_id, stream.id)
    return OK


@router.post("/calls/{call_control_id}/actions/playback_start")
async def start_playback(call_id: CallId, fields: FieldsOf, deps: DepsOf) -> dict[str, Any]:
    async with of_answered(deps, call_id):
        await deps.controls.play(call_id, requests.play(fields))
    return OK


@router.post("/calls/{call_control_id}/actions/speak")
async def speak(call_id: CallId, fields: FieldsOf, deps: DepsOf) -> dict[str, Any]:
    async with of_answered(deps, call_id):
        await deps.controls.play(call_id, requests.speak(fields))
    return OK


@router.post("/calls/{call_control_id}/actions/send_dtmf")
async def send_dtmf(call_id: CallId, fields: FieldsOf, deps: DepsOf) -> dict[str, Any]:
    digits, held_ms = requests.digits(fields)
    async with of_answered(deps, call_id):
        await deps.manager.send_digits(call_id, digits, tone_ms=held_ms)
    return OK


@router.post("/calls/{call_control_id}/actions/transfer")
async def transfer(call_id: CallId, fields: FieldsOf, deps: DepsOf) -> dict[str, Any]:
    async with of_answered(deps, call_id):
        await deps.controls.transfer(call_id, requests.transfer(fields))
    return OK


@router.get("/public_key")
async def public_key(deps: DepsOf) -> dict[str, Any]:
    """What the webhooks of calls are checked by that have no secret of their own."""
    secret = deps.config.webhook_secret
    if secret is None:
        raise BadRequest("webhook_secret is not set: webhooks are not signed.")
    return {"data": {"public": telnyx.public_key(secret)}}
