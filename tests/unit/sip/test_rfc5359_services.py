"""The services of RFC 5359 between telephones of ours: each by its section, as a ladder where the RFC shows one.

Where it differs from the RFC's, ours says 100 Trying wherever it may, and tells of a transfer as soon as there is
something to tell. Leaves out what needs event packages that we do not do: 2.6 (presence and messages) and 2.17 (the
dialog package). 2.11 needs Join (RFC 3911), which is refused; 2.15 and 2.16 are shown from the INVITE with Replaces on.
"""

from tests.unit.sip.proxies import Context, Proxy, ladder, rungs
from tests.unit.sip.sip_pair import OFFER, Party, Wire
from tests.unit.sip.strangers import request_text, responses
from tests.unit.sip.telephones import Telephone

from longline.sip.events import Answered, Ended, Failed, IncomingCall, Progress, ReferDone
from longline.sip.syntax.message import Request, Response, parse
from longline.sip.uac import Invitation
from longline.sip.wire import Source, Target, Transmit

ALICE, BOB, CAROL, PROXY, SERVER = (f"192.0.2.{number}" for number in (1, 2, 3, 111, 200))


def sip(host: str) -> str:
    return f"sip:phone@{host}"


def assert_nothing_is_left(wire: Wire, *parties: Party) -> None:
    wire.run(70)
    for party in parties:
        assert (party.endpoint.calls, party.endpoint.transactions) == (0, 0)
        assert party.endpoint.next_timeout() is None


def through_a_proxy() -> tuple[Wire, Telephone, Telephone, Proxy, str, str]:
    """Alice calls Bob through a proxy that records its route."""
    wire = Wire()
    alice, bob = Telephone(wire, ALICE), Telephone(wire, BOB)
    proxy = Proxy(wire, PROXY, locations={f".*@{PROXY}": [sip(BOB)]})
    ours = alice.call(sip(PROXY))
    wire.run(1)
    wire.sent.clear()
    return wire, alice, bob, proxy, ours, bob.calls[0]


def three() -> tuple[Wire, Telephone, Telephone, Telephone, str, str]:
    """Alice has called Bob; Carol has a telephone."""
    wire = Wire()
    alice, bob, carol = (Telephone(wire, host) for host in (ALICE, BOB, CAROL))
    ours = alice.call(sip(BOB))
    wire.run(1)
    wire.sent.clear()
    return wire, alice, bob, carol, ours, bob.calls[0]


def test_2_1_call_hold() -> None:
    wire, alice, bob, proxy, ours, theirs = through_a_proxy()
    bob.hold(theirs)
    wire.run(1)
    assert (alice.direction(ours), bob.direction(theirs)) == ("recvonly", "sendonly")
    bob.resume(theirs)
    wire.run(1)
    assert (alice.direction(ours), bob.direction(theirs)) == ("sendrecv", "sendrecv")
    bob.hang_up(theirs)
    wire.run(1)
    change = rungs("""
        bob INVITE proxy
        proxy 100 INVITE bob
        proxy INVITE alice
        alice 100 INVITE proxy
        alice 200 INVITE proxy
        proxy 200 INVITE bob
        bob ACK proxy
        proxy ACK alice
    """)
    end = rungs("""
        bob BYE proxy
        proxy BYE alice
        alice 200 BYE proxy
        proxy 200 BYE bob
    """)
    assert ladder(wire, alice=alice, bob=bob, proxy=proxy) == change + change + end
    first, second = (s.message.body for s in wire.sent if s.word == "INVITE" and s.sender == BOB)
    assert b"a=sendonly\r\n" in first and b"a=sendrecv\r\n" in second
    assert_nothing_is_left(wire, alice, bob)


def test_2_2_consultation_hold() -> None:
    """Bob holds Alice, asks Carol something, and comes back to Alice."""
    wire, alice, bob, carol, ours, theirs = three()
    bob.hold(theirs)
    wire.run(1)
    consulting = bob.call(sip(CAROL))
    wire.run(1)
    assert (alice.direction(ours), bob.direction(consulting)) == ("recvonly", "sendrecv")
    bob.hang_up(consulting)
    wire.run(1)
    bob.resume(theirs)
    wire.run(1)
    assert alice.direction(ours) == "sendrecv"
    alice.hang_up(ours)
    wire.run(1)
    assert ladder(wire, alice=alice, bob=bob, carol=carol) == rungs("""
        bob INVITE alice
        alice 100 INVITE bob
        alice 200 INVITE bob
        bob ACK alice
        bob INVITE carol
        carol 100 INVITE bob
        carol 180 INVITE bob
        carol 200 INVITE bob
        bob ACK carol
        bob BYE carol
        carol 200 BYE bob
        bob INVITE alice
        alice 100 INVITE bob
        alice 200 INVITE bob
        bob ACK alice
        alice BYE bob
        bob 200 BYE alice
    """)
    assert_nothing_is_left(wire, alice, bob, carol)


