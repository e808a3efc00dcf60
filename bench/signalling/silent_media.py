"""A stand-in for the media server that agrees to everything and has no sockets: for more calls than there may be open
files. Speaks docs/reference/control-protocol.md as far as a node needs it to hold calls.
"""

import argparse
import asyncio
import itertools
import json
import sys


async def serve(path: str) -> None:
    ports = itertools.cycle(range(10_000, 60_000, 2))

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while size := await reader.read(4):
            length = int.from_bytes(size + await reader.readexactly(4 - len(size)), "big")
            command = json.loads(await reader.readexactly(length))
            ok: dict[str, object] = {}
            if command.get("cmd") == "leg.open":
                port = next(ports)
                ok = {"rtp": f"127.0.0.1:{port}", "rtcp": f"127.0.0.1:{port + 1}"}
            told = json.dumps({"re": command["id"], "ok": ok}).encode()
            writer.write(len(told).to_bytes(4, "big") + told)

    server = await asyncio.start_unix_server(answer, path)
    loop = asyncio.get_running_loop()
    stdin = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(stdin), sys.stdin)
    await stdin.read()  # until the node is gone
    server.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--socket", required=True)
    asyncio.run(serve(parser.parse_known_args()[0].socket))
