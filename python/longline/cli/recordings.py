"""`longline recordings`: what is done with recordings on the host that has them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from longline.base.config import Config
from longline.base.errors import LonglineError
from longline.cli.client import ConfigOption
from longline.cli.failure import told
from longline.media.sealed import MasterKey, SealedFile, SealedFileError

recordings = typer.Typer(name="recordings", help="Work with recordings on this host.", no_args_is_help=True)


class RecordingError(LonglineError):
    """The recording cannot be decrypted; the message says why."""


@recordings.callback()
def group() -> None:
    """Work with recordings on this host."""


@recordings.command()
def decrypt(
    sealed: Annotated[Path, typer.Argument(metavar="FILE", help="an encrypted recording")],
    output: Annotated[Path, typer.Argument(metavar="OUTPUT", help="where the audio goes; replaced when it exists")],
    key_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="the master key in base64, if not the one of the configuration")
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Decrypt a recording. Of one whose end is missing, what there is; the exit status is then 1."""
    with told():
        text = key_file.read_text() if key_file is not None else Config.load(config).recording_key
        if text is None:
            raise RecordingError(
                "no key: give --key-file, recording_key in the configuration, or LONGLINE_RECORDING_KEY"
            )
        try:
            with SealedFile(sealed, MasterKey.parse(text)) as file, output.open("wb") as out:
                out.writelines(file.pieces())
                is_complete, size = file.is_complete, file.size
        except (SealedFileError, ValueError) as error:
            raise RecordingError(f"{sealed}: {error}") from None
    console = Console(stderr=not is_complete)
    if not is_complete:
        console.print(
            f"{sealed} is not complete: its end is missing; {size} bytes are in {output}",
            highlight=False,
            soft_wrap=True,
        )
        raise typer.Exit(1)
    console.print(f"{size} bytes in {output}", highlight=False, soft_wrap=True)
