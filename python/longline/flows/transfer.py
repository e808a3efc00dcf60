"""A transfer that the API has asked for: the other is called while the flow goes on, and takes its place.

When nobody comes, the caller is still with his flow; `on_failure` may play him something, or hang him up.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

from longline.base.errors import LimitReached, MediaUnavailable
from longline.calls.bridge import DialOutcome, DialRequest
from longline.calls.lead import Transfer
from longline.calls.live_call import LiveCall
from longline.calls.ports import FlowFailed
from longline.calls.reason import Reason
from longline.calls.sip_leg import LegEnd
from longline.flows import verbs
from longline.flows.actions.dial import open_sounds, play_to_all
from longline.flows.sounds import Sounds
from longline.media.errors import MediaCommandRefused


@dataclass(frozen=True, slots=True)
class TransferOrder:
    """Whom to call, and what is played meanwhile and afterwards."""

    dial: DialRequest
    dial_music: verbs.Sound | None = None
    confirm_sound: verbs.Sound | None = None
    on_failure: verbs.Nested | None = None


async def carry_out(live: LiveCall, transfer: Transfer, order: TransferOrder, sounds: Sounds) -> None:
    """Return when the two have parted, or when nobody has come."""
    outcome = await _call(live, transfer, order, sounds)
    if outcome.was_joined:
        await live.finish(outcome.end)
        return
    await live.transfers.failed(transfer, outcome.end)
    if isinstance(order.on_failure, verbs.NestedHangup):
        await live.end(Reason.COMPLETED)
    elif order.on_failure is not None:
        with contextlib.suppress(FlowFailed):  # the transfer has failed, and is told of: the call goes on
            await play_to_all(live, order.on_failure, sounds, "$.on_failure")


async def _call(live: LiveCall, transfer: Transfer, order: TransferOrder, sounds: Sounds) -> DialOutcome:
    """A transfer never costs the caller his call: whatever goes wrong, nobody has come."""
    try:
        async with contextlib.AsyncExitStack() as files:
            heard = await open_sounds(files, sounds, order.dial_music, order.confirm_sound)
            return await live.transfers.dial(transfer, heard)
    except FlowFailed as error:
        end = LegEnd(error.reason, detail=error.detail)
    except (LimitReached, MediaUnavailable, MediaCommandRefused) as error:
        end = LegEnd(Reason.CARRIER_ERROR, detail=str(error))
    return DialOutcome(end, was_joined=False)
