"""What we write can be read, in every field; what nobody should write is refused."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longline.base.errors import LocalProtocolError, RemoteProtocolError
from longline.sip.syntax.body import sdp_of
from longline.sip.syntax.build import reason_header, response_to
from longline.sip.syntax.headers import (
    Headers,
    NameAddr,
    Via,
    canonical_name,
    parse_cseq,
    parse_name_addr,
    parse_params,
    parse_via,
    quote,
    split_list,
    unquote,
)
from longline.sip.syntax.message import MalformedMessage, Request, Response, parse
from longline.sip.syntax.uri import SipUri, parse_uri, user_of

token = st.text("abcdefghijklmnopqrstuvwxyzABCXYZ0123456789-.!%*_+`'~", min_size=1, max_size=12)
lower = st.text("abcdefghijklmnopqrstuvwxyz0123456789-", min_size=1, max_size=12)
host = st.sampled_from(["192.0.2.1", "example.com", "a-b.example", "[2001:db8::1]", "[::ffff:192.0.2.1]"])
port = st.none() | st.integers(1, 65535)
line = st.text(st.characters(codec="utf-8", exclude_characters="\r\n\0\v\f\x1c\x1d\x1e\x85\u2028\u2029"), max_size=40)
params = st.dictionaries(lower, st.none() | token, max_size=4)
user = st.none() | st.text("abcXYZ019-_.!~*'()&=+$,;?/#", min_size=1, max_size=12)

uris = st.builds(
    SipUri,
    host=host,
    port=port,
    user=user,
    params=st.lists(st.tuples(lower, st.none() | lower), max_size=3).map(tuple),
    headers=st.none() | lower,
)


@given(uris)
def test_uri(uri: SipUri) -> None:
    assert parse_uri(str(uri)) == uri


@given(st.builds(NameAddr, uri=uris.map(str), display=line.map(str.strip), params=params))
def test_name_addr(address: NameAddr) -> None:
    assert parse_name_addr(str(address)) == address


@given(st.builds(Via, transport=st.sampled_from(["UDP", "TCP"]), host=host, port=port, params=params))
def test_via(via: Via) -> None:
    assert parse_via(str(via)) == via


@given(line)
def test_quoted_string(text: str) -> None:
    assert unquote(quote(text)) == text
    assert split_list(f"{quote(text)}, second") == [quote(text), "second"]
    assert parse_params(f";a={quote(text)};b") == {"a": quote(text), "b": None}


extra = st.lists(st.tuples(token.map(lambda name: "X-" + name), line.map(lambda text: text.strip(" \t"))), max_size=5)
bodies = st.binary(max_size=60)


def minimal(method: str) -> list[tuple[str, str]]:
    return [
        ("Via", "SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKx"),
        ("From", "<sip:a@192.0.2.1>;tag=1"),
        ("To", "<sip:b@192.0.2.2>"),
        ("Call-ID", "id"),
        ("CSeq", f"7 {method}"),
    ]


@given(uris.filter(lambda uri: uri.headers is None), extra, bodies)
def test_request(uri: SipUri, more: list[tuple[str, str]], body: bytes) -> None:
    request = Request("INVITE", str(uri), Headers([*minimal("INVITE"), *more]), body)
    assert parse(request.encode()) == request


@given(st.integers(100, 699), line.map(lambda text: text.rstrip("\r")), extra, bodies)
def test_response(status: int, reason: str, more: list[tuple[str, str]], body: bytes) -> None:
    response = Response(status, reason, Headers([*minimal("BYE"), *more]), body)
    assert parse(response.encode()) == response


def test_bytes_that_are_no_utf8_come_out_as_they_went_in() -> None:
    data = Request("OPTIONS", "sip:b@x", Headers([*minimal("OPTIONS"), ("Subject", "MARK")])).encode()
    data = data.replace(b"MARK", b"\xff\xfe caf\xe9")
    assert parse(data).encode() == data


@given(st.binary(max_size=400))
def test_no_bytes_break_the_parser(data: bytes) -> None:
    for start in (b"", b"INVITE sip:x@y SIP/2.0\r\n", b"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP x\r\nFrom: "):
        try:
            parse(start + data)
        except MalformedMessage as error:
            assert str(error) and 400 <= error.status < 600


@given(st.text(max_size=200))
def test_no_text_breaks_a_header_parser(text: str) -> None:
    for parser in (parse_name_addr, parse_via, parse_cseq, parse_params, split_list, parse_uri, user_of):
        try:
            parser(text)  # type: ignore[operator]
        except RemoteProtocolError as error:
            assert error.status == 400


@pytest.mark.parametrize(
    "text", ['"' + "a" * 8000, " " * 8000 + "x", "<" * 4000, ";" * 8000, '"\\' * 4000, ",<" * 4000]
)
def test_no_text_takes_the_parsers_long(text: str) -> None:
    began = time.perf_counter()
    for parser in (parse_name_addr, parse_via, parse_cseq, parse_params, split_list):
        try:
            parser(text)  # type: ignore[operator]
        except RemoteProtocolError:
            continue
    assert time.perf_counter() - began < 0.2


@pytest.mark.parametrize(
    "short", ["i:Call-ID", "m:Contact", "L:Content-Length", "V:Via", "f:From", "T:To", "k:Supported"]
)
def test_compact_name_is_the_long_one(short: str) -> None:
    name, _, long = short.partition(":")
    assert canonical_name(name) == long
    assert canonical_name(long.upper()) == long


@pytest.mark.parametrize("value", ["a\r\nX-Forged: 1", "a\nb", "a\rb"])
def test_line_break_cannot_be_written_into_a_header(value: str) -> None:
    with pytest.raises(LocalProtocolError):
        Request("BYE", "sip:x@y", Headers([("Subject", value)])).encode()


def test_line_break_cannot_be_written_into_a_start_line() -> None:
    with pytest.raises(LocalProtocolError):
        Response(200, "OK\r\nX-Forged: 1", Headers()).encode()


@pytest.mark.parametrize(
    ("cause", "header"),
    [
        (None, None),
        ("", None),
        ("flow over", 'SIP;cause=200;text="flow over"'),
        ('Q.850;cause=16;text="Normal"', 'Q.850;cause=16;text="Normal"'),
        ('say "hi"\r\nX: 1', 'SIP;cause=200;text="say  hi   X: 1"'),
    ],
)
def test_reason_header_of_a_cause(cause: str | None, header: str | None) -> None:
    assert reason_header(cause) == header


def test_response_names_the_tag_once() -> None:
    request = Request("INVITE", "sip:b@x", Headers(minimal("INVITE")))
    assert response_to(request, 180, to_tag="t").to.tag == "t"
    tagged = Request("BYE", "sip:b@x", response_to(request, 180, to_tag="t").headers)
    assert response_to(tagged, 200, to_tag="other").to.tag == "t"


def test_body_of_another_kind_is_no_session_description() -> None:
    request = Request("INVITE", "sip:b@x", Headers([*minimal("INVITE"), ("Content-Type", "text/plain")]), b"v=0")
    assert sdp_of(request) is None


@pytest.mark.parametrize(
    ("uri", "user"),
    [
        ("sip:null-%00-null@x", "null-%00-null"),
        ("sip:a%0D%0Ab@x", "a%0D%0Ab"),
        ("sip:caf%C3%A9@x", "café"),
        ("tel:%00+1;phone-context=x", "%00+1"),
        ("sip:a%2Fb@x", "a/b"),
    ],
)
def test_user_as_text_has_no_control_characters(uri: str, user: str) -> None:
    assert user_of(uri) == user
