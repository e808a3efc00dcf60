"""A dialog is plain data: its snapshot goes on with the call somewhere else. And the route set it carries."""

import json
from dataclasses import fields

import pytest
from tests.unit.sip.sip_pair import ANSWER, OFFER, Party, established, pair

from longline.base.errors import LocalProtocolError
from longline.sip.access.auth import DigestSession
from longline.sip.dialog import Dialog
from longline.sip.events import Ended
from longline.sip.syntax.message import Request
from longline.sip.uac import Invitation
from longline.sip.wire import Source

UTC = 1_800_000_000.0


def make(**changes: object) -> Dialog:
    values: dict[str, object] = {
        "call_id": "c", "local_tag": "l", "remote_tag": "r", "local": "<sip:a@x>", "remote": "<sip:b@y>",
        "remote_target": "sip:b@192.0.2.7", "contact": "sip:a@192.0.2.1", "role": "caller", "local_cseq": 4,
    }  # fmt: skip
    return Dialog(**(values | changes))  # type: ignore[arg-type]


def test_snapshot_survives_json_and_holds_everything() -> None:
    digest = DigestSession(True, "realm", "nonce", "SHA-256", "auth", "opaque", False, 7)
    dialog = make(
        route_set=["<sip:p1;lr>", "<sip:p2;lr>"], remote_cseq=9, confirmed=True, transport="TCP", remote_host="h",
        remote_port=5, local_sdp=b"v=0\r\ns=\xff\xfe\r\n", remote_sdp=None, trunk="t", digests=[digest],
        open_invite="b",
    )  # fmt: skip
    assert Dialog.from_dict(json.loads(json.dumps(dialog.to_dict()))) == dialog


def test_every_field_of_a_dialog_moves_or_is_known_to_stay() -> None:
    stays = {"connection", "listener", "sent_sdp"}  # sockets cannot move; what was sent last need not
    assert {field.name for field in fields(Dialog)} - set(make().to_dict()) == stays


def test_snapshot_of_another_version_is_refused() -> None:
    with pytest.raises(ValueError, match="version 99"):
        Dialog.from_dict(make().to_dict() | {"version": 99})


@pytest.mark.parametrize("role", ["caller", "callee"])
def test_restored_call_takes_the_peers_bye(role: str) -> None:
    wire, alice, bob, ours, theirs = established()
    mover, peer, handle, other = (alice, bob, ours, theirs) if role == "caller" else (bob, alice, theirs, ours)
    snapshot = json.loads(json.dumps(mover.endpoint.snapshot(wire.now, handle, UTC)))
    survivor = Party(wire, mover.host)  # the address has moved; the old node is gone
    assert survivor.endpoint.restore(wire.now, snapshot, UTC) == handle
    peer.do("bye", other)
    wire.run(1)
    assert wire.words(survivor)[-1] == "200 BYE"
    assert survivor.events == [Ended(handle, "remote", "bye")]


@pytest.mark.parametrize("role", ["caller", "callee"])
def test_restored_call_can_end_with_its_own_bye(role: str) -> None:
    wire, alice, bob, ours, theirs = established()
    mover, peer, handle = (alice, bob, ours) if role == "caller" else (bob, alice, theirs)
    before = mover.endpoint.dialog(handle).local_cseq
    survivor = Party(wire, mover.host)
    survivor.endpoint.restore(wire.now, mover.endpoint.snapshot(wire.now, handle, UTC), UTC)
    survivor.do("bye", handle)
    wire.run(1)
    bye = wire.requests("BYE")[0]
    dialog = mover.endpoint.dialog(handle)
    assert (bye.from_.tag, bye.to.tag, bye.call_id) == (dialog.local_tag, dialog.remote_tag, dialog.call_id)
    assert bye.cseq[0] == before + 101  # a gap is legal, a number used twice is not
    assert bye.uri == dialog.remote_target
    assert peer.last(Ended).by == "remote"
    assert wire.words(peer)[-1] == "200 BYE"


def test_only_a_confirmed_call_can_move() -> None:
    _, alice, _ = pair()
    handle = alice.invite("192.0.2.2")
    with pytest.raises(LocalProtocolError):
        alice.endpoint.snapshot(0.0, handle, UTC)


def routing(request: Request) -> tuple[str, list[str]]:
    return request.uri, request.headers.get_all("Route")


def test_loose_route_set_is_followed() -> None:
    dialog = make(route_set=["<sip:p1.example.com;lr>", "<sip:p2.example.com;lr>"])
    assert routing(dialog.request("BYE")) == ("sip:b@192.0.2.7", dialog.route_set)
    assert dialog.next_hop().host == "p1.example.com"


def test_strict_router_takes_the_request_uri() -> None:
    dialog = make(route_set=["<sip:p1.example.com>", "<sip:p2.example.com;lr>"])
    expected = ("sip:p1.example.com", ["<sip:p2.example.com;lr>", "<sip:b@192.0.2.7>"])
    assert routing(dialog.request("BYE")) == expected
    assert dialog.next_hop().host == "p1.example.com"


