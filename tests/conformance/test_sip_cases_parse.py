"""SIP that is unusual, broken or hostile: the status of each case, and that a call in progress hears nothing of it."""

import ipaddress
import itertools

import pytest
from tests.unit.sip.sip_pair import OFFER, Party, Wire, established
from tests.unit.sip.strangers import guarded, request_text

from longline.sip.events import IncomingCall
from longline.sip.syntax.framing import StreamFramer
from longline.sip.syntax.headers import _COMPACT
from longline.sip.syntax.message import MAX_BODY_BYTES, MAX_HEADERS, MAX_MESSAGE_BYTES, MAX_VIAS, parse
from longline.sip.wire import Source

STRANGER = Source("UDP", "192.0.2.99", 5060)
VIA = "SIP/2.0/UDP 192.0.2.99:5060;branch=z9hG4bKstranger"


class Bystander:
    """Bob, in a call with Alice while a stranger sends him things."""

    def __init__(self) -> None:
        self.wire, self.alice, self.bob, self.ours, self.theirs = established()
        self.wire.run(40)
        self.bob.react = lambda event: None
        self.bob.events.clear()
        self.before = self.tables()

    def tables(self) -> tuple[int, int, int]:
        endpoint = self.bob.endpoint
        return endpoint.calls, endpoint.transactions, len(endpoint._core.timers)

    def receive(self, data: bytes, source: Source = STRANGER) -> list[int]:
        """The statuses Bob answers at once. What he echoes may be no message that can be parsed."""
        self.bob.endpoint.receive(self.wire.now, source, data)
        statuses = []
        while (transmit := self.bob.endpoint.poll_transmit()) is not None:
            start = transmit.data.split(b"\r\n", 1)[0]
            assert start.startswith(b"SIP/2.0 ")
            assert len(transmit.data) <= len(data) + 400, "we are no amplifier"
            statuses.append(int(start.split(b" ", 2)[1]))
        self.bob.drain()
        return statuses

    def assert_undisturbed(self) -> None:
        """The call goes on in both directions, nothing is left behind, and it can still be ended."""
        for event in self.bob.events:
            if isinstance(event, IncomingCall):
                self.bob.do("reject", event.handle, 486)
        self.wire.run(40)
        assert self.tables() == self.before
        assert {type(event) for event in self.bob.events} <= {IncomingCall}
        assert self.alice.names() == ["Progress", "Answered"]
        self.alice.do("bye", self.ours)
        self.wire.run(40)
        assert self.bob.names()[-1] == "Ended"
        assert self.bob.endpoint.calls == 0


def message(method: str = "OPTIONS", *more: str, body: bytes = b"", **replaced: str) -> bytes:
    """A sound request of a stranger. Keyword arguments replace headers (`call_id=…`) or leave them out (empty)."""
    fields = {
        "uri": "sip:bob@192.0.2.2",
        "via": VIA,
        "max_forwards": "70",
        "from": "<sip:eve@192.0.2.99>;tag=e1",
        "to": "<sip:bob@192.0.2.2>",
        "call_id": "stranger-1",
        "cseq": f"1 {method}",
        "contact": "<sip:eve@192.0.2.99>",
        "content_type": "application/sdp" if body else "",
        "content_length": str(len(body)),
    } | {name.rstrip("_"): value for name, value in replaced.items()}
    lines = [f"{method} {fields.pop('uri')} SIP/2.0"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in fields.items() if value]
    return ("\r\n".join([*lines, *more]) + "\r\n\r\n").encode() + body


def mixed_line_ends(data: bytes) -> bytes:
    ends = itertools.cycle((b"\r\n", b"\n"))
    return b"".join(line + next(ends) for line in data.split(b"\r\n")[:-1])


def compact(data: bytes) -> bytes:
    """The message with every header name in its compact form."""
    short = {long.lower(): name for name, long in _COMPACT.items()}
    lines = data.decode().split("\r\n")
    for number, line in enumerate(lines[1:], 1):
        name, colon, value = line.partition(":")
        lines[number] = short.get(name.lower(), name) + colon + value
    return "\r\n".join(lines).encode()


def vias(count: int, separator: str = "\r\nVia: ") -> str:
    return separator.join([VIA, *(f"SIP/2.0/UDP h{n}.example;branch=z9hG4bK{n}" for n in range(1, count))])


