"""Which files a flow may have played, and what is left of them."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.support.egress import open_guard
from tests.support.http import raw_server, response

from longline.calls.ports import FlowFailed
from longline.calls.reason import Reason
from longline.flows import media_files
from longline.flows.media_files import MediaFiles


@pytest.fixture
async def files(tmp_path: Path) -> AsyncIterator[MediaFiles]:
    (tmp_path / "media" / "menus").mkdir(parents=True)
    (tmp_path / "media" / "hello.wav").write_bytes(b"RIFF")
    (tmp_path / "media" / "menus" / "main menu.wav").write_bytes(b"RIFF")
    (tmp_path / "secret.wav").write_bytes(b"no")
    (tmp_path / "media" / "link.wav").symlink_to(tmp_path / "secret.wav")
    files = MediaFiles(tmp_path / "media", tmp_path / "spool", open_guard())
    yield files
    await files.close()


async def refusal(files: MediaFiles, media_url: str) -> FlowFailed:
    with pytest.raises(FlowFailed) as failed:
        async with files.open(media_url):
            pass
    return failed.value


@pytest.mark.parametrize("name", ["hello.wav", "menus/main menu.wav", "./hello.wav", "menus/../hello.wav"])
async def test_a_path_is_found_in_the_media_directory(files: MediaFiles, name: str) -> None:
    async with files.open(name) as path:
        assert path.read_bytes() == b"RIFF"
    assert path.exists()


async def test_a_file_url_is_a_path(files: MediaFiles, tmp_path: Path) -> None:
    async with files.open(f"file://{tmp_path}/media/menus/main%20menu.wav") as path:
        assert path.name == "main menu.wav"


@pytest.mark.parametrize(
    "name", ["../secret.wav", "/etc/passwd", "link.wav", "file:///etc/passwd", "menus/../../secret.wav"]
)
async def test_no_path_leads_out_of_the_media_directory(files: MediaFiles, name: str) -> None:
    failed = await refusal(files, name)
    assert failed.reason is Reason.FLOW_INVALID and "media directory" in failed.detail


@pytest.mark.parametrize("name", ["nothing.wav", "menus", "menus/\x00.wav", "x" * 2000])
async def test_what_is_no_file_is_told(files: MediaFiles, name: str) -> None:
    assert (await refusal(files, name)).reason is Reason.FLOW_INVALID


async def test_a_download_is_lent_and_removed(files: MediaFiles) -> None:
    async with raw_server(sound=response(b"RIFF1234")) as server, files.open(f"{server.url}/sound") as path:
        assert path.read_bytes() == b"RIFF1234"
    assert not path.exists()


async def test_a_download_over_the_limit_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(media_files, "MAX_MEDIA_BYTES", 7)
    files = MediaFiles(tmp_path / "media", tmp_path / "spool", open_guard())
    async with raw_server(sound=response(b"RIFF1234")) as server:
        failed = await refusal(files, f"{server.url}/sound")
    assert failed.reason is Reason.FLOW_INVALID and "more than 7 bytes" in failed.detail
    assert list((tmp_path / "spool").iterdir()) == []
    await files.close()


async def test_a_download_that_takes_too_long_is_given_up(files: MediaFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(media_files, "DOWNLOAD_TIMEOUT_S", 0.1)
    async with raw_server() as server:
        failed = await refusal(files, f"{server.url}/sound")
    assert failed.reason is Reason.FLOW_UNREACHABLE and "0.1 s" in failed.detail


async def test_a_redirect_to_another_place_is_followed(files: MediaFiles) -> None:
    moved = response(b"", "302 Found", "Location: /sound")
    async with raw_server(old=moved, sound=response(b"RIFF")) as server, files.open(f"{server.url}/old") as path:
        assert path.read_bytes() == b"RIFF"


async def test_a_download_that_fails_is_told(files: MediaFiles) -> None:
    async with raw_server(sound=response(status="403 Forbidden")) as server:
        failed = await refusal(files, f"{server.url}/sound")
    assert failed.reason is Reason.FLOW_UNREACHABLE and "answered 403" in failed.detail
