"""A call that is sent elsewhere (3xx): in the order of q, never twice to one target, and only where it may go."""

import pytest
from tests.unit.sip.sip_pair import ANSWER, OFFER, Party, Wire, answers_at_once

from longline.sip.access.auth import TrunkCredential
from longline.sip.access.bindings import Binding
from longline.sip.access.peers import DigestUser, Peer, Peers
from longline.sip.events import Answered, Failed, IncomingCall, Redirected
from longline.sip.features.redirect import MAX_CONTACTS, MAX_REDIRECTS
from longline.sip.uac import Invitation

ALICE, BOB, CAROL, DAVE = (f"192.0.2.{n}" for n in (1, 2, 3, 4))


def anywhere(uri: str) -> bool:
    return True


def town(**settings: object) -> tuple[Wire, Party, Party, Party, Party]:
    wire = Wire()
    return (wire, Party(wire, ALICE, **settings), *(Party(wire, host) for host in (BOB, CAROL, DAVE)))  # type: ignore[return-value]


def says(party: Party, status: int, *contacts: str) -> None:
    """From now on the party refuses every call, naming these contacts."""
    headers = [("Contact", contact) for contact in contacts]
    party.react = lambda event: (
        party.endpoint.reject(party.wire.now, event.handle, status, None, headers)
        if type(event).__name__ == "IncomingCall"
        else None
    )


def asked(wire: Wire) -> list[str]:
    """The Request-URIs of Alice's INVITEs, each once."""
    return list(dict.fromkeys(invite.uri for invite in wire.requests("INVITE")))


def outcome(party: Party) -> list[tuple[str, int | None]]:
    return [
        (type(e).__name__, getattr(e, "status", None))
        for e in party.events
        if isinstance(e, Answered | Failed | Redirected)
    ]


@pytest.mark.parametrize("status", [300, 301, 302])
def test_call_follows_a_redirect(status: int) -> None:
    wire, alice, bob, carol, _ = town()
    says(bob, status, f"<sip:carol@{CAROL}>")
    answers_at_once(carol)
    handle = alice.invite(BOB, may_follow=anywhere, headers=[("X-Call", "7")])
    wire.run(1)
    first, second = wire.requests("INVITE")
    assert (first.uri, second.uri) == (f"sip:bob@{BOB}", f"sip:carol@{CAROL}")
    for name in ("From", "To", "Call-ID", "X-Call", "Contact", "Allow"):
        assert first.headers.get_all(name) == second.headers.get_all(name)
    assert (second.body, second.cseq[0]) == (OFFER, first.cseq[0] + 1)
    assert first.top_via.branch != second.top_via.branch
    assert outcome(alice) == [("Redirected", status), ("Answered", None)]
    assert alice.last(Redirected) == Redirected(handle, status, (f"sip:carol@{CAROL}",))
    alice.do("bye", handle)
    wire.run(1)
    assert carol.names()[-1] == "Ended"
    assert [p.endpoint.calls for p in (alice, bob, carol)] == [0, 0, 0]


@pytest.mark.parametrize("status", [305, 380])
def test_other_redirects_are_the_outcome(status: int) -> None:
    wire, alice, bob, _, _ = town()
    says(bob, status, f"<sip:carol@{CAROL}>")
    alice.invite(BOB, may_follow=anywhere)
    wire.run(1)
    assert outcome(alice) == [("Failed", status)]


def test_redirect_is_the_outcome_unless_it_may_be_followed() -> None:
    wire, alice, bob, _, _ = town()
    says(bob, 302, f"<sip:carol@{CAROL}>")
    alice.invite(BOB)
    alice.invite(BOB, may_follow=lambda uri: "carol" not in uri)
    wire.run(1)
    assert outcome(alice) == [("Failed", 302), ("Failed", 302)]
    assert alice.endpoint.counters["sip.redirects_refused"] == 1


def test_contacts_are_tried_in_the_order_of_their_q() -> None:
    wire, alice, bob, carol, dave = town()
    says(
        bob,
        300,
        f"<sip:low@{CAROL}>;q=0.1, <sip:first@{DAVE}>",
        f"<sip:second@{DAVE}>;q=1.0",
        f"<sip:mid@{CAROL}>;q=0.5",
    )
    says(carol, 486)
    says(dave, 404)
    alice.invite(BOB, may_follow=anywhere)
    wire.run(1)
    assert [uri.partition("@")[0] for uri in asked(wire)] == [
        "sip:bob",
        "sip:first",
        "sip:second",
        "sip:mid",
        "sip:low",
    ]
    assert outcome(alice)[-1] == ("Failed", 486)  # what the last one said


