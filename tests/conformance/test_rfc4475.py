"""The torture messages of RFC 4475: what the RFC says an element should do with each, and what ours does.

`test.dat` is not in the RFC; it travels with the archive. Our endpoint is a user agent server, not a registrar, so a
well-formed REGISTER or MESSAGE gets 405 rather than a registration.
"""

from pathlib import Path

import pytest

from longline.sip.core import EndpointSettings
from longline.sip.endpoint import Endpoint
from longline.sip.events import IncomingCall
from longline.sip.syntax.message import MalformedMessage, Request, parse
from longline.sip.wire import Source

FOLDER = Path(__file__).parent / "rfc4475"

WELL_FORMED = {
    "wsinv": "3.1.1.1 a short tortuous INVITE",
    "intmeth": "3.1.1.2 wide range of valid characters",
    "esc01": "3.1.1.3 valid use of the % escaping mechanism",
    "escnull": "3.1.1.4 escaped nulls in URIs",
    "esc02": "3.1.1.5 use of % when it is not an escape",
    "lwsdisp": "3.1.1.6 no LWS between display name and <",
    "longreq": "3.1.1.7 long values in header fields",
    "dblreq": "3.1.1.8 extra trailing octets in a UDP datagram",
    "semiuri": "3.1.1.9 semicolon-separated parameters in URI user part",
    "transports": "3.1.1.10 varied and unknown transport types",
    "mpart01": "3.1.1.11 multipart MIME message",
    "unreason": "3.1.1.12 unusual reason phrase",
    "noreason": "3.1.1.13 empty reason phrase",
    "baddate": "3.1.2.12 a Date nobody reads may be ignored",
    "badbranch": "3.2.1 missing transaction identifier: match as RFC 2543 does",
    "unkscm": "3.3.2 request-URI with unknown scheme",
    "novelsc": "3.3.3 request-URI with known but atypical scheme",
    "unksm2": "3.3.4 unknown URI schemes in header fields",
    "bext01": "3.3.5 Proxy-Require and Require",
    "invut": "3.3.6 unknown Content-Type",
    "regaut01": "3.3.7 unknown authorization scheme",
    "bcast": "3.3.10 200 OK response with broadcast Via",
    "zeromf": "3.3.11 Max-Forwards of zero",
    "cparam01": "3.3.12 REGISTER with a contact header parameter",
    "cparam02": "3.3.13 REGISTER with a url parameter",
    "regescrt": "3.3.14 REGISTER with a URL escaped header",
    "sdp01": "3.3.15 unacceptable Accept offering",
    "inv2543": "3.4.1 INVITE with RFC 2543 syntax",
    "mismatch02": "3.1.2.18 unknown method with CSeq method mismatch: 501 is better than 400",
}

MALFORMED = {
    "badinv01": "3.1.2.1 extraneous header field separators",
    "clerr": "3.1.2.2 Content-Length larger than message",
    "ncl": "3.1.2.3 negative Content-Length",
    "scalar02": "3.1.2.4 request scalar fields with overlarge values",
    "scalarlg": "3.1.2.5 response scalar fields with overlarge values",
    "quotbal": "3.1.2.6 unterminated quoted string in display name",
    "ltgtruri": "3.1.2.7 <> enclosing request-URI",
    "lwsruri": "3.1.2.8 malformed SIP request-URI (embedded LWS)",
    "lwsstart": "3.1.2.9 multiple SP separating request-line elements",
    "trws": "3.1.2.10 SP characters at end of request-line",
    "escruri": "3.1.2.11 escaped headers in SIP request-URI",
    "regbadct": "3.1.2.13 failure to enclose name-addr URI in <>",
    "badaspec": "3.1.2.14 spaces within addr-spec",
    "baddn": "3.1.2.15 non-token characters in display name",
    "badvers": "3.1.2.16 unknown protocol version",
    "mismatch01": "3.1.2.17 start line and CSeq method mismatch",
    "bigcode": "3.1.2.19 overlarge response code",
    "insuf": "3.3.1 missing required header fields",
    "multi01": "3.3.8 multiple values in single value required fields",
    "mcl01": "3.3.9 multiple Content-Length values",
    "test": "a request line without a version",
}

