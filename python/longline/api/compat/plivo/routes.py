"""Plivo's calls and streams. A request is answered when it is known to be done; what comes of it is told to the call's
URLs."""

from __future__ import annotations

from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from starlette.responses import JSONResponse, Response

from longline.api.audio import audio_response
from longline.api.compat.fields import FieldsOf
from longline.api.compat.plivo import requests, views
from longline.api.compat.plivo.door import envelope
from longline.api.compat.values import required, text
from longline.api.deps import CallerOf, DepsOf, StoreOf
from longline.api.links import recording_file
from longline.api.owned import own_call
from longline.base import plivo
from longline.base.errors import BadRequest, CallNotFound, CallNotLive, RecordingNotFound, StreamNotFound
from longline.store.account_store import AccountStore
from longline.store.pages import PAGE_LIMIT_MAX, PageRequest
from longline.store.records import CallFilter, CallRecord, StreamRecord

PAGES_MAX: Final = 120
"""Pages that are walked for one slice of a list: what fits a filter only behind them is not found."""

router = APIRouter(prefix="/v1/Account/{auth_id}", tags=["calls"], include_in_schema=False)


async def existing_call(call_uuid: str, deps: DepsOf, caller: CallerOf) -> UUID:
    """The id of a call of the account that there is, or was. Raises CallNotFound."""
    return await own_call(plivo.read_id(call_uuid), deps, caller)


CallUuid = Annotated[UUID, Depends(existing_call)]


def accepted(status: int = 202, **fields: Any) -> JSONResponse:
    return JSONResponse(envelope(**fields), status_code=status)


# --- calls -----------------------------------------------------------------------------------------------------------


@router.post("/Call/")
async def create_call(fields: FieldsOf, deps: DepsOf, caller: CallerOf) -> Response:
    """Place a call, or one to each number that `to` has."""
    orders = requests.calls(fields, caller.account_id, record=deps.config.recording)
    placed = [str((await deps.manager.originate(order)).id) for order in orders]
    if len(placed) == 1:
        return accepted(201, message="call fired", request_uuid=placed[0])
    return accepted(201, message="calls fired", request_uuid=placed)


@router.get("/Call/")
async def list_calls(auth_id: str, fields: FieldsOf, store: StoreOf) -> Response:
    """Calls, newest first; with a `status`, the ids of those that live (`live`) or do not ring yet (`queued`)."""
    status = text(fields, "status")
    if status is not None:
        states = {"live": ("ringing", "answered"), "queued": ("initiated",)}.get(status)
        if states is None:
            raise BadRequest("status must be live or queued.")
        found = [call for state in states for call in await _of_state(store, state)]
        return JSONResponse(envelope(calls=[str(call.id) for call in found]))
    part = requests.slice_of(fields)
    filters = CallFilter(
        from_number=_number(fields, "from_number"),
        to_number=_number(fields, "to_number"),
    )
    direction = text(fields, "call_direction")
    calls, has_more = await _calls(store, filters, part, direction)
    following = views.uri(auth_id, "Call") + f"?limit={part.limit}&offset={part.offset + part.limit}"
    meta = {
        "limit": part.limit,
        "offset": part.offset,
        # As far as has been looked: counting all of a table costs more than anybody asks for.
        "total_count": part.offset + len(calls) + has_more,
        "next": following if has_more else None,
        "previous": None,
    }
    return JSONResponse(envelope(meta=meta, objects=[views.call(call, auth_id) for call in calls]))


@router.get("/Call/{call_uuid}/")
async def retrieve_call(auth_id: str, call_uuid: str, fields: FieldsOf, store: StoreOf) -> Response:
    call_id = plivo.read_id(call_uuid)
    call = None if call_id is None else await store.get_call(call_id)
    if call is None:
        raise CallNotFound
    if text(fields, "status") in ("live", "queued"):
        if call.ended_at is not None:
            raise CallNotFound
        return JSONResponse(envelope(**views.live_call(call)))
    return JSONResponse(envelope(**views.call(call, auth_id)))


@router.post("/Call/{call_uuid}/")
async def transfer_call(call_id: CallUuid, fields: FieldsOf, deps: DepsOf) -> Response:
    """Have a live call do something else: its XML is asked of `aleg_url` from now on."""
    await deps.manager.redirect(call_id, requests.redirection(fields))
    return accepted(message="transfer executed", call_uuids=[str(call_id)])


@router.delete("/Call/{call_uuid}/", status_code=204)
@router.delete("/Request/{call_uuid}/", status_code=204)
async def hang_up_call(call_id: CallUuid, deps: DepsOf) -> Response:
    """End a call, or cancel one that rings. One that has ended is not found any more, as at Plivo."""
    try:
        await deps.manager.hangup(call_id)
    except CallNotLive:
        raise CallNotFound from None
    return Response(status_code=204)


