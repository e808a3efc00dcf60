"""The ladders of RFC 3665 §2, between two of us: one registers, the other is its registrar, and calls come of it."""

import ipaddress

from tests.unit.sip.proxies import ladder, rungs
from tests.unit.sip.sip_pair import ANSWER, OFFER, Party, Wire, answers_at_once
from tests.unit.sip.strangers import DOMAIN, STRANGER, Phone, guarded, request_text, responses

from longline.sip.access.auth import TrunkCredential
from longline.sip.access.peers import Peer, Peers, Registration
from longline.sip.events import Answered, BindingsChanged, Ended, RegistrationChanged
from longline.sip.syntax.message import Response
from longline.sip.uac import Invitation

HERE, REGISTRAR = "192.0.2.50", "192.0.2.2"
AOR = f"sip:alice@{DOMAIN}"


def home(password: str = "alice's password", contact_user: str = "alice") -> Peer:
    """The registrar, as the one who registers knows it."""
    return Peer(
        "home",
        networks=(ipaddress.ip_network(f"{REGISTRAR}/32"),),
        registration=Registration(aor=AOR, registrar=f"sip:{DOMAIN}", contact_user=contact_user),
        credential=TrunkCredential(DOMAIN, "alice", password),
    )


def registered(peer: Peer) -> tuple[Wire, Party, Party]:
    """The wire, who registers, and the registrar; a second has passed."""
    wire, registrar = guarded()
    wire.names = {DOMAIN: [REGISTRAR]}
    phone = Party(wire, HERE)
    phone.endpoint.set_peers(Peers([peer]))
    wire.run(1)
    return wire, phone, registrar


def states(phone: Party) -> list[str]:
    return [event.state for event in phone.events if isinstance(event, RegistrationChanged)]


def contacts(wire: Wire) -> list[str]:
    """What the last 200 to a REGISTER lists."""
    last = [s.message for s in wire.sent if s.word == "200 REGISTER"][-1]
    assert isinstance(last, Response)
    return [contact.partition(";")[0] for contact in last.headers.get_all("Contact")]


def test_2_1_successful_new_registration() -> None:
    wire, phone, registrar = registered(home())
    assert ladder(wire, phone=phone, registrar=registrar) == rungs("""
        phone REGISTER registrar
        registrar 401 REGISTER phone
        phone REGISTER registrar
        registrar 200 REGISTER phone
    """)
    assert states(phone) == ["registered"]
    assert contacts(wire) == [f"<sip:alice@{HERE}:5060>"]
    (binding,) = registrar.endpoint.bindings(wire.now, "phone:alice")
    assert (binding.host, binding.contact) == (HERE, f"sip:alice@{HERE}:5060")


def test_2_2_update_of_the_contact_list() -> None:
    """A second telephone of the same account: both are listed."""
    wire, phone, registrar = registered(home())
    other = Party(wire, "192.0.2.51")
    other.endpoint.set_peers(Peers([home(contact_user="mobile")]))
    wire.run(1)
    assert sorted(contacts(wire)) == [f"<sip:alice@{HERE}:5060>", "<sip:mobile@192.0.2.51:5060>"]
    changes = [len(event.bindings) for event in registrar.events if isinstance(event, BindingsChanged)]
    assert changes == [1, 2]
    assert states(phone) == states(other) == ["registered"]


def test_2_3_request_for_the_current_contact_list() -> None:
    wire, _, registrar = registered(home())
    asking = Phone(wire, registrar, "alice")
    before = len(registrar.events)
    uri = f"sip:{DOMAIN}"
    challenge = asking.send("REGISTER", uri)
    assert challenge is not None and challenge.status == 401
    digest = asking.credentials("REGISTER", uri, challenge.headers.get_all("WWW-Authenticate")[-1])
    lines = request_text("REGISTER", uri, extra=digest, cseq=2).split(b"\r\n")
    question = b"\r\n".join(line for line in lines if not line.startswith(b"Contact:"))
    (answer,) = responses(wire.inject(registrar, question, STRANGER))
    assert answer.status == 200
    assert [contact.partition(";")[0] for contact in answer.headers.get_all("Contact")] == [f"<sip:alice@{HERE}:5060>"]
    assert len(registrar.events) == before


def test_2_4_cancellation_of_a_registration() -> None:
    wire, phone, registrar = registered(home())
    wire.sent.clear()
    phone.endpoint.leave_registrars()
    phone.drain()
    wire.run(1)
    assert ladder(wire, phone=phone, registrar=registrar) == rungs("""
        phone REGISTER registrar
        registrar 200 REGISTER phone
    """)
    assert contacts(wire) == []
    assert states(phone) == ["registered", "unregistered"]
    assert registrar.endpoint.bindings(wire.now, "phone:alice") == ()


def test_2_5_unsuccessful_registration() -> None:
    wire, phone, registrar = registered(home(password="guessed"))
    assert ladder(wire, phone=phone, registrar=registrar) == rungs("""
        phone REGISTER registrar
        registrar 401 REGISTER phone
        phone REGISTER registrar
        registrar 401 REGISTER phone
    """)
    assert "registered" not in states(phone)
    assert registrar.endpoint.bindings(wire.now, "phone:alice") == ()


def test_registration_lasts_a_day_and_its_owner_can_be_called_all_the_time() -> None:
    wire, phone, registrar = registered(home())
    answers_at_once(phone, ANSWER)
    for _ in range(24):
        wire.run(3600)
        invitation = Invitation(AOR, f"sip:service@{DOMAIN}", sdp=OFFER)
        handle = registrar.endpoint.invite(wire.now, invitation)
        registrar.drain()
        wire.run(1)
        assert isinstance(registrar.events[-1], Answered)
        registrar.do("bye", handle)
        wire.run(1)
        assert isinstance(phone.events[-1], Ended)
    assert set(states(phone)) == {"registered"}
    assert len(registrar.endpoint.bindings(wire.now, "phone:alice")) == 1
    wire.run(70)
    assert (registrar.endpoint.calls, phone.endpoint.calls) == (0, 0)
