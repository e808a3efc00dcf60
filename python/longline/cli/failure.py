"""How a command fails: one line that says what to do next, an exit status, and no traceback."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import typer
from rich.console import Console
from rich.markup import escape

from longline.base.errors import ConfigError, LonglineError

EXIT_FAILED = 1
EXIT_USAGE = 2


@contextlib.contextmanager
def told() -> Iterator[None]:
    """Errors that we raise on purpose end the command with a message; any other is a fault, and shows as one."""
    try:
        yield
    except ConfigError as error:
        fail(f"configuration: {error}", EXIT_USAGE)
    except LonglineError as error:
        fail(str(error))


def fail(message: str, status: int = EXIT_FAILED) -> None:
    """End the command."""
    Console(stderr=True).print(f"[red]error:[/red] {escape(message)}", highlight=False, soft_wrap=True)
    raise typer.Exit(status)
