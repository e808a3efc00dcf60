"""Sealed recordings: how their data keys are made and wrapped, and how the files are opened.

The media server seals (`rust/runtime/src/recorder/seal.rs`); `docs/reference/recordings.md` specifies the format. The
master key never leaves this side: the media server gets the data key of one recording, and its wrapping to write down.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Final, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

KEY_BYTES: Final = 32
MAGIC: Final = b"LLSEALED"
VERSION: Final = 1
CONTENTS: Final = {1: "wav", 2: "ogg"}
_HEADER_BYTES: Final = 28
_ID_BYTES: Final = 8
_NONCE_BYTES: Final = 12
_TAG_BYTES: Final = 16
_LAST: Final = 1 << 31
_MAX_CHUNK_BYTES: Final = 64 << 10
_INFO: Final = b"longline sealed recording"
_WRAPPING: Final = b"longline recording data key"
_WAV_HEADER_BYTES: Final = 44


class SealedFileError(ValueError):
    """The file is not sealed, is sealed with another key, or is not what was written."""


@dataclass(frozen=True, slots=True)
class DataKey:
    """The key of one recording, and what the master key has made of it."""

    key: bytes = field(repr=False)
    wrapped: bytes


@dataclass(frozen=True, slots=True)
class MasterKey:
    """The operator's key."""

    key: bytes = field(repr=False)

    @classmethod
    def parse(cls, text: str) -> Self:
        """32 bytes in base64. Raise ValueError."""
        try:
            key = base64.b64decode(text.strip(), validate=True)
        except binascii.Error:
            key = b""
        if len(key) != KEY_BYTES:
            raise ValueError("must be 32 bytes in base64, such as `openssl rand -base64 32` gives")
        return cls(key)

    @property
    def id(self) -> bytes:
        """Tells keys apart, and nothing else of them."""
        return hashlib.sha256(b"longline recording key id" + self.key).digest()[:_ID_BYTES]

    def new_data_key(self) -> DataKey:
        key, nonce = os.urandom(KEY_BYTES), os.urandom(_NONCE_BYTES)
        return DataKey(key, self.id + nonce + AESGCM(self.key).encrypt(nonce, key, _WRAPPING + self.id))

    def unwrap(self, wrapped: bytes) -> bytes:
        """The data key. Raise SealedFileError."""
        key_id, nonce = wrapped[:_ID_BYTES], wrapped[_ID_BYTES : _ID_BYTES + _NONCE_BYTES]
        if key_id != self.id:
            raise SealedFileError(f"sealed with another key: its id is {key_id.hex()}, not {self.id.hex()}")
        try:
            return AESGCM(self.key).decrypt(nonce, wrapped[_ID_BYTES + _NONCE_BYTES :], _WRAPPING + key_id)
        except InvalidTag:
            raise SealedFileError("the wrapped key is not what was written") from None


@dataclass(frozen=True, slots=True)
class _Chunk:
    number: int
    offset: int
    """Of its ciphertext in the file."""
    length: int
    start: int
    """Of its plaintext."""
    is_last: bool


class SealedFile:
    """Reads a sealed file anywhere, chunk by chunk. Use it as a context manager.

    `size` counts bytes of plaintext, up to the last whole chunk. `is_complete` is false when the end is missing: its
    writer was killed, the disk was full, or somebody has cut it off. Sizes in a WAV header are put right.
    """

    def __init__(self, path: Path, master_key: MasterKey) -> None:
        """Raise OSError, SealedFileError."""
        self._file = path.open("rb")
        try:
            self._open(master_key)
        except BaseException:
            self._file.close()
            raise

    def _open(self, master_key: MasterKey) -> None:
        head = self._file.read(_HEADER_BYTES)
        if len(head) < _HEADER_BYTES or head[:8] != MAGIC:
            raise SealedFileError("not a sealed recording")
        if head[8] != VERSION or head[9] not in CONTENTS:
            raise SealedFileError("sealed by a later version")
        wrapped = self._file.read(int.from_bytes(head[10:12], "big"))
        self.content = CONTENTS[head[9]]
        derive = HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=head[12:28], info=_INFO)
        self._cipher = AESGCM(derive.derive(master_key.unwrap(wrapped)))
        self._header = head + wrapped
        self._chunks = list(_find_chunks(self._file, len(self._header)))
        self.size = sum(chunk.length for chunk in self._chunks)
        self.is_complete = bool(self._chunks) and self._chunks[-1].is_last
        self._wav_header: bytes | None = None
        if self._chunks:
            self._read_chunk(self._chunks[-1])
            if self.content == "wav" and self._chunks[0].length == _WAV_HEADER_BYTES:
                self._wav_header = _sized(self._read_chunk(self._chunks[0]), self.size)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def close(self) -> None:
        self._file.close()

    def read(self, start: int, length: int) -> bytes:
        """Plaintext from `start`; shorter at the end. Raise SealedFileError when it is not what was written."""
        return b"".join(self.pieces(start, length))

    def pieces(self, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        """The same, at most a chunk at a time."""
        end = self.size if length is None else min(self.size, start + length)
        for chunk in self._chunks:
            if chunk.start + chunk.length <= start or chunk.start >= end:
                continue
            plain = self._wav_header if chunk.number == 0 and self._wav_header else self._read_chunk(chunk)
            yield plain[max(0, start - chunk.start) : end - chunk.start]

    def _read_chunk(self, chunk: _Chunk) -> bytes:
        self._file.seek(chunk.offset)
        nonce = chunk.number.to_bytes(11, "big") + bytes([chunk.is_last])
        try:
            return self._cipher.decrypt(nonce, self._file.read(chunk.length + _TAG_BYTES), self._header)
        except InvalidTag:
            raise SealedFileError(f"chunk {chunk.number} is not what was written") from None


def _find_chunks(file: BinaryIO, offset: int) -> Iterator[_Chunk]:
    """The whole chunks of the file, up to the one that says that it is the last."""
    end = file.seek(0, os.SEEK_END)
    start = 0
    for number in range(end):
        file.seek(offset)
        field_ = int.from_bytes(file.read(4), "big")
        is_last, length = bool(field_ & _LAST), field_ & (_LAST - 1)
        if offset + 4 + length + _TAG_BYTES > end or length > _MAX_CHUNK_BYTES:
            return
        yield _Chunk(number, offset + 4, length, start, is_last)
        if is_last:
            return
        start += length
        offset += 4 + length + _TAG_BYTES


def _sized(header: bytes, size: int) -> bytes:
    """A WAV header of 44 bytes that says how long a file of this size is."""
    riff, data = (min(size - less, 0xFFFFFFFF).to_bytes(4, "little") for less in (8, _WAV_HEADER_BYTES))
    return header[:4] + riff + header[8:40] + data
