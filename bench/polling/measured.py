"""What a process measures of itself: CPU time, delays of the chunks that came, bytes and packets of its sockets."""

import socket
import struct
import time
from typing import Any, Final

#: struct tcp_info of Linux: bytes acknowledged and received, segments sent and received.
_BYTES: Final = struct.Struct("=QQ")
_SEGMENTS: Final = struct.Struct("=II")
_BYTES_AT: Final = 120
_SEGMENTS_AT: Final = 136
#: IPv4 and TCP with time stamps, in each segment.
HEADERS: Final = 52
#: FIN and its acknowledgements, which come after the socket was looked at.
CLOSING_SEGMENTS: Final = 3


class Measured:
    def __init__(self) -> None:
        self.begin, self.end = float("inf"), float("inf")
        self.delays: list[float] = []
        self.made = 0
        self.requests = 0
        self.connections = 0
        self._cpu_ns = 0
        self._bytes = 0
        self._segments = 0
        self._open: dict[int, tuple[socket.socket, int, int]] = {}

    @property
    def is_on(self) -> bool:
        return self.begin <= time.monotonic() < self.end

    def chunk_came(self, born: float) -> None:
        if self.begin <= born < self.end:
            self.delays.append(time.monotonic() - born)

    def chunk_made(self) -> None:
        self.made += self.is_on

    def opened(self, connection: socket.socket) -> None:
        self.connections += self.is_on
        self._open[id(connection)] = connection, 0, 0

    def closed(self, connection: socket.socket) -> None:
        found = self._open.pop(id(connection), None)
        if found is not None and self.is_on:
            self._count(found, CLOSING_SEGMENTS)

    def start(self) -> None:
        self._cpu_ns = time.process_time_ns()
        self._open = {key: (one, *_counts(one)) for key, (one, _, _) in self._open.items()}

    def stop(self) -> None:
        """The end of the measurement; what is under way may still come."""
        self._cpu_ns = time.process_time_ns() - self._cpu_ns
        for found in self._open.values():
            self._count(found, 0)
        self._open.clear()

    def _count(self, found: tuple[socket.socket, int, int], more: int) -> None:
        connection, bytes_before, segments_before = found
        count, segments = _counts(connection)
        self._bytes += count - bytes_before
        self._segments += segments - segments_before + more

    def result(self) -> dict[str, Any]:
        return {
            "cpu_ns": self._cpu_ns,
            "delays": self.delays,
            "made": self.made,
            "requests": self.requests,
            "connections": self.connections,
            "bytes": self._bytes,
            "segments": self._segments,
        }


def _counts(connection: socket.socket) -> tuple[int, int]:
    """Bytes and segments, both ways."""
    try:
        info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
    except OSError:
        return 0, 0
    if len(info) < _SEGMENTS_AT + _SEGMENTS.size:
        return 0, 0
    return sum(_BYTES.unpack_from(info, _BYTES_AT)), sum(_SEGMENTS.unpack_from(info, _SEGMENTS_AT))
