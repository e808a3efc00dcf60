"""Ports that are free now."""

import contextlib
import socket


def free_ports(count: int, kind: socket.SocketKind = socket.SOCK_STREAM) -> list[int]:
    """All are held until all are known, so that they differ. SIP needs a number that is free for UDP and TCP alike."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket(socket.AF_INET, kind)) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in sockets]


def free_port_and_next() -> int:
    """A port such that the next one is free too: a program that listens at `port` has its TLS there."""
    while True:
        (port,) = free_ports(1)
        with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_STREAM) as following:
            following.bind(("127.0.0.1", port + 1))
            return port
