"""REGISTER at a node: who may, what it is told, and what is kept of it."""

import ipaddress

import pytest
from tests.unit.sip.sip_pair import Party, Wire
from tests.unit.sip.strangers import DOMAIN, PHONES, STRANGER, Phone, guarded

from longline.sip.access.bindings import MAX_BINDINGS
from longline.sip.access.default_deny import AdmissionPolicy
from longline.sip.access.peers import Peer, Peers, PeerTarget
from longline.sip.events import BindingsChanged
from longline.sip.wire import Source


def contacts(answer: object) -> list[str]:
    return answer.headers.get_all("Contact")  # type: ignore[attr-defined, no-any-return]


def test_registration_is_answered_with_what_is_bound_and_told_to_be_kept() -> None:
    wire, node = guarded()
    answer = Phone(wire, node, "alice").register()
    assert answer is not None and answer.status == 200
    assert contacts(answer) == ["<sip:alice@198.51.100.9:5060>;expires=600"]
    (told,) = node.events
    assert isinstance(told, BindingsChanged)
    assert told.account == "phone:alice"
    assert [(b["contact"], b["host"], b["expires_s"]) for b in told.bindings] == [
        ("sip:alice@198.51.100.9:5060", "198.51.100.9", 600.0)
    ]


def test_answer_waits_until_the_registration_is_stored() -> None:
    wire = Wire()
    kept = Party(wire, "192.0.2.3", admission=AdmissionPolicy(domains=(DOMAIN,)), keeps_bindings=True)
    kept.endpoint.set_peers(Peers(PHONES))
    alice = Phone(wire, kept, "alice")
    assert alice.register() is None
    (told,) = kept.events
    assert isinstance(told, BindingsChanged)
    kept.do("bindings_kept", told.ticket)
    (answer,) = [sent for sent in wire.sent if sent.word == "200 REGISTER"]
    assert answer.transmit.target.host == STRANGER.host
    kept.do("bindings_kept", told.ticket)
    assert wire.words().count("200 REGISTER") == 1


def test_nothing_is_told_when_nothing_has_changed() -> None:
    wire, node = guarded()
    alice = Phone(wire, node, "alice")
    alice.register()
    answer = alice.ask("REGISTER", f"sip:{DOMAIN}", to="sip:alice@here.example", extra="X: 1\r\n")
    assert answer is not None
    node.events.clear()
    (binding,) = node.endpoint.bindings(wire.now, "phone:alice")
    alice.register(expires=10)  # 423
    assert node.events == []
    assert node.endpoint.bindings(wire.now, "phone:alice") == (binding,)


def test_interval_too_brief_is_told_the_least() -> None:
    wire, node = guarded()
    answer = Phone(wire, node, "alice").register(expires=30)
    assert answer is not None
    assert (answer.status, answer.headers.get("Min-Expires")) == (423, "60")


@pytest.mark.parametrize("to", ["sip:bob@here.example", "sip:nobody@here.example", "tel:+14155550100"])
def test_nobody_registers_somebody_else(to: str) -> None:
    wire, node = guarded()
    answer = Phone(wire, node, "alice").register(to=to)
    assert answer is not None and answer.status == 403
    assert node.events == []


def test_register_needs_a_password_even_from_a_trusted_network_and_a_trunk() -> None:
    wire, node = guarded(networks=(ipaddress.ip_network("198.51.100.0/24"),))
    for source in (STRANGER, Source("UDP", "192.0.2.1", 5060)):
        answer = Phone(wire, node, "alice", source=source).send("REGISTER", f"sip:{DOMAIN}")
        assert answer is not None and answer.status == 401


def test_too_many_bindings_are_refused_and_counted() -> None:
    wire, node = guarded()
    statuses = []
    for n in range(MAX_BINDINGS + 1):
        source = Source("UDP", "198.51.100.9", 6000 + n)
        answer = Phone(wire, node, "alice", source=source).register(host=f"198.51.100.{n + 10}", call_id=f"phone{n}")
        statuses.append(answer.status if answer is not None else 0)
    assert statuses == [200] * MAX_BINDINGS + [403]
    assert node.endpoint.counters["sip.bindings_full"] == 1


@pytest.mark.parametrize(
    "extra",
    [
        "Contact: <sip:+19005550100@192.0.2.1>\r\n",
        "Contact: <sip:+19005550100@carrier.example;transport=tcp>\r\n",
        "Contact: <sip:service@here.example>\r\n",
        "Path: <sip:192.0.2.3;lr>\r\n",
    ],
)
def test_phone_cannot_say_that_it_is_at_a_trunk_or_here(extra: str) -> None:
    carrier = Peer("other", targets=(PeerTarget("sip:carrier.example"),))
    wire, node = guarded(carrier)
    answer = Phone(wire, node, "alice").ask("REGISTER", f"sip:{DOMAIN}", extra=extra)
    assert answer is not None and answer.status == 403
    assert node.endpoint.bindings(wire.now, "phone:alice") == ()


def test_path_comes_back_and_is_kept() -> None:
    wire, node = guarded()
    extra = "Path: <sip:edge.example;lr>\r\nSupported: path\r\n"
    answer = Phone(wire, node, "alice").ask("REGISTER", f"sip:{DOMAIN}", extra=extra)
    assert answer is not None
    assert answer.headers.get_all("Path") == ["<sip:edge.example;lr>"]
    assert "path" in str(answer.headers.get("Supported"))
    assert node.endpoint.bindings(wire.now, "phone:alice")[0].path == ("<sip:edge.example;lr>",)


def test_bindings_that_were_kept_come_back_but_for_what_has_expired() -> None:
    wire, node = guarded()
    Phone(wire, node, "alice").register()
    (told,) = node.events
    assert isinstance(told, BindingsChanged)
    _, other = guarded()
    late = [dict(binding, expires_s=binding["expires_s"] - 700) for binding in told.bindings]
    other.endpoint.restore_bindings(5.0, "phone:alice", [*told.bindings, *late])
    (binding,) = other.endpoint.bindings(5.0, "phone:alice")
    assert (binding.contact, binding.expires_at) == ("sip:alice@198.51.100.9:5060", 605.0)


def test_phone_that_has_registered_may_ask_whether_we_are_there() -> None:
    wire, node = guarded()
    alice = Phone(wire, node, "alice")
    assert alice.send("OPTIONS", f"sip:{DOMAIN}") is None
    alice.register()
    answer = alice.send("OPTIONS", f"sip:{DOMAIN}")
    assert answer is not None and answer.status == 200
    assert "REGISTER" in str(answer.headers.get("Allow"))


def test_way_to_a_phone_behind_a_nat_is_kept_open_as_long_as_it_is_registered() -> None:
    wire, node = guarded()
    home = Source("UDP", "198.51.100.9", 41822)
    Phone(wire, node, "alice", source=home).register(host="10.0.0.3", expires=120)
    Phone(wire, node, "bob").register(expires=600)  # has an address of its own, and is left alone
    wire.run(110)
    assert 4 <= len(wire.keep_alives) <= 5
    assert {(target.transport, target.host, target.port) for target in wire.keep_alives} == {
        ("UDP", "198.51.100.9", 41822)
    }
    wire.run(20)
    wire.keep_alives.clear()
    wire.run(60)
    assert wire.keep_alives == []
    node.endpoint.restore_bindings(wire.now, "phone:alice", [dict(_first(node), host="203.0.113.9", expires_s=100)])
    wire.run(26)
    assert len(wire.keep_alives) == 1


def _first(node: Party) -> dict[str, object]:
    told = next(event for event in node.events if isinstance(event, BindingsChanged))
    return dict(told.bindings[0])
