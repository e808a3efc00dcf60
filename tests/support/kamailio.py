"""Kamailio as a registrar that wants digest, and as a proxy in front that stays on the way."""

import asyncio
import contextlib
import shutil
from pathlib import Path
from types import TracebackType
from typing import Self

CONFIG = Path(__file__).with_name("kamailio.cfg")
PROGRAM = shutil.which("kamailio") or "/usr/sbin/kamailio"
REALM, USER, PASSWORD = "kamailio.test", "trunk", "trunk-secret"


class Kamailio:
    """`async with` it: it never outlives the block. Calls to numbers go on to `carrier` (host:port), others to whoever
    has registered, and those to `everyone` to `carrier` and `second` at once."""

    def __init__(self, folder: Path, port: int, carrier: str, second: str = "127.0.0.1:9") -> None:
        self.port = port
        self.output = ""
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        (modules,) = Path("/usr/lib").glob("*/kamailio/modules")
        text = CONFIG.read_text()
        filled_in = {
            "PORT": port,
            "CARRIER": carrier,
            "SECOND": second,
            "REALM": REALM,
            "PASSWORD": PASSWORD,
            "MODULES": modules,
        }
        for name, value in filled_in.items():
            text = text.replace(name, str(value))
        self._config = folder / "kamailio.cfg"
        self._config.write_text(text)
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        # -DD: it stays in the foreground, with its children in its process group.
        self._process = await asyncio.create_subprocess_exec(
            PROGRAM, "-f", str(self._config), "-DD", "-E", "-m", "64", "-M", "8",
            "-Y", str(self._folder), "-P", str(self._folder / "pid"),
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        self._reader = asyncio.create_task(self._read())
        try:
            async with asyncio.timeout(15):
                while True:  # it prints nothing of its own when its sockets are open
                    assert self._process.returncode is None, f"Kamailio ended:\n{self.output}"
                    with contextlib.suppress(OSError):
                        _, writer = await asyncio.open_connection("127.0.0.1", self.port)
                        writer.close()
                        return self
                    await asyncio.sleep(0.05)
        except BaseException:
            await self.__aexit__(None, None, None)
            raise

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._process is not None and self._reader is not None
        with contextlib.suppress(ProcessLookupError):
            self._process.terminate()
        try:
            await asyncio.wait_for(self._process.wait(), 10)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
        await self._reader
        if error is not None:
            print(f"--- Kamailio ---\n{self.output[-6000:]}")

    async def until(self, text: str, count: int = 1, timeout_s: float = 10) -> None:
        """Wait until its log has this, so often."""
        try:
            async with asyncio.timeout(timeout_s):
                while self.output.count(text) < count:
                    await asyncio.sleep(0.02)
        except TimeoutError:
            raise AssertionError(f"Kamailio did not log {text!r}:\n{self.output[-3000:]}") from None

    async def _read(self) -> None:
        assert self._process is not None and self._process.stderr is not None
        while chunk := await self._process.stderr.read(4096):
            self.output += chunk.decode(errors="replace")
