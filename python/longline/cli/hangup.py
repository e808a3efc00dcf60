"""`longline hangup`: end a live call."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from longline.cli.client import Client, ConfigOption, KeyOption, UrlOption
from longline.cli.failure import told


def hangup(
    call_id: Annotated[str, typer.Argument(metavar="CALL_ID", help="as `longline calls` shows it")],
    reason: Annotated[str | None, typer.Option(help="a label for it: A-Z, 0-9 and _")] = None,
    url: UrlOption = None,
    api_key: KeyOption = None,
    config: ConfigOption = None,
) -> None:
    """End a live call."""
    with told(), Client.find(url, api_key, config) as client:
        client.post(f"/voice/calls/{call_id}/hangup", {} if reason is None else {"reason": reason})
        Console().print(f"hung up {call_id}", highlight=False)
