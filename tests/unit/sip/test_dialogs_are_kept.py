"""What a dialog is must be stored before the message that reveals it leaves; and nothing else waits."""

import asyncio
import json
from collections import Counter

import pytest
from tests.unit.sip.sip_pair import ANSWER, OFFER, Party, Wire, answers_at_once, established

from longline.base.errors import LocalProtocolError
from longline.sip import outbox
from longline.sip.dialog_store import MemoryDialogStore
from longline.sip.events import Ended
from longline.sip.outbox import Outbox
from longline.sip.timers import Timer
from longline.sip.wire import Target, Transmit

UTC = 1_800_000_000.0


class Keeper(Party):
    """An endpoint that keeps its dialogs. `journal` is what was stored and sent, in order."""

    def __init__(self, wire: Wire, host: str) -> None:
        super().__init__(wire, host, keeps_dialogs=True)
        self.journal: list[str] = []
        self.stored: dict[str, dict[str, object]] = {}

    def keep(self) -> None:
        while (change := self.endpoint.poll_change()) is not None:
            if change.is_gone:
                del self.stored[change.handle]
                self.journal.append("delete")
            else:
                self.stored[change.handle] = self.endpoint.snapshot(self.wire.now, change.handle, UTC)
                self.journal.append("store")

    def drain(self) -> None:
        while True:
            while (transmit := self.endpoint.poll_transmit()) is not None:
                self.keep()
                self.wire.carry(self, transmit)
                self.journal.append(self.wire.sent[-1].word)
            self.keep()
            event = self.endpoint.poll_event()
            if event is None:
                return
            self.events.append(event)
            self.react(event)


def kept_call(host: str = "192.0.2.2") -> tuple[Wire, Party, Keeper, str, str]:
    """Alice has called the keeper, or the keeper Bob, and the call is answered."""
    wire = Wire()
    if host == "192.0.2.2":
        alice, keeper = Party(wire, "192.0.2.1"), Keeper(wire, "192.0.2.2")
        answers_at_once(keeper)
        ours = alice.invite("192.0.2.2")
        wire.run(1)
        return wire, alice, keeper, ours, keeper.events[0].handle
    caller, bob = Keeper(wire, "192.0.2.1"), Party(wire, "192.0.2.2")
    answers_at_once(bob)
    handle = caller.invite("192.0.2.2")
    wire.run(1)
    return wire, bob, caller, bob.events[0].handle, handle


def test_callee_is_stored_before_its_200_leaves() -> None:
    _, _, keeper, _, _ = kept_call()
    assert keeper.journal.index("store") < keeper.journal.index("200 INVITE")
    assert keeper.journal.count("store") == 1


def test_caller_is_stored_before_its_ack_leaves() -> None:
    _, _, keeper, _, _ = kept_call("192.0.2.1")
    assert keeper.journal == ["INVITE", "store", "ACK"]


def test_message_that_reveals_nothing_new_waits_for_nothing() -> None:
    wire, alice, keeper, ours, _ = kept_call()
    keeper.journal.clear()
    info = alice.endpoint.dialog(ours).request("OPTIONS")
    info.headers.push("Via", "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKoptions")
    wire.inject(keeper, info.encode())
    assert keeper.journal == ["200 OPTIONS"]


def test_reinvite_of_the_peer_is_stored_before_its_answer_leaves() -> None:
    wire, alice, keeper, ours, handle = kept_call()
    keeper.journal.clear()
    alice.do("reoffer", ours, OFFER.replace(b"4000", b"4002"))
    wire.run(1)
    assert keeper.journal == ["100 INVITE", "store", "200 INVITE"]
    assert b"4002" in (keeper.endpoint.dialog(handle).remote_sdp or b"")
    assert "4002" in json.dumps(keeper.stored[handle])


def test_requests_that_only_count_are_stored_before_the_counts_could_meet_again() -> None:
    wire, _, keeper, _, handle = kept_call("192.0.2.1")
    keeper.journal.clear()
    for _ in range(120):
        exchange = keeper.endpoint._core.exchanges
        dialog = keeper.endpoint.dialog(handle)
        exchange.send_within(wire.now, dialog.request("OPTIONS"), _Nobody(), dialog, handle)
        keeper.drain()
    assert keeper.journal.count("store") >= 2
    stored = keeper.stored[handle]["dialog"]
    assert isinstance(stored, dict) and stored["local_cseq"] + 100 > keeper.endpoint.dialog(handle).local_cseq


def test_call_that_is_over_is_deleted() -> None:
    for who in ("peer", "keeper"):
        wire, alice, keeper, ours, handle = kept_call()
        (alice.do("bye", ours) if who == "peer" else keeper.do("bye", handle))
        wire.run(1)
        assert "delete" in keeper.journal and not keeper.stored


