"""Messages cut out of a byte stream, wherever the network cuts it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longline.sip.syntax import framing
from longline.sip.syntax.framing import MAX_HEAD_BYTES, StreamFramer
from longline.sip.syntax.framing import _content_length as read_length


def message(body: bytes = b"", name: str = "Content-Length") -> bytes:
    return f"OPTIONS sip:x@y SIP/2.0\r\nVia: SIP/2.0/TCP x\r\n{name}: {len(body)}\r\n\r\n".encode() + body


PIPELINE = [message(), message(b"v=0\r\n\r\nl: 7\r\n"), message(b"x" * 500, "l"), message(b"12", "CONTENT-LENGTH \t")]


def test_split_at_every_byte() -> None:
    stream = b"".join(PIPELINE)
    for cut in range(len(stream)):
        framer = StreamFramer()
        assert framer.feed(stream[:cut]) + framer.feed(stream[cut:]) == PIPELINE
        assert not framer.is_partial


def test_one_byte_at_a_time() -> None:
    framer = StreamFramer()
    assert [m for byte in b"".join(PIPELINE) for m in framer.feed(bytes([byte]))] == PIPELINE


@given(st.lists(st.binary(max_size=50), max_size=5), st.lists(st.integers(1, 40), max_size=30))
def test_any_bodies_in_any_pieces(bodies: list[bytes], sizes: list[int]) -> None:
    messages = [message(body) for body in bodies]
    stream, framer, out = b"".join(messages), StreamFramer(), []
    for size in [*sizes, len(stream)]:
        out += framer.feed(stream[:size])
        stream = stream[size:]
    assert out == messages


def test_keep_alives_between_messages_are_skipped() -> None:
    framer = StreamFramer()
    assert framer.feed(b"\r\n\r\n" + message() + b"\r\n\r\n") == [message()]
    assert not framer.is_partial


def test_a_begun_message_is_partial() -> None:
    framer = StreamFramer()
    assert framer.feed(message(b"body")[:-1]) == []
    assert framer.is_partial


@pytest.mark.parametrize(
    "head",
    [
        b"OPTIONS sip:x@y SIP/2.0\r\nVia: x\r\n\r\n",
        b"OPTIONS sip:x@y SIP/2.0\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n",
        b"OPTIONS sip:x@y SIP/2.0\r\nContent-Length: 5\r\nl: 6\r\n\r\n",
        b"OPTIONS sip:x@y SIP/2.0\r\nContent-Length: -1\r\n\r\n",
        b"OPTIONS sip:x@y SIP/2.0\r\nContent-Length: 99999999\r\n\r\n",
        b"OPTIONS sip:x@y SIP/2.0\r\nContent-Length: 0x10\r\n\r\n",
        b"OPTIONS sip:x@y SIP/2.0\r\nContent-Length:\r\n\r\n",
        b"x" * (MAX_HEAD_BYTES + 1),
    ],
)
def test_stream_that_cannot_be_followed_is_broken_after_its_head(head: bytes) -> None:
    framer = StreamFramer()
    assert framer.feed(head + b"anything") in ([head], [head + b"anything"])
    assert framer.broken
    assert framer.feed(message()) == []


def test_head_is_not_read_again_with_every_piece_of_the_body(monkeypatch: pytest.MonkeyPatch) -> None:
    heads: list[bytes] = []
    monkeypatch.setattr(framing, "_content_length", lambda head: heads.append(head) or read_length(head))
    framer = StreamFramer()
    for byte in message(b"x" * 500):
        framer.feed(bytes([byte]))
    assert len(heads) == 2  # when it has ended, and when its body has
    assert not framer.is_partial
