"""OPTIONS to the targets of peers: who is down and who is up again, and how often each is asked. In virtual time."""

from itertools import pairwise

import pytest
from tests.unit.sip.sip_pair import Party, Wire

from longline.sip.access.peers import Peer, Peers, PeerTarget
from longline.sip.events import TargetChanged
from longline.sip.features.health import DOWN_AFTER, PATIENCE_S, RETRY_S, UP_AFTER
from longline.sip.syntax.message import Request

TARGET = "sip:192.0.2.2"


def asking(*uris: str, interval_s: float = 30.0) -> tuple[Wire, Party, Party]:
    """Alice asks; Bob is a target. Nothing is sent before the time passes."""
    wire = Wire()
    alice, bob = Party(wire, "192.0.2.1"), Party(wire, "192.0.2.2")
    targets = tuple(PeerTarget(uri) for uri in uris or (TARGET,))
    alice.endpoint.set_peers(Peers([Peer("carrier", targets=targets, health_interval_s=interval_s)]))
    return wire, alice, bob


def told(party: Party) -> list[tuple[str, bool, str | None]]:
    return [(event.uri, event.is_up, event.reason) for event in party.events if isinstance(event, TargetChanged)]


def test_a_target_that_answers_is_asked_at_the_interval_and_nothing_is_told() -> None:
    wire, alice, _ = asking()
    wire.run(302)
    asked_at = [sent.at for sent in wire.sent if sent.word == "OPTIONS"]
    assert len(asked_at) == 11
    assert all(29.9 < b - a < 30.2 for a, b in pairwise(asked_at))
    assert told(alice) == []


def test_the_target_is_asked_and_not_whoever_it_is_for() -> None:
    wire, _, _ = asking("sip:someone@192.0.2.2;transport=tcp")
    wire.run(2)
    (request,) = wire.requests("OPTIONS")
    assert request.uri == "sip:192.0.2.2;transport=tcp" and wire.sent[0].transmit.target.transport == "TCP"


def test_a_silent_target_is_down_after_two_failures_and_up_after_two_answers() -> None:
    wire, alice, _ = asking()
    wire.run(20)
    bob_is_there = [False]
    wire.drop = lambda sent: not bob_is_there[0] and sent.sender == "192.0.2.2"
    wire.run(12 + PATIENCE_S + 1)
    assert told(alice) == []  # one failure is none
    wire.run(RETRY_S + PATIENCE_S)
    assert told(alice) == [(TARGET, False, "no response")]
    wire.run(600)
    assert len(told(alice)) == 1
    bob_is_there[0] = True
    wire.run(2 * (RETRY_S + PATIENCE_S))
    assert told(alice)[1:] == [(TARGET, True, None)]
    assert (DOWN_AFTER, UP_AFTER) == (2, 2)


def test_one_answer_between_failures_starts_the_count_anew() -> None:
    wire, alice, _ = asking()
    asked: list[str] = []

    def every_other_is_lost(sent: object) -> bool:
        assert hasattr(sent, "message") and hasattr(sent, "sender")
        if isinstance(sent.message, Request) and sent.message.method == "OPTIONS" and sent.message.call_id not in asked:
            asked.append(sent.message.call_id)
        return isinstance(sent.message, Request) and len(asked) % 2 == 0

    wire.drop = every_other_is_lost
    wire.run(1000)
    assert len(asked) > 20 and told(alice) == []


@pytest.mark.parametrize(("status", "is_up"), [(200, True), (401, True), (404, True), (405, True), (500, True),
                                                (408, False), (502, False), (503, False), (504, False)])  # fmt: skip
def test_any_answer_is_one_but_those_of_somebody_who_is_not_there(status: int, is_up: bool) -> None:
    wire, alice, bob = asking()
    bob.endpoint._core.outside["OPTIONS"] = lambda now, transaction, request: bob.endpoint._server.respond(
        now, transaction, status
    )
    wire.run(60)
    assert [event.is_up for event in alice.events if isinstance(event, TargetChanged)] == ([] if is_up else [False])


def test_a_name_that_leads_nowhere_and_a_transport_that_we_lack_are_down() -> None:
    wire, alice, _ = asking("sip:nowhere.example", "sip:192.0.2.2;transport=sctp")
    wire.run(30)
    assert sorted(told(alice)) == [
        ("sip:192.0.2.2;transport=sctp", False, "transport SCTP is not supported"),
        ("sip:nowhere.example", False, "it could not be reached"),
    ]


def test_a_name_is_up_as_long_as_one_of_its_servers_answers() -> None:
    wire, alice, bob = asking("sip:carrier.example")
    wire.names["carrier.example"] = ["192.0.2.8", "192.0.2.9", bob.host]
    wire.run(300)
    assert told(alice) == []
    wire.names["carrier.example"] = ["192.0.2.8", "192.0.2.9"]
    wire.run(300)
    assert told(alice) == [("sip:carrier.example", False, "no response")]


def test_an_answer_that_comes_too_late_changes_nothing() -> None:
    wire, alice, _ = asking()
    wire.delay = PATIENCE_S
    wire.run(100)
    assert told(alice) == [(TARGET, False, "no response")]


def test_targets_that_are_gone_are_asked_no_more() -> None:
    wire, alice, _ = asking(TARGET, "sip:192.0.2.3")
    wire.run(2)
    alice.endpoint.set_peers(Peers([]))
    wire.sent.clear()
    wire.run(1000)
    assert [sent for sent in wire.sent if sent.word == "OPTIONS" and sent.at > wire.now - 960] == []
    assert told(alice) == []
    assert alice.endpoint.transactions == 0 and alice.endpoint.next_timeout() is None


def test_a_peer_that_changes_keeps_what_is_known_of_its_targets() -> None:
    wire, alice, _ = asking("sip:192.0.2.3")
    wire.run(60)
    assert len(told(alice)) == 1
    alice.endpoint.set_peers(
        Peers([Peer("carrier", targets=(PeerTarget("sip:192.0.2.3"),), health_interval_s=30, channel_limit=3)])
    )
    wire.run(600)
    assert len(told(alice)) == 1


def test_an_interval_of_0_asks_nobody() -> None:
    wire, _, _ = asking(interval_s=0)
    wire.run(1000)
    assert wire.sent == []
