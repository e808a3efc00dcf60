"""Calls to an account of ours: its phones are found where they have registered, one after the other."""

from tests.unit.sip.sip_pair import OFFER, Party, Wire, answers_at_once
from tests.unit.sip.strangers import DOMAIN, Phone, guarded

from longline.sip.access.bindings import Binding
from longline.sip.access.peers import DigestUser, Peer
from longline.sip.events import Answered, Ended, Failed
from longline.sip.uac import Invitation
from longline.sip.wire import Hop, Source, Target

ALICE = f"sip:alice@{DOMAIN}"


def call(wire: Wire, node: Party, target: str = ALICE, **more: object) -> str:
    invitation = Invitation(target, f"sip:service@{DOMAIN}", sdp=OFFER, **more)  # type: ignore[arg-type]
    handle = node.endpoint.invite(wire.now, invitation)
    node.drain()
    return handle


def two_phones(qs: tuple[float, float] = (0.9, 0.5)) -> tuple[Wire, Party, Party, Party]:
    """Alice has a desk phone and a mobile; the desk phone is wanted more."""
    wire, node = guarded()
    desk, mobile = Party(wire, "198.51.100.1"), Party(wire, "198.51.100.2")
    until = wire.now + 600
    bindings = [
        Binding(f"sip:alice@{party.host}", "UDP", party.host, 5060, until, party.host, 1, q=q).to_dict(wire.now)
        for party, q in zip((desk, mobile), qs, strict=True)
    ]
    node.endpoint.restore_bindings(wire.now, "phone:alice", bindings)
    return wire, node, desk, mobile


def test_phone_that_registered_is_called_at_its_contact_in_its_own_name() -> None:
    wire, node = guarded()
    desk = Party(wire, "198.51.100.9")
    answers_at_once(desk)
    Phone(wire, node, "alice").register()
    call(wire, node)
    wire.run(1)
    (invite,) = wire.requests("INVITE")
    assert invite.uri == "sip:alice@198.51.100.9:5060"
    assert invite.to.uri == ALICE
    assert isinstance(node.events[-1], Answered)


def test_phone_that_is_nowhere_is_temporarily_unavailable() -> None:
    wire, node = guarded()
    call(wire, node)
    failed = node.events[-1]
    assert isinstance(failed, Failed)
    assert (failed.status, failed.cause) == (480, "rejected")
    assert node.endpoint.calls == 0
    assert wire.sent == []


def test_phone_that_has_all_its_calls_is_busy() -> None:
    one = Peer("phone:carol", users=(DigestUser("carol", "carol's password"),), is_trunk=False, channel_limit=1)
    wire, node = guarded(one)
    carol = Phone(wire, node, "carol")
    carol.register()
    carol.ask("INVITE")
    call(wire, node, f"sip:carol@{DOMAIN}")
    failed = node.events[-1]
    assert isinstance(failed, Failed)
    assert failed.status == 486


def test_phone_behind_a_nat_is_called_and_ended_where_it_was_heard_from() -> None:
    wire, node = guarded()
    home = Source("UDP", "198.51.100.9", 41822)
    Phone(wire, node, "alice", source=home).register(host="10.0.0.3")
    desk = Party(wire, "198.51.100.9")
    answers_at_once(desk)
    handle = call(wire, node)
    wire.run(1)
    node.do("bye", handle)
    wire.run(1)
    ours = [sent for sent in wire.sent if sent.sender == node.host and sent.word in ("INVITE", "ACK", "BYE")]
    assert [sent.word for sent in ours] == ["INVITE", "ACK", "BYE"]
    # The wire delivers by host; the port is that of the NAT for the INVITE and for all that follows.
    assert {sent.transmit.target for sent in ours} == {Target("UDP", "198.51.100.9", 41822)}
    assert wire.requests("INVITE")[0].uri == "sip:alice@10.0.0.3:5060"


def test_phone_behind_a_proxy_is_called_through_its_path() -> None:
    wire, node = guarded()
    extra = "Expires: 600\r\nSupported: path\r\nPath: <sip:203.0.113.1;lr>\r\n"
    Phone(wire, node, "alice").ask("REGISTER", f"sip:{DOMAIN}", extra=extra)
    call(wire, node)
    (invite,) = wire.requests("INVITE")
    assert invite.headers.get_all("Route") == ["<sip:203.0.113.1;lr>"]
    assert wire.sent[-1].transmit.target.host == "203.0.113.1"


def test_phone_over_tcp_is_called_over_its_own_connection_and_by_its_contact_when_that_is_gone() -> None:
    wire, node = guarded()
    source = Source("TCP", "198.51.100.9", 40001, 7)
    Phone(wire, node, "alice", source=source).ask(
        "REGISTER", f"sip:{DOMAIN}", extra="Expires: 600\r\n", transport="TCP"
    )
    call(wire, node)
    assert (wire.sent[-1].transmit.target.transport, wire.sent[-1].transmit.target.connection) == ("TCP", 7)
    node.endpoint.connection_lost(wire.now, 7)
    node.drain()
    call(wire, node)
    assert wire.sent[-1].transmit.target.connection is None


