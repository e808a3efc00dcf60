"""The audio files that a flow names: downloaded into a spool file, or found in the media directory.

A path, or a `file://` URL, is served only from below the media directory, symbolic links resolved: a flow comes over
the network and must not be able to play any file of the host.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import tempfile
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

import httpx2

from longline.calls.ports import FlowFailed
from longline.calls.reason import Reason
from longline.guard.client import guarded_client
from longline.guard.guard import Guard
from longline.guard.refused import Refusal, Refused

MAX_MEDIA_BYTES = 50 * 1024 * 1024
DOWNLOAD_TIMEOUT_S = 30.0
_MAX_REDIRECTS = 3
_WRONG_ANSWERS = frozenset({Refusal.TOO_LARGE, Refusal.ENCODED})


class MediaFiles:
    """`open` lends a file for as long as it is played. Start with `clean`, end with `close`."""

    def __init__(self, media_dir: Path, spool_dir: Path, guard: Guard, ca_files: Sequence[Path] = ()) -> None:
        self._media_dir = media_dir
        self._spool_dir = spool_dir
        self._client = guarded_client(
            guard,
            total_s=DOWNLOAD_TIMEOUT_S,
            max_bytes=MAX_MEDIA_BYTES,
            ca_files=ca_files,
            max_redirects=_MAX_REDIRECTS,
        )

    def clean(self) -> None:
        """Remove what a node that was killed has left in the spool."""
        shutil.rmtree(self._spool_dir, ignore_errors=True)

    async def close(self) -> None:
        await self._client.aclose()
        self.clean()

    @contextlib.asynccontextmanager
    async def open(self, media_url: str) -> AsyncIterator[Path]:
        """The file of `media_url`. Raise FlowFailed: flow_unreachable for a download, flow_invalid for a path."""
        if urlsplit(media_url).scheme not in ("http", "https"):
            yield await asyncio.to_thread(self._local, media_url)
            return
        path = await asyncio.to_thread(self._new_spool_file)
        try:
            await self._download(media_url, path)
            yield path
        finally:
            path.unlink(missing_ok=True)

    def _local(self, media_url: str) -> Path:
        root = self._media_dir.resolve()
        try:
            parts = urlsplit(media_url)
            named = Path(unquote(parts.path)) if parts.scheme == "file" else Path(media_url)
            path = (root / named).resolve()
            is_file = path.is_file()
        except (OSError, ValueError) as error:
            raise FlowFailed(Reason.FLOW_INVALID, f"$.media_url: not a path: {error}") from error
        if not path.is_relative_to(root):
            raise FlowFailed(Reason.FLOW_INVALID, f"$.media_url: {media_url} is not in the media directory {root}")
        if not is_file:
            raise FlowFailed(Reason.FLOW_INVALID, f"$.media_url: there is no file {path}")
        return path

    def _new_spool_file(self) -> Path:
        self._spool_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.NamedTemporaryFile(dir=self._spool_dir, prefix="media-", suffix=".wav", delete=False) as file:
            return Path(file.name)

    async def _download(self, url: str, path: Path) -> None:
        try:
            async with asyncio.timeout(DOWNLOAD_TIMEOUT_S):
                await self._receive(url, path)
        except (TimeoutError, httpx2.TimeoutException) as error:
            problem = f"was not downloaded within {DOWNLOAD_TIMEOUT_S:g} s"
            raise FlowFailed(Reason.FLOW_UNREACHABLE, f"$.media_url: {url} {problem}") from error
        except Refused as error:
            reason = Reason.FLOW_INVALID if error.code in _WRONG_ANSWERS else Reason.FLOW_UNREACHABLE
            raise FlowFailed(reason, f"$.media_url: {url}: {error}", error.code) from error
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
            what = str(error) or type(error).__name__
            raise FlowFailed(Reason.FLOW_UNREACHABLE, f"$.media_url: {url}: {what}") from error

    async def _receive(self, url: str, path: Path) -> None:
        async with self._client.stream("GET", url) as response:
            if response.status_code != 200:
                raise FlowFailed(Reason.FLOW_UNREACHABLE, f"$.media_url: {url} answered {response.status_code}")
            with path.open("wb") as file:
                async for part in response.aiter_raw(64 * 1024):
                    file.write(part)
