"""pocketsphinx: speech understood on this machine, with no key, no network and no model but its own. English.

    stt = PocketsphinxStt(grammar=jsgf)             # what may be said, in JSGF
    stt = PocketsphinxStt(grammar=brain.grammar)    # … which changes as the dialogue goes on: asked for at each frame

With a grammar it is good even over a telephone, and quick; without one (all of English) it is neither. What does not
fit the grammar is told as UNCLEAR when it was long enough to be words, and as nothing when it was not.

Each call has a process of its own (40 MB; 130 MB without a grammar), which is ended with the call.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import json
import os
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any, Final

from longline.agentkit.ports import ProviderError, Transcript

NAME: Final = "pocketsphinx"
PROGRAM: Final = "longline.agentkit.stt.pocketsphinx_program"
UNCLEAR: Final = "[unclear]"
"""Something was said, and not understood. In brackets, as keys are that were pressed."""
READY_WITHIN_S: Final = 30.0
FINAL_WITHIN_S: Final = 10.0
_MAX_LINE: Final = 1 << 20


class PocketsphinxStt:
    """`words` has what the dictionary lacks: {"longline": "L AO NG L AY N"}. What is less likely to have been said than
    `least_confidence` is not understood; when it has `unclear_ms` of voice, as UNCLEAR.

    Raises ImportError without the packages.
    """

    def __init__(
        self,
        *,
        grammar: str | Callable[[], str] = "",
        words: Mapping[str, str] | None = None,
        least_confidence: float = 0.5,
        unclear_ms: float = 400.0,
    ) -> None:
        for module in ("pocketsphinx", "soxr"):
            if importlib.util.find_spec(module) is None:
                raise ImportError(f"{module} is not installed: pip install longline[offline]")
        self._all_english = grammar == ""
        self._grammar = grammar if callable(grammar) else lambda: grammar
        self._words = dict(words or {})
        self._least_confidence = least_confidence
        self._unclear_ms = unclear_ms

    async def listen(self, audio: AsyncIterator[bytes], rate_hz: int) -> AsyncGenerator[Transcript, None]:
        """Partials as they change, and a final for each turn, empty when nothing was said. Raises ProviderError."""
        program = await _Program.start({"rate_hz": rate_hz, "words": self._words, "all_english": self._all_english})
        feeding = asyncio.create_task(self._feed(audio, program))
        try:
            while (message := await program.told()) is not None:
                transcript = self._transcript(message)
                if transcript is not None:
                    yield transcript
            await feeding
        finally:
            feeding.cancel()
            await asyncio.gather(feeding, return_exceptions=True)
            await program.end()

    def _transcript(self, message: Mapping[str, Any]) -> Transcript | None:
        if "fault" in message:
            raise ProviderError(NAME, message["fault"])
        if "partial" in message:
            return Transcript(message["partial"], is_final=False)
        if "final" not in message:
            return None
        text, confidence = message["final"], message["confidence"]
        if confidence < self._least_confidence:
            text = UNCLEAR if message["voiced_ms"] >= self._unclear_ms else ""
        return Transcript(text, is_final=True, confidence=confidence)

    async def _feed(self, audio: AsyncIterator[bytes], program: _Program) -> None:
        grammar = ""
        async for frame in audio:
            wanted = self._grammar()
            if wanted != grammar:
                grammar = wanted
                await program.tell(b"G", wanted.encode())
            await program.tell(b"A" if frame else b"E", frame)
        await program.tell(b"E")
        program.is_whole = True
        program.close()


class _Program:
    """The process that hears, and how long it may take."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._process = process
        self._given, self._output = process.stdin, process.stdout
        self._patience: asyncio.Timeout | None = None
        self._due: float | None = asyncio.get_running_loop().time() + READY_WITHIN_S
        self._owed = 0
        """Finals."""
        self.is_whole = False
        """All has been given to it: it may end."""

    @classmethod
    async def start(cls, settings: Mapping[str, Any]) -> _Program:
        source = str(Path(__file__).parents[3])
        environment = os.environ | {"PYTHONPATH": os.pathsep.join((source, os.environ.get("PYTHONPATH", "")))}
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", PROGRAM,
                stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
                env=environment, limit=_MAX_LINE,
            )  # fmt: skip
        except OSError as error:
            raise ProviderError(NAME, f"could not be started: {error.strerror}") from error
        program = cls(process)
        program._given.write(json.dumps(settings).encode() + b"\n")
        return program

    async def tell(self, kind: bytes, body: bytes = b"") -> None:
        """Waits when it is behind. That it has died is told by `told`."""
        if kind == b"E":
            self._owed += 1
            if self._due is None:
                self._due = asyncio.get_running_loop().time() + FINAL_WITHIN_S
                if self._patience is not None:
                    self._patience.reschedule(self._due)
        with contextlib.suppress(ConnectionError):
            self._given.write(kind + len(body).to_bytes(4, "little") + body)
            await self._given.drain()

    def close(self) -> None:
        self._given.close()

    async def told(self) -> dict[str, Any] | None:
        """None when all of the sound has been heard. Raises ProviderError."""
        try:
            async with asyncio.timeout_at(self._due) as self._patience:
                line = await self._output.readline()
        except TimeoutError as error:
            raise ProviderError(NAME, "its process has stalled") from error
        except ValueError as error:
            raise ProviderError(NAME, "its process told too much") from error
        finally:
            self._patience = None
        if not line.endswith(b"\n"):
            if self.is_whole and not self._owed:
                return None
            raise ProviderError(NAME, "its process has ended")
        told: dict[str, Any] = json.loads(line)
        if "ready" in told or "final" in told:
            self._owed -= "final" in told and self._owed > 0
            self._due = asyncio.get_running_loop().time() + FINAL_WITHIN_S if self._owed else None
        return told

    async def end(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()
