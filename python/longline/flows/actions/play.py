"""`play` and `say`: answer, and play a file, or a text that was spoken into one, to its end."""

from __future__ import annotations

from longline.calls.bridge import Sound
from longline.calls.live_call import LiveCall
from longline.flows import verbs
from longline.flows.outcome import Outcome, ask_or_go_on
from longline.flows.playing import play_through
from longline.flows.sounds import Sounds, source_of


async def play(live: LiveCall, verb: verbs.Play | verbs.Say, sounds: Sounds) -> Outcome:
    """The call is answered when the file is here, so that nobody pays to wait for it."""
    async with sounds.open(verb) as path:
        await live.answer()
        await live.start_recording()
        await play_through(live, Sound(path, source_of(verb), verb.loop))
    # What Teler's play asks for next is asked as Teler does it: with nothing but the five fields.
    return ask_or_go_on(verb.flow_url, {"action": "say"} if isinstance(verb, verbs.Say) else None)