def test_second_phone_is_called_when_the_first_is_busy() -> None:
    wire, node, desk, mobile = two_phones()
    desk.react = lambda event: desk.endpoint.reject(wire.now, event.handle, 486)
    answers_at_once(mobile)
    handle = call(wire, node)
    wire.run(2)
    assert [type(event).__name__ for event in node.events if event.handle == handle][-1] == "Answered"
    first, second = wire.requests("INVITE")
    assert (first.uri, second.uri) == ("sip:alice@198.51.100.1", "sip:alice@198.51.100.2")
    assert first.call_id == second.call_id
    assert (first.from_.tag, second.cseq[0]) == (second.from_.tag, first.cseq[0] + 1)
    assert second.body == first.body
    assert len(second.headers.get_all("Via")) == len(second.headers.get_all("Contact")) == 1
    node.do("bye", handle)
    wire.run(1)
    assert isinstance(mobile.events[-1], Ended)
    assert (node.endpoint.calls, mobile.endpoint.calls) == (0, 0)


def test_second_phone_is_called_when_the_first_only_rings() -> None:
    wire, node, desk, mobile = two_phones()
    desk.react = lambda event: (
        desk.endpoint.ring(wire.now, event.handle) if type(event).__name__ == "IncomingCall" else None
    )
    answers_at_once(mobile)
    call(wire, node)
    wire.run(14)
    assert mobile.events == []
    wire.run(3)
    assert desk.names() == ["IncomingCall", "Canceled"]
    assert isinstance(node.events[-1], Answered)
    wire.run(60)
    assert desk.endpoint.calls == 0


def test_second_phone_is_called_when_the_first_is_dead() -> None:
    wire, node, _desk, mobile = two_phones()
    wire.drop = lambda sent: sent.transmit.target.host == "198.51.100.1"
    answers_at_once(mobile)
    call(wire, node)
    wire.run(16)
    assert isinstance(node.events[-1], Answered)


def test_last_refusal_is_told_when_nobody_answers() -> None:
    wire, node, desk, mobile = two_phones()
    desk.react = lambda event: desk.endpoint.reject(wire.now, event.handle, 480)
    mobile.react = lambda event: mobile.endpoint.reject(wire.now, event.handle, 486)
    call(wire, node)
    wire.run(2)
    (failed,) = [event for event in node.events if isinstance(event, Failed)]
    assert failed.status == 486
    assert node.endpoint.calls == 0


def test_decline_of_one_phone_speaks_for_all() -> None:
    wire, node, desk, mobile = two_phones()
    desk.react = lambda event: desk.endpoint.reject(wire.now, event.handle, 603)
    call(wire, node)
    wire.run(20)
    assert mobile.events == []
    assert isinstance(node.events[-1], Failed)


def test_call_that_is_given_up_goes_to_no_further_phone() -> None:
    wire, node, desk, mobile = two_phones()
    desk.react = lambda event: (
        desk.endpoint.ring(wire.now, event.handle) if type(event).__name__ == "IncomingCall" else None
    )
    handle = call(wire, node)
    wire.run(5)
    node.do("cancel", handle)
    wire.run(60)
    assert mobile.events == []
    failed = node.events[-1]
    assert isinstance(failed, Failed)
    assert failed.cause == "canceled"


def test_address_of_somebody_else_is_called_as_it_is() -> None:
    wire, node = guarded()
    call(wire, node, "sip:alice@198.51.100.9")
    call(wire, node, f"sip:alice@{DOMAIN}:5999")
    assert [invite.uri for invite in wire.requests("INVITE")] == ["sip:alice@198.51.100.9"]
    failed = node.events[-1]
    assert isinstance(failed, Failed)
    assert failed.cause == "transport"  # its name was looked up, and leads nowhere


def test_first_hop_of_a_call_to_a_phone_is_where_it_can_be_reached() -> None:
    """Media have to be of the address family of that, and so it is asked for before an offer is made."""
    wire, node = guarded()
    assert node.endpoint.first_hop(wire.now, ALICE) is None
    Phone(wire, node, "alice", source=Source("UDP", "2001:db8::9", 41822)).register(host="10.0.0.3")
    assert node.endpoint.first_hop(wire.now, ALICE) == Hop("2001:db8::9", 41822, "UDP")
    assert node.endpoint.first_hop(wire.now, "sip:bob@elsewhere.example") == Hop("elsewhere.example")
    _, node, _, _ = two_phones()
    assert node.endpoint.first_hop(1000.0, ALICE) == Hop("198.51.100.1")