ANSWERS: dict[str, int | None] = {
    # None: nothing may be sent. 100: an INVITE that is taken up.
    **dict.fromkeys(("esc01", "longreq", "baddate", "inv2543"), 100),
    **dict.fromkeys(("dblreq", "escnull", "mpart01", "unksm2", "regaut01", "cparam01", "cparam02", "regescrt"), 405),
    **dict.fromkeys(("lwsdisp", "semiuri", "transports", "badbranch", "zeromf"), 200),
    **dict.fromkeys(("intmeth", "esc02", "mismatch02"), 501),
    **dict.fromkeys(("unkscm", "novelsc"), 416),
    **dict.fromkeys(("unreason", "noreason", "bcast", "scalarlg", "bigcode", "test"), None),
    **dict.fromkeys(("badinv01", "clerr", "ncl", "scalar02", "quotbal", "ltgtruri", "lwsruri", "lwsstart"), 400),
    **dict.fromkeys(("trws", "escruri", "regbadct", "badaspec", "baddn", "mismatch01", "insuf", "multi01"), 400),
    # wsinv has a To tag, and there is no dialog here.
    "wsinv": 481,
    "mcl01": 400,
    "badvers": 505,
    "bext01": 420,
    "invut": 415,
    "sdp01": 406,
}

KNOWN_FAILURES: dict[str, str] = {}
"""Name and reason of each message that is not handled as the RFC says."""


def read(name: str) -> bytes:
    return (FOLDER / f"{name}.dat").read_bytes()


def test_every_message_is_classified_once() -> None:
    files = {path.stem for path in FOLDER.glob("*.dat")}
    assert len(files) == 50
    assert set(WELL_FORMED) | set(MALFORMED) == files == set(ANSWERS)
    assert not set(WELL_FORMED) & set(MALFORMED)
    assert set(KNOWN_FAILURES) <= files


@pytest.mark.parametrize("name", sorted(set(WELL_FORMED) - set(KNOWN_FAILURES)))
def test_well_formed_message_is_parsed(name: str) -> None:
    parse(read(name))


@pytest.mark.parametrize("name", sorted(set(WELL_FORMED) - set(KNOWN_FAILURES)))
def test_well_formed_message_survives_being_written_again(name: str) -> None:
    message = parse(read(name))
    assert parse(message.encode()) == message


@pytest.mark.parametrize("name", sorted(set(MALFORMED) - set(KNOWN_FAILURES)))
def test_malformed_message_is_refused(name: str) -> None:
    with pytest.raises(MalformedMessage):
        parse(read(name))


@pytest.mark.parametrize("name", sorted(set(ANSWERS) - set(KNOWN_FAILURES)))
def test_the_endpoint_answers_as_the_rfc_says(name: str) -> None:
    endpoint = Endpoint(EndpointSettings(), iter(f"t{n}" for n in range(99)).__next__)
    endpoint.receive(0.0, Source("UDP", "192.0.2.99", 5060), read(name))
    transmit = endpoint.poll_transmit()
    # A refusal echoes headers that may be broken, so only its status line is read.
    status = None if transmit is None else int(transmit.data.split(b" ", 2)[1])
    assert status == ANSWERS[name]
    assert (endpoint.poll_event() is not None) == (status == 100)
    assert endpoint.poll_transmit() is None


def test_wsinv_means_what_its_author_meant() -> None:
    request = parse(read("wsinv"))
    assert isinstance(request, Request)
    assert request.uri == "sip:vivekg@chair-dnrc.example.com;unknownparam"
    assert request.to.tag == "1918181833n"
    assert request.from_.display == 'J Rosenberg \\"'
    assert request.from_.tag == "98asjd8"
    assert request.cseq == (9, "INVITE")
    assert request.top_via.host == "192.0.2.2"
    assert request.top_via.branch == "390skdjuw"
    assert len(request.headers.get_list("Via")) == 3
    assert request.headers.get("NewFangledHeader") == "newfangled value continued newfangled value"


def test_an_escaped_user_is_not_taken_for_another() -> None:
    endpoint = Endpoint(EndpointSettings(), iter(f"t{n}" for n in range(99)).__next__)
    endpoint.receive(0.0, Source("UDP", "192.0.2.99", 5060), read("esc01"))
    event = endpoint.poll_event()
    assert isinstance(event, IncomingCall)
    assert event.to_user == "sips:user@example.com"
    assert event.from_user == "I have spaces"


def test_octets_after_a_datagrams_message_are_ignored() -> None:
    request = parse(read("dblreq"))
    assert isinstance(request, Request)
    assert (request.method, request.body) == ("REGISTER", b"")


def test_long_header_values_survive_a_round_trip() -> None:
    request = parse(read("longreq"))
    assert parse(request.encode()) == request
    assert len(request.headers.get_all("Via")) == 34
