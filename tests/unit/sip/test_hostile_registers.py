"""Whatever strangers put into the headers that the admission and the registrar read: no error, and nobody is let in."""

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.sip.strangers import DOMAIN, STRANGER, Phone, guarded, request_text

from longline.sip.events import BindingsChanged, IncomingCall

NAMES = ("Authorization", "From", "To", "Contact", "Path", "Expires", "Via", "CSeq", "Call-ID", "Require", "Supported")
PIECES = (
    *("Digest ", 'username="alice"', 'realm="here.example"', 'nonce="', 'uri="sip:here.example"', "response="),
    *("qop=auth", "nc=00000001", 'cnonce="c"', "algorithm=MD5", ",", ";", "=", '"', "<", ">", "sip:", "sips:", "tel:"),
    *("*", "@", "\\", "alice", DOMAIN, ";expires=", ";q=", ";+sip.instance=", ";reg-id=", ";tag=", "0", "-1"),
    *("4294967296", "99999999999", " ", "\t", "é", "\udcff", "\x00", "%00", "[::1]", "[", "]", ":", "?", "#"),
)
value = st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=8)), max_size=16).map("".join)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(("REGISTER", "INVITE", "BYE", "OPTIONS")), st.sampled_from(NAMES), value)
def test_no_header_of_a_stranger_lets_him_in(method: str, name: str, text: str) -> None:
    wire, node = guarded()
    line = f"{name}: {text.replace(chr(13), ' ').replace(chr(10), ' ')}\r\n".encode("utf-8", "surrogateescape")
    data = request_text(method, f"sip:{DOMAIN}").replace(b"Max-Forwards", line + b"Max-Forwards", 1)
    sent = wire.inject(node, data, STRANGER)
    assert sum(len(one.transmit.data) for one in sent) <= len(data)
    assert node.endpoint.transactions == 0
    assert not any(isinstance(event, (IncomingCall, BindingsChanged)) for event in node.events)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(("Contact", "Path", "Expires", "To", "From", "User-Agent", "Supported", "Require")), value)
def test_no_register_of_a_phone_breaks_the_registrar(name: str, text: str) -> None:
    wire, node = guarded()
    alice = Phone(wire, node, "alice")
    alice.register()
    line = f"{name}: {text.replace(chr(13), ' ').replace(chr(10), ' ')}\r\n"
    answer = alice.ask("REGISTER", f"sip:{DOMAIN}", extra=line)
    assert answer is None or 200 <= answer.status < 700
    bindings = node.endpoint.bindings(wire.now, "phone:alice")
    assert all(binding.expires_at > wire.now for binding in bindings)
    node.endpoint.restore_bindings(wire.now, "phone:alice", [binding.to_dict(wire.now) for binding in bindings])
