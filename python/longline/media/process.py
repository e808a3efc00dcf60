"""The process of the media server: where its binary is, how it is started, and that it never outlives us.

The program gets the read end of a pipe as its standard input and exits when that pipe is closed, so a node that is
killed leaves no orphan. It runs in a session of its own, so that Ctrl-C at the terminal reaches only the node, which
then stops it in order.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from longline.base.errors import MediaUnavailable

BINARY_NAME = "longline-media"
BINARY_VARIABLE = "LONGLINE_MEDIA_BINARY"
_EXIT_GRACE_S = 2.0
_REPOSITORY = Path(__file__).parents[3]


@dataclass(frozen=True, slots=True)
class MediaServerSettings:
    """How the media server is started. `workers` 0 is one for each core; `binary` None is to be looked for.
    `stream_listen` is "ip:port", `stream_listen_tls` the files of its certificates and of their key."""

    rtp_addresses: tuple[str, ...] = ("127.0.0.1",)
    rtp_ports: str = "20000-29999"
    workers: int = 0
    ca_files: Sequence[Path] = ()
    recordings_dir: Path | None = None
    silero_weights: Path | None = None
    stream_listen: str | None = None
    stream_listen_tls: Sequence[Path] | None = None
    binary: Path | None = None
    extra_arguments: Sequence[str] = ()

    def arguments(self, socket_path: Path) -> list[str]:
        arguments = ["--socket", str(socket_path), "--exit-with-parent"]
        arguments += ["--rtp-address", ",".join(self.rtp_addresses), "--rtp-ports", self.rtp_ports]
        if self.workers:
            arguments += ["--workers", str(self.workers)]
        for ca_file in self.ca_files:
            arguments += ["--ca-file", str(ca_file)]
        if self.recordings_dir is not None:
            arguments += ["--recordings-dir", str(self.recordings_dir)]
        if self.silero_weights is not None:
            arguments += ["--silero-weights", str(self.silero_weights)]
        if self.stream_listen is not None:
            arguments += ["--stream-listen", self.stream_listen]
        if self.stream_listen_tls is not None:
            certificate, key = self.stream_listen_tls
            arguments += ["--stream-listen-certificate", str(certificate), "--stream-listen-key", str(key)]
        return [*arguments, *self.extra_arguments]


def find_binary() -> Path:
    """The media server's program: named by the environment, beside this Python, built in the tree, or on the PATH."""
    named = os.environ.get(BINARY_VARIABLE)
    if named:
        if not _is_program(Path(named)):
            raise MediaUnavailable(f"{BINARY_VARIABLE} is {named}, which is not a program")
        return Path(named)
    for candidate in (
        Path(sys.executable).parent / BINARY_NAME,
        _REPOSITORY / "target" / "release" / BINARY_NAME,
    ):
        if _is_program(candidate):
            return candidate
    on_path = shutil.which(BINARY_NAME)
    if on_path is None:
        raise MediaUnavailable(
            f"the program {BINARY_NAME} was not found: "
            f"build it with `cargo build --release`, or name it in {BINARY_VARIABLE}"
        )
    return Path(on_path)


def _is_program(path: Path) -> bool:
    return path.is_file() and os.access(path, os.X_OK)


SOCKET_PATH_BYTES_MAX = 107
"""`sun_path` of unix(7), without the zero at its end."""


class MediaProcess:
    """One run of the program, with its private socket directory."""

    def __init__(self, process: asyncio.subprocess.Process, directory: Path) -> None:
        self._process = process
        self._directory = directory
        self.socket_path = directory / "control.sock"

    @classmethod
    async def spawn(cls, settings: MediaServerSettings) -> MediaProcess:
        """Start the program. Raise MediaUnavailable when it cannot be started."""
        binary = settings.binary or find_binary()
        directory = Path(tempfile.mkdtemp(prefix="longline-media-"))  # made with mode 0700
        if len(os.fsencode(directory / "control.sock")) > SOCKET_PATH_BYTES_MAX:
            directory.rmdir()
            raise MediaUnavailable(
                f"the folder for temporary files, {tempfile.gettempdir()}, is too long a path for a Unix socket: "
                "set TMPDIR to a shorter one"
            )
        try:
            process = await asyncio.create_subprocess_exec(
                str(binary),
                *settings.arguments(directory / "control.sock"),
                stdin=asyncio.subprocess.PIPE,
                start_new_session=True,
            )
        except BaseException as error:
            shutil.rmtree(directory, ignore_errors=True)
            if isinstance(error, OSError):
                raise MediaUnavailable(f"{binary} could not be started: {error}") from error
            raise
        return cls(process, directory)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def exit_status(self) -> int | None:
        """None while it runs; the negative number of the signal that ended it."""
        return self._process.returncode

    async def wait(self) -> int:
        return await self._process.wait()

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()

    async def stop(self) -> None:
        """Close its standard input, which ends it; kill it when that takes longer than the grace."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            async with asyncio.timeout(_EXIT_GRACE_S):  # wait_for of Python 3.11 may swallow a cancellation
                await self._process.wait()
        except TimeoutError:
            self.kill()
            await self._process.wait()
        except asyncio.CancelledError:
            self.kill()
            raise
        finally:
            shutil.rmtree(self._directory, ignore_errors=True)