def test_targets_of_a_later_redirect_come_before_those_that_wait() -> None:
    wire, alice, bob, carol, dave = town()
    says(bob, 302, f"<sip:c@{CAROL}>;q=0.9", f"<sip:later@{DAVE}>;q=0.8")
    says(carol, 302, f"<sip:sooner@{DAVE}>;q=0.1")
    says(dave, 486)
    alice.invite(BOB, may_follow=anywhere)
    wire.run(1)
    assert [uri.partition("@")[0] for uri in asked(wire)] == ["sip:bob", "sip:c", "sip:sooner", "sip:later"]


def test_loop_of_redirects_ends() -> None:
    wire, alice, bob, carol, _ = town()
    says(bob, 302, f"<sip:carol@{CAROL}>")
    says(carol, 302, f"<sip:bob@{BOB}>", f"<sip:carol@{CAROL};x=1?Subject=again>")
    alice.invite(BOB, may_follow=anywhere)
    wire.run(1)
    assert len(asked(wire)) == 2
    assert outcome(alice) == [("Redirected", 302), ("Failed", 302)]


def test_redirects_are_bounded() -> None:
    wire, alice, bob, _, _ = town()
    count = 0

    def react(event: object) -> None:
        nonlocal count
        if type(event).__name__ == "IncomingCall":
            count += 1
            contact = [("Contact", f"<sip:bob{count}@{BOB}>")]
            bob.endpoint.reject(wire.now, event.handle, 302, None, contact)  # type: ignore[attr-defined]

    bob.react = react
    alice.invite(BOB, may_follow=anywhere)
    wire.run(5)
    assert count == 1 + MAX_REDIRECTS
    assert outcome(alice)[-1] == ("Failed", 302)
    assert alice.endpoint.calls == 0


def test_contacts_of_one_redirect_are_bounded() -> None:
    wire, alice, bob, _, dave = town()
    says(bob, 302, *(f"<sip:n{number}@{DAVE}>;q=0.{number:03}" for number in range(MAX_CONTACTS + 20)))
    says(dave, 486)
    alice.invite(BOB, may_follow=anywhere)
    wire.run(5)
    assert asked(wire)[1] == f"sip:n{MAX_CONTACTS - 1}@{DAVE}"


def test_target_that_refuses_or_does_not_answer_gives_way_to_the_next() -> None:
    wire, alice, bob, carol, dave = town()
    says(bob, 302, "<sip:gone@192.0.2.9>", f"<sip:carol@{CAROL}>;q=0.5", f"<sip:dave@{DAVE}>;q=0.1")
    says(carol, 500)
    answers_at_once(dave)
    alice.invite(BOB, may_follow=anywhere)
    wire.run(40)
    assert outcome(alice) == [("Redirected", 302), ("Answered", None)]
    assert len(asked(wire)) == 4


def test_callee_who_wants_nobody_tried_is_heard() -> None:
    """RFC 3261 §21.6."""
    wire, alice, bob, carol, dave = town()
    says(bob, 302, f"<sip:carol@{CAROL}>", f"<sip:dave@{DAVE}>;q=0.1")
    says(carol, 603)
    alice.invite(BOB, may_follow=anywhere)
    wire.run(1)
    assert outcome(alice)[-1] == ("Failed", 603)
    assert dave.events == []


@pytest.mark.parametrize(
    "contact",
    [
        "*",
        "<tel:+15550100>",
        "<http://192.0.2.3/>",
        "nonsense",
        "<sip:@192.0.2.3>",
        "<sip:carol@192.0.2.3;transport=sctp>",
        "<sip:carol@192.0.2.3;method=BYE>",
        '"open <sip:carol@192.0.2.3>',
        "<sips:carol@192.0.2.3>",
    ],
)
def test_contact_that_nobody_could_call_is_passed_over(contact: str) -> None:
    wire, alice, bob, _, _ = town()
    says(bob, 302, contact)
    alice.invite(BOB, may_follow=anywhere)
    wire.run(1)
    assert outcome(alice) == [("Failed", 302)]
    assert alice.endpoint.calls == 0


