"""Recordings as files: how long one is, read from itself, whatever has become of its writer.

Reads what the media server writes: WAV with a header of 44 bytes, Opus in Ogg, and both sealed.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from longline.media.sealed import MAGIC, MasterKey, SealedFile, SealedFileError

_WAV_HEADER_BYTES: Final = 44
_PRE_SKIP: Final = 312
_OGG_PAGE_BYTES: Final = 27 + 255 + 255 * 255
SEALED_SUFFIX: Final = ".sealed"

Read = Callable[[int, int], bytes]


def duration_ms(path: Path, master_key: MasterKey | None = None) -> int:
    """How long the recording in a file is. Raise OSError, ValueError when it is none, or is sealed with another key."""
    with path.open("rb") as file:

        def read(start: int, length: int) -> bytes:
            file.seek(start)
            return file.read(length)

        if read(0, len(MAGIC)) != MAGIC:
            return _duration_ms(path.stat().st_size, read)
    if master_key is None:
        raise SealedFileError("the recording is sealed, and there is no recording_key")
    with SealedFile(path, master_key) as sealed:
        return _duration_ms(sealed.size, sealed.read)


def party_files(path: Path, layout: str) -> list[tuple[str, Path]]:
    """The files that are there of a recording that was to be made at `path`, each with whose it is."""
    if layout != "parties":
        return [(layout, path)] if path.is_file() else []
    found = sorted(path.parent.glob(f"{path.stem}.*{path.suffix}"))
    return [(file.name.removeprefix(f"{path.stem}.").removesuffix(path.suffix), file) for file in reversed(found)]


def _duration_ms(size: int, read: Read) -> int:
    head = read(0, _WAV_HEADER_BYTES)
    if head[:4] == b"RIFF" and len(head) == _WAV_HEADER_BYTES:
        bytes_per_s = int.from_bytes(head[28:32], "little")
        return (size - _WAV_HEADER_BYTES) * 1000 // bytes_per_s if bytes_per_s else 0
    if head[:4] == b"OggS":
        return _ogg_ms(read(max(0, size - 2 * _OGG_PAGE_BYTES), 2 * _OGG_PAGE_BYTES))
    raise ValueError("the file is no recording")


def _ogg_ms(tail: bytes) -> int:
    """By the position of the last whole page (RFC 7845 §4)."""
    at = tail.rfind(b"OggS\0")
    while at >= 0:
        table = tail[at + 27 : at + 27 + tail[at + 26]] if at + 27 <= len(tail) else b""
        if table and at + 27 + len(table) + sum(table) <= len(tail):
            return max(0, int.from_bytes(tail[at + 6 : at + 14], "little") - _PRE_SKIP) // 48
        at = tail.rfind(b"OggS\0", 0, at)
    return 0
