"""Registering at a peer: refreshed in time, asked for again when it fails, taken back at the end. In virtual time."""

from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from tests.unit.sip.sip_pair import Party, Wire

from longline.sip.access.auth import TrunkCredential
from longline.sip.access.digest_server import DigestServer, Outcome
from longline.sip.access.peers import Peer, Peers, Registration
from longline.sip.events import RegistrationChanged
from longline.sip.features.registration import BASE_WAIT_S, MAX_WAIT_S, MOVES, REFRESH_SHARE, Input, State
from longline.sip.syntax.headers import Headers
from longline.sip.syntax.message import Request, Response, parse
from longline.sip.wire import Source

REGISTRAR = "192.0.2.9"
CREDENTIAL = TrunkCredential(REGISTRAR, "alice", "secret")
WANTED = Registration(aor="sip:alice@carrier.example", registrar=f"sip:{REGISTRAR}", contact_user="alice")


class Registrar:
    """A registrar of a few lines: `answer(request)` gives status and headers; None is silence."""

    def __init__(self, party: Party) -> None:
        self.party = party
        self.requests: list[Request] = []
        self.answer: Callable[[Request], tuple[int, list[tuple[str, str]]] | None] = self.grants
        self.granted_s: int | None = None
        self.reason = "Whatever"

    def grants(self, request: Request) -> tuple[int, list[tuple[str, str]]]:
        expires = request.headers.get("Expires") if self.granted_s is None else str(self.granted_s)
        contact = request.headers.get("Contact")
        if request.headers.get("Expires") == "0":
            return 200, []
        return 200, [("Contact", "<sip:other@192.0.2.77>;expires=7"), ("Contact", f"{contact};expires={expires}")]

    def on_sent(self, data: bytes) -> None:
        request = parse(data)
        assert isinstance(request, Request)
        if self.requests and self.requests[-1].top_via.branch == request.top_via.branch:
            return  # a retransmission
        self.requests.append(request)
        answer = self.answer(request)
        if answer is None:
            return
        status, more = answer
        copied = [(name, request.headers.get(name) or "") for name in ("Via", "From", "Call-ID", "CSeq")]
        headers = Headers.of_canonical([*copied, ("To", f"{request.headers.get('To')};tag=r"), *more])
        response = Response(status, self.reason, headers).encode()
        wire = self.party.wire
        self.party.endpoint.receive(wire.now, Source("UDP", REGISTRAR, 5060), response)

    @property
    def asked_s(self) -> list[int]:
        return [int(request.headers.get("Expires") or "") for request in self.requests]


def registering(registration: Registration = WANTED, **peer: Any) -> tuple[Wire, Party, Registrar]:
    """A party that registers; nothing is sent before the time passes."""
    wire = Wire()
    alice = Party(wire, "192.0.2.1")
    registrar = Registrar(alice)
    carry = wire.carry

    def to_registrar(party: Party, transmit: Any) -> None:
        carry(party, transmit)
        if transmit.target.host == REGISTRAR:
            registrar.on_sent(transmit.data)

    wire.carry = to_registrar  # type: ignore[method-assign]
    alice.endpoint.set_peers(Peers([Peer("carrier", registration=registration, credential=CREDENTIAL, **peer)]))
    return wire, alice, registrar


def told(party: Party) -> list[tuple[str, str | None]]:
    return [(event.state, event.reason) for event in party.events if isinstance(event, RegistrationChanged)]


def test_a_registration_is_refreshed_before_it_runs_out() -> None:
    wire, alice, registrar = registering()
    began = wire.now
    wire.run(2 * 3600)
    assert registrar.asked_s == [3600, 3600, 3600]
    sent_at = [sent.at for sent in wire.sent]
    assert sent_at == [began, *(pytest.approx(began + n * 3600 * REFRESH_SHARE) for n in (1, 2))]
    assert told(alice) == [("registered", None)] * 3


def test_every_register_of_a_registration_has_one_call_id_and_a_higher_cseq() -> None:
    wire, _, registrar = registering()
    wire.run(7200)
    assert len({request.call_id for request in registrar.requests}) == 1
    assert [request.cseq for request in registrar.requests] == [(n, "REGISTER") for n in (1, 2, 3)]
    first = registrar.requests[0]
    assert first.uri == "sip:192.0.2.9" and first.from_.uri == first.to.uri == "sip:alice@carrier.example"
    assert first.headers.get("Contact") == "<sip:alice@192.0.2.1:5060>"


def test_what_the_registrar_grants_is_what_counts() -> None:
    wire, alice, registrar = registering()
    registrar.granted_s = 60
    wire.run(100)
    assert len(registrar.requests) == 3  # at 0, 48 and 96 seconds
    granted = [event.expires_s for event in alice.events if isinstance(event, RegistrationChanged)]
    assert granted == [60, 60, 60]


