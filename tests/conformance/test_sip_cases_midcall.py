"""Calls that change while they last, on networks that are bad and between users who press buttons at random."""

import itertools
import json
import random
from typing import Any

import pytest
from tests.unit.sip.sip_pair import Party, Wire
from tests.unit.sip.telephones import Telephone

from longline.base.errors import LocalProtocolError
from longline.sip.core import EndpointSettings
from longline.sip.endpoint import Endpoint
from longline.sip.events import Ended, IncomingCall, ReofferFailed, SipEvent

UTC = 1_800_000_000.0
HOSTS = ("192.0.2.1", "192.0.2.2", "192.0.2.3")


def call(**wire: float) -> tuple[Wire, Telephone, Telephone, str, str]:
    """Alice has called Bob."""
    joined = Wire(**wire)  # type: ignore[arg-type]
    alice, bob = Telephone(joined, HOSTS[0]), Telephone(joined, HOSTS[1])
    ours = alice.call(f"sip:bob@{HOSTS[1]}")
    joined.run(1)
    return joined, alice, bob, ours, bob.calls[0]


def assert_nothing_is_left(wire: Wire, *parties: Party) -> None:
    wire.run(200)
    for party in parties:
        assert (party.endpoint.calls, party.endpoint.transactions) == (0, 0)
        assert party.endpoint.next_timeout() is None
        assert party.endpoint._core.dialogs == {}


def ends(events: list[SipEvent]) -> dict[str, list[str]]:
    """What ended each call: by its handle."""
    found: dict[str, list[str]] = {event.handle: [] for event in events if event.handle}
    for event in events:
        if type(event).__name__ in ("Ended", "Failed", "Canceled"):
            found[event.handle].append(type(event).__name__)
    return found


def test_a_thousand_holds_and_resumes_leave_a_call_as_it_was() -> None:
    wire, alice, bob, ours, theirs = call()
    wire.run(40)
    before = [(p.endpoint.transactions, len(p.endpoint._core.timers)) for p in (alice, bob)]
    cseq = alice.endpoint.dialog(ours).local_cseq
    for number in range(1000):
        (alice.hold if number % 2 == 0 else alice.resume)(ours)
        wire.run(0.2)
        assert bob.direction(theirs) == ("recvonly" if number % 2 == 0 else "sendrecv")
        wire.sent.clear()
    assert alice.endpoint.dialog(ours).local_cseq == cseq + 1000
    version = alice.endpoint.dialog(ours).local_sdp.split(b"o=")[1].split()[2]
    assert int(version) == 1 + 1000
    wire.run(40)
    assert [(p.endpoint.transactions, len(p.endpoint._core.timers)) for p in (alice, bob)] == before
    alice.hang_up(ours)
    assert_nothing_is_left(wire, alice, bob)


@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
@pytest.mark.parametrize("delay", [0.02, 0.2])
def test_glare_is_settled_for_both_sides(method: str, delay: float) -> None:
    """RFC 3261 §14.1, RFC 3311 §5.2: 491 to both. Bob, who did not make the Call-ID, comes first; Alice's offer, which
    was made before she knew his, is given up."""
    wire, alice, bob, ours, theirs = call(delay=delay)
    wire.run(2)
    wire.sent.clear()
    for phone, handle in ((alice, ours), (bob, theirs)):
        phone.reoffer(handle, "sendonly", method)
    wire.run(15)
    words = wire.words()
    assert words.count(f"491 {method}") >= 2
    assert words.count(f"200 {method}") == 1
    assert alice.last(ReofferFailed).cause == "overtaken"
    assert (alice.names().count("Reanswered"), bob.names().count("Reanswered")) == (0, 1)
    assert (alice.direction(ours), bob.direction(theirs)) == ("recvonly", "sendonly")
    bob.hang_up(theirs)
    assert_nothing_is_left(wire, alice, bob)


class KeptTelephone(Telephone):
    """Its dialogs are stored before what reveals them is sent, and its process may die at any moment."""

    def __init__(self, wire: Wire, host: str, **more: bool) -> None:
        self.stored: dict[str, dict[str, Any]] = {}
        self.lives = 1
        self.told_before: list[list[SipEvent]] = []
        super().__init__(wire, host, **more)
        self.endpoint = self._process()

    def drain(self) -> None:
        while True:
            while (transmit := self.endpoint.poll_transmit()) is not None:
                self._keep()
                self.wire.carry(self, transmit)
            self._keep()
            event = self.endpoint.poll_event()
            if event is None:
                return
            self.events.append(event)
            self.react(event)

    def die_and_come_back(self) -> None:
        """What was stored is restored: answered calls. What was ringing is lost here, and the far end will see."""
        self.lives += 1
        self.told_before.append(self.events)
        self.events = []
        self.endpoint = self._process()
        for kept in json.loads(json.dumps(list(self.stored.values()))):
            self.endpoint.restore(self.wire.now, kept, UTC + self.wire.now)
        self._referrals.clear()
        self.drain()

    def _process(self) -> Endpoint:
        life, numbers = self.lives, itertools.count(1)
        token = f"{self.host.rpartition('.')[2]}x{life}x"
        settings = EndpointSettings(host=self.host, keeps_dialogs=True)
        return Endpoint(settings, lambda: f"{token}{next(numbers)}")

    def _keep(self) -> None:
        while (change := self.endpoint.poll_change()) is not None:
            if change.is_gone:
                self.stored.pop(change.handle, None)
            else:
                self.stored[change.handle] = self.endpoint.snapshot(self.wire.now, change.handle, UTC + self.wire.now)


