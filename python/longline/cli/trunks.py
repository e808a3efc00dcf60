"""`longline trunks`: the SIP trunks of a node and how each fares, as a table that keeps itself up to date."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from longline.cli.client import Client, ConfigOption, KeyOption, UrlOption
from longline.cli.failure import told
from longline.cli.screen import show

MAX_SHOWN = 1000
"""Trunks that are shown; further ones are left off."""
_STYLES = {"registered": "green", "trying": "yellow", "failed": "red", "unregistered": "dim"}


def trunks(
    once: Annotated[bool, typer.Option("--once", help="print the table once")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="print the trunks once, as a JSON list")] = False,
    url: UrlOption = None,
    api_key: KeyOption = None,
    config: ConfigOption = None,
) -> None:
    """Show the SIP trunks: their targets, registrations and calls, live."""
    with told(), Client.find(url, api_key, config) as client:
        show(lambda: _all(client), _table, as_json=as_json, is_live=not once)


def _all(client: Client) -> list[dict[str, Any]]:
    """Oldest first, so that a trunk keeps its place."""
    return client.every("/sip/trunks", MAX_SHOWN)[::-1]


def _table(found: list[dict[str, Any]]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for title in ("name", "from", "registration", "calls", "targets"):
        table.add_column(title, no_wrap=title in ("name", "calls"))
    for trunk in found:
        live = trunk["live"]
        if live is None:
            table.add_row(escape(trunk["name"]), trunk["source"], "[dim]not active[/dim]", "", "")
            continue
        targets = "\n".join(_target(target) for target in live["targets"])
        row = (_registration(live["registration"]), _calls(live["calls"], trunk["channel_limit"]), targets)
        table.add_row(escape(trunk["name"]), trunk["source"], *row)
    if not found:
        table.add_row("no trunks", *[""] * 4)
    return table


def _target(target: dict[str, Any]) -> str:
    state = "[green]up[/green]" if target["is_up"] else "[red]down[/red]"
    return f"{state} {escape(target['uri'])}"


def _registration(registration: dict[str, Any] | None) -> str:
    if registration is None:
        return ""
    state = registration["state"]
    shown = f"[{_STYLES[state]}]{state}[/{_STYLES[state]}]"
    if registration["reason"]:
        return f"{shown}: {escape(registration['reason'])}"
    if registration["expires_at"]:
        left_s = max(0, int((datetime.fromisoformat(registration["expires_at"]) - datetime.now(UTC)).total_seconds()))
        return f"{shown}, {left_s} s left"
    return shown


def _calls(calls: int, limit: int) -> str:
    return f"{calls} of {limit}" if limit else str(calls)
