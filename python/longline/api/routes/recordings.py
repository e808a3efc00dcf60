"""Recordings: a signed link to the audio, and the audio."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import FileResponse, RedirectResponse, Response

from longline.api.audio import audio_response
from longline.api.deps import DepsOf, StoreOf
from longline.api.fields import path_signed_recording_id
from longline.api.links import link_query, open_link
from longline.api.problems import declare
from longline.api.requests import RecordingLinkQuery, RecordingQuery
from longline.base.errors import RecordingNotFound
from longline.base.ids import Prefix, encode_id

router = APIRouter(tags=["recordings"])
signed_router = APIRouter(tags=["recordings"])

RecordingId = Annotated[UUID, Depends(path_signed_recording_id)]

_BYTES: dict[str, Any] = {"schema": {"type": "string", "format": "binary"}}
_FILE: dict[str, Any] = {"audio/wav": _BYTES, "audio/ogg": _BYTES}
_TEXT: dict[str, Any] = {"text/plain": {"schema": {"type": "string"}}}
_AUDIO: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The audio. Of two channels left was heard from the far end",
        "content": _FILE,
    },
    206: {"description": "The part of the file that Range asks for", "content": _FILE},
    400: {"description": "The Range header is malformed", "content": _TEXT},
    416: {"description": "The range is not within the file", "content": _TEXT},
}
_LOCATION = {"Location": {"schema": {"type": "string", "format": "uri"}, "description": "The signed link"}}


@router.get(
    "/recordings",
    status_code=307,
    response_class=RedirectResponse,
    responses={307: {"description": "To a link that expires", "headers": _LOCATION}, **declare(403, 404, 422)},
)
async def retrieve_recording(
    query: Annotated[RecordingQuery, Query()], request: Request, deps: DepsOf, store: StoreOf
) -> str:
    """Redirect to a link to the recording's audio, which needs no API key until it expires."""
    name = encode_id(Prefix.RECORDING, query.recording_id)
    if await store.get_recording(query.recording_id) is None:
        raise RecordingNotFound
    signed = await link_query(deps.durable, query.recording_id, deps.clock.now(), query.expires_in)
    path = request.app.url_path_for("download_recording", recording_id=name)
    base = deps.config.public_url or str(request.base_url)
    return str(path.make_absolute_url(base).include_query_params(**signed))


@signed_router.get(
    "/recordings/{recording_id}/audio", response_class=FileResponse, responses=_AUDIO | declare(403, 404, 422)
)
async def download_recording(
    recording_id: RecordingId, link: Annotated[RecordingLinkQuery, Query()], request: Request, deps: DepsOf
) -> Response:
    """The audio behind a signed link; an encrypted recording is decrypted on the way."""
    recording = await open_link(deps.durable, recording_id, deps.clock.now(), link.expires, link.signature)
    name = encode_id(Prefix.RECORDING, recording.id)
    return audio_response(recording, name, request.headers.get("range"), deps.config.recording_key)