@pytest.mark.parametrize(
    ("headers", "expires_s"),
    [
        ([("Expires", "100")], 100),
        ([("Contact", "<sip:alice@192.0.2.1>;expires=200"), ("Expires", "100")], 200),
        ([("Contact", "<sip:alice@192.0.2.1:5060>;expires=nonsense")], 3600),
        ([("Contact", "<sip:alice@192.0.2.1:5060>;expires=4294967295")], 7 * 86400),
        ([("Contact", "nonsense <<")], 3600),
        ([], 3600),
    ],
)
def test_the_grant_is_read_from_wherever_it_stands(headers: list[tuple[str, str]], expires_s: int) -> None:
    wire, alice, registrar = registering()
    registrar.answer = lambda request: (200, headers)
    wire.run(1)
    (event,) = alice.events
    assert isinstance(event, RegistrationChanged) and event.expires_s == expires_s


def test_an_interval_that_is_too_brief_is_asked_for_longer_at_once() -> None:
    wire, alice, registrar = registering()

    def wants_two_hours(request: Request) -> tuple[int, list[tuple[str, str]]]:
        if int(request.headers.get("Expires") or 0) < 7200:
            return 423, [("Min-Expires", "7200")]
        return registrar.grants(request)

    registrar.answer = wants_two_hours
    wire.run(1)
    assert registrar.asked_s == [3600, 7200] and told(alice) == [("registered", None)]
    wire.run(7000)
    assert registrar.asked_s == [3600, 7200, 7200]


@pytest.mark.parametrize("least", ["3600", "60", "nonsense", "99999999999", None])
def test_a_423_that_asks_for_nothing_sensible_is_a_failure_and_no_loop(least: str | None) -> None:
    wire, alice, registrar = registering()
    registrar.answer = lambda request: (423, [("Min-Expires", least)] if least else [])
    wire.run(10)
    assert len(registrar.requests) == 1 and told(alice) == [("failed", "423 Whatever")]


def test_a_registrar_that_always_wants_longer_is_not_followed_for_ever() -> None:
    wire, alice, registrar = registering()
    registrar.answer = lambda request: (423, [("Min-Expires", str(int(request.headers.get("Expires") or 0) + 1))])
    wire.run(10)
    assert len(registrar.requests) == 3 and told(alice) == [("failed", "423 Whatever")]


def test_a_challenge_is_answered_and_its_nonce_used_again_until_it_is_stale() -> None:
    wire, alice, registrar = registering()
    registrar.granted_s = 250
    digests = DigestServer(b"k" * 32, "carrier.example", Counter())
    outcomes: list[Outcome] = []

    def challenges(request: Request) -> tuple[int, list[tuple[str, str]]]:
        outcome = digests.judge(wire.now, "192.0.2.1", request, {"alice": "secret"}.get).outcome
        outcomes.append(outcome)
        if outcome is Outcome.ADMITTED:
            return registrar.grants(request)
        values = digests.challenge(wire.now, "192.0.2.1", stale=outcome is Outcome.STALE)
        return 401, [("WWW-Authenticate", value) for value in values]

    registrar.answer = challenges
    wire.run(450)
    assert outcomes == [
        Outcome.MISSING, Outcome.ADMITTED, Outcome.ADMITTED, Outcome.STALE, Outcome.ADMITTED,
    ]  # fmt: skip
    assert told(alice) == [("registered", None)] * 3
    assert [request.cseq[0] for request in registrar.requests] == [1, 2, 3, 4, 5]


def test_a_password_that_is_refused_is_not_sent_again_at_once() -> None:
    wire, alice, registrar = registering()
    nonces = iter(range(100))
    challenge = 'Digest realm="r", nonce="{}", qop="auth"'
    registrar.answer = lambda request: (401, [("WWW-Authenticate", challenge.format(next(nonces)))])
    wire.run(5)
    assert len(registrar.requests) == 2 and told(alice) == [("failed", "401 Whatever")]


def test_after_failures_the_wait_doubles_up_to_its_bound() -> None:
    wire, alice, registrar = registering()
    registrar.answer = lambda request: (500, [])
    wire.run(4 * MAX_WAIT_S)
    waits = [event.retry_in_s for event in alice.events if isinstance(event, RegistrationChanged)]
    for number, wait in enumerate(waits):
        whole = min(MAX_WAIT_S, BASE_WAIT_S * 2**number)
        assert whole / 2 - 0.1 <= wait <= whole
    assert len(waits) >= 7
    registrar.answer = registrar.grants
    wire.run(MAX_WAIT_S)
    assert told(alice)[-1] == ("registered", None)


