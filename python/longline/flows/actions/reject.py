"""`reject`: an inbound call that is not answered is declined with a reason of its own."""

from __future__ import annotations

from longline.calls.live_call import LiveCall
from longline.calls.reason import Reason
from longline.calls.sip_leg import LegEnd
from longline.flows import verbs
from longline.flows.outcome import Outcome


async def reject(live: LiveCall, verb: verbs.Reject) -> Outcome:
    """A call that is answered is hung up: there is nothing to decline any more."""
    if not live.call.is_answered:
        await live.finish(LegEnd(Reason.BUSY if verb.reason == "busy" else Reason.REJECTED))
    return Outcome("end")
