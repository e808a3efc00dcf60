"""What each verb does to a live call: one file per verb.

An action returns the URL of the next flow, or None when the flow is over.
"""

from __future__ import annotations

from longline.calls.live_call import LiveCall
from longline.flows.actions.dial import dial
from longline.flows.actions.hangup import hangup
from longline.flows.actions.play import play
from longline.flows.actions.stream import stream
from longline.flows.media_files import MediaFiles
from longline.flows.verbs import Dial, Play, Stream, Verb


async def act(live: LiveCall, verb: Verb, media_files: MediaFiles) -> str | None:
    """Do what the verb says."""
    if isinstance(verb, Stream):
        return await stream(live, verb)
    if isinstance(verb, Play):
        return await play(live, verb, media_files)
    if isinstance(verb, Dial):
        return await dial(live, verb, media_files)
    return await hangup(live, verb)
