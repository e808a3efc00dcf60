"""A media server that carries nothing: speaks the control protocol and does what its script says.

Run as a program it stands in for `longline-media`. `FAKE_MEDIA` (JSON) in its environment is the script:
`silent` (commands that are never answered), `refuse` ({command: [code, message]}), `die_on` (commands that kill it),
`hello_version`.
"""

import asyncio
import json
import os
import stat
import sys
from pathlib import Path
from typing import Any

ANSWERS: dict[str, dict[str, Any]] = {
    "hello": {"version": 2, "pid": 0, "workers": 1, "server": "fake/0"},
    "leg.open": {"rtp": "127.0.0.1:20004", "rtcp": "127.0.0.1:20005", "ssrc": 1},
    "session.close": {"stats": {"duration_ms": 5}},
    "stats": {"workers": []},
}


def write_program(folder: Path, **script: Any) -> Path:
    """An executable file that runs this module with `script`."""
    path = folder / "fake-media"
    root = Path(__file__).parents[2]
    path.write_text(
        f"#!/bin/sh\nexport FAKE_MEDIA='{json.dumps(script)}' PYTHONPATH={root}\n"
        f'exec {sys.executable} -m tests.support.media_server "$@"\n'
    )
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


class FakeMediaServer:
    """Serves any number of connections at a Unix socket."""

    def __init__(self, script: dict[str, Any]) -> None:
        self._script = script

    async def serve(self, path: str) -> None:
        server = await asyncio.start_unix_server(self._converse, path)
        async with server:
            await server.serve_forever()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            try:
                length = int.from_bytes(await reader.readexactly(4), "big")
                command = json.loads(await reader.readexactly(length))
            except asyncio.IncompleteReadError:
                return
            answer = self._answer(command)
            if answer is not None:
                body = json.dumps(answer).encode()
                writer.write(len(body).to_bytes(4, "big") + body)

    def _answer(self, command: dict[str, Any]) -> dict[str, Any] | None:
        name = command["cmd"]
        if name in self._script.get("die_on", ()) or name == "shutdown":
            os._exit(3 if name != "shutdown" else 0)
        if name in self._script.get("silent", ()):
            return None
        refusal = self._script.get("refuse", {}).get(name)
        if refusal is not None:
            return {"re": command["id"], "error": {"code": refusal[0], "message": refusal[1]}}
        return {"re": command["id"], "ok": ANSWERS.get(name, {})}


async def _main() -> None:
    socket_path = sys.argv[sys.argv.index("--socket") + 1]
    server = asyncio.create_task(FakeMediaServer(json.loads(os.environ["FAKE_MEDIA"])).serve(socket_path))
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)  # --exit-with-parent
    server.cancel()


if __name__ == "__main__":
    asyncio.run(_main())
