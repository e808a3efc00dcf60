"""`pause`: wait. The call stays as it is: one that rings rings on, one that is answered is silent."""

from __future__ import annotations

from longline.calls.live_call import LiveCall
from longline.flows import verbs
from longline.flows.outcome import Outcome


async def pause(live: LiveCall, verb: verbs.Pause) -> Outcome:
    """Keys that are pressed meanwhile count for a `gather` that follows."""
    await live.context.clock.sleep(verb.duration)
    return Outcome()