def test_odd_q_counts_as_one() -> None:
    wire, alice, bob, carol, dave = town()
    says(bob, 302, f"<sip:half@{CAROL}>;q=0.5", f"<sip:odd@{CAROL}>;q=nan", f"<sip:more@{CAROL}>;q=7")
    says(carol, 486)
    alice.invite(BOB, may_follow=anywhere)
    wire.run(1)
    assert [uri.partition("@")[0] for uri in asked(wire)] == ["sip:bob", "sip:odd", "sip:more", "sip:half"]
    assert dave.events == []


def test_secure_call_stays_secure() -> None:
    wire, alice, bob, _, _ = town(transports=frozenset(("UDP", "TCP", "TLS")))
    invitation = Invitation(f"sips:bob@{BOB}", f"sips:alice@{ALICE}", sdp=OFFER, may_follow=anywhere)
    alice.endpoint.invite(wire.now, invitation)
    bob.endpoint._core.settings = alice.endpoint._core.settings
    says(bob, 302, f"<sip:carol@{CAROL}>")
    alice.drain()
    wire.run(1)
    assert outcome(alice) == [("Failed", 302)]


def test_password_of_a_trunk_is_not_told_to_whom_it_redirects() -> None:
    credential = TrunkCredential(BOB, "alice", "secret")
    wire, alice, bob, carol, _ = town(credentials=(credential,))
    alice.endpoint.set_peers(Peers([Peer("trunk", credential=credential)]))
    says(bob, 302, f"<sip:carol@{CAROL}>")
    challenge = ("Proxy-Authenticate", f'Digest realm="{BOB}", nonce="n", algorithm=MD5')
    carol.react = lambda event: (
        carol.endpoint.reject(wire.now, event.handle, 407, None, [challenge])
        if type(event).__name__ == "IncomingCall"
        else None
    )
    alice.invite(BOB, may_follow=anywhere, peer="trunk")
    wire.run(1)
    assert outcome(alice) == [("Redirected", 302), ("Failed", 407)]
    assert all("Proxy-Authorization" not in invite.headers for invite in wire.requests("INVITE"))


def test_trunk_that_names_another_number_of_its_own_gets_its_password() -> None:
    credential = TrunkCredential(BOB, "alice", "secret")
    wire, alice, bob, _, _ = town()
    alice.endpoint.set_peers(Peers([Peer("trunk", credential=credential)]))
    challenge = ("Proxy-Authenticate", f'Digest realm="{BOB}", nonce="n", algorithm=MD5')

    def react(event: object) -> None:
        if not isinstance(event, IncomingCall):
            return
        if event.to_user == "bob":
            bob.endpoint.reject(wire.now, event.handle, 302, None, [("Contact", f"<sip:bob2@{BOB}>")])
        elif "Proxy-Authorization" not in dict(event.headers):
            bob.endpoint.reject(wire.now, event.handle, 407, None, [challenge])
        else:
            bob.endpoint.answer(wire.now, event.handle, ANSWER)

    bob.react = react
    alice.invite(BOB, may_follow=anywhere, peer="trunk")
    wire.run(1)
    assert outcome(alice) == [("Redirected", 302), ("Answered", None)]


def test_call_through_a_proxy_keeps_its_route() -> None:
    wire, alice, bob, _, _ = town()
    count = 0

    def react(event: object) -> None:
        nonlocal count
        count += 1
        contact = [("Contact", f"<sip:carol@{CAROL}>")] if count == 1 else []
        bob.endpoint.reject(wire.now, event.handle, 302 if count == 1 else 486, None, contact)  # type: ignore[attr-defined]

    bob.react = react
    alice.invite(DAVE, may_follow=anywhere, route=f"sip:{BOB}")
    wire.run(1)
    assert [(i.uri, i.headers.get("Route")) for i in wire.requests("INVITE")] == [
        (f"sip:bob@{DAVE}", f"<sip:{BOB};lr>"),
        (f"sip:carol@{CAROL}", f"<sip:{BOB};lr>"),
    ]