SOUND = {
    "line_ends_of_lf_alone": message().replace(b"\r\n", b"\n"),
    "mixed_line_ends": mixed_line_ends(message()),
    "leading_crlfs": b"\r\n\r\n\r\n" + message(),
    "compact_forms": compact(message()),
    "folded_headers": message(from_='"Eve\r\n\tthe stranger"\r\n  <sip:eve@192.0.2.99>\r\n ;tag=e1'),
    "folded_at_every_token": message(via="SIP\r\n /\r\n 2.0\r\n /\r\n UDP\r\n 192.0.2.99:5060\r\n ;branch=z9hG4bKfold"),
    "header_names_in_any_case": message().upper().replace(b"SIP:BOB", b"sip:bob"),
    "white_space_before_the_colon": message().replace(b"call-id:", b"call-id \t :"),
    "no_white_space_after_the_colon": message().replace(b": ", b":"),
    "no_max_forwards": message(max_forwards=""),
    "max_forwards_0": message(max_forwards="0"),
    "no_contact": message(contact=""),
    "datagram_longer_than_content_length": message() + b"\0" * 500,
    "no_content_length_in_a_datagram": message(content_length=""),
    "cseq_0": message(cseq="0 OPTIONS"),
    "cseq_2_to_the_31_less_1": message(cseq="2147483647 OPTIONS"),
    "seventy_vias": message(via=vias(70)),
    "seventy_vias_in_one_line": message(via=vias(70, ", ")),
    "unknown_headers": message("OPTIONS", "X-Foo: 1", 'P-Whatever: <;>,"', "Q:"),
    "no_utf8_in_a_header_nobody_reads": message("OPTIONS", "Subject: MARK").replace(b"MARK", b"\xff\xfe\x80"),
    "ipv6_reference": message(via="SIP/2.0/UDP [2001:db8::9:1]:5060;branch=z9hG4bKv6"),
    "as_many_headers_as_are_taken": message("OPTIONS", *["X-Y: z"] * (MAX_HEADERS - 8)),
    "as_long_a_message_as_is_taken": message("OPTIONS", *["X-Y: " + "z" * 2000] * 7),
}


@pytest.mark.parametrize("name", SOUND)
def test_sound_but_unusual_message_is_understood(name: str) -> None:
    bystander = Bystander()
    assert bystander.receive(SOUND[name]) == [200]
    bystander.assert_undisturbed()


def multipart(body: bytes, boundary: str = "b") -> bytes:
    return message("INVITE", body=body, content_type=f"multipart/mixed;boundary={boundary}")


