"""Broken SIP by the thousand, in the spirit of PROTOS c07: a sound message, of which one field at a time is made wrong.

`cases()` is the table FIELDS times the table ANOMALIES: overflow, emptiness, repetition, bad UTF-8, format strings,
integer edges, bad addresses and ports, brackets, line ends. Every case is the same in every run. Leaves out: sequences
of messages, which a generator of single messages cannot make.
"""

import itertools
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

SENDS_ALL = os.environ.get("LONGLINE_MUTATIONS") == "all"

T = TypeVar("T")


def sample(items: Iterable[T], every: int) -> Iterator[T]:
    """One in `every` items, the same in every run; all of them with LONGLINE_MUTATIONS=all."""
    return itertools.islice(items, 0, None, 1 if SENDS_ALL else every)


Anomaly = Callable[[str], str]
"""From a field's sound text to a broken one. Bytes that are no UTF-8 are surrogates, as `surrogateescape` has them."""


def _instead(text: str) -> Anomaly:
    return lambda sound: text


def _behind(text: str) -> Anomaly:
    return lambda sound: sound + text


def _before(text: str) -> Anomaly:
    return lambda sound: text + sound


def _raw(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def _shown(text: str) -> str:
    """A name for a text that may be anything."""
    short = text.encode("utf-8", "surrogateescape")[:16]
    return "".join(chr(byte) if 0x21 <= byte < 0x7F else f"x{byte:02x}" for byte in short)


_INTEGERS = (
    *("-1", "0", "00000000000", "1", "127", "128", "255", "256", "32767", "32768", "65535", "65536"),
    *(str(2**31 - 1), str(2**31), str(2**32 - 1), str(2**32), str(2**63), str(2**64), "9" * 400),
    *("+1", "0x7f", "1e9", "1.5", "NaN", "٣", "1 1"),
)
_FORMATS = ("%s%s%s%s%s%s%s%s", "%n%n%n%n", "%x" * 100, "%.1024d", "%p%p%p%p", "%%00", "%", "%zz", "%00", "{0}", "${x}")
_BAD_UTF8 = (
    *(b"\xff", b"\xc0\xaf", b"\xe2\x82", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xef\xbb\xbf", b"\x80" * 64),
    *(b"\x00", b"\x01\x02\x03\x1b[2J", b"\x7f"),
)
_ADDRESSES = (
    *("0.0.0.0", "255.255.255.255", "256.256.256.256", "1.2.3", "1.2.3.4.5", "0x7f.1", "2130706433", "224.0.0.1"),
    *(
        "[::]",
        "[::1",
        "::1]",
        "[::::]",
        "[1:2:3:4:5:6:7:8:9]",
        "[fe80::1%25lo]",
        "[]",
        "-",
        ".",
        "..",
        "a..b",
        "a." * 200,
    ),
    *("localhost:0", "127.0.0.1:65536", "127.0.0.1:-1", "127.0.0.1:port", "127.0.0.1:", ":5060", "127.0.0.1:5060:5060"),
)
_BRACKETS = (
    *("<", ">", "<<<<", "<>", "<sip:a@b", "sip:a@b>", "<sip:a@b><sip:a@b>", '"', '"""', '"\\', "\\", "(", "(" * 500),
    *("'", "[", "]", "{}", "`", "=", "==", "@", "@@", "a@b@c", ":", "::", "?", "?&", "&=&", "#", "/", "*", "~"),
)
_SEPARATORS = (";", ";;;;", ";=", ";a=;b==c", ",", ",,,,", ", ,", ";" * 1000, "," * 1000, " ", "\t", " " * 1000)
_LINE_ENDS = (
    *("\r", "\n", "\r\n", "\n\n", "\r\n\r\n", "\r\r\n", "\n\r", "\r\n ", "\r\n\t\r\n\t", "\r\n " * 100),
    *("\r\nX-Forged: 1", "\r\nContent-Length: 99999", "\r\nVia: x", "\r\n\r\nINVITE sip:x SIP/2.0\r\n"),
)

ANOMALIES: dict[str, Anomaly] = {
    "absent": _instead(""),
    **{f"overflow_{1 << bits}": _behind("a" * (1 << bits)) for bits in range(8, 18)},
    **{f"overflow_{1 << bits}_digits": _instead("9" * (1 << bits)) for bits in (8, 12, 15)},
    "twice": lambda sound: sound + sound,
    "twice_with_comma": lambda sound: f"{sound},{sound}",
    "a_hundred_times": lambda sound: ",".join([sound] * 100),
    **{f"integer_{_shown(text)}": _instead(text) for text in _INTEGERS},
    **{f"format_{_shown(text)}": _instead(text) for text in _FORMATS},
    **{f"utf8_{data[:4].hex()}_{len(data)}": _behind(_raw(data)) for data in _BAD_UTF8},
    **{f"address_{_shown(text)}": _instead(text) for text in _ADDRESSES},
    **{f"bracket_{_shown(text)}_{len(text)}": _instead(text) for text in _BRACKETS},
    **{f"bracket_before_{_shown(text)}": _before(text) for text in ("<", '"', "\\", "(", "[", "%")},
    **{f"separator_{_shown(text)}_{len(text)}": _behind(text) for text in _SEPARATORS},
    **{f"line_end_{_shown(text)}_{len(text)}": _behind(text) for text in _LINE_ENDS},
}


@dataclass(frozen=True)
class Template:
    """A sound message. `{name}` in `text` is replaced by the field of that name, the body by `body` with its fields."""

    text: str
    fields: dict[str, str]
    body: str = ""
    body_fields: dict[str, str] = field(default_factory=dict)


_VIA = "SIP/{version}/{transport} {via_host}:{via_port};branch={branch};rport{via_more}"
_HEAD = (
    "{method} {scheme}:{user}@{host}:{port}{uri_more} SIP/{start_version}\r\n"
    f"Via: {_VIA}\r\n"
    "Max-Forwards: {max_forwards}\r\n"
    'From: "{from_name}" <{from_uri}>;tag={from_tag}{from_more}\r\n'
    "To: {to_name} <{to_uri}>{to_more}\r\n"
    "Call-ID: {call_id}\r\n"
    "CSeq: {cseq} {cseq_method}\r\n"
    "Contact: <{contact}>{contact_more}\r\n"
)
_HEAD_FIELDS = {
    "method": "OPTIONS", "scheme": "sip", "user": "longline", "host": "127.0.0.1", "port": "5060", "uri_more": "",
    "start_version": "2.0", "version": "2.0", "transport": "UDP", "via_host": "127.0.0.1", "via_port": "5060",
    "branch": "z9hG4bK-%d", "via_more": "", "max_forwards": "70", "from_name": "Mutant",
    "from_uri": "sip:mutant@127.0.0.1", "from_tag": "%d", "from_more": "", "to_name": "Longline",
    "to_uri": "sip:longline@127.0.0.1", "to_more": "", "call_id": "mutation-%d", "cseq": "1", "cseq_method": "OPTIONS",
    "contact": "sip:mutant@127.0.0.1", "contact_more": "", "content_length": "%length",
}  # fmt: skip
_TAIL = "Content-Length: {content_length}\r\n\r\n"

_MORE_HEADERS = {
    "accept": "application/sdp", "accept_encoding": "identity", "alert_info": "<http://x.example/a>",
    "allow": "INVITE", "allow_events": "refer",
    "authorization": 'Digest username="a",realm="b",nonce="c",uri="d",response="e"',
    "call_info": "<http://x.example>;purpose=icon", "content_disposition": "session", "content_encoding": "identity",
    "content_language": "en", "date": "Sat, 13 Nov 2010 23:29:00 GMT", "diversion": "<sip:a@x.example>;reason=busy",
    "event": "refer;id=1", "expires": "3600", "history_info": "<sip:a@x.example>;index=1", "in_reply_to": "1@x",
    "mime_version": "1.0", "min_expires": "60", "min_se": "90", "p_asserted_identity": "<sip:a@x.example>",
    "path": "<sip:p.example;lr>", "priority": "normal", "privacy": "none",
    "proxy_authorization": 'Digest username="a",realm="b",nonce="c",uri="d",response="e",qop=auth,nc=00000001',
    "proxy_require": "sec-agree", "rack": "1 1 INVITE", "reason": 'Q.850;cause=16;text="x"',
    "record_route": "<sip:p.example;lr>", "refer_to": "<sip:a@x.example?Replaces=1%3Bto-tag%3D2%3Bfrom-tag%3D3>",
    "referred_by": "<sip:a@x.example>", "replaces": "1@x;to-tag=2;from-tag=3", "require": "100rel",
    "retry_after": "5;duration=3600", "route": "<sip:p.example;lr>", "rseq": "1",
    "session_expires": "1800;refresher=uac", "subject": "s", "subscription_state": "active;expires=60",
    "supported": "100rel,timer", "timestamp": "54.2",
    "user_agent": "x/1", "warning": '399 x.example "y"', "x_mutant": "v",
}  # fmt: skip
"""Headers that one message hardly carries together: each is mutated alone."""

_SDP = (
    "v={v}\r\no={o_name} {o_id} {o_version} IN {o_type} {o_address}\r\ns={s}\r\nc={c_net} {c_type} {c_address}\r\n"
    "b={b}\r\nt={t}\r\nm={m_kind} {m_port} {m_profile} {m_formats}\r\na=rtpmap:{r_number} {r_name}/{r_rate}\r\n"
    "a=fmtp:{f_number} {f_text}\r\na=ptime:{ptime}\r\na=rtcp:{rtcp}\r\n"
    "a=crypto:{crypto_tag} {crypto_suite} {crypto_key}\r\na={attribute}\r\n"
)
_SDP_FIELDS = {
    "v": "0", "o_name": "-", "o_id": "1", "o_version": "1", "o_type": "IP4", "o_address": "127.0.0.1", "s": "-",
    "c_net": "IN", "c_type": "IP4", "c_address": "127.0.0.1", "b": "AS:64", "t": "0 0", "m_kind": "audio",
    "m_port": "40000", "m_profile": "RTP/AVP", "m_formats": "18", "r_number": "18", "r_name": "G729", "r_rate": "8000",
    "f_number": "18", "f_text": "annexb=no", "ptime": "20", "rtcp": "40001", "crypto_tag": "1",
    "crypto_suite": "AES_CM_128_HMAC_SHA1_80", "crypto_key": "inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj",
    "attribute": "sendrecv",
}  # fmt: skip
"""No codec of ours: a case that is taken for a sound offer is refused at its end, and costs the node no call."""


def _of_method(method: str, text: str = "", **more: str) -> Template:
    fields = _HEAD_FIELDS | {"method": method, "cseq_method": method} | more
    return Template(_HEAD + text + _TAIL, fields)


_INVITE = Template(
    _HEAD + "Content-Type: {content_type}\r\n" + _TAIL,
    _HEAD_FIELDS | {"method": "INVITE", "cseq_method": "INVITE", "content_type": "application/sdp"},
    _SDP,
    _SDP_FIELDS,
)
_RESPONSE = Template(
    "SIP/{start_version} {status} {phrase}\r\n" + _HEAD.split("\r\n", 1)[1] + _TAIL,
    _HEAD_FIELDS | {"status": "200", "phrase": "OK", "cseq_method": "INVITE"},
)
_START = ("method", "scheme", "user", "host", "port", "uri_more", "start_version")

PLAN: list[tuple[str, Template, tuple[str, ...]]] = [
    ("OPTIONS", _of_method("OPTIONS"), tuple(_HEAD_FIELDS)),
    ("INVITE", _INVITE, (*_START, "contact", "contact_more", "from_uri", "to_uri", "content_type", "content_length")),
    ("INVITE", _INVITE, tuple(_SDP_FIELDS)),
    *(
        ("OPTIONS", _of_method("OPTIONS", f"{name.replace('_', '-')}: {{{name}}}\r\n", **{name: value}), (name,))
        for name, value in _MORE_HEADERS.items()
    ),
    *(
        (method, _of_method(method, to_more=";tag=unknown"), ("cseq", "from_tag", "to_more", "call_id"))
        for method in ("BYE", "ACK", "CANCEL", "INFO", "UPDATE", "PRACK", "REFER", "NOTIFY", "REGISTER", "MESSAGE")
    ),
    ("response", _RESPONSE, ("start_version", "status", "phrase", "branch", "cseq", "cseq_method", "to_more")),
]  # fmt: skip
"""What is mutated: of which message, which fields."""


@dataclass(frozen=True)
class Case:
    """One broken message. `name` tells message, field and anomaly; `data` what goes on the wire."""

    number: int
    name: str
    data: bytes


def cases(transport: str = "UDP") -> Iterator[Case]:
    """Every case, numbered; the number is in its branch, tags and Call-ID unless those are what is broken."""
    number = 0
    for message, template, names in PLAN:
        for name in names:
            for anomaly, mutate in ANOMALIES.items():
                number += 1
                yield Case(number, f"{message}.{name}.{anomaly}", _write(template, name, mutate, number, transport))


def _write(template: Template, name: str, mutate: Anomaly, number: int, transport: str) -> bytes:
    head = {key: value.replace("%d", str(number)) for key, value in template.fields.items()}
    if name != "transport":
        head["transport"] = transport
    body = dict(template.body_fields)
    (body if name in body else head)[name] = mutate((body | head)[name])
    content = template.body.format_map(body).encode("utf-8", "surrogateescape")
    head["content_length"] = head["content_length"].replace("%length", str(len(content)))
    return template.text.format_map(head).encode("utf-8", "surrogateescape") + content


# ---- within a call

OFFER = (
    "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 40000 RTP/AVP 0\r\n"
    "a=rtpmap:0 PCMU/8000\r\na=sendrecv\r\n"
)

WITHIN: list[tuple[str, dict[str, str], bytes]] = [
    ("INVITE", {"Contact": "<sip:alice@192.0.2.1>", "Session-Expires": "1800;refresher=uac", "Min-SE": "90",
                "Supported": "timer, 100rel", "Content-Type": "application/sdp", "Record-Route": "<sip:p.example;lr>",
                "Expires": "10", "Allow": "INVITE, UPDATE", "Accept": "application/sdp"}, OFFER.encode()),
    ("UPDATE", {"Contact": "<sip:alice@192.0.2.1>", "Session-Expires": "1800;refresher=uac", "Min-SE": "90",
                "Supported": "timer", "Content-Type": "application/sdp", "Require": "timer"}, OFFER.encode()),
    ("PRACK", {"RAck": "1 1 INVITE", "Content-Type": "application/sdp"}, OFFER.encode()),
    ("INFO", {"Content-Type": "application/dtmf-relay", "Info-Package": "x", "Content-Disposition": "signal"},
     b"Signal=5\r\nDuration=160\r\n"),
    ("REFER", {"Refer-To": "<sip:carol@192.0.2.3?Replaces=1%3Bto-tag%3D2%3Bfrom-tag%3D3>", "Refer-Sub": "true",
               "Referred-By": "<sip:alice@192.0.2.1>", "Contact": "<sip:alice@192.0.2.1>",
               "Supported": "norefersub"}, b""),
    ("NOTIFY", {"Event": "refer;id=1", "Subscription-State": "active;expires=60", "Content-Type": "message/sipfrag",
                "Contact": "<sip:alice@192.0.2.1>"}, b"SIP/2.0 180 Ringing\r\n"),
    ("SUBSCRIBE", {"Event": "refer;id=1", "Expires": "60", "Contact": "<sip:alice@192.0.2.1>"}, b""),
    ("OPTIONS", {"Accept": "application/sdp"}, b""),
    ("BYE", {"Reason": 'Q.850;cause=16;text="x"'}, b""),
]  # fmt: skip
"""Requests within a dialog, with the headers that are made wrong one by one."""


def broken(fields: dict[str, str], body: bytes) -> Iterator[tuple[str, dict[str, str], bytes]]:
    """Each header with each anomaly, and then the body with each."""
    for name, (anomaly, mutate) in itertools.product(fields, ANOMALIES.items()):
        yield f"{name}.{anomaly}", fields | {name: mutate(fields[name])}, body
    if body:
        for anomaly, mutate in ANOMALIES.items():
            text = mutate(body.decode("utf-8", "surrogateescape"))
            yield f"body.{anomaly}", fields, text.encode("utf-8", "surrogateescape")


def broken_offers() -> Iterator[tuple[str, bytes]]:
    """The offer of a call in progress, each field with each anomaly."""
    sound = _SDP_FIELDS | {"m_formats": "0", "r_number": "0", "r_name": "PCMU", "f_number": "0", "f_text": "x"}
    for name, (anomaly, mutate) in itertools.product(sound, ANOMALIES.items()):
        text = _SDP.format_map(sound | {name: mutate(sound[name])})
        yield f"{name}.{anomaly}", text.encode("utf-8", "surrogateescape")


def write(start: str, plain: Iterable[tuple[str, str]], fields: dict[str, str], body: bytes) -> bytes:
    """By hand: what is broken may have line ends in it."""
    lines = [f"{name}: {value}" for name, value in plain if name not in fields and name != "Content-Length"]
    lines += [f"{name}: {value}" for name, value in fields.items()]
    head = "\r\n".join([start, *lines, f"Content-Length: {len(body)}"]) + "\r\n\r\n"
    return head.encode("utf-8", "surrogateescape") + body
