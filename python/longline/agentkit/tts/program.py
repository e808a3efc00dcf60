"""A voice that is a program: the text goes in, a WAV comes out of its standard output, and is passed on as it comes.

Each sentence is a process of its own, which is ended when nobody wants its sound any more. What was said is kept
(`tts/kept`), so that a greeting is made once.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass
from typing import Final

from longline.agentkit.ports import ProviderError, Sound
from longline.agentkit.tts.kept import KeptTts

MAX_PROGRAMS: Final = 16
"""At the same time; who comes then waits."""
MAX_TEXT: Final = 5_000
"""Characters; what is longer is cut."""
STALLED_AFTER_S: Final = 8.0
PIECE_BYTES: Final = 6_400
"""The most that is passed on as one piece: 200 ms of 16 kHz."""
_MAX_HEADER: Final = 4_096


@dataclass(frozen=True, slots=True)
class _Maker:
    """A voice that keeps nothing."""

    say: Callable[[str], AsyncGenerator[Sound, None]]


class ProgramVoice:
    """`command` is given the text as its last argument, or, with `by_stdin`, on its standard input. `install` says
    how to get the program."""

    def __init__(self, name: str, command: Sequence[str], *, install: str, by_stdin: bool = False) -> None:
        self._name = name
        self._command = tuple(command)
        self._install = install
        self._by_stdin = by_stdin
        self._free = asyncio.Semaphore(MAX_PROGRAMS)
        self._kept = KeptTts(_Maker(self._make))

    async def say(self, text: str) -> AsyncGenerator[Sound, None]:
        """Raises ProviderError: the program is missing, fails or stalls, or what it writes is no WAV of 16 bits."""
        text = "".join(letter if letter.isprintable() else " " for letter in text).strip()[:MAX_TEXT]
        if not any(letter.isalnum() for letter in text):
            return  # of nothing but marks some programs make silence, and others their names
        async with contextlib.aclosing(self._kept.say(text)) as sounds:
            async for sound in sounds:
                yield sound

    async def _make(self, text: str) -> AsyncGenerator[Sound, None]:
        async with self._free:
            process = await self._start(text)
            output = process.stdout
            assert output is not None
            try:
                async with asyncio.timeout(STALLED_AFTER_S):
                    rate_hz = await _read_header(output)
                odd = b""
                while piece := await _next_piece(output):
                    piece = odd + piece
                    odd = piece[len(piece) & ~1 :]
                    yield Sound(piece[: len(piece) & ~1], rate_hz)
                if await process.wait() != 0:
                    raise ProviderError(self._name, f"ended with status {process.returncode}")
            except TimeoutError as error:
                raise ProviderError(self._name, f"made no sound for {STALLED_AFTER_S:g} s") from error
            except (ValueError, asyncio.IncompleteReadError) as error:
                raise ProviderError(self._name, f"made no WAV of 16 bits and one channel: {error}") from error
            finally:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()

    async def _start(self, text: str) -> asyncio.subprocess.Process:
        arguments = self._command if self._by_stdin else (*self._command, text)
        try:
            process = await asyncio.create_subprocess_exec(
                *arguments,
                stdin=asyncio.subprocess.PIPE if self._by_stdin else asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
            )
        except FileNotFoundError as error:
            raise ProviderError(self._name, f"is not installed: {self._install}") from error
        except OSError as error:
            raise ProviderError(self._name, f"could not be started: {error.strerror}") from error
        if process.stdin is not None:
            process.stdin.write(text.encode())
            process.stdin.close()
        return process


async def _next_piece(output: asyncio.StreamReader) -> bytes:
    async with asyncio.timeout(STALLED_AFTER_S):
        return await output.read(PIECE_BYTES)


async def _read_header(output: asyncio.StreamReader) -> int:
    """The rate; what follows in `output` are the samples. Raises ValueError, IncompleteReadError.

    The lengths of a WAV that is written into a pipe are guesses and are not looked at.
    """
    riff, wave = await output.readexactly(8), await output.readexactly(4)
    if riff[:4] != b"RIFF" or wave != b"WAVE":
        raise ValueError("it does not begin with RIFF and WAVE")
    rate_hz = 0
    while True:
        head = await output.readexactly(8)
        length = int.from_bytes(head[4:], "little")
        if head[:4] == b"data":
            break
        if length > _MAX_HEADER:
            raise ValueError(f"a header of {length} bytes")
        body = await output.readexactly(length + (length & 1))
        if head[:4] == b"fmt " and length >= 16:
            kind, channels = int.from_bytes(body[:2], "little"), int.from_bytes(body[2:4], "little")
            rate_hz, bits = int.from_bytes(body[4:8], "little"), int.from_bytes(body[14:16], "little")
            if (kind, channels, bits) != (1, 1, 16):
                raise ValueError(f"format {kind}, {channels} channels, {bits} bits")
    if not 4_000 <= rate_hz <= 192_000:
        raise ValueError(f"{rate_hz} Hz")
    return rate_hz