REFUSED: dict[str, tuple[int, bytes]] = {
    "nul_in_a_header": (400, message("OPTIONS", "Subject: a\0b")),
    "cr_in_a_header": (400, message("OPTIONS", "Subject: a\rb")),
    "header_line_of_64_kb": (513, message("OPTIONS", "Subject: " + "x" * 65_000)),
    "header_line_of_9_kb": (400, message("OPTIONS", "Subject: " + "x" * 9_000)),
    "ten_thousand_headers": (513, message("OPTIONS", *["X-Y: z"] * 10_000)),
    "one_header_too_many": (400, message("OPTIONS", *["X-Y: z"] * (MAX_HEADERS - 7))),
    "one_via_too_many": (400, message(via=vias(MAX_VIAS + 1))),
    "one_via_too_many_in_one_line": (400, message(via=vias(MAX_VIAS + 2, ", "))),
    "no_from": (400, message(from_="")),
    "no_to": (400, message(to="")),
    "no_call_id": (400, message(call_id="")),
    "no_cseq": (400, message(cseq="")),
    "two_froms": (400, message("OPTIONS", "f: <sip:eve@192.0.2.99>;tag=e1")),
    "two_tos": (400, message("OPTIONS", "t: <sip:bob@192.0.2.2>")),
    "two_call_ids": (400, message("OPTIONS", "i: other")),
    "two_cseqs": (400, message("OPTIONS", "CSeq: 2 OPTIONS")),
    "two_content_lengths_that_agree": (400, message("OPTIONS", "l: 0")),
    "two_content_lengths_that_differ": (400, message("OPTIONS", "l: 3")),
    "content_length_negative": (400, message(content_length="-1")),
    "content_length_not_a_number": (400, message(content_length="ten")),
    "content_length_with_a_sign": (400, message(content_length="+0")),
    "content_length_in_hexadecimal": (400, message(content_length="0x0")),
    "content_length_in_arabic_digits": (400, message(content_length="\u0660")),
    "content_length_2_to_the_31": (400, message(content_length=str(2**31))),
    "content_length_2_to_the_64": (400, message(content_length=str(2**64))),
    "content_length_of_a_gigabyte": (513, message(content_length=str(10**9))),
    "body_shorter_than_content_length": (400, message(body=OFFER, content_length=str(len(OFFER) + 1))),
    "body_of_9_kb": (513, message(body=b"x" * 9_000)),
    "body_too_long_without_content_length": (513, message(body=b"x" * (MAX_BODY_BYTES + 1), content_length="")),
    "datagram_of_64_kb": (513, message(body=b"x" * 64_000)),
    "cseq_of_another_method": (400, message(cseq="1 INVITE")),
    "cseq_2_to_the_31": (400, message(cseq="2147483648 OPTIONS")),
    "cseq_2_to_the_32": (400, message(cseq="4294967296 OPTIONS")),
    "cseq_negative": (400, message(cseq="-1 OPTIONS")),
    "cseq_without_method": (400, message(cseq="1")),
    "max_forwards_256": (400, message(max_forwards="256")),
    "max_forwards_negative": (400, message(max_forwards="-1")),
    "unknown_require": (420, message("OPTIONS", "Require: nothingSupportsThis")),
    "unknown_method": (501, message("FROBNICATE")),
    "unknown_version": (505, message().replace(b" SIP/2.0\r\n", b" SIP/3.0\r\n", 1)),
    "unknown_scheme": (416, message(uri="gopher://bob@192.0.2.2")),
    "unbalanced_quote": (400, message(from_='"eve <sip:eve@192.0.2.99>;tag=1')),
    "unbalanced_bracket": (400, message(from_="<sip:eve@192.0.2.99;tag=1")),
    "parameters_without_end": (400, message(from_="<sip:e@192.0.2.99>;tag=1" + "".join(f";p{n}" for n in range(99)))),
    "ipv6_reference_without_end": (400, message(uri="sip:bob@[2001:db8::1")),
    "ipv6_reference_of_nonsense": (400, message(uri="sip:bob@[::::::]")),
    "ipv6_reference_of_nonsense_in_via": (400, message(via="SIP/2.0/UDP [1:2];branch=z9hG4bKx")),
    "two_refer_tos": (400, message("OPTIONS", "Refer-To: <sip:a@192.0.2.1>", "r: <sip:b@192.0.2.1>")),
    "two_replaces": (400, message("OPTIONS", "Replaces: a;to-tag=1;from-tag=2", "Replaces: b;to-tag=1;from-tag=2")),
    "multipart_without_boundary": (415, message("INVITE", body=b"--b\r\n\r\n", content_type="multipart/mixed")),
    "multipart_without_parts": (415, multipart(b"nothing here")),
    "multipart_that_does_not_end": (415, multipart(b"--b\r\nContent-Type: text/plain\r\n\r\nx" + b"\r\n--b" * 500)),
    "multipart_of_a_boundary_alone": (415, multipart(b"--b--")),
    "multipart_with_half_a_boundary": (415, multipart(b"--")),
    "multipart_with_a_boundary_of_quotes": (415, multipart(b"--b\r\n\r\n", '"')),
    "multipart_with_a_boundary_of_1_kb": (415, multipart(b"--b\r\n\r\n", "b" * 1000)),
    "multipart_part_without_headers": (415, multipart(b"--b\r\n\r\nv=0\r\n--b--")),
    "multipart_nested_200_deep": (415, multipart(b"--b\r\nContent-Type: multipart/mixed;boundary=b\r\n\r\n" * 150)),
    "content_encoding": (415, message("INVITE", "Content-Encoding: gzip", body=OFFER)),
}


@pytest.mark.parametrize("name", REFUSED)
def test_broken_message_is_refused(name: str) -> None:
    status, data = REFUSED[name]
    bystander = Bystander()
    assert bystander.receive(data) == [status]
    assert bystander.bob.names() == []
    bystander.assert_undisturbed()


