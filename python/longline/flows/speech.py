"""Text to speech: a `Speech` makes a WAV file of a text; `SpokenTexts` keeps what was spoken, and lends the files.

Two kinds of `Speech` are here: a program on this host (espeak-ng or flite: no network, no account) and an HTTP service
that speaks the common `POST /v1/audio/speech`. Leaves out speech that is streamed while it is being made: for that an
application has its own WebSocket.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import shutil
import tempfile
from collections import Counter, OrderedDict
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Protocol

import httpx2

from longline import __version__
from longline.base.errors import LonglineError
from longline.base.log import get_logger
from longline.base.speech_config import SpeechSettings
from longline.base.tls import client_context

MAX_SPEECH_BYTES = 50 * 1024 * 1024
"""One spoken text: half an hour at 16 kHz."""
MAX_SPEAKING = 4
"""Texts that are being spoken at a time; further ones wait, within their own time limit."""
_ERROR_CHARS = 200

log = get_logger(__name__)


class SpeechFailed(LonglineError):
    """The text was not spoken; says why, without the text."""


class Speech(Protocol):
    """Something that speaks. `name` tells it from others: a text spoken by one is not taken for another's."""

    @property
    def name(self) -> str: ...

    async def speak(self, text: str, voice: str | None, language: str | None, path: Path) -> None:
        """Write a WAV file. Raise SpeechFailed. It may be cancelled."""


class CommandSpeech:
    """espeak-ng or flite. The text reaches the program by its standard input or in a file, never as an argument."""

    def __init__(self, program: str, voice: str | None = None) -> None:
        self.name = f"{Path(program).name}:{voice or ''}"
        self._program = program
        self._is_flite = Path(program).name == "flite"
        self._voice = voice

    async def speak(self, text: str, voice: str | None, language: str | None, path: Path) -> None:
        # "[[" would begin a phoneme in espeak-ng.
        said = text.replace("[[", "[ [").encode("utf-8", "replace")
        process = await self._start(self._arguments(voice, language, path))
        try:
            _, errors = await process.communicate(said)
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
        if process.returncode != 0 or not _is_wave(path):
            told = errors.decode("utf-8", "replace").strip()[:_ERROR_CHARS] or f"status {process.returncode}"
            raise SpeechFailed(f"{Path(self._program).name} failed: {told}")

    def _arguments(self, voice: str | None, language: str | None, path: Path) -> list[str]:
        wanted = voice or self._voice
        if self._is_flite:
            return [*(["-voice", wanted] if wanted else []), "-f", "/dev/stdin", "-o", str(path)]
        named = voice or language or self._voice
        return [*(["-v", named] if named else []), "-b", "1", "--stdin", "-w", str(path)]

    async def _start(self, arguments: Sequence[str]) -> asyncio.subprocess.Process:
        try:
            return await asyncio.create_subprocess_exec(
                self._program,
                *arguments,
                env={"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8"},  # none of our keys
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.PIPE,
            )
        except OSError as error:
            raise SpeechFailed(f"{self._program} cannot be run: {error.strerror}") from error


class HttpSpeech:
    """A service that takes `{"model", "input", "voice", "response_format": "wav"}` and answers with the file, as many
    self-hosted and hosted ones do. `language` is sent beside them; a service that does not know it ignores it."""

    def __init__(self, settings: SpeechSettings, ca_files: Sequence[Path] = ()) -> None:
        assert settings.url is not None
        self.name = f"{settings.url} {settings.model} {settings.voice or ''}"
        self._settings = settings
        key = settings.key
        self._client = httpx2.AsyncClient(
            verify=client_context(ca_files),
            follow_redirects=False,
            timeout=settings.timeout_s,
            headers={"user-agent": f"longline/{__version__}"} | ({"authorization": f"Bearer {key}"} if key else {}),
        )

    async def close(self) -> None:
        await self._client.aclose()

    async def speak(self, text: str, voice: str | None, language: str | None, path: Path) -> None:
        settings = self._settings
        body = {"model": settings.model, "input": text, "voice": voice or settings.voice, "response_format": "wav"}
        if language is not None:
            body["language"] = language
        try:
            await self._fetch(str(settings.url), {key: value for key, value in body.items() if value is not None}, path)
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
            raise SpeechFailed(f"{settings.url}: {str(error) or type(error).__name__}") from error
        if not _is_wave(path):
            raise SpeechFailed(f"{settings.url} did not answer a WAV file")

    async def _fetch(self, url: str, body: dict[str, str], path: Path) -> None:
        size = 0
        async with self._client.stream("POST", url, json=body) as response:
            if response.status_code != 200:
                raise SpeechFailed(f"{url} answered {response.status_code}")
            with path.open("wb") as file:
                async for part in response.aiter_bytes(64 * 1024):
                    size += len(part)
                    if size > MAX_SPEECH_BYTES:
                        raise SpeechFailed(f"{url} answered more than {MAX_SPEECH_BYTES} bytes")
                    file.write(part)


