"""`longline calls`: the latest calls, as a table that keeps itself up to date."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from longline.cli.client import Client, ConfigOption, KeyOption, UrlOption
from longline.cli.failure import told
from longline.cli.screen import show

_STYLES = {"answered": "green", "ringing": "yellow", "initiated": "yellow", "failed": "red", "completed": "dim"}


def calls(
    once: Annotated[bool, typer.Option("--once", help="print the table once")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="print the calls once, as a JSON list")] = False,
    limit: Annotated[int, typer.Option(min=1, max=100, help="how many")] = 20,
    url: UrlOption = None,
    api_key: KeyOption = None,
    config: ConfigOption = None,
) -> None:
    """Show the latest calls, live."""
    with told(), Client.find(url, api_key, config) as client:
        show(lambda: _latest(client, limit), _table, as_json=as_json, is_live=not once)


def _latest(client: Client, limit: int) -> list[dict[str, Any]]:
    page: list[dict[str, Any]] = client.get("/voice/calls", limit=limit)["data"]
    return page


def _table(found: list[dict[str, Any]]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for title in ("id", "", "from", "to", "state", "talked", "reason"):
        table.add_column(title, no_wrap=title in ("id", "state", "talked"))
    for call in found:
        state = call["state"]
        style = _STYLES.get(state, "")
        arrow = "in" if call["direction"] == "inbound" else "out"
        parties = [escape(call[key] or "") for key in ("from_number", "to_number")]
        shown_state = f"[{style}]{state}[/{style}]" if style else state
        table.add_row(call["id"], arrow, *parties, shown_state, _talked(call), call["reason"] or "")
    if not found:
        table.add_row("no calls yet", *[""] * 6)
    return table


def _talked(call: dict[str, Any]) -> str:
    """Minutes and seconds since the answer, or until the end."""
    if not call["answered_at"]:
        return ""
    end = datetime.fromisoformat(call["ended_at"]) if call["ended_at"] else datetime.now(UTC)
    seconds = max(0, int((end - datetime.fromisoformat(call["answered_at"])).total_seconds()))
    return f"{seconds // 60}:{seconds % 60:02d}"
