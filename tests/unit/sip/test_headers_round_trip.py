"""Every header we know, in the forms its grammar allows: what was written is read, by the message and by its parser."""

import base64
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from longline.sip.access.auth import DigestSession, TrunkCredential, digest_params, parse_challenge
from longline.sip.features.reliable import MAX_RSEQ, _rack
from longline.sip.features.session_timer import MAX_INTERVAL_S, _seconds, _session_expires
from longline.sip.sdp.crypto import SUITES, Crypto, parse_crypto
from longline.sip.syntax.build import reason_header
from longline.sip.syntax.headers import (
    _COMPACT,
    CANONICAL_NAMES,
    MAX_CSEQ,
    Headers,
    NameAddr,
    Via,
    encode_params,
    parse_cseq,
    parse_name_addr,
    parse_number,
    parse_params,
    parse_via,
    quote,
    split_list,
    unquote,
)
from longline.sip.syntax.message import Request, parse
from longline.sip.syntax.refer_to import ReferTo, parse_refer_to
from longline.sip.syntax.replaces import Replaces, parse_replaces
from longline.sip.syntax.sipfrag import MAX_REASON_CHARS, encode_sipfrag, parse_sipfrag
from longline.sip.syntax.subscription import MAX_EXPIRES_S, SubscriptionState, parse_subscription_state
from longline.sip.syntax.uri import SipUri, parse_uri

# ---- the words of RFC 3261 §25.1

token = st.text("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.!%*_+`'~", min_size=1, max_size=12)
name = st.text("abcdefghijklmnopqrstuvwxyz0123456789-", min_size=1, max_size=10)
number = st.integers(0, 2**31 - 1).map(str)
text = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Zl", "Zp"]), max_size=30).map(str.strip)
quoted = text.map(quote)
octets = st.integers(0, 255)
ipv4 = st.ip_addresses(v=4).map(str)
ipv6 = st.ip_addresses(v=6).map(lambda address: f"[{address}]")
label = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?", fullmatch=True)
host = st.one_of(ipv4, ipv6, st.lists(label, min_size=1, max_size=4).map(".".join))
port = st.none() | st.integers(1, 65_535)
escaped = octets.map(lambda octet: f"%{octet:02X}")
user = st.lists(st.one_of(st.sampled_from("abzABZ019-_.!~*'()&=+$,;?/"), escaped), min_size=1, max_size=12).map("".join)
uri_param = st.tuples(name, st.none() | name)
sip_uri = st.builds(
    SipUri,
    host=host,
    port=port,
    user=st.none() | user,
    params=st.lists(uri_param, max_size=3).map(tuple),
    scheme=st.sampled_from(["sip", "sips"]),
)
params = st.dictionaries(name, st.one_of(st.none(), token, quoted), max_size=4)
name_addr = st.builds(NameAddr, uri=sip_uri.map(str), display=text, params=params)
via = st.builds(
    Via, transport=st.sampled_from(["UDP", "TCP", "TLS", "SCTP", "WSS"]), host=host, port=port, params=params
)