@pytest.mark.parametrize("when", ["at once", "while it rings"])
def test_call_that_is_given_up_is_redirected_no_more(when: str) -> None:
    wire, alice, bob, carol, _ = town()
    says(bob, 302, f"<sip:carol@{CAROL}>")
    if when == "while it rings":
        carol.react = lambda event: (
            carol.endpoint.ring(wire.now, event.handle) if type(event).__name__ == "IncomingCall" else None
        )
    handle = alice.invite(BOB, may_follow=anywhere)
    if when == "while it rings":
        wire.run(1)
    alice.do("cancel", handle)
    wire.run(40)
    assert outcome(alice)[-1] == ("Failed", 487)
    assert (carol.names() == []) if when == "at once" else (carol.names() == ["IncomingCall", "Canceled"])
    assert [p.endpoint.calls for p in (alice, bob, carol)] == [0, 0, 0]


def test_early_dialogs_of_the_target_before_are_over() -> None:
    wire, alice, bob, carol, _ = town()
    contact = [("Contact", f"<sip:carol@{CAROL}>")]

    def react(event: object) -> None:
        if type(event).__name__ == "IncomingCall":
            bob.endpoint.ring(wire.now, event.handle)  # type: ignore[attr-defined]
            bob.endpoint.reject(wire.now, event.handle, 302, None, contact)  # type: ignore[attr-defined]

    bob.react = react
    alice.invite(BOB, may_follow=anywhere)
    wire.run(1)
    assert alice.names()[:2] == ["Progress", "Redirected"]
    assert alice.endpoint._core.dialogs == {}
    answers_at_once(carol)


def test_cancel_waits_for_the_first_word_of_the_new_target() -> None:
    """RFC 3261 §9.1: what the target before has said does not count."""
    wire, alice, bob, carol, _ = town()
    contact = [("Contact", f"<sip:carol@{CAROL}>")]
    bob.react = lambda event: (
        bob.endpoint.reject(wire.now, event.handle, 302, None, contact)
        if type(event).__name__ == "IncomingCall"
        else None
    )
    wire.drop = lambda sent: sent.sender == CAROL and wire.now < 1000.4
    handle = alice.invite(BOB, may_follow=anywhere)
    wire.run(0.3)
    assert len(carol.events) == 1
    alice.do("cancel", handle)
    assert wire.requests("CANCEL") == []
    wire.run(2)
    assert carol.names() == ["IncomingCall", "Canceled"]
    assert outcome(alice)[-1] == ("Failed", 487)


def test_name_that_leads_nowhere_gives_way_to_the_next_target() -> None:
    wire, alice, bob, carol, _ = town()
    says(bob, 302, "<sip:carol@nowhere.example.com>", f"<sip:carol@{CAROL}?Subject=x>;q=0.1")
    answers_at_once(carol)
    handle = alice.invite(BOB, may_follow=anywhere)
    wire.run(1)
    assert outcome(alice) == [("Redirected", 302), ("Answered", None)]
    assert asked(wire)[-1] == f"sip:carol@{CAROL}"
    alice.do("bye", handle)
    wire.run(1)
    assert carol.names()[-1] == "Ended"


def test_phone_that_forwards_to_another_phone_of_ours_is_followed_to_where_that_has_registered() -> None:
    wire, alice, bob, carol, _ = town()
    alice.endpoint.set_peers(Peers([Peer("phone:carol", users=(DigestUser("carol", "x"),), is_trunk=False)]))
    binding = Binding(f"sip:c@{CAROL}", "UDP", CAROL, 5060, wire.now + 600, "c", 1)
    alice.endpoint._core.bindings.put("phone:carol", [binding])
    says(bob, 302, f"<sip:nobody@{ALICE}>", f"<sip:carol@{ALICE}>;q=0.5")
    answers_at_once(carol)
    alice.invite(BOB, may_follow=anywhere)
    wire.run(1)
    assert outcome(alice) == [("Redirected", 302), ("Answered", None)]
    assert [uri.partition("@")[0] for uri in asked(wire)] == ["sip:bob", "sip:c"]  # and not nobody, at ourselves


def test_phone_that_forwards_to_a_number_at_our_name_leaves_it_to_our_user() -> None:
    wire, alice, bob, carol, _ = town()
    says(bob, 302, f"<sip:+15550199@{ALICE}>;q=0.1", f"<sip:carol@{CAROL}>")
    says(carol, 486)
    alice.invite(BOB, may_follow=anywhere)
    alice.invite(BOB, may_follow=lambda uri: "+1555" not in uri)
    wire.run(1)
    failed = [event for event in alice.events if isinstance(event, Failed)]
    assert [(event.status, event.forwards) for event in failed] == [(486, (f"sip:+15550199@{ALICE}",)), (486, ())]
