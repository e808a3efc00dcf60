"""`longline phones`: the accounts of phones, and where each has registered."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from longline.cli.client import Client, ConfigOption, KeyOption, UrlOption
from longline.cli.failure import told
from longline.cli.screen import show


def phones(
    as_json: Annotated[bool, typer.Option("--json", help="print the phones as a JSON list")] = False,
    url: UrlOption = None,
    api_key: KeyOption = None,
    config: ConfigOption = None,
) -> None:
    """Show the phones of the configuration, and where each has registered."""
    with told(), Client.find(url, api_key, config) as client:
        show(lambda: list(client.get("/sip/phones")["data"]), _table, as_json=as_json)


def _table(found: list[dict[str, Any]]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for title in ("name", "contact", "heard from", "until", "phone"):
        table.add_column(title, no_wrap=title == "name")
    for phone in found:
        for binding in phone["bindings"]:
            heard = f"{binding['address']} ({binding['transport']})"
            row = (binding["contact"], heard, binding["expires_at"], binding["user_agent"])
            table.add_row(*(escape(text) for text in (phone["name"], *row)))
        if not phone["bindings"]:
            table.add_row(escape(phone["name"]), "[dim]not registered[/dim]", *[""] * 3)
    if not found:
        table.add_row("no phones", *[""] * 4)
    return table
