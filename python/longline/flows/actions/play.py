"""`play`: answer, and play a file to its end; then go on at `flow_url`."""

from __future__ import annotations

from longline.calls.live_call import LiveCall
from longline.calls.ports import FlowFailed
from longline.calls.reason import Reason
from longline.flows import verbs
from longline.flows.media_files import MediaFiles
from longline.media.errors import MediaCommandRefused


async def play(live: LiveCall, verb: verbs.Play, media_files: MediaFiles) -> str | None:
    """The call is answered when the file is here, so that nobody pays to wait for it."""
    async with media_files.open(verb.media_url) as path:
        await live.answer()
        await live.start_recording()
        try:
            playback = await live.start_playback(path, verb.media_url)
        except MediaCommandRefused as error:
            raise FlowFailed(Reason.FLOW_INVALID, f"$.media_url: {verb.media_url}: {error.message}") from error
        await playback.finished.wait()
    return verb.flow_url
