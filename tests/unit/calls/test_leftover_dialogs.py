"""A node that was killed has left dialogs: the next one knows them again, and ends them."""

import asyncio
from typing import Any

from longline.base.clock import VirtualClock, settle
from longline.base.errors import LocalProtocolError
from longline.calls.leftover_dialogs import BYES_AT_ONCE, LeftoverDialogs
from longline.sip.dialog_store import MemoryDialogStore


class Kept(MemoryDialogStore):
    async def all(self) -> dict[str, dict[str, Any]]:
        return dict(self.snapshots)


class Agent:
    def __init__(self) -> None:
        self.restored: list[str] = []
        self.ended: list[tuple[str, str | None]] = []

    def restore(self, snapshot: dict[str, Any]) -> str:
        if snapshot.get("version") != 1:
            raise ValueError("of another version")
        if snapshot["handle"] in self.restored:
            raise LocalProtocolError("is here already")
        self.restored.append(snapshot["handle"])
        return str(snapshot["handle"])

    def bye(self, handle: str, reason: str | None = None) -> None:
        self.ended.append((handle, reason))


async def test_all_are_known_again_before_the_first_is_ended() -> None:
    kept, agent = Kept(), Agent()
    for handle in ("a", "b"):
        await kept.save(handle, {"version": 1, "handle": handle})
    leftovers = LeftoverDialogs(kept, agent, VirtualClock())
    assert await leftovers.restore() == 2
    assert (agent.restored, agent.ended) == (["a", "b"], [])
    await leftovers.end()
    assert agent.ended == [(handle, 'Q.850;cause=41;text="server_shutdown"') for handle in ("a", "b")]


async def test_one_that_cannot_be_read_is_deleted_and_costs_the_others_nothing() -> None:
    kept, agent = Kept(), Agent()
    await kept.save("old", {"version": 0, "handle": "old"})
    await kept.save("good", {"version": 1, "handle": "good"})
    assert await LeftoverDialogs(kept, agent, VirtualClock()).restore() == 1
    assert (agent.restored, list(kept.snapshots)) == (["good"], ["good"])


async def test_many_are_ended_a_few_at_a_time() -> None:
    kept, agent, clock = Kept(), Agent(), VirtualClock()
    for number in range(2 * BYES_AT_ONCE + 1):
        await kept.save(str(number), {"version": 1, "handle": str(number)})
    leftovers = LeftoverDialogs(kept, agent, clock)
    await leftovers.restore()
    ending = asyncio.create_task(leftovers.end())
    await settle()
    assert len(agent.ended) == BYES_AT_ONCE
    await clock.advance(0.1)
    assert len(agent.ended) == 2 * BYES_AT_ONCE
    await clock.advance(0.1)
    await ending
    assert len(agent.ended) == 2 * BYES_AT_ONCE + 1
