"""What the API does to a live call with files and other parties: playing to a leg, and transfers.

What takes time is done by a task of the call, which ends with it; its outcome is told by the call's events. Leaves out
who may ask for it (`api`), and how somebody is called (`calls/bridge.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from longline.base.errors import LegNotFound, MediaUnavailable
from longline.calls.call_playbacks import PlayHow
from longline.calls.lead import Transfer
from longline.calls.live_call import LiveCall
from longline.calls.ports import FlowFailed
from longline.flows.sounds import SAID, Sounds
from longline.flows.transfer import TransferOrder, carry_out
from longline.flows.verbs import SaySound
from longline.media.errors import MediaCommandRefused


class LiveCalls(Protocol):
    """The calls of this node, as `CallManager` has them."""

    async def find(self, call_id: UUID) -> LiveCall:
        """Raise CallNotFound, CallNotLive."""


@dataclass(frozen=True, slots=True)
class PlayOrder:
    """A file, or a text that is said in its place. No `leg_id`: the primary leg."""

    media_url: str
    leg_id: UUID | None = None
    repeat: int = 1
    stops_on_digit: bool = True
    says: SaySound | None = None

    @property
    def source(self) -> str:
        """How events name it."""
        return self.media_url if self.says is None else SAID


class CallControls:
    """The controls of a node."""

    def __init__(self, calls: LiveCalls, sounds: Sounds) -> None:
        self._calls = calls
        self._sounds = sounds

    async def play(self, call_id: UUID, order: PlayOrder) -> UUID:
        """Begin to fetch and play a file, or to speak a text; the id of the playback. Raise CallNotFound, CallNotLive,
        LegNotFound, LimitReached."""
        live = await self._calls.find(call_id)
        how = PlayHow(stops_on_digit=order.stops_on_digit)
        await live.begin_work(order.leg_id, lambda: self._play(live, order, how))
        return how.playback_id

    async def _play(self, live: LiveCall, order: PlayOrder, how: PlayHow) -> None:
        leg_id = order.leg_id or live.call.leg.id
        try:
            opened = self._sounds.open_file(order.media_url) if order.says is None else self._sounds.open(order.says)
            async with opened as path:
                playback = await live.play_to(leg_id, path, order.source, order.repeat, how)
                await playback.finished.wait()
        except FlowFailed as error:
            live.playbacks.failed(order.source, error.detail, leg_id, how.playback_id)
        except (MediaCommandRefused, MediaUnavailable, LegNotFound) as error:
            live.playbacks.failed(order.source, str(error), leg_id, how.playback_id)

    async def transfer(self, call_id: UUID, order: TransferOrder) -> Transfer:
        """Begin to give a call to somebody else. Raise CallNotFound, CallNotLive, TransferInProgress, InvalidTarget,
        DestinationDenied, LimitReached."""
        live = await self._calls.find(call_id)
        return await live.transfers.start(order.dial, lambda transfer: carry_out(live, transfer, order, self._sounds))
