"""Ports that are free now, for programs that are told where to listen.

They are drawn from below the range that the kernel gives to outgoing connections, so that no stranger's connection
takes one between the draw and the start of the program. The number after each is free too: a phone has its TLS there.
"""

import contextlib
import os
import random
import socket

_WORKERS = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
_WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
_NUMBERS = range(10_000 + 2 * _WORKER, 19_998, 2 * _WORKERS)
"""Each of several processes that run tests at a time has numbers of its own: between the draw of one and the start of
its program another draws none of them."""
_drawn: set[int] = set()
"""Drawn before, and not again: somebody may still send to who was there (SIP repeats a request for 32 s)."""
_KINDS = (socket.SOCK_STREAM, socket.SOCK_DGRAM)
_TRIES = 1000


def free_ports(count: int) -> list[int]:
    """Numbers that differ, each free for UDP and TCP alike, and the next one too."""
    found: list[int] = []
    left = [number for number in _NUMBERS if number not in _drawn]
    for number in random.SystemRandom().sample(left, min(_TRIES, len(left))):
        if len(found) == count:
            break
        if all(_is_free(number + next_one, kind) for next_one in (0, 1) for kind in _KINDS):
            found.append(number)
    if len(found) < count:
        raise OSError(f"no {count} free ports among {_TRIES}")
    _drawn.update(found)
    return found


def _is_free(number: int, kind: socket.SocketKind) -> bool:
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", number))
        return True
    return False