def through_proxies(first: bytes, second: bytes) -> bytes:
    return first.replace(b"Contact:", second + b"Contact:", 1)


def test_callee_keeps_record_route_in_order_and_the_caller_in_reverse() -> None:
    wire, alice, bob = pair()
    wire.names["p1.example.com"] = ["192.0.2.51"]
    wire.drop = lambda sent: sent.word == "INVITE"
    handle = alice.invite("192.0.2.2")
    routes = b"Record-Route: <sip:p2.example.com;lr>,<sip:p1.example.com;lr>\r\n"
    source = Source("UDP", "192.0.2.1", 5060)
    wire.inject(bob, through_proxies(wire.sent[0].transmit.data, routes), source)
    theirs = bob.events[0].handle
    bob.do("answer", theirs, ANSWER)
    wire.run(0.1)
    assert bob.endpoint.dialog(theirs).route_set == ["<sip:p2.example.com;lr>", "<sip:p1.example.com;lr>"]
    assert alice.endpoint.dialog(handle).route_set == ["<sip:p1.example.com;lr>", "<sip:p2.example.com;lr>"]
    ack = wire.sent[-1]
    assert (ack.word, ack.transmit.target.host) == ("ACK", "192.0.2.51")
    assert ack.message.headers.get_all("Route") == ["<sip:p1.example.com;lr>", "<sip:p2.example.com;lr>"]


def test_call_through_a_trunk_carries_a_loose_route() -> None:
    wire, alice, _ = pair()
    wire.names["trunk.example.com"] = ["192.0.2.50"]
    alice.invite("192.0.2.9", route="sip:trunk.example.com:5070;transport=tcp", transport="udp", sdp=OFFER)
    (sent,) = wire.sent
    target = sent.transmit.target
    assert (target.host, target.server_name) == ("192.0.2.50", "trunk.example.com")
    assert (target.port, target.transport) == (5070, "TCP")
    assert sent.message.headers.get_all("Route") == ["<sip:trunk.example.com:5070;transport=tcp;lr>"]
    assert isinstance(sent.message, Request) and sent.message.uri == "sip:bob@192.0.2.9"
    assert ";transport=tcp" in (sent.message.headers.get("Contact") or "")


def test_tcp_dialog_keeps_its_connection_and_opens_another_when_it_has_gone() -> None:
    wire, alice, bob, _, theirs = established("tcp")
    assert bob.endpoint.dialog(theirs).connection == 7
    bob.endpoint.connection_lost(wire.now, 7)
    bob.do("bye", theirs)
    target = wire.sent[-1].transmit.target
    assert (target.transport, target.host, target.connection) == ("TCP", "192.0.2.1", None)
    wire.run(1)
    assert alice.last(Ended).by == "remote"


@pytest.mark.parametrize(
    "target",
    ["tel:+15550100", "bob", "sip:", "sip:bob@", "sips:bob@192.0.2.2", "sip:bob@x;transport=sctp", "sip:a b@x"],
)
def test_target_that_cannot_be_called_is_our_own_error(target: str) -> None:
    _, alice, _ = pair()
    with pytest.raises(LocalProtocolError):
        alice.endpoint.invite(0.0, Invitation(target, "sip:alice@192.0.2.1"))
    assert alice.endpoint.calls == 0


def test_header_that_would_forge_another_is_our_own_error_and_leaves_nothing_behind() -> None:
    wire, alice, bob = pair()
    with pytest.raises(LocalProtocolError):
        alice.invite("192.0.2.2", headers=[("Subject", "x\r\nX-Forged: 1")])
    assert (alice.endpoint.calls, alice.endpoint.transactions) == (0, 0)
    alice.invite("192.0.2.2")
    wire.run(0.1)
    with pytest.raises(LocalProtocolError):
        bob.do("reject", bob.events[0].handle, 486, None, [("Subject", "x\r\nX-Forged: 1")])
    bob.do("reject", bob.events[0].handle, 486)
    wire.run(0.1)
    assert alice.names() == ["Failed"]


def test_commands_for_a_call_that_is_over_do_nothing() -> None:
    wire, alice, bob, ours, theirs = established()
    alice.do("bye", ours)
    wire.run(1)
    before = len(wire.sent)
    for command in ("bye", "cancel", "ring"):
        bob.do(command, theirs)
    bob.do("answer", theirs, ANSWER)
    bob.do("reject", theirs, 486)
    assert len(wire.sent) == before
    assert bob.endpoint.counters["sip.stale_commands"] == 5


def test_commands_the_stage_does_not_allow_are_our_own_error() -> None:
    _, _, bob, _, theirs = established()
    for command in (("ring", theirs), ("answer", theirs, ANSWER), ("reject", theirs, 486)):
        with pytest.raises(LocalProtocolError):
            bob.do(*command)
    with pytest.raises(LocalProtocolError):
        bob.do("reject", theirs, 200)