def test_call_that_is_never_answered_is_never_stored() -> None:
    wire = Wire()
    alice, keeper = Party(wire, "192.0.2.1"), Keeper(wire, "192.0.2.2")
    handle = alice.invite("192.0.2.2")
    wire.run(1)
    alice.do("cancel", handle)
    wire.run(1)
    assert not {"store", "delete"} & set(keeper.journal)


def test_endpoint_that_keeps_nothing_tells_no_changes() -> None:
    _, alice, bob, _, _ = established()
    assert alice.endpoint.poll_change() is None
    assert bob.endpoint.poll_change() is None


# ---- what goes on elsewhere


def test_restored_call_is_deleted_when_it_ends() -> None:
    wire, alice, keeper, ours, handle = kept_call()
    survivor = Keeper(wire, keeper.host)
    survivor.stored = dict(keeper.stored)
    assert survivor.endpoint.restore(wire.now, json.loads(json.dumps(keeper.stored[handle])), UTC) == handle
    alice.do("bye", ours)
    wire.run(1)
    assert sorted(survivor.journal) == ["200 BYE", "delete"]
    assert survivor.events == [Ended(handle, "remote", "bye")]


def test_restored_call_can_be_changed_by_either_side_with_versions_that_go_on() -> None:
    wire, alice, keeper, ours, handle = kept_call()
    keeper.do("reoffer", handle, ANSWER.replace(b"5000", b"5002"))
    wire.run(1)
    before = keeper.endpoint.dialog(handle)
    survivor = Keeper(wire, keeper.host)
    answers_at_once(survivor)
    survivor.endpoint.restore(wire.now, keeper.stored[handle], UTC)
    survivor.do("reoffer", handle, ANSWER.replace(b"5000", b"5004"))
    wire.run(1)
    assert alice.names()[-1] == "Reoffer"
    again = survivor.endpoint.dialog(handle)
    assert again.sdp_version is not None and before.sdp_version is not None
    assert (again.sdp_origin, again.sdp_version) == (before.sdp_origin, before.sdp_version + 1)
    assert again.local_cseq > before.local_cseq + 99
    alice.do("reanswer", ours, OFFER)
    wire.run(5)
    alice.do("reoffer", ours, OFFER.replace(b"4000", b"4008"))
    wire.run(5)
    assert b"4008" in (survivor.endpoint.dialog(handle).remote_sdp or b"")


def test_timer_fires_at_its_absolute_time_wherever_the_call_is() -> None:
    wire, _, keeper, _, handle = kept_call()
    core = keeper.endpoint._core
    core.moving_timers.append(Timer.RING_REFRESH)
    core.timers.arm(handle, Timer.RING_REFRESH, wire.now + 90)
    taken = keeper.endpoint.snapshot(wire.now, handle, UTC)
    survivor = Party(wire, "192.0.2.9")
    other = survivor.endpoint._core
    fired: list[float] = []
    other.usage_timers[Timer.RING_REFRESH] = lambda now, usage: fired.append(now)
    survivor.endpoint.restore(5000.0, taken, UTC + 60)  # another clock, a minute later
    assert survivor.endpoint.next_timeout() == pytest.approx(5030.0)
    survivor.endpoint.handle_timeout(5030.0)
    assert fired == [pytest.approx(5030.0)]


def test_session_that_nobody_refreshes_ends_at_its_time_wherever_it_is() -> None:
    wire = Wire()
    caller, bob = Party(wire, "192.0.2.1", session_expires_s=1800, keeps_dialogs=True), Party(wire, "192.0.2.2")
    answers_at_once(bob)
    began = wire.now
    handle = caller.invite("192.0.2.2")
    wire.run(600)
    taken = json.loads(json.dumps(caller.endpoint.snapshot(wire.now, handle, UTC)))
    survivor = Party(wire, "192.0.2.1")
    survivor.endpoint.restore(wire.now, taken, UTC)
    wire.drop = lambda sent: sent.sender == "192.0.2.2"  # and so its refreshes
    wire.run(1300)
    (bye,) = [sent for sent in wire.sent if sent.word == "BYE" and sent.sender == "192.0.2.1"][:1]
    # RFC 4028 §10: 32 s before the 1800 s are over.
    assert bye.at - began == pytest.approx(1768, abs=1)


def test_timer_that_ran_out_meanwhile_is_due_at_once() -> None:
    wire, _, keeper, _, handle = kept_call()
    core = keeper.endpoint._core
    core.moving_timers.append(Timer.RING_REFRESH)
    core.timers.arm(handle, Timer.RING_REFRESH, wire.now + 90)
    taken = keeper.endpoint.snapshot(wire.now, handle, UTC)
    survivor = Party(wire, "192.0.2.9")
    survivor.endpoint.restore(5000.0, taken, UTC + 600)
    assert survivor.endpoint.next_timeout() == 5000.0