DROPPED = {
    "no_via": message(via=""),
    "nothing_but_noise": bytes(range(256)) * 4,
    "head_that_does_not_end": message()[:120],
    "64_kb_without_a_line_end": b"A" * 65_000,
    "malformed_ack": message("ACK", cseq="one ACK"),
    "malformed_response": b"SIP/2.0 200 OK\r\nVia: x\r\n\r\n",
    "response_nobody_asked_for": message().replace(b"OPTIONS sip:bob@192.0.2.2 SIP/2.0", b"SIP/2.0 200 OK"),
    "status_of_0": b"SIP/2.0 000 x\r\n\r\n",
    "status_of_4294967301": message().replace(b"OPTIONS sip:bob@192.0.2.2 SIP/2.0", b"SIP/2.0 4294967301 x"),
    "stun": b"\x00\x01\x00\x00\x21\x12\xa4\x42" + b"x" * 12,
    "http": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
}


@pytest.mark.parametrize("name", DROPPED)
def test_what_cannot_be_answered_is_dropped(name: str) -> None:
    bystander = Bystander()
    assert bystander.receive(DROPPED[name]) == []
    assert bystander.bob.names() == []
    bystander.assert_undisturbed()


# ---- streams


def over_tcp(data: bytes, cuts: list[int] | None = None) -> tuple[Bystander, list[int], bool]:
    """The statuses for what a TCP connection brings in these pieces, and whether the stream broke."""
    bystander, framer = Bystander(), StreamFramer()
    source = Source("TCP", "192.0.2.99", 40_000, 9)
    edges = [0, *(cuts or []), len(data)]
    pieces = [data[a:b] for a, b in itertools.pairwise(edges)]
    statuses = [status for piece in pieces for one in framer.feed(piece) for status in bystander.receive(one, source)]
    return bystander, statuses, framer.broken


def tcp(number: int, **more: str) -> bytes:
    via = f"SIP/2.0/TCP 192.0.2.99:5060;branch=z9hG4bKtcp{number}"
    return message(via=via, call_id=f"tcp-{number}", **more)


def test_pipelined_messages_on_tcp_are_answered_each() -> None:
    bystander, statuses, broken = over_tcp(b"".join(tcp(n) for n in range(20)))
    assert (statuses, broken) == ([200] * 20, False)
    bystander.assert_undisturbed()


def test_messages_on_tcp_may_be_split_at_every_byte() -> None:
    data = tcp(1) + b"\r\n\r\n" + tcp(2)
    for cut in range(len(data)):
        framer = StreamFramer()
        assert [parse(m).call_id for m in framer.feed(data[:cut]) + framer.feed(data[cut:])] == ["tcp-1", "tcp-2"]
    bystander, statuses, _ = over_tcp(data, list(range(1, len(data))))
    assert statuses == [200, 200]
    bystander.assert_undisturbed()


BROKEN_STREAMS = {
    "no_content_length": ([400], tcp(1, content_length="")),
    "content_length_negative": ([400], tcp(1, content_length="-5")),
    "content_length_2_to_the_64": ([400], tcp(1, content_length=str(2**64))),
    "content_length_of_a_gigabyte": ([513], tcp(1, content_length=str(10**9))),
    "content_length_of_16_kb": ([513], tcp(1, content_length=str(MAX_MESSAGE_BYTES))),
    "two_content_lengths": ([400], tcp(1, max_forwards="70\r\nl: 0")),
    "a_head_without_end": ([], b"A" * (MAX_MESSAGE_BYTES + 1)),
    "headers_without_end": ([513], tcp(1)[:-2] + b"X-Y: z\r\n" * 4000),
}


@pytest.mark.parametrize("name", BROKEN_STREAMS)
def test_stream_that_cannot_be_followed_is_told_why_and_ended(name: str) -> None:
    statuses, data = BROKEN_STREAMS[name]
    bystander, answered, broken = over_tcp(data + tcp(2))
    assert (answered, broken) == (statuses, True)
    bystander.assert_undisturbed()


def test_body_longer_than_content_length_on_tcp_is_the_next_message() -> None:
    """It is none, and what is behind it is lost: a stream that has lost its place cannot find it again."""
    bystander, statuses, _ = over_tcp(tcp(1) + b"surplus\r\n\r\n" + tcp(2))
    assert statuses == [200]
    bystander.assert_undisturbed()


