"""`longline recordings decrypt`."""

import base64
from pathlib import Path

from tests.support.sealed import MASTER, chunks, seal, wav
from typer.testing import CliRunner

from longline.cli import app


def test_a_recording_is_decrypted_and_one_without_its_end_as_far_as_it_goes(tmp_path: Path) -> None:
    key, sealed, output = tmp_path / "key", tmp_path / "sealed.wav", tmp_path / "out.wav"
    key.write_text(base64.b64encode(MASTER.key).decode() + "\n")
    starts = seal(sealed, chunks(wav(1000, 0xFFFFFFFF - 36)))
    command = ["recordings", "decrypt", str(sealed), str(output), "--key-file", str(key)]
    assert CliRunner().invoke(app, command).exit_code == 0
    assert output.read_bytes() == wav(1000, 32_000)
    sealed.write_bytes(sealed.read_bytes()[: starts[2] + 3])
    result = CliRunner().invoke(app, command)
    assert (result.exit_code, output.stat().st_size) == (1, 44 + 16_000)
    assert "not complete" in result.output
    key.write_text(base64.b64encode(bytes(32)).decode())
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 1 and "another key" in result.output
