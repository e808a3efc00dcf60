"""Sealed recordings as the media server writes them, made here to be opened."""

from collections.abc import Sequence
from pathlib import Path

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from longline.media.sealed import MasterKey

MASTER = MasterKey(bytes(range(32)))


def wav(milliseconds: int, size: int = 0) -> bytes:
    """A stereo WAV at 8 kHz, whose header says that it has `size` bytes."""
    header = b"RIFF" + (size + 36).to_bytes(4, "little") + b"WAVEfmt " + (16).to_bytes(4, "little")
    header += b"\1\0\2\0" + (8000).to_bytes(4, "little") + (32000).to_bytes(4, "little") + b"\4\0\x10\0data"
    return header + size.to_bytes(4, "little") + bytes(range(256)) * (milliseconds // 8)


def seal(path: Path, pieces: Sequence[bytes], content: int = 1, master: MasterKey = MASTER) -> list[int]:
    """Write a sealed file of these chunks; where each begins, and where the last, empty one does."""
    key = master.new_data_key()
    head = b"LLSEALED" + bytes([1, content]) + len(key.wrapped).to_bytes(2, "big") + bytes(16) + key.wrapped
    derive = HKDF(algorithm=SHA256(), length=32, salt=bytes(16), info=b"longline sealed recording")
    cipher = AESGCM(derive.derive(key.key))
    out, starts = bytearray(head), []
    for number, piece in enumerate([*pieces, b""]):
        is_last = number == len(pieces)
        starts.append(len(out))
        out += (len(piece) | is_last << 31).to_bytes(4, "big")
        out += cipher.encrypt(number.to_bytes(11, "big") + bytes([is_last]), piece, head)
    path.write_bytes(out)
    return starts


def chunks(whole: bytes) -> list[bytes]:
    return [whole[:44], *(whole[at : at + 16_000] for at in range(44, len(whole), 16_000))]