def with_params(value: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.builds(lambda v, p: v + encode_params(p), value, params)


def one_or_more(value: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.lists(value, min_size=1, max_size=3).map(", ".join)


auth_param = st.builds("{}={}".format, name, st.one_of(token, quoted))
auth = st.builds("Digest {}".format, st.lists(auth_param, min_size=1, max_size=6).map(", ".join))
media_type = with_params(st.builds("{}/{}".format, token, token))
address = name_addr.map(str)
absolute = with_params(sip_uri.map("<{}>".format))
call_id = st.builds("{}@{}".format, token, host) | token
utc = st.datetimes().map(lambda when: f"{when:%a, %d %b} {when.year:04d} {when:%H:%M:%S} GMT")

GRAMMAR: dict[str, st.SearchStrategy[str]] = {
    **dict.fromkeys(("From", "To", "Refer-To", "Referred-By", "Reply-To"), address),
    **dict.fromkeys(
        (
            *("Contact", "Route", "Record-Route", "Path", "Service-Route", "P-Asserted-Identity"),
            *("P-Preferred-Identity", "P-Called-Party-ID", "Diversion", "History-Info", "Remote-Party-ID"),
        ),
        one_or_more(address),
    ),
    **dict.fromkeys(("Alert-Info", "Call-Info", "Error-Info", "Geolocation", "Identity-Info"), one_or_more(absolute)),
    "Via": one_or_more(via.map(str)),
    "Call-ID": call_id,
    "In-Reply-To": one_or_more(call_id),
    "CSeq": number.map("{} OPTIONS".format),
    "RAck": st.builds("{} {} {}".format, number, number, token),
    "Max-Forwards": octets.map(str),
    "Content-Length": st.just("0"),
    **dict.fromkeys(("Expires", "Min-Expires", "RSeq", "Flow-Timer"), number),
    **dict.fromkeys(("Min-SE", "Session-Expires"), with_params(number)),
    "Retry-After": st.builds(lambda n, c, p: f"{n} ({c}){encode_params(p)}", number, name, params),
    "Timestamp": st.builds("{}.{} {}".format, number, number, number),
    "MIME-Version": st.builds("{}.{}".format, octets, octets),
    "Date": utc,
    **dict.fromkeys(("Content-Type", "Accept"), media_type),
    **dict.fromkeys(("Content-Disposition", "Event", "Subscription-State", "Info-Package"), with_params(token)),
    **dict.fromkeys(("Join", "Replaces", "Target-Dialog"), with_params(call_id)),
    **dict.fromkeys(
        (
            *("Accept-Encoding", "Accept-Language", "Allow", "Allow-Events", "Content-Encoding", "Content-Language"),
            *("Proxy-Require", "Require", "Supported", "Unsupported", "Recv-Info", "Request-Disposition"),
        ),
        one_or_more(token),
    ),
    **dict.fromkeys(("Reason", "P-Access-Network-Info", "P-Charging-Vector"), one_or_more(with_params(token))),
    **dict.fromkeys(("Accept-Contact", "Reject-Contact"), with_params(st.just("*"))),
    "Privacy": st.lists(token, min_size=1, max_size=3).map(";".join),
    **dict.fromkeys(("Priority", "Refer-Sub", "SIP-ETag", "SIP-If-Match"), token),
    "User-to-User": with_params(st.binary(max_size=20).map(bytes.hex).filter(bool)),
    "Identity": st.binary(min_size=1, max_size=20).map(lambda data: f'"{base64.b64encode(data).decode()}"'),
    "Warning": one_or_more(st.builds("{} {} {}".format, st.integers(300, 399), host, quoted)),
    **dict.fromkeys(
        ("Authorization", "Proxy-Authorization", "WWW-Authenticate", "Proxy-Authenticate"), auth
    ),
    "Authentication-Info": one_or_more(auth_param),
    **dict.fromkeys(("Subject", "Organization", "Server", "User-Agent"), text.filter(bool)),
}  # fmt: skip
"""The form of each header, as the RFC that defines it has it."""

MINIMAL = {
    "Via": "SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKx",
    "From": "<sip:a@192.0.2.1>;tag=1",
    "To": "<sip:b@192.0.2.2>",
    "Call-ID": "id",
    "CSeq": "7 OPTIONS",
    "Content-Length": "0",
}


def test_the_form_of_every_header_that_we_know_is_here() -> None:
    assert set(GRAMMAR) == set(CANONICAL_NAMES.values())


@pytest.mark.parametrize("header", sorted(GRAMMAR))
@settings(max_examples=30)
@given(data=st.data())
def test_header_survives_its_message(header: str, data: st.DataObject) -> None:
    value = data.draw(GRAMMAR[header])
    request = Request("OPTIONS", "sip:b@192.0.2.2", Headers((MINIMAL | {header: value}).items()))
    written = request.encode()
    read = parse(written)
    assert read == request
    assert read.headers.get(header) == value
    assert read.encode() == written
    short = next((short for short, long in _COMPACT.items() if long == header), header.upper())
    again = parse(written.replace(f"\r\n{header}: ".encode(), f"\r\n{short}:\r\n\t".encode()))
    assert again == request


# ---- those that have a parser


def round_trip(strategy: st.SearchStrategy[object], parser: Callable[[str], object]) -> Callable[[], None]:
    @given(strategy)
    def check(value: object) -> None:
        assert parser(str(value)) == value

    return check


def refer_to(text: str) -> ReferTo:
    request = Request("REFER", "sip:b@192.0.2.2", Headers([("Refer-To", text)]))
    return parse_refer_to(request)


replaces = st.builds(Replaces, call_id=call_id, to_tag=token, from_tag=token, early_only=st.booleans())
PARSED: dict[str, tuple[st.SearchStrategy[object], Callable[[str], object]]] = {
    "URI": (sip_uri, parse_uri),
    "From, To, Contact, Route": (name_addr, parse_name_addr),
    "Via": (via, parse_via),
    "Replaces": (replaces, parse_replaces),
    "Refer-To": (
        st.builds(
            ReferTo,
            sip_uri.filter(lambda uri: all(key != "method" for key, _ in uri.params)).map(str),
            st.none() | replaces,
        ),
        refer_to,
    ),
    "Subscription-State": (
        st.builds(
            SubscriptionState,
            st.sampled_from(["active", "pending", "terminated"]),
            st.none() | st.integers(0, MAX_EXPIRES_S),
            st.none() | token,
        ),
        parse_subscription_state,
    ),
    "a=crypto": (
        st.sampled_from(sorted(SUITES)).flatmap(
            lambda suite: st.builds(
                Crypto,
                st.integers(0, 10**9 - 1),
                st.just(suite),
                st.binary(min_size=SUITES[suite], max_size=SUITES[suite]),
            )
        ),
        parse_crypto,
    ),
}


@pytest.mark.parametrize("header", PARSED)
def test_value_survives_its_parser(header: str) -> None:
    round_trip(*PARSED[header])()


@given(st.integers(0, MAX_RSEQ), st.integers(0, MAX_CSEQ), token)
def test_rack(rseq: int, cseq: int, method: str) -> None:
    assert _rack(Request("PRACK", "sip:x", Headers([("RAck", f"{rseq} {cseq} {method}")]))) == (rseq, cseq, method)


@given(st.integers(0, MAX_INTERVAL_S), st.sampled_from(["uac", "uas", ""]), st.integers(0, MAX_INTERVAL_S))
def test_session_expires(interval: int, refresher: str, least: int) -> None:
    value = f"{interval};refresher={refresher}" if refresher else str(interval)
    request = Request("UPDATE", "sip:x", Headers([("Session-Expires", value), ("Min-SE", f"{least};x=y")]))
    assert _session_expires(request) == (interval, refresher)
    assert _seconds(request.headers.get("Min-SE"), "Min-SE") == least


@given(st.integers(0, MAX_CSEQ), token)
def test_cseq(number: int, method: str) -> None:
    assert parse_cseq(f"{number} {method}") == (number, method)


@given(st.integers(0, 2**31 - 1))
def test_number(number: int) -> None:
    assert parse_number(str(number), 2**31 - 1, "Expires") == number


@given(params)
def test_params(given_params: dict[str, str | None]) -> None:
    assert parse_params(encode_params(given_params)) == given_params


@given(st.lists(st.one_of(address, quoted, token), min_size=1, max_size=5))
def test_list(elements: list[str]) -> None:
    assert split_list(", ".join(elements)) == elements
    assert split_list(",".join(elements)) == elements


@given(st.integers(100, 699), text)
def test_sipfrag(status: int, reason: str) -> None:
    assert parse_sipfrag(encode_sipfrag(status, reason or "OK")) == (status, (reason or "OK")[:MAX_REASON_CHARS])


@given(st.dictionaries(name, text, min_size=1, max_size=5))
def test_digest(fields: dict[str, str]) -> None:
    value = "Digest " + ", ".join(f"{key}={quote(value)}" for key, value in fields.items())
    assert digest_params(value) == fields


@given(realm=text, nonce=text, opaque=st.none() | text, algorithm=st.sampled_from(["MD5", "SHA-256", "SHA-256-sess"]))
def test_challenge_and_its_answer(realm: str, nonce: str, opaque: str | None, algorithm: str) -> None:
    value = f'Digest realm={quote(realm)}, nonce={quote(nonce)}, algorithm={algorithm}, qop="auth"'
    value += "" if opaque is None else f", opaque={quote(opaque)}"
    session = parse_challenge(value, proxy=True)
    assert session == DigestSession(True, realm, nonce, algorithm, "auth", opaque)
    header, answer = session.authorize(TrunkCredential("", 'al"ice', "secret"), "INVITE", "sip:x", b"", "c0ffee")
    told = digest_params(answer)
    assert header == "Proxy-Authorization"
    assert told is not None
    assert (told["realm"], told["nonce"], told.get("opaque"), told["username"]) == (realm, nonce, opaque, 'al"ice')
    assert (told["nc"], told["cnonce"], told["qop"], told["uri"]) == ("00000001", "c0ffee", "auth", "sip:x")


@given(text)
def test_reason(why: str) -> None:
    header = reason_header(why)
    if header is not None and header.startswith("SIP;"):
        told = parse_params(header[3:])
        assert told["cause"] == "200"
        assert unquote(told["text"] or "") == "".join(" " if c in '"\\' or not c.isprintable() else c for c in why)
