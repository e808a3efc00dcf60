"""What the commands that list something share: a table on the screen, once or live, or the same as JSON."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.table import Table

REFRESH_S = 1.0
PIPE_COLUMNS = 160
"""Nobody's window bounds what goes into a pipe."""

Found = list[dict[str, Any]]


def show(load: Callable[[], Found], table: Callable[[Found], Table], *, as_json: bool, is_live: bool = False) -> None:
    """Print what `load` finds; a live table goes on until it is interrupted, and only on a terminal."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=PIPE_COLUMNS)
    if as_json:
        print(json.dumps(load()))
    elif is_live and console.is_terminal:
        with contextlib.suppress(KeyboardInterrupt), Live(console=console, auto_refresh=False) as live:
            while True:
                live.update(table(load()), refresh=True)
                time.sleep(REFRESH_S)
    else:
        console.print(table(load()))
