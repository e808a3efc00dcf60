"""The audio of a recording as an HTTP response: the file as it is, or opened on the way when it is sealed.

Ranges (RFC 9110 §14): of a sealed file one range is served; several, or units we do not know, get the whole.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from fastapi.responses import FileResponse, Response, StreamingResponse

from longline.base.errors import RecordingUnreadable
from longline.media.sealed import MasterKey, SealedFile, SealedFileError
from longline.store.records import RecordingRecord

MEDIA_TYPES: Final = {"wav": "audio/wav", "ogg": "audio/ogg"}


def audio_response(recording: RecordingRecord, name: str, range_header: str | None, key: str | None) -> Response:
    """The audio, or the part of it that is asked for. Raise RecordingUnreadable for a sealed file we cannot open."""
    path, media_type = Path(recording.path), MEDIA_TYPES[recording.format]
    filename = f"{name}.{recording.format}"
    if not recording.encrypted:
        return FileResponse(path, media_type=media_type, filename=filename)
    if key is None:
        raise RecordingUnreadable("The recording is encrypted, and this node has no recording_key.")
    try:
        sealed = SealedFile(path, MasterKey.parse(key))
    except (OSError, SealedFileError) as error:
        raise RecordingUnreadable(f"The recording cannot be decrypted: {error}.") from None
    headers = {"accept-ranges": "bytes", "content-disposition": f'attachment; filename="{filename}"'}
    part = byte_range(range_header, sealed.size)
    if part is None:
        sealed.close()
        return Response(status_code=416, headers={"content-range": f"bytes */{sealed.size}"}, media_type="text/plain")
    start, end = part
    whole = (start, end) == (0, sealed.size)
    headers["content-length"] = str(end - start)
    if not whole:
        headers["content-range"] = f"bytes {start}-{end - 1}/{sealed.size}"
    return StreamingResponse(
        _pieces(sealed, start, end - start), 200 if whole else 206, headers=headers, media_type=media_type
    )


def _pieces(sealed: SealedFile, start: int, length: int) -> Iterator[bytes]:
    with sealed:
        yield from sealed.pieces(start, length)


def byte_range(header: str | None, size: int) -> tuple[int, int] | None:
    """The first byte and the one after the last that are asked for; None when there is none of them."""
    match = re.fullmatch(r"bytes=(\d*)-(\d*)", (header or "").replace(" ", ""))
    if match is None or match[0] == "bytes=-":
        return 0, size
    first, last = match[1], match[2]
    start = int(first) if first else max(0, size - int(last))
    end = min(size, int(last) + 1) if first and last else size
    return (start, end) if start < end else None
