"""`hangup`: nothing more is done, and a flow that is over ends its call."""

from __future__ import annotations

from longline.calls.live_call import LiveCall
from longline.flows import verbs
from longline.flows.outcome import Outcome


async def hangup(live: LiveCall, verb: verbs.Hangup) -> Outcome:
    """An inbound call that is not answered yet is declined; any other is hung up."""
    return Outcome("end")