def test_2_3_music_on_hold() -> None:
    """Bob asks Alice for an offer, hands it to the music server, and brings her its answer: she hears the server."""
    wire, alice, bob, _, ours, theirs = three()
    music = Telephone(wire, SERVER)
    bob.react = lambda event: None
    ask = bob.endpoint.dialog(theirs).request("INVITE")
    ask.headers.push("Via", f"SIP/2.0/UDP {BOB};branch=z9hG4bKmoh")
    ask.headers.add("Contact", f"<{sip(BOB)}>")
    put(wire, bob, ask, ALICE)
    wire.run(0.1)
    offer = next(s.message.body for s in wire.sent if s.word == "200 INVITE" and s.sender == ALICE)
    playing = bob.endpoint.invite(wire.now, Invitation(sip(SERVER), sip(BOB), sdp=offer))
    bob.drain()
    wire.run(0.1)
    answer = bob.last(Answered).sdp.replace(b"a=sendrecv", b"a=sendonly")
    ack = bob.endpoint.dialog(theirs).request("ACK", ask.cseq[0], answer)
    ack.headers.push("Via", f"SIP/2.0/UDP {BOB};branch=z9hG4bKmohack")
    put(wire, bob, ack, ALICE)
    wire.run(1)
    assert alice.media[ours].remote_rtp == (SERVER, 4000)
    assert alice.direction(ours) == "recvonly"
    assert music.media[music.calls[0]].remote_rtp == (ALICE, 4000)
    assert [rung for rung in ladder(wire, alice=alice, bob=bob, music=music) if "100" not in rung] == rungs("""
        bob INVITE alice
        alice 200 INVITE bob
        bob INVITE music
        music 180 INVITE bob
        music 200 INVITE bob
        bob ACK music
        bob ACK alice
    """)
    bob.hang_up(playing)
    bob.hang_up(theirs)
    assert_nothing_is_left(wire, alice, bob, music)


def put(wire: Wire, party: Party, message: Request | Response, host: str) -> None:
    """A message made by hand, from this party."""
    wire.carry(party, Transmit(Target("UDP", host, 5060), message.encode()))


def test_2_4_unattended_transfer() -> None:
    wire, alice, bob, carol, ours, theirs = three()
    bob.transfer(theirs, sip(CAROL))
    wire.run(0.02)
    bob.hang_up(theirs)
    wire.run(1)
    said = ladder(wire, alice=alice, bob=bob, carol=carol)
    assert [rung for rung in said if "carol" in rung] == rungs("""
        alice INVITE carol
        carol 100 INVITE alice
        carol 180 INVITE alice
        carol 200 INVITE alice
        alice ACK carol
    """)
    assert {"bob REFER alice", "alice 202 REFER bob", "bob BYE alice", "alice 200 BYE bob"} <= set(said)
    told = [s.message.body for s in wire.sent if s.word == "NOTIFY"]
    assert (told[0], told[-1]) == (b"SIP/2.0 100 Trying\r\n", b"SIP/2.0 200 OK\r\n")
    assert bob.last(ReferDone).status == 200
    assert [event.handle for event in alice.events if isinstance(event, Ended)] == [ours]
    (between,) = alice.calls
    assert (alice.media[between].remote_rtp, alice.direction(between)) == ((CAROL, 4000), "sendrecv")
    alice.hang_up(between)
    assert_nothing_is_left(wire, alice, bob, carol)


def test_2_4_unattended_transfer_to_somebody_who_is_busy_leaves_the_call_alone() -> None:
    wire, alice, bob, carol, ours, theirs = three()
    carol.busy = True
    bob.transfer(theirs, sip(CAROL))
    wire.run(1)
    assert bob.last(ReferDone).status == 486
    assert (alice.calls, bob.calls) == ([ours], [theirs])
    alice.hang_up(ours)
    assert_nothing_is_left(wire, alice, bob, carol)


