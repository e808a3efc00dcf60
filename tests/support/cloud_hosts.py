"""Clouds' API hosts, played by a node: a server with certificates for their names, in front of its REST API.

Some clients have the names written into them; `tests/clients/hosts.py` leads them here.
"""

import asyncio
import contextlib
import ssl
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from tests.support.certificates import Authority


class CloudHosts:
    """`async with CloudHosts(folder, node.url, "api.telnyx.com") as hosts`: `hosts.environment` is for the client."""

    def __init__(self, folder: Path, node_url: str, *names: str) -> None:
        authority = Authority(folder, "clouds")
        self._context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._context.load_cert_chain(authority.issue(*names))
        self._authority, self._names = authority.file, names
        self._node = urlsplit(node_url)
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._context)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()

    @property
    def environment(self) -> dict[str, str]:
        assert self._server is not None
        port = self._server.sockets[0].getsockname()[1]
        return {"CLOUD_HOSTS": " ".join(self._names), "CLOUD_PORT": str(port), "SSL_CERT_FILE": str(self._authority)}

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from_node, to_node = await asyncio.open_connection(self._node.hostname, self._node.port)
        await asyncio.gather(_copy(reader, to_node), _copy(from_node, writer))


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError, ssl.SSLError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    writer.close()