def test_a_failure_after_a_success_is_waited_for_as_the_first() -> None:
    wire, alice, registrar = registering()
    registrar.answer = lambda request: (500, [])
    wire.run(600)
    registrar.answer = registrar.grants
    wire.run(MAX_WAIT_S)
    registrar.answer = lambda request: (500, [])
    wire.run(3600)
    states = [event for event in alice.events if isinstance(event, RegistrationChanged)]
    first_after = next(b for a, b in pairwise(states) if a.state == "registered" != b.state)
    assert first_after.retry_in_s is not None and first_after.retry_in_s <= BASE_WAIT_S


@pytest.mark.parametrize(("text", "least_s"), [("120", 120), ("90 (lunch);duration=3600", 90), ("999999", 3600)])
def test_a_retry_after_is_waited_for(text: str, least_s: int) -> None:
    wire, alice, registrar = registering()
    registrar.answer = lambda request: (503, [("Retry-After", text)])
    wire.run(1)
    (event,) = alice.events
    assert isinstance(event, RegistrationChanged) and event.retry_in_s == least_s
    wire.run(least_s - 2)
    assert len(registrar.requests) == 1
    wire.run(3)
    assert len(registrar.requests) == 2


def test_what_a_registrar_says_of_its_refusal_is_told_in_short_and_in_print() -> None:
    wire, alice, registrar = registering()
    registrar.reason = "No\x1b[31m\udcff " + "x" * 1000
    registrar.answer = lambda request: (403, [])
    wire.run(1)
    ((state, reason),) = told(alice)
    assert state == "failed" and reason is not None
    assert reason.startswith("403 No[31m x") and len(reason) < 90 and reason.isprintable()


def test_silence_is_a_failure_and_is_told_once_per_try() -> None:
    wire, alice, registrar = registering()
    registrar.answer = lambda request: None
    wire.run(33)
    assert told(alice) == [("failed", "no response")]


def test_a_name_that_leads_nowhere_is_a_failure() -> None:
    wire, alice, _ = registering(Registration("sip:a@carrier.example", "sip:carrier.example", 3600, "a"))
    wire.run(1)
    assert told(alice) == [("failed", "the registrar could not be reached")]


def test_a_transport_that_we_do_not_have_is_a_failure() -> None:
    wire, alice, _ = registering(Registration("sip:a@c.example", f"sip:{REGISTRAR};transport=sctp", 3600, "a"))
    wire.run(1)
    assert told(alice) == [("failed", "transport SCTP is not supported")]


def test_when_the_node_stops_the_binding_is_taken_back() -> None:
    wire, alice, registrar = registering()
    wire.run(10)
    alice.endpoint.leave_registrars()
    assert alice.endpoint.is_leaving
    wire.run(1)
    assert registrar.asked_s == [3600, 0] and not alice.endpoint.is_leaving
    assert told(alice) == [("registered", None), ("unregistered", None)]
    wire.run(10_000)
    assert registrar.asked_s == [3600, 0]


def test_a_peer_that_goes_is_left_with_its_own_credential() -> None:
    wire, alice, registrar = registering()
    wire.run(10)
    challenge = 'Digest realm="r", nonce="n", qop="auth"'

    def challenges(request: Request) -> tuple[int, list[tuple[str, str]]]:
        if request.headers.get("Authorization"):
            return registrar.grants(request)
        return 401, [("WWW-Authenticate", challenge)]

    registrar.answer = challenges
    alice.endpoint.set_peers(Peers([]))
    wire.run(1)
    assert registrar.asked_s == [3600, 0, 0] and told(alice)[-1] == ("unregistered", None)
    assert alice.endpoint.next_timeout() is None or alice.endpoint.next_timeout() < wire.now + 60


def test_other_peers_that_come_and_go_do_not_disturb_a_registration() -> None:
    wire, alice, registrar = registering()
    wire.run(10)
    carrier = Peer("carrier", registration=WANTED, credential=CREDENTIAL, channel_limit=7)
    alice.endpoint.set_peers(Peers([carrier, Peer("other")]))
    wire.run(1000)
    assert registrar.asked_s == [3600]


def test_another_password_registers_anew() -> None:
    wire, alice, registrar = registering()
    wire.run(10)
    other = TrunkCredential(REGISTRAR, "alice", "another")
    alice.endpoint.set_peers(Peers([Peer("carrier", registration=WANTED, credential=other)]))
    wire.run(10)
    assert sorted(registrar.asked_s) == [0, 3600, 3600]
    assert len({request.call_id for request in registrar.requests}) == 2


def test_a_registrar_that_is_silent_at_the_end_does_not_keep_the_node() -> None:
    wire, alice, registrar = registering()
    wire.run(10)
    registrar.answer = lambda request: None
    alice.endpoint.leave_registrars()
    wire.run(40)
    assert not alice.endpoint.is_leaving and told(alice)[-1] == ("unregistered", None)


def test_the_table_leaves_no_state_without_a_way_out() -> None:
    for state in State:
        moves = {given for (before, given) in MOVES if before is state}
        assert moves or state is State.GONE
        assert state is State.GONE or state is State.LEAVING or Input.LEAVE in moves
