"""Hosts whose names are written into a library lead to the test instead: a line of /etc/hosts, but with a port.

CLOUD_HOSTS are the names, CLOUD_PORT is where a server of 127.0.0.1 shows certificates for them (SSL_CERT_FILE has the
authority). Nothing of the library is changed: it looks the name up, speaks TLS, and checks the name, as ever.
"""

from __future__ import annotations

import os
import socket
from typing import Any

_look_up = socket.getaddrinfo


def lead_to_the_test() -> None:
    names, port = os.environ.get("CLOUD_HOSTS", "").split(), int(os.environ.get("CLOUD_PORT", "0"))

    def getaddrinfo(host: Any, its_port: Any, *rest: Any, **options: Any) -> Any:
        if host in names:
            host, its_port = "127.0.0.1", port
        return _look_up(host, its_port, *rest, **options)

    socket.getaddrinfo = getaddrinfo
