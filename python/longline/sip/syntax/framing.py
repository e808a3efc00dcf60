"""Cuts a byte stream into SIP messages by Content-Length (RFC 3261 §18.3). Pure: bytes in, messages out.

What cannot be framed (no, two or a bad Content-Length, a head without end) is handed on as far as it goes, so that the
peer can be told why, and ends the stream: `broken` says so. Leaves out: deadlines; the transport keeps them.
"""

import re

from longline.sip.syntax.message import MAX_MESSAGE_BYTES

MAX_HEAD_BYTES = MAX_MESSAGE_BYTES
"""A head that has not ended by then ends the connection; counter `sip.streams_broken`."""

_HEAD_END = re.compile(rb"\r?\n\r?\n")
_FOLD = re.compile(rb"\r?\n[ \t]+")
_CONTENT_LENGTH = re.compile(rb"(?im)^(?:content-length|l)[ \t]*:[ \t]*([^\r\n]*)")


class StreamFramer:
    __slots__ = ("_blank_lines", "_buffer", "_searched", "_size", "broken")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._searched = 0
        self._size = 0
        self._blank_lines = 0
        self.broken = False

    @property
    def is_partial(self) -> bool:
        """A message has begun and has not ended."""
        return bool(self._buffer) and not self.broken

    def take_blank_lines(self) -> int:
        """How many blank lines there were between messages since the last question: keep-alives (RFC 5626 §3.5.1)."""
        count, self._blank_lines = self._blank_lines, 0
        return count

    def feed(self, data: bytes) -> list[bytes]:
        """The messages that are complete now. After `broken` nothing more comes out."""
        messages: list[bytes] = []
        if self.broken:
            return messages
        self._buffer += data
        while not self.broken:
            message = self._cut()
            if message is None:
                return messages
            messages.append(message)
        self._buffer.clear()
        return messages

    def _cut(self) -> bytes | None:
        if len(self._buffer) < self._size:
            return None  # its head has been read: it is not read again with every piece of its body
        if self._searched == 0 and self._buffer.startswith((b"\r", b"\n")):
            # RFC 3261 §7.5: CRLFs before a start line are ignored; RFC 5626 uses them as keep-alive.
            blank = len(self._buffer) - len(self._buffer.lstrip(b"\r\n"))
            self._blank_lines += self._buffer.count(b"\n", 0, blank)
            del self._buffer[:blank]
        end = _HEAD_END.search(self._buffer, max(0, self._searched - 3))
        if end is None:
            self._searched = len(self._buffer)
            if self._searched <= MAX_HEAD_BYTES:
                return None
            return self._break(bytes(self._buffer))
        head = bytes(self._buffer[: end.end()])
        length = _content_length(head)
        if length is None or len(head) > MAX_HEAD_BYTES:
            return self._break(head)
        self._size = len(head) + length
        if len(self._buffer) < self._size:
            self._searched = end.start()
            return None
        message = bytes(self._buffer[: self._size])
        del self._buffer[: self._size]
        self._searched = self._size = 0
        return message

    def _break(self, message: bytes) -> bytes:
        self.broken = True
        return message


def _content_length(head: bytes) -> int | None:
    """The one Content-Length of a head; None when the stream cannot be followed beyond it."""
    values = _CONTENT_LENGTH.findall(_FOLD.sub(b" ", head))
    if len(values) != 1:
        return None
    text = values[0].strip()
    if not text.isdigit() or len(text) > 6 or int(text) > MAX_MESSAGE_BYTES - len(head):
        return None
    return int(text)
