"""Whatever two users do, whenever and over whatever network: when it is quiet both sides have the same session.

Early media, 100rel, UPDATE before the answer, offers that come late, glare, refusals and refreshes, at random.
"""

import contextlib
import random

import pytest
from tests.unit.sip.sip_pair import Party, Wire

from longline.base.errors import LocalProtocolError
from longline.sip.events import Answered, Ended, IncomingCall, Reoffer, SipEvent
from longline.sip.usage import Stage

ALICE, BOB = "192.0.2.1", "192.0.2.2"
REQUIRE = (("Require", "100rel"),)


class User:
    """Answers, rings, offers and refuses at random, each description with another port."""

    def __init__(self, wire: Wire, host: str, seed: int) -> None:
        self.party = Party(wire, host, session_expires_s=600)
        self.party.react = self._react
        self.handle: str | None = None
        self._random = random.Random(f"{seed} {host}")
        self._port = 10_000 + (20_000 if host == BOB else 0)
        self._later: list[tuple[float, SipEvent]] = []

    def sdp(self) -> bytes:
        self._port += 2
        host = self.party.host
        return (
            f"v=0\r\no=- {host[-1]} 1 IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\n"
            f"m=audio {self._port} RTP/AVP 0\r\n"
        ).encode()

    def call(self, host: str) -> None:
        sdp = None if self._random.random() < 0.3 else self.sdp()
        self.handle = self.party.invite(host, sdp=sdp, headers=REQUIRE if self._random.random() < 0.4 else ())

    def _react(self, event: SipEvent) -> None:
        if isinstance(event, IncomingCall):
            self.handle = event.handle
        if isinstance(event, Reoffer) or (isinstance(event, Answered) and self._is_asked()):
            if self._random.random() < 0.5:
                self._answer(event)
            else:
                self._later.append((self.party.wire.now, event))

    def _is_asked(self) -> bool:
        """The 200 brought an offer."""
        return self.party.endpoint._core.usages[self.handle or ""].stage is Stage.ANSWERING

    def _answer(self, event: SipEvent) -> None:
        now, endpoint = self.party.wire.now, self.party.endpoint
        if is_over(self):
            return
        if isinstance(event, Answered):
            endpoint.answer(now, event.handle, self.sdp())
        elif isinstance(event, Reoffer) and self._random.random() < 0.2:
            endpoint.reject_reoffer(now, event.handle, self._random.choice((488, 491, 500, 603)))
        elif isinstance(event, Reoffer):
            endpoint.reanswer(now, event.handle, self.sdp())

    def settle(self, patience_s: float = 0.0) -> None:
        """Answer what has been asked so long ago."""
        now = self.party.wire.now
        due = [event for at, event in self._later if at + patience_s <= now]
        self._later = [(at, event) for at, event in self._later if at + patience_s > now]
        for event in due:
            self._answer(event)
        self.party.drain()

    def act(self) -> None:
        """One thing at random; what the call does not allow now is a LocalProtocolError, and nothing else."""
        if self._later and self._random.random() < 0.5:
            self.settle()
            return
        if self.handle is None:
            return
        now, endpoint = self.party.wire.now, self.party.endpoint
        try:
            match self._random.randrange(6):
                case 0:
                    endpoint.ring(now, self.handle, self.sdp() if self._random.random() < 0.6 else None)
                case 1 if self.handle.startswith("i"):
                    endpoint.answer(now, self.handle, self.sdp())
                case 2 | 3:
                    endpoint.reoffer(now, self.handle, self.sdp(), self._random.choice((None, "INVITE", "UPDATE")))
                case 4:
                    endpoint.reoffer(now, self.handle, self.sdp(), "UPDATE")
        except LocalProtocolError:
            pass
        self.party.drain()


def is_over(user: User) -> bool:
    return any(type(event).__name__ in ("Ended", "Failed", "Canceled") for event in user.party.events)


@pytest.mark.parametrize("network", ["good", "slow", "bad"])
@pytest.mark.parametrize("seed", range(40))
def test_both_sides_have_the_same_session_when_it_is_quiet(seed: int, network: str) -> None:
    delay, jitter, loss = {"good": (0.02, 0.0, 0.0), "slow": (0.4, 0.5, 0.0), "bad": (0.05, 0.3, 0.15)}[network]
    wire = Wire(seed=seed, delay=delay, jitter=jitter, loss=loss, duplication=loss)
    alice, bob = User(wire, ALICE, seed), User(wire, BOB, seed)
    chance = random.Random(seed)
    alice.call(BOB)
    for _ in range(40):
        wire.run(chance.choice((0.0, 0.01, 0.05, 0.3, 1.0, 4.0)))
        for user in (alice, bob):
            user.settle(patience_s=8)
        chance.choice((alice, bob)).act()
        if is_over(alice) or is_over(bob):
            break
    wire.loss = wire.duplication = 0.0
    for _ in range(20):
        for user in (alice, bob):
            user.settle()
        wire.run(4)
        if bob.handle is not None and bob.handle in bob.party.endpoint._core.usages:
            with contextlib.suppress(LocalProtocolError):
                bob.party.do("answer", bob.handle, bob.sdp())
    for user in (alice, bob):
        assert not any(e.cause in ("no_prack", "no_ack", "gone") for e in user.party.events if isinstance(e, Ended))
    if not is_over(alice) and not is_over(bob):
        ours, theirs = (user.party.endpoint.dialog(user.handle or "") for user in (alice, bob))
        assert (ours.open_offer, theirs.open_offer) == ("", "")
        assert ours.local_sdp == theirs.remote_sdp
        assert ours.remote_sdp == theirs.local_sdp
        assert ours.sessions == theirs.sessions >= 1
        for user in (alice, bob):
            usage = user.party.endpoint._core.usages[user.handle or ""]
            assert (usage.change, usage.asked, usage.reinvite, usage.answer_waits) == (None, None, None, None)
        alice.party.do("bye", alice.handle)
    wire.run(700)
    for user in (alice, bob):
        assert is_over(user)
        endpoint = user.party.endpoint
        assert (endpoint.calls, endpoint.transactions, endpoint.next_timeout()) == (0, 0, None)
        assert endpoint._core.dialogs == {}