def test_2_5_attended_transfer() -> None:
    """Bob holds Alice, asks Carol, and joins them: Alice takes his place in his call with Carol."""
    wire, alice, bob, carol, _, theirs = three()
    bob.hold(theirs)
    wire.run(1)
    consulting = bob.call(sip(CAROL))
    wire.run(1)
    bob.hold(consulting)
    wire.run(1)
    wire.sent.clear()
    bob.transfer(theirs, replaces=consulting)
    wire.run(1)
    said = ladder(wire, alice=alice, bob=bob, carol=carol)
    assert said[0] == "bob REFER alice"
    assert [rung for rung in said if rung in ("alice INVITE carol", "carol 200 INVITE alice", "alice ACK carol")] == (
        rungs("""
            alice INVITE carol
            carol 200 INVITE alice
            alice ACK carol
        """)
    )
    assert "carol BYE bob" in said and "bob 200 BYE carol" in said
    invite = next(s.message for s in wire.sent if s.word == "INVITE")
    assert "Replaces" in invite.headers and invite.headers.get("Require") == "replaces"
    assert bob.last(ReferDone).status == 200
    assert [event.handle for event in bob.events if isinstance(event, Ended)] == [consulting]
    bob.hang_up(theirs)
    wire.run(1)
    (between,), (there,) = alice.calls, carol.calls
    assert alice.media[between].remote_rtp[0] == CAROL
    assert (alice.direction(between), carol.direction(there)) == ("sendrecv", "sendrecv")
    carol.hang_up(there)
    assert_nothing_is_left(wire, alice, bob, carol)


def forwarding(locations: list[str], **bob: bool) -> tuple[Wire, Telephone, Telephone, Telephone, Proxy, str]:
    """Alice calls Bob's proxy, which knows these ways to him."""
    wire = Wire()
    alice, carol, phone = Telephone(wire, ALICE), Telephone(wire, CAROL), Telephone(wire, BOB, **bob)
    proxy = Proxy(wire, PROXY, locations={f".*@{PROXY}": locations})
    handle = alice.call(sip(PROXY))
    wire.run(1)
    return wire, alice, phone, carol, proxy, handle


def context_of(proxy: Proxy) -> Context:
    return next(context for context in proxy._contexts.values() if context.request.method == "INVITE")


def test_2_7_call_forwarding_unconditional() -> None:
    wire, alice, bob, carol, proxy, handle = forwarding([sip(CAROL)])
    assert ladder(wire, alice=alice, carol=carol, proxy=proxy) == rungs("""
        alice INVITE proxy
        proxy 100 INVITE alice
        proxy INVITE carol
        carol 100 INVITE proxy
        carol 180 INVITE proxy
        carol 200 INVITE proxy
        proxy 180 INVITE alice
        proxy 200 INVITE alice
        alice ACK proxy
        proxy ACK carol
    """)
    assert bob.events == []
    alice.hang_up(handle)
    assert_nothing_is_left(wire, alice, carol)


def test_2_8_call_forwarding_busy() -> None:
    wire = Wire()
    alice, bob, carol = Telephone(wire, ALICE), Telephone(wire, BOB, busy=True), Telephone(wire, CAROL)
    proxy = Proxy(wire, PROXY, locations={f".*@{PROXY}": [sip(BOB)]}, on_busy=sip(CAROL))
    handle = alice.call(sip(PROXY))
    wire.run(1)
    assert ladder(wire, alice=alice, bob=bob, carol=carol, proxy=proxy) == rungs("""
        alice INVITE proxy
        proxy 100 INVITE alice
        proxy INVITE bob
        bob 100 INVITE proxy
        bob 486 INVITE proxy
        proxy ACK bob
        proxy 181 INVITE alice
        proxy INVITE carol
        carol 100 INVITE proxy
        carol 180 INVITE proxy
        carol 200 INVITE proxy
        proxy 180 INVITE alice
        proxy 200 INVITE alice
        alice ACK proxy
        proxy ACK carol
    """)
    assert [event.status for event in alice.events if isinstance(event, Progress)] == [181, 180]
    alice.hang_up(handle)
    assert_nothing_is_left(wire, alice, bob, carol)