@router.post("/Call/{call_uuid}/DTMF/")
async def send_digits(call_id: CallUuid, fields: FieldsOf, deps: DepsOf) -> Response:
    digits = required(fields, "digits")
    if len(digits) > 64 or not set(digits) <= set("0123456789*#ABCD"):
        raise BadRequest("digits must be at most 64 of 0-9, A-D, * and #.")
    await deps.manager.send_digits(call_id, digits)
    return accepted(message="digits sent")


@router.post("/Call/{call_uuid}/Play/")
async def play(call_id: CallUuid, fields: FieldsOf, deps: DepsOf) -> Response:
    """Play one file to the call's first party."""
    await deps.controls.play(call_id, requests.play(fields))
    return accepted(message="play started")


@router.post("/Call/{call_uuid}/Speak/")
async def speak(call_id: CallUuid, fields: FieldsOf, deps: DepsOf) -> Response:
    await deps.controls.play(call_id, requests.speak(fields))
    return accepted(message="speak started")


# --- streams ---------------------------------------------------------------------------------------------------------


@router.post("/Call/{call_uuid}/Stream/")
async def start_stream(call_id: CallUuid, fields: FieldsOf, deps: DepsOf) -> Response:
    stream = await deps.manager.open_stream(call_id, requests.stream(fields))
    return accepted(message="audio streaming started", stream_id=str(stream.id))


@router.get("/Call/{call_uuid}/Stream/")
async def list_streams(auth_id: str, call_id: CallUuid, store: StoreOf) -> Response:
    streams = await _streams(store, call_id)
    meta = {"limit": PAGE_LIMIT_MAX, "offset": 0, "total_count": len(streams), "next": None, "previous": None}
    return JSONResponse(envelope(meta=meta, objects=[views.stream(stream, auth_id) for stream in streams]))


@router.get("/Call/{call_uuid}/Stream/{stream_id}/")
async def retrieve_stream(auth_id: str, call_id: CallUuid, stream_id: str, store: StoreOf) -> Response:
    stream = next((one for one in await _streams(store, call_id) if str(one.id) == stream_id), None)
    if stream is None:
        raise StreamNotFound
    return JSONResponse(envelope(**views.stream(stream, auth_id)))


@router.delete("/Call/{call_uuid}/Stream/", status_code=204)
async def stop_streams(call_id: CallUuid, store: StoreOf, deps: DepsOf) -> Response:
    for stream in await _streams(store, call_id):
        if stream.ended_at is None:
            await deps.manager.close_stream(call_id, stream.id)
    return Response(status_code=204)


@router.delete("/Call/{call_uuid}/Stream/{stream_id}/", status_code=204)
async def stop_stream(call_id: CallUuid, stream_id: str, deps: DepsOf) -> Response:
    found = plivo.read_id(stream_id)
    if found is None:
        raise StreamNotFound
    await deps.manager.close_stream(call_id, found)
    return Response(status_code=204)


# --- recordings ------------------------------------------------------------------------------------------------------


@router.get("/Recording/{recording_id}/audio")
async def recording_audio(recording_id: str, request: Request, deps: DepsOf, store: StoreOf) -> Response:
    """What the RecordUrl of a <Record> leads to."""
    found = plivo.read_id(recording_id)
    recording = None if found is None else await store.get_recording(found)
    if recording is None:
        raise RecordingNotFound
    whole = await recording_file(deps.durable, recording.id)
    return audio_response(whole, recording_id, request.headers.get("range"), deps.config.recording_key)


# --- reading ---------------------------------------------------------------------------------------------------------


async def _streams(store: AccountStore, call_id: UUID) -> list[StreamRecord]:
    return list((await store.list_streams(call_id, PageRequest(PAGE_LIMIT_MAX))).items)


async def _of_state(store: AccountStore, state: Any) -> list[CallRecord]:
    return list((await store.list_calls(CallFilter(state=state), PageRequest(PAGE_LIMIT_MAX))).items)


def _number(fields: dict[str, Any], name: str) -> str | None:
    given = text(fields, name)
    return None if given is None else requests.e164(given)


async def _calls(
    store: AccountStore, filters: CallFilter, part: requests.Slice, direction: str | None
) -> tuple[list[CallRecord], bool]:
    """A slice by number of what we have in pages by place; and whether there is more."""
    wanted, found, cursor = part.offset + part.limit + 1, 0, None
    calls: list[CallRecord] = []
    for _ in range(PAGES_MAX):
        page = await store.list_calls(filters, PageRequest(PAGE_LIMIT_MAX, after=cursor))
        for call in page.items:
            if direction is None or call.direction == direction:
                found += 1
                if part.offset < found <= wanted:
                    calls.append(call)
        cursor = page.next_cursor
        if cursor is None or found >= wanted:
            break
    return calls[: part.limit], len(calls) > part.limit
