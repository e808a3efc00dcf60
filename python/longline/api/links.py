"""Signed, expiring links to recordings: whoever holds one may download that one file until it expires.

The signature covers the recording and the time, under a key that the database keeps for all of its nodes.
"""

import hashlib
import hmac
from datetime import datetime
from pathlib import Path
from typing import Final
from uuid import UUID

from longline.base.errors import InvalidLink, RecordingNotFound
from longline.store.durable import Durable
from longline.store.records import RecordingRecord

LINK_SECRET: Final = "recording-links"


def sign_link(secret: bytes, recording_id: UUID, expires: int) -> str:
    """`expires` is in Unix seconds."""
    return hmac.new(secret, f"{recording_id}.{expires}".encode(), hashlib.sha256).hexdigest()


async def link_query(durable: Durable, recording_id: UUID, now: datetime, expires_in_s: int) -> dict[str, str]:
    """The query of a link. Raises RecordingNotFound when there is no audio to link to."""
    await recording_file(durable, recording_id)
    expires = int(now.timestamp()) + expires_in_s
    signature = sign_link(await durable.secret(LINK_SECRET), recording_id, expires)
    return {"expires": str(expires), "signature": signature}


async def open_link(
    durable: Durable, recording_id: UUID, now: datetime, expires: int, signature: str
) -> RecordingRecord:
    """The recording behind a link. Raises InvalidLink, RecordingNotFound."""
    expected = sign_link(await durable.secret(LINK_SECRET), recording_id, expires)
    if not hmac.compare_digest(expected.encode(), signature.encode(errors="replace")) or now.timestamp() >= expires:
        raise InvalidLink
    return await recording_file(durable, recording_id)


async def recording_file(durable: Durable, recording_id: UUID) -> RecordingRecord:
    """The recording, whose file is there and whole. Raises RecordingNotFound."""
    recording = await durable.get_recording(recording_id)
    if recording is None:
        raise RecordingNotFound
    if recording.state == "recording":
        raise RecordingNotFound("The recording has not ended.")
    if not Path(recording.path).is_file():
        raise RecordingNotFound("The recording has no audio.")
    return recording
