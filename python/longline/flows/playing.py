"""Playing a file to all legs of a call, to its end; a flow that is stopped takes its sound along."""

from __future__ import annotations

from longline.calls.bridge import Sound
from longline.calls.call_playbacks import Playback
from longline.calls.live_call import LiveCall
from longline.calls.ports import FlowFailed
from longline.calls.reason import Reason
from longline.flows.place import within
from longline.media.errors import MediaCommandRefused


async def play_through(live: LiveCall, sound: Sound, *, place: str = "$") -> Playback:
    """Return when it is over. Raise FlowFailed when it cannot be played, with its place in the flow."""
    with within(place):
        try:
            playback = await live.start_playback(sound.path, sound.source, sound.repeat)
        except MediaCommandRefused as error:
            raise FlowFailed(Reason.FLOW_INVALID, f"$.media_url: {sound.source}: {error.message}") from error
    try:
        await playback.finished.wait()
    finally:
        if not playback.finished.is_set():
            live.let_go_of_playback(playback)
    return playback
