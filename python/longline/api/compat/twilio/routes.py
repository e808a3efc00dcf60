"""Twilio's calls, streams and recordings. A request is answered when it is known to be done; what comes of it is told
to the call's StatusCallback."""

from __future__ import annotations

from typing import Annotated, Any, Final
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from starlette.responses import JSONResponse, Response

from longline.api.audio import audio_response
from longline.api.compat.twilio import requests, views
from longline.api.compat.twilio.door import TwilioRefusal
from longline.api.compat.twilio.form import FormOf
from longline.api.deps import CallerOf, DepsOf, StoreOf
from longline.api.links import recording_file
from longline.api.owned import own_call
from longline.base import twilio
from longline.base.errors import BadRequest, CallNotFound, CallNotLive, NotFound, RecordingNotFound, StreamNotFound
from longline.base.ids import Prefix, decode_id
from longline.base.twilio import API_VERSION, Sid, read_sid
from longline.calls.stream import StreamRequest
from longline.store.account_store import AccountStore
from longline.store.pages import PAGE_LIMIT_MAX, PageRequest
from longline.store.records import CallRecord, StreamRecord

STREAMS_MAX: Final = 4
"""Streams of one call that only listen, as at Twilio."""


async def own_account(account_sid: str, caller: CallerOf) -> None:
    """Another account is not there. Raises NotFound."""
    if read_sid(Sid.ACCOUNT, account_sid) != caller.account_id:
        raise NotFound("The requested resource was not found.")


router = APIRouter(
    prefix=f"/{API_VERSION}/Accounts", tags=["calls"], include_in_schema=False, dependencies=[Depends(own_account)]
)


async def existing_call(call_sid: str, deps: DepsOf, caller: CallerOf) -> UUID:
    """The id of a call of the account that there is, or was. Raises CallNotFound."""
    return await own_call(read_sid(Sid.CALL, call_sid), deps, caller)


CallId = Annotated[UUID, Depends(existing_call)]


@router.get("/{account_sid}.json")
async def retrieve_account(account_sid: str) -> dict[str, Any]:
    uri = f"/{API_VERSION}/Accounts/{account_sid}.json"
    return {"sid": account_sid, "friendly_name": "Longline", "status": "active", "type": "Full", "uri": uri}


# --- calls -----------------------------------------------------------------------------------------------------------


@router.post("/{account_sid}/Calls.json")
async def create_call(form: FormOf, deps: DepsOf, caller: CallerOf) -> Response:
    """Place a call; when it is answered its TwiML is asked of `Url`, or is `Twiml`."""
    placed = await deps.manager.originate(requests.call(form, caller.account_id))
    return JSONResponse(views.call(placed), status_code=201)


@router.get("/{account_sid}/Calls.json")
async def list_calls(account_sid: str, form: FormOf, request: Request, store: StoreOf) -> Response:
    """Calls, newest first."""
    wanted, status = requests.page(form), form.one("Status")
    page = await store.list_calls(requests.calls_filter(form), wanted)
    shown = [views.call(call) for call in page.items if form.one("ParentCallSid") is None]
    shown = [call for call in shown if status is None or call["status"] == status]
    path, number = f"/{API_VERSION}/Accounts/{account_sid}/Calls.json", form.number("Page", 0, 0, 10**6)
    kept = [pair for pair in request.query_params.multi_items() if pair[0] not in ("Page", "PageToken", "PageSize")]

    def uri(number: int, token: str | None) -> str:
        more = [("PageSize", str(wanted.limit)), ("Page", str(number)), *([("PageToken", token)] if token else [])]
        return f"{path}?{urlencode([*kept, *more])}"

    following = page.next_cursor
    return JSONResponse(
        {
            "calls": shown,
            "page": number,
            "page_size": wanted.limit,
            "start": number * wanted.limit,
            "end": number * wanted.limit + max(0, len(shown) - 1),
            "uri": uri(number, form.one("PageToken")),
            "first_page_uri": uri(0, None),
            "next_page_uri": None if following is None else uri(number + 1, following),
            "previous_page_uri": None,
        }
    )


@router.get("/{account_sid}/Calls/{call_sid}.json")
async def retrieve_call(call_id: CallId, store: StoreOf) -> dict[str, Any]:
    return views.call(await _call(store, call_id))


@router.post("/{account_sid}/Calls/{call_sid}.json")
async def update_call(call_id: CallId, form: FormOf, deps: DepsOf, store: StoreOf) -> dict[str, Any]:
    """End a call (`Status`), or have it do something else (`Url`, `Twiml`)."""
    status, redirection = form.one("Status"), requests.redirection(form)
    if status is not None:
        await _end(call_id, status, deps, store)
    elif redirection is not None:
        try:
            await deps.manager.redirect(call_id, redirection)
        except CallNotLive:
            raise TwilioRefusal(21220, "Call is not in-progress. Cannot redirect.") from None
    return views.call(await _call(store, call_id))


