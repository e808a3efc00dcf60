"""Sealed recordings: what the media server writes is opened, and nothing else is."""

import base64
from pathlib import Path

import pytest
from tests.support.sealed import MASTER, chunks, seal, wav

from longline.media.recording_file import duration_ms, party_files
from longline.media.sealed import MasterKey, SealedFile, SealedFileError

GOLDEN = bytes.fromhex("000000042b7182ecf0bdcf8f2c358786b9b90101d75bd20c80000000cad80f4a6ae2e87cb12eacb58519e605")
"""What the media server makes of b"OggS" under the data key 7, 7, … with the salt 3, 3, … and the wrapping 9, 9, …"""


def test_what_the_media_server_seals_is_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "golden"
    path.write_bytes(b"LLSEALED\1\2" + (68).to_bytes(2, "big") + bytes([3] * 16) + bytes([9] * 68) + GOLDEN)
    monkeypatch.setattr(MasterKey, "unwrap", lambda *_: bytes([7] * 32))
    with SealedFile(path, MASTER) as file:
        assert (file.read(0, 100), file.content, file.is_complete) == (b"OggS", "ogg", True)


def test_any_part_of_it_is_read_and_the_header_says_how_long_it_is(tmp_path: Path) -> None:
    path, whole = tmp_path / "sealed", wav(3000, 96_000)
    seal(path, chunks(wav(3000, 0xFFFFFFFF - 36)))
    with SealedFile(path, MASTER) as file:
        assert (file.size, file.is_complete) == (len(whole), True)
        assert b"".join(file.pieces()) == whole
        for start, length in ((0, 4), (40, 10), (43, 16_002), (16_040, 20), (len(whole) - 5, 50), (len(whole), 1)):
            assert file.read(start, length) == whole[start : start + length]
    assert duration_ms(path, MASTER) == 3000


def test_a_file_that_is_cut_off_opens_up_to_its_last_whole_chunk(tmp_path: Path) -> None:
    path = tmp_path / "sealed"
    starts = seal(path, chunks(wav(2000)))
    whole = path.read_bytes()
    for at, size in ((len(whole) - 1, 64_044), (starts[4], 48_044 + 0), (starts[3] + 100, 32_044), (starts[0], 0)):
        path.write_bytes(whole[:at])
        with SealedFile(path, MASTER) as file:
            assert not file.is_complete
            assert file.size == size
    path.write_bytes(whole[: starts[4]])
    assert duration_ms(path, MASTER) == 1500


def test_chunks_that_were_changed_moved_or_made_the_last_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "sealed"
    starts = seal(path, chunks(wav(2000)))
    whole = path.read_bytes()
    second, third = whole[starts[1] : starts[2]], whole[starts[2] : starts[3]]
    moved = whole[: starts[1]] + third + second + whole[starts[3] :]
    changed = bytearray(whole)
    changed[starts[2] + 9] ^= 1
    ended = bytearray(whole[: starts[3]])
    ended[starts[2]] |= 0x80
    for bad in (moved, bytes(changed), bytes(ended)):
        path.write_bytes(bad)
        with pytest.raises(SealedFileError, match="not what was written"), SealedFile(path, MASTER) as file:
            list(file.pieces())


def test_another_key_and_another_file_are_told_as_such(tmp_path: Path) -> None:
    path = tmp_path / "sealed"
    seal(path, [b"OggS"], content=2, master=MasterKey(bytes(32)))
    with pytest.raises(SealedFileError, match="another key"):
        SealedFile(path, MASTER)
    path.write_bytes(wav(10))
    with pytest.raises(SealedFileError, match="not a sealed"):
        SealedFile(path, MASTER)
    with pytest.raises(ValueError, match="32 bytes"):
        MasterKey.parse(base64.b64encode(bytes(31)).decode())
    assert "\\x01" not in repr(MASTER) + repr(MASTER.new_data_key().key is None)


def test_the_length_of_a_file_is_read_from_itself(tmp_path: Path) -> None:
    plain = tmp_path / "a.wav"
    plain.write_bytes(wav(1000)[:-3_200])
    assert duration_ms(plain) == 900, "its header is of the beginning"

    def page(granules: int, body: bytes) -> bytes:
        return b"OggS\0\0" + granules.to_bytes(8, "little") + bytes(12) + b"\1" + bytes([len(body)]) + body

    ogg = tmp_path / "a.ogg"
    ogg.write_bytes(page(0, b"OpusHead") + page(48_312, b"OggS\0 in it" * 3) + page(96_312, b"x" * 99)[:-1])
    assert duration_ms(ogg) == 1000, "the last page is not whole"
    (tmp_path / "a.txt").write_bytes(b"this is no recording at all, though it is long enough")
    with pytest.raises(ValueError, match="no recording"):
        duration_ms(tmp_path / "a.txt")


def test_the_files_of_the_parties_are_found(tmp_path: Path) -> None:
    for name in ("rec_1.streams.wav", "rec_1.leg1.wav", "rec_2.leg1.wav", "rec_1.wav"):
        (tmp_path / name).touch()
    assert party_files(tmp_path / "rec_1.wav", "stereo") == [("stereo", tmp_path / "rec_1.wav")]
    found = party_files(tmp_path / "rec_1.wav", "parties")
    assert [track for track, _ in found] == ["streams", "leg1"]
    assert party_files(tmp_path / "none.wav", "mono") == []