def test_body_too_long_on_tcp_is_told_and_the_stream_goes_on() -> None:
    body = b"x" * 9_000
    long = tcp(1, content_length=str(len(body))) + body
    bystander, statuses, broken = over_tcp(long + tcp(2))
    assert (statuses, broken) == ([513, 200], False)
    bystander.assert_undisturbed()


def test_tcp_connection_that_closes_after_its_invite_leaves_the_call_ringing_until_it_is_given_up() -> None:
    bystander = Bystander()
    source = Source("TCP", "192.0.2.99", 40_000, 9)
    invite = message("INVITE", via="SIP/2.0/TCP 192.0.2.99:5060;branch=z9hG4bKclose", body=OFFER)
    assert bystander.receive(invite, source) == [100]
    bystander.bob.endpoint.connection_lost(bystander.wire.now, 9)
    bystander.assert_undisturbed()


# ---- loops


def test_request_that_comes_along_a_second_path_is_refused_with_482() -> None:
    bystander = Bystander()
    assert bystander.receive(message("INVITE", body=OFFER)) == [100]
    again = message("INVITE", body=OFFER, via=f"SIP/2.0/UDP 192.0.2.98;branch=z9hG4bKloop, {VIA}")
    assert bystander.receive(again) == [482]
    assert bystander.bob.names() == ["IncomingCall"]
    bystander.assert_undisturbed()


def test_our_own_response_that_comes_back_is_dropped() -> None:
    bystander = Bystander()
    bystander.receive(message("INVITE", body=OFFER))
    handle = bystander.bob.events[0].handle
    bystander.bob.do("ring", handle)
    ringing = bystander.wire.sent[-1].transmit.data
    assert ringing.startswith(b"SIP/2.0 180")
    for _ in range(100):
        assert bystander.receive(ringing) == []
    bystander.assert_undisturbed()


# ---- names that hide what they are


@pytest.mark.parametrize(
    "line",
    [
        "P-Asserted-Identity: <sip:president@here.example>",
        "p-asserted-identity:<sip:president@here.example>",
        "P-ASSERTED-IDENTITY \t : <sip:president@here.example>",
        "P-Asserted-Identity:\r\n\t<sip:president@here.example>",
        "X-Longline-Admin: 1",
        "x-longline-admin\t:\r\n 1",
        "y: x",
        "History-Info : <sip:president@here.example>;index=1",
    ],
)
def test_header_that_only_a_trunk_may_send_is_found_in_every_spelling(line: str) -> None:
    wire, node = guarded(networks=(ipaddress.ip_network("203.0.113.0/24"),))
    data = request_text(user="guest", host="203.0.113.5", extra=f"{line}\r\n")
    wire.inject(node, data, Source("UDP", "203.0.113.5", 5060))
    (call,) = node.events
    assert isinstance(call, IncomingCall)
    names = {name.lower() for name, _ in call.headers}
    assert not names & {"p-asserted-identity", "x-longline-admin", "identity", "y", "history-info"}
    assert len(names) > 8


# ---- whatever one byte of a message is


def test_no_bit_flip_breaks_the_endpoint() -> None:
    """Each byte of an INVITE in turn becomes something else."""
    data = message("INVITE", body=OFFER)
    wire = Wire()
    bob = Party(wire, "192.0.2.2")
    for position in range(len(data)):
        for value in (data[position] ^ 0x01, data[position] ^ 0x80, 0x00, 0x0A):
            mutated = data[:position] + bytes([value]) + data[position + 1 :]
            bob.endpoint.receive(wire.now, STRANGER, mutated)
            for event in iter(bob.endpoint.poll_event, None):
                if isinstance(event, IncomingCall):
                    bob.endpoint.reject(wire.now, event.handle, 486)
            while bob.endpoint.poll_transmit() is not None:
                pass
    wire.run(40)
    assert (bob.endpoint.calls, bob.endpoint.transactions) == (0, 0)


def test_headers_that_we_copy_into_a_response_cannot_grow_it_without_bound() -> None:
    sent = Bystander()
    data = message(via=vias(70))
    sent.bob.endpoint.receive(sent.wire.now, STRANGER, data)
    transmit = sent.bob.endpoint.poll_transmit()
    assert transmit is not None
    assert len(transmit.data) < len(data) + 200