async def _end(call_id: UUID, status: str, deps: DepsOf, store: StoreOf) -> None:
    if status not in ("completed", "canceled"):
        raise TwilioRefusal(21218, "Status must be completed or canceled")
    call = await _call(store, call_id)
    if status == "canceled" and call.answered_at is not None:
        raise TwilioRefusal(21220, "Call is in-progress. Cannot cancel.")
    try:
        await deps.manager.hangup(call_id)
    except CallNotLive:
        raise CallNotFound("The call has ended.") from None  # clients know this as: it is over already


async def _call(store: AccountStore, call_id: UUID) -> CallRecord:
    call = await store.get_call(call_id)
    if call is None:
        raise CallNotFound
    return call


# --- streams ---------------------------------------------------------------------------------------------------------


@router.post("/{account_sid}/Calls/{call_sid}/Streams.json")
async def create_stream(call_id: CallId, form: FormOf, deps: DepsOf, store: StoreOf) -> Response:
    """Have a WebSocket listen to a live call."""
    order = requests.stream(form)
    streams = await _live_streams(store, call_id)
    if len(streams) >= STREAMS_MAX:
        raise BadRequest(f"A call has at most {STREAMS_MAX} streams of this kind.")
    if order.name is not None and any(deps.manager.stream_name(call_id, one.id) == order.name for one in streams):
        raise BadRequest(f"The call has a stream of the name {order.name} already.")
    return JSONResponse(await _shown(deps, call_id, order), status_code=201)


async def _shown(deps: DepsOf, call_id: UUID, order: StreamRequest) -> dict[str, Any]:
    try:
        opened = await deps.manager.open_stream(call_id, order)
    except CallNotLive:
        raise TwilioRefusal(21220, "Call is not in-progress. Cannot stream.") from None
    return views.stream(opened, order.name, deps.clock.now())


@router.post("/{account_sid}/Calls/{call_sid}/Streams/{stream_sid}.json")
async def update_stream(call_id: CallId, stream_sid: str, form: FormOf, deps: DepsOf, store: StoreOf) -> dict[str, Any]:
    """Stop a stream, by its SID or its name."""
    if form.one("Status") != "stopped":
        raise BadRequest("Status must be stopped.")
    stream_id = read_sid(Sid.STREAM, stream_sid)
    if stream_id is None:
        named = (one.id for one in await _live_streams(store, call_id))
        stream_id = next((one for one in named if deps.manager.stream_name(call_id, one) == stream_sid), None)
    if stream_id is None:
        raise StreamNotFound
    name = deps.manager.stream_name(call_id, stream_id)
    try:
        return views.stream(await deps.manager.close_stream(call_id, stream_id), name, deps.clock.now())
    except CallNotLive:
        raise StreamNotFound from None


async def _live_streams(store: AccountStore, call_id: UUID) -> list[StreamRecord]:
    page = await store.list_streams(call_id, PageRequest(PAGE_LIMIT_MAX))
    return [stream for stream in page.items if stream.ended_at is None]


# --- recordings ------------------------------------------------------------------------------------------------------


@router.get("/{account_sid}/Calls/{call_sid}/Recordings.json")
async def list_recordings(account_sid: str, call_sid: str, call_id: CallId, store: StoreOf) -> dict[str, Any]:
    """Those of a call that are whole, in one page."""
    call = await _call(store, call_id)
    named = [decode_id(text, Prefix.RECORDING) for leg in call.legs for text in leg.recordings]
    found = [await store.get_recording(recording_id) for recording_id in named]
    uri = f"/{API_VERSION}/Accounts/{account_sid}/Calls/{call_sid}/Recordings.json"
    return {
        "recordings": [views.recording(one) for one in found if one is not None],
        "page": 0,
        "page_size": max(1, len(found)),
        "start": 0,
        "end": max(0, len(found) - 1),
        "uri": uri,
        "first_page_uri": uri,
        "next_page_uri": None,
        "previous_page_uri": None,
    }


@router.get("/{account_sid}/Recordings/{recording}")
async def retrieve_recording(recording: str, request: Request, deps: DepsOf, store: StoreOf) -> Response:
    """What is known of a recording (.json), or its audio: with the suffix of its format, or with none."""
    name, _, suffix = recording.partition(".")
    recording_id = read_sid(Sid.RECORDING, name)
    found = None if recording_id is None else await store.get_recording(recording_id)
    if found is None or suffix not in ("", "json", found.format):
        raise RecordingNotFound
    if suffix == "json":
        return JSONResponse(views.recording(found))
    whole = await recording_file(deps.durable, found.id)
    shown = twilio.sid(Sid.RECORDING, whole.id)
    return audio_response(whole, shown, request.headers.get("range"), deps.config.recording_key)
