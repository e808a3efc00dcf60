"""An HTTP/1.1 client that costs little beside what it measures: one connection, one request at a time."""

import asyncio
import time
from typing import Self


class Connection:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: str) -> None:
        self._reader, self._writer, self._head = reader, writer, head

    @classmethod
    async def open(cls, port: int, api_key: str) -> Self:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 20)
        head = f"host: 127.0.0.1:{port}\r\nx-api-key: {api_key}\r\naccept: application/json\r\n"
        return cls(reader, writer, head)

    def close(self) -> None:
        self._writer.close()

    async def request(self, method: str, path: str, body: bytes = b"") -> tuple[int, bytes, float]:
        """Status, body, and the seconds from sending to the last byte."""
        head = f"{method} {path} HTTP/1.1\r\n{self._head}"
        if body:
            head += f"content-type: application/json\r\ncontent-length: {len(body)}\r\n"
        began = time.perf_counter()
        self._writer.write(head.encode() + b"\r\n" + body)
        lines = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        length = next(int(line[15:]) for line in lines if line.lower().startswith("content-length:"))
        answer = await self._reader.readexactly(length)
        return int(lines[0].split()[1]), answer, time.perf_counter() - began