def _is_wave(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            head = file.read(12)
    except OSError:
        return False
    return head[:4] == b"RIFF" and head[8:] == b"WAVE"


def find_speech(settings: SpeechSettings, ca_files: Sequence[Path] = ()) -> CommandSpeech | HttpSpeech | None:
    """What the settings ask for; None: nothing is spoken. `auto` is espeak-ng or flite, whichever this host has."""
    if settings.engine == "off":
        return None
    if settings.engine == "http":
        return HttpSpeech(settings, ca_files)
    wanted = ("espeak-ng", "flite") if settings.engine == "auto" else (settings.engine,)
    found = next((path for name in wanted if (path := shutil.which(name)) is not None), None)
    if found is None:
        if settings.engine == "auto":
            return None
        found = settings.engine  # it may be installed while the node runs; until then a `say` tells what is missing
    return CommandSpeech(found, settings.voice)


class SpokenTexts:
    """The files of what was spoken lately, by what was asked for: the same text is spoken once. `counters` tells
    `speech_spoken`, `speech_cached`, `speech_failed`, `speech_evicted`.

    Rule when the directory is full: the file that was lent longest ago goes, unless it is lent now. One text is spoken
    once for all who want it at the same time.
    """

    def __init__(self, speech: Speech, directory: Path, *, max_bytes: int, timeout_s: float) -> None:
        self._speech = speech
        self._directory = directory
        self._max_bytes = max_bytes
        self._timeout_s = timeout_s
        self._sizes: OrderedDict[str, int] = OrderedDict()
        self._lent: Counter[str] = Counter()
        self._speaking: dict[str, asyncio.Task[None]] = {}
        self._slots = asyncio.Semaphore(MAX_SPEAKING)
        self.counters: Counter[str] = Counter()

    def load(self) -> None:
        """Find what an earlier start has left, the oldest first; remove what it had not finished."""
        self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        for path in self._directory.glob(".*"):
            path.unlink(missing_ok=True)
        found = sorted(self._directory.glob("*.wav"), key=lambda path: path.stat().st_mtime)
        self._sizes = OrderedDict((path.stem, path.stat().st_size) for path in found)
        self._make_room()

    async def close(self) -> None:
        for task in list(self._speaking.values()):
            task.cancel()
        await asyncio.gather(*self._speaking.values(), return_exceptions=True)
        if isinstance(self._speech, HttpSpeech):
            await self._speech.close()

    @contextlib.asynccontextmanager
    async def open(self, text: str, voice: str | None = None, language: str | None = None) -> AsyncIterator[Path]:
        """The file in which this is said. Raise SpeechFailed."""
        key = self._key(text, voice, language)
        self._lent[key] += 1
        try:
            path = self._directory / f"{key}.wav"
            if key in self._sizes and path.exists():
                self.counters["speech_cached"] += 1
                self._sizes.move_to_end(key)
                with contextlib.suppress(OSError):
                    os.utime(path)
            else:
                await self._spoken(key, text, voice, language)
            yield path
        finally:
            self._lent[key] -= 1
            if not self._lent[key]:
                del self._lent[key]
            self._make_room()

    async def _spoken(self, key: str, text: str, voice: str | None, language: str | None) -> None:
        """Wait until it has been spoken; whoever waits may leave, and the others still get it."""
        task = self._speaking.get(key)
        if task is None:
            task = self._speaking[key] = asyncio.create_task(self._speak(key, text, voice, language), name="speech")
            task.add_done_callback(lambda done: self._done(key, done))
        await asyncio.shield(task)

    def _done(self, key: str, task: asyncio.Task[None]) -> None:
        self._speaking.pop(key, None)
        if not task.cancelled() and task.exception() is not None:  # also when nobody waits for it any more
            self.counters["speech_failed"] += 1

    async def _speak(self, key: str, text: str, voice: str | None, language: str | None) -> None:
        unfinished = await asyncio.to_thread(self._new_file)
        try:
            async with asyncio.timeout(self._timeout_s), self._slots:
                await self._speech.speak(text, voice, language, unfinished)
            size = unfinished.stat().st_size
            if size > MAX_SPEECH_BYTES:
                raise SpeechFailed(f"the speech has more than {MAX_SPEECH_BYTES} bytes")
            unfinished.replace(self._directory / f"{key}.wav")
        except TimeoutError as error:
            raise SpeechFailed(f"it was not spoken within {self._timeout_s:g} s") from error
        except OSError as error:
            raise SpeechFailed(f"the speech cannot be kept: {error.strerror}") from error
        finally:
            unfinished.unlink(missing_ok=True)
        self.counters["speech_spoken"] += 1
        self._sizes[key] = size
        self._sizes.move_to_end(key)

    def _new_file(self) -> Path:
        self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.NamedTemporaryFile(dir=self._directory, prefix=".", suffix=".wav", delete=False) as file:
            return Path(file.name)

    def _key(self, text: str, voice: str | None, language: str | None) -> str:
        asked = "\0".join((self._speech.name, voice or "", language or "", text))
        return hashlib.sha256(asked.encode("utf-8", "surrogatepass")).hexdigest()

    def _make_room(self) -> None:
        used = sum(self._sizes.values())
        for key in list(self._sizes):
            if used <= self._max_bytes:
                return
            if key not in self._lent:
                used -= self._sizes.pop(key)
                self.counters["speech_evicted"] += 1
                with contextlib.suppress(OSError):
                    (self._directory / f"{key}.wav").unlink()