def test_2_9_call_forwarding_no_answer() -> None:
    wire, alice, bob, carol, proxy, handle = forwarding([sip(BOB)], absent=True)
    wire.run(20)
    before = len(wire.sent)
    proxy.try_next(context_of(proxy), sip(CAROL))
    wire.run(1)
    assert sorted(ladder(wire, alice=alice, bob=bob, carol=carol, proxy=proxy)[before:]) == sorted(
        rungs("""
            proxy CANCEL bob
            proxy INVITE carol
            bob 200 CANCEL proxy
            bob 487 INVITE proxy
            proxy ACK bob
            carol 100 INVITE proxy
            carol 180 INVITE proxy
            carol 200 INVITE proxy
            proxy 180 INVITE alice
            proxy 200 INVITE alice
            alice ACK proxy
            proxy ACK carol
        """)
    )
    assert [type(event).__name__ for event in bob.events] == ["IncomingCall", "Canceled"]
    assert alice.media[handle].remote_rtp == (CAROL, 4000)
    alice.hang_up(handle)
    assert_nothing_is_left(wire, alice, bob, carol)


def test_2_10_third_party_is_added_to_a_conference() -> None:
    """Bob mixes: he holds Alice, calls Carol, and takes Alice back while Carol stays."""
    wire, alice, bob, carol, ours, theirs = three()
    bob.hold(theirs)
    wire.run(1)
    with_carol = bob.call(sip(CAROL))
    wire.run(1)
    bob.resume(theirs)
    wire.run(1)
    assert bob.calls == [theirs, with_carol]
    assert [bob.direction(handle) for handle in bob.calls] == ["sendrecv", "sendrecv"]
    alice.hang_up(ours)
    wire.run(1)
    assert bob.calls == [with_carol]
    bob.hang_up(with_carol)
    assert_nothing_is_left(wire, alice, bob, carol)


def test_2_11_third_party_that_would_join_is_told_that_it_cannot() -> None:
    wire, alice, bob, _, ours, theirs = three()
    dialog = bob.endpoint.dialog(theirs)
    join = f"Join: {dialog.call_id};to-tag={dialog.local_tag};from-tag={dialog.remote_tag}\r\nRequire: join\r\n"
    source = Source("UDP", CAROL, 5060)
    (answer,) = responses(wire.inject(bob, request_text(host=CAROL, extra=join), source))
    assert (answer.status, answer.headers.get("Unsupported")) == (420, "join")
    assert bob.calls == [theirs]
    alice.hang_up(ours)
    assert_nothing_is_left(wire, alice, bob)


def test_2_12_find_me() -> None:
    """Bob is looked for on one telephone after the other, and at last his voice mail answers."""
    wire = Wire()
    alice, bob, carol = Telephone(wire, ALICE), Telephone(wire, BOB, absent=True), Telephone(wire, CAROL, busy=True)
    voice_mail = Telephone(wire, SERVER)
    proxy = Proxy(wire, PROXY, locations={f".*@{PROXY}": [sip(BOB)]}, hunts=True)
    handle = alice.call(sip(PROXY))
    wire.run(10)
    proxy.try_next(context_of(proxy), sip(CAROL))
    wire.run(1)
    assert alice.names() == ["Progress"]
    proxy.try_next(context_of(proxy), sip(SERVER))
    wire.run(1)
    assert alice.media[handle].remote_rtp == (SERVER, 4000)
    assert [s.word for s in wire.sent if s.transmit.target.host == ALICE] == [
        *("100 INVITE", "180 INVITE", "180 INVITE", "200 INVITE")
    ]
    alice.hang_up(handle)
    assert_nothing_is_left(wire, alice, bob, carol, voice_mail)


def test_2_12_find_me_on_all_telephones_at_once() -> None:
    wire, alice, bob, carol, proxy, handle = forwarding([sip(BOB), sip(CAROL)], absent=True)
    assert alice.media[handle].remote_rtp == (CAROL, 4000)
    said = ladder(wire, alice=alice, bob=bob, carol=carol, proxy=proxy)
    assert "proxy CANCEL bob" in said and "proxy CANCEL carol" not in said
    assert [type(event).__name__ for event in bob.events] == ["IncomingCall", "Canceled"]
    alice.hang_up(handle)
    assert_nothing_is_left(wire, alice, bob, carol)


def test_2_13_and_2_14_screened_calls_are_refused() -> None:
    for status in (403, 603):
        wire = Wire()
        alice = Telephone(wire, ALICE)
        bob = Telephone(wire, BOB)
        Proxy(wire, PROXY, locations={f".*@{PROXY}": [sip(BOB)]}, screens=status)
        handle = alice.call(sip(PROXY))
        wire.run(1)
        assert (alice.last(Failed).handle, alice.last(Failed).status) == (handle, status)
        assert bob.events == []
        assert_nothing_is_left(wire, alice, bob)


