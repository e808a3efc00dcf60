"""SIPp: runs a scenario of ours, or one of its own, and says how it went."""

import asyncio
import contextlib
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

SCENARIOS = Path(__file__).parent.parent / "e2e" / "scenarios"


@dataclass(frozen=True)
class Outcome:
    """SIPp's exit status (0: every call succeeded), its screen and its error log."""

    status: int
    screen: str
    errors: str

    def check(self) -> None:
        assert self.status == 0, f"SIPp ended with {self.status}\n{self.errors[-3000:]}\n{self.screen[-3000:]}"


class Sipp:
    """One run of SIPp: `run()`, or `async with` and `finish()`; it never outlives the block.

    `scenario` is a file in tests/e2e/scenarios, without its ending, or a name of SIPp's own (uac, uas). `status` is
    what `caller_is_refused` expects.
    """

    def __init__(
        self, folder: Path, scenario: str, *arguments: str, port: int, remote: str | None = None, status: int = 0
    ) -> None:
        self.port = port
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        file = SCENARIOS / f"{scenario}.xml"
        source = ["-sn", scenario]
        if file.exists():
            filled_in = folder / file.name
            filled_in.write_text(file.read_text().replace("STATUS", str(status)))
            source = ["-sf", str(filled_in)]
        self._errors = folder / f"{scenario}-errors.log"
        self._command = [
            "sipp", *([remote] if remote else []), *source, "-i", "127.0.0.1", "-p", str(port), "-mi", "127.0.0.1",
            "-nostdin", "-trace_err", "-error_file", str(self._errors), "-timeout_error", *arguments,
        ]  # fmt: skip
        self._process: asyncio.subprocess.Process | None = None
        self._screen: asyncio.Task[bytes] | None = None

    @property
    def uri(self) -> str:
        return f"sip:sipp@127.0.0.1:{self.port}"

    async def __aenter__(self) -> Self:
        self._process = await asyncio.create_subprocess_exec(
            *self._command, cwd=self._folder, stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        assert self._process.stdout is not None
        self._screen = asyncio.create_task(self._process.stdout.read())
        await asyncio.sleep(0.3)  # SIPp prints nothing of its own when its socket is open
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._process is not None and self._screen is not None
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()
        await self._screen

    async def finish(self, timeout_s: float = 30) -> Outcome:
        """Wait for its end."""
        assert self._process is not None and self._screen is not None
        try:
            status = await asyncio.wait_for(self._process.wait(), timeout_s)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
            status = -1
        errors = self._errors.read_text() if self._errors.exists() else ""
        return Outcome(status, (await self._screen).decode(errors="replace"), errors)

    async def run(self, timeout_s: float = 30) -> Outcome:
        """Start, and wait for its end."""
        async with self:
            return await self.finish(timeout_s)
