"""`redirect`: another URL says how the call goes on."""

from __future__ import annotations

from longline.calls.live_call import LiveCall
from longline.flows import verbs
from longline.flows.outcome import Outcome


async def redirect(live: LiveCall, verb: verbs.Redirect) -> Outcome:
    """It is told what the action before it has come to."""
    return Outcome("ask", verb.flow_url)