def test_answer_to_a_reinvite_that_was_lost_on_the_way_is_acknowledged() -> None:
    wire, _, keeper, _, handle = kept_call()
    keeper.journal.clear()
    wire.drop = lambda sent: sent.word == "200 INVITE"
    keeper.do("reoffer", handle, ANSWER.replace(b"5000", b"5002"))
    wire.run(0.01)
    taken = keeper.stored[handle]
    assert isinstance(taken["dialog"], dict) and taken["dialog"]["open_invite"] is not None
    survivor = Keeper(wire, keeper.host)
    survivor.endpoint.restore(wire.now, taken, UTC)
    alice = wire.parties["192.0.2.1"]
    answers_at_once(alice, OFFER)
    wire.drop = lambda sent: False
    wire.run(40)
    assert "ACK" in wire.words(survivor)
    assert "BYE" not in wire.words()  # which Alice would send were her 200 never acknowledged


@pytest.mark.parametrize(
    "broken",
    [
        {"version": 2},
        {"dialog": {}},
        {"dialog": None},
        {"timers": {"NO_SUCH_TIMER": 1.0}},
        {"dialog": {"version": 99}},
        {"padding": "x" * 70_000},
    ],
)
def test_what_is_no_snapshot_of_this_version_is_refused(broken: dict[str, object]) -> None:
    wire, _, keeper, _, handle = kept_call()
    taken = keeper.stored[handle] | broken
    survivor = Party(wire, "192.0.2.9")
    with pytest.raises(ValueError):
        survivor.endpoint.restore(wire.now, taken, UTC)
    assert survivor.endpoint.calls == 0


def test_call_is_restored_once() -> None:
    wire, _, keeper, _, handle = kept_call()
    survivor = Party(wire, "192.0.2.9")
    survivor.endpoint.restore(wire.now, keeper.stored[handle], UTC)
    with pytest.raises(LocalProtocolError):
        survivor.endpoint.restore(wire.now, keeper.stored[handle], UTC)


class _Nobody:
    def on_sending(self, *_: object) -> None: ...
    def on_response(self, *_: object) -> None: ...
    def on_failure(self, *_: object) -> None: ...


# ---- the outbox


class SlowStore(MemoryDialogStore):
    """Commits when told to."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Event()
        self.is_broken = False

    async def save(self, handle: str, snapshot: dict[str, object]) -> None:
        await self.gate.wait()
        if self.is_broken:
            raise OSError("disk full")
        await super().save(handle, snapshot)


def transmit(word: str, handle: str | None) -> Transmit:
    return Transmit(Target("UDP", "192.0.2.1", 5060), word.encode(), handle=handle)


def box(store: SlowStore) -> tuple[Outbox, list[str], Counter[str]]:
    sent: list[str] = []
    counters: Counter[str] = Counter()
    return Outbox(store, lambda transmit: sent.append(transmit.data.decode()), counters), sent, counters


async def turns(count: int = 5) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_messages_of_one_call_wait_in_order_and_those_of_others_do_not() -> None:
    store = SlowStore()
    outbox_, sent, _ = box(store)
    outbox_.save("a", {"n": 1})
    for word, handle in (("a1", "a"), ("b1", "b"), ("none", None), ("a2", "a")):
        outbox_.send(transmit(word, handle))
    await turns()
    assert sent == ["b1", "none"]
    store.gate.set()
    await outbox_.drain()
    assert sent == ["b1", "none", "a1", "a2"]
    assert store.snapshots == {"a": {"n": 1}}
    outbox_.send(transmit("a3", "a"))
    assert sent[-1] == "a3"


async def test_store_that_fails_costs_a_counter_and_not_the_call() -> None:
    store = SlowStore()
    store.is_broken = True
    outbox_, sent, counters = box(store)
    outbox_.save("a", {})
    outbox_.send(transmit("a1", "a"))
    store.gate.set()
    await outbox_.drain()
    assert (sent, counters["sip.dialogs_not_kept"]) == (["a1"], 1)


async def test_store_that_hangs_is_waited_for_so_long_and_no_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "KEEP_TIMEOUT_S", 0.01)
    outbox_, sent, counters = box(SlowStore())
    outbox_.save("a", {})
    outbox_.send(transmit("a1", "a"))
    await outbox_.drain()
    assert (sent, counters["sip.dialogs_not_kept"]) == (["a1"], 1)


async def test_more_messages_than_may_wait_are_sent_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "MAX_WAITING", 1)
    store = SlowStore()
    outbox_, sent, counters = box(store)
    outbox_.save("a", {})
    outbox_.send(transmit("a1", "a"))
    outbox_.send(transmit("a2", "a"))
    assert (sent, counters["sip.transmits_not_held"]) == (["a2"], 1)
    store.gate.set()
    await outbox_.drain()
    assert sent == ["a2", "a1"]