class Chance:
    """Presses buttons at random. What a call does not allow just now is a LocalProtocolError, and nothing else."""

    def __init__(self, wire: Wire, phones: list[Telephone], seed: int, transport: str = "udp") -> None:
        self._random = random.Random(seed)
        self._transport = transport
        self._wire, self._phones = wire, phones
        self.pressed = 0

    def press(self) -> None:
        phone = self._random.choice(self._phones)
        others = [other for other in self._phones if other is not phone]
        handles = [h for h in phone.endpoint._core.usages if h in phone.media or h in phone._offers]
        ringing = [e.handle for e in phone.events if isinstance(e, IncomingCall) and e.handle not in phone.media]
        button = self._random.choice(
            ("call", "hold", "resume", "update", "transfer", "join", "hang_up", "pick_up", "wait")
        )
        try:
            if button == "call" and len(handles) < 4:
                phone.call(self._uri(self._random.choice(others)))
            elif button == "pick_up" and ringing:
                phone.pick_up(self._random.choice(ringing))
            elif handles:
                self._press_in_call(phone, button, handles, self._random.choice(others))
            self.pressed += 1
        except LocalProtocolError:
            phone.drain()

    def _uri(self, phone: Telephone) -> str:
        return f"sip:phone@{phone.host};transport={self._transport}"

    def _press_in_call(self, phone: Telephone, button: str, handles: list[str], other: Telephone) -> None:
        handle = self._random.choice(handles)
        if button == "hold":
            phone.hold(handle)
        elif button == "resume":
            phone.resume(handle)
        elif button == "update":
            phone.reoffer(handle, "sendrecv", "UPDATE")
        elif button == "transfer":
            phone.transfer(handle, self._uri(other))
        elif button == "join" and len(handles) > 1:
            phone.transfer(handle, replaces=next(h for h in handles if h != handle))
        elif button == "hang_up":
            phone.hang_up(handle)


def play(seed: int, kind: type[Telephone], *, deaths: bool = False, transport: str = "udp") -> list[Telephone]:
    """Three users press buttons for some minutes on a network as bad as the seed has it, and then hang up."""
    bad = seed % 3
    wire = Wire(seed=seed, delay=0.05, jitter=0.4 * bad, loss=0.1 * bad, duplication=0.1 * bad)
    phones = [kind(wire, host, absent=host == HOSTS[seed % 3]) for host in HOSTS]
    chance = Chance(wire, phones, seed, transport)
    for number in range(120):
        chance.press()
        wire.run(chance._random.choice((0.0, 0.01, 0.1, 0.7, 5.0)))
        if transport == "tcp" and number % 5 == 4:
            lost = chance._random.choice(phones)
            lost.endpoint.connection_lost(wire.now, 7)
            lost.drain()
        if deaths and number % 20 == 19:
            chance._random.choice(phones).die_and_come_back()  # type: ignore[attr-defined]
    assert chance.pressed > 40
    for phone in phones:
        for event in [event for event in phone.events if isinstance(event, IncomingCall)]:
            if event.handle in phone.endpoint._core.usages and event.handle not in phone.media:
                phone.do("reject", event.handle, 480)
        for handle in list(phone.endpoint._core.usages):
            try:
                phone.hang_up(handle)
            except LocalProtocolError:
                phone.do("reject", handle, 480)
    wire.run(70)
    for phone in phones:  # what a transfer began meanwhile
        for handle in list(phone.endpoint._core.usages):
            try:
                phone.hang_up(handle)
            except LocalProtocolError:
                phone.do("reject", handle, 480)
    wire.run(4000)
    assert_nothing_is_left(wire, *phones)
    return phones


@pytest.mark.parametrize("seed", range(30))
def test_whatever_three_users_do_each_call_ends_once_and_nothing_is_left(seed: int) -> None:
    for phone in play(seed, Telephone):
        assert all(len(what) <= 1 for what in ends(phone.events).values()), ends(phone.events)
        assert not any(isinstance(event, Ended) and event.by not in ("local", "remote") for event in phone.events)


@pytest.mark.parametrize("seed", range(20))
def test_whoever_dies_in_mid_call_and_comes_back_each_call_ends_and_nothing_is_left(seed: int) -> None:
    for phone in play(seed, KeptTelephone, deaths=True):
        assert isinstance(phone, KeptTelephone)
        assert phone.stored == {}
        for told in (*phone.told_before, phone.events):  # a BYE under way at a death is sent once more
            assert all(len(what) <= 1 for what in ends(told).values()), ends(told)


@pytest.mark.parametrize("seed", range(10))
def test_whatever_users_do_while_connections_close_each_call_ends_once_and_nothing_is_left(seed: int) -> None:
    for phone in play(seed, Telephone, transport="tcp"):
        assert all(len(what) <= 1 for what in ends(phone.events).values()), ends(phone.events)