def take_over(wire: Wire, party: Telephone, target: str, at: Telephone, handle: str, *, early: bool = False) -> str:
    """The party calls `target`, and takes the place of the far end of its call `handle`."""
    dialog = at.endpoint.dialog(handle)
    remote = dialog.remote_tag or next(iter(at.endpoint._core.usages[handle].early))
    value = f"{dialog.call_id};to-tag={dialog.local_tag};from-tag={remote}" + (";early-only" if early else "")
    return party.call(target, headers=[("Replaces", value), ("Require", "replaces")])


def test_2_15_call_park_and_retrieval() -> None:
    """Bob parks Alice at a server, and Carol takes her up from there: Alice's call is replaced twice."""
    wire, alice, bob, carol, ours, _ = three()
    park = Telephone(wire, SERVER)
    parked = take_over(wire, park, sip(ALICE), alice, ours)
    wire.run(1)
    assert ladder(wire, alice=alice, bob=bob, park=park) == rungs("""
        park INVITE alice
        alice 100 INVITE park
        alice 200 INVITE park
        alice BYE bob
        park ACK alice
        bob 200 BYE alice
    """)
    assert bob.calls == []
    (held,) = alice.calls
    taken_up = take_over(wire, carol, sip(ALICE), alice, held)
    wire.run(1)
    assert (park.calls, carol.calls) == ([], [taken_up])
    assert park.last(Ended).handle == parked
    assert alice.media[alice.calls[0]].remote_rtp == (CAROL, 4000)
    carol.hang_up(taken_up)
    assert_nothing_is_left(wire, alice, bob, carol, park)


def test_2_16_call_pickup() -> None:
    """Bob's telephone rings; Carol takes the call from hers. RFC 3891 §3: the caller's early dialog is replaced."""
    wire = Wire()
    alice, bob, carol = Telephone(wire, ALICE), Telephone(wire, BOB, absent=True), Telephone(wire, CAROL)
    ringing = alice.call(sip(BOB))
    wire.run(1)
    wire.sent.clear()
    picked_up = take_over(wire, carol, sip(ALICE), alice, ringing, early=True)
    wire.run(1)
    said = ladder(wire, alice=alice, bob=bob, carol=carol)
    assert said[:3] == ["carol INVITE alice", "alice 100 INVITE carol", "alice 200 INVITE carol"]
    assert "alice CANCEL bob" in said and "bob 487 INVITE alice" in said
    assert [type(event).__name__ for event in bob.events] == ["IncomingCall", "Canceled"]
    assert carol.calls == [picked_up]
    carol.hang_up(picked_up)
    assert_nothing_is_left(wire, alice, bob, carol)


def test_2_18_click_to_dial() -> None:
    """A controller calls Bob without an offer, hands his offer to Carol and her answer to him (RFC 3725 §4.1)."""
    wire = Wire()
    bob, carol, controller = Telephone(wire, BOB), Telephone(wire, CAROL), Party(wire, SERVER)
    first = controller.endpoint.invite(wire.now, Invitation(sip(BOB), sip(SERVER)))
    controller.drain()
    wire.run(0.1)
    offer = controller.last(Answered).sdp
    second = controller.endpoint.invite(wire.now, Invitation(sip(CAROL), sip(SERVER), sdp=offer))
    controller.drain()
    wire.run(0.1)
    controller.do("answer", first, controller.last(Answered).sdp)
    wire.run(1)
    assert ladder(wire, bob=bob, carol=carol, controller=controller) == rungs("""
        controller INVITE bob
        bob 100 INVITE controller
        bob 180 INVITE controller
        bob 200 INVITE controller
        controller INVITE carol
        carol 100 INVITE controller
        carol 180 INVITE controller
        carol 200 INVITE controller
        controller ACK carol
        controller ACK bob
    """)
    assert bob.media[bob.calls[0]].remote_rtp == (CAROL, 4000)
    assert carol.media[carol.calls[0]].remote_rtp == (BOB, 4000)
    bob.hang_up(bob.calls[0])
    wire.run(1)
    controller.do("bye", second)
    assert_nothing_is_left(wire, bob, carol, controller)


def test_every_message_of_these_ladders_can_be_read_again() -> None:
    wire, _, bob, _, _, theirs = three()
    bob.transfer(theirs, sip(CAROL))
    wire.run(2)
    assert len(wire.sent) > 10
    for sent in wire.sent:
        assert parse(sent.transmit.data) == sent.message
    assert OFFER not in {sent.message.body for sent in wire.sent}
    assert not any(isinstance(event, IncomingCall) for event in bob.events[1:])
