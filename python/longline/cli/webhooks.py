"""`longline webhooks`: which were not delivered, and why; and to send them again."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from longline.cli.client import PAGE, Client, ClientError, ConfigOption, KeyOption, UrlOption
from longline.cli.failure import told
from longline.cli.screen import show

REDELIVERED_MAX = 1000
"""What `redeliver --all` sends again at once; say it again for more."""

webhooks = typer.Typer(
    name="webhooks", help="Webhooks that were not delivered: show them, send them again.", no_args_is_help=True
)


@webhooks.callback()
def group() -> None:
    """Webhooks that were not delivered: show them, send them again."""


@webhooks.command()
def failed(
    as_json: Annotated[bool, typer.Option("--json", help="print them as a JSON list")] = False,
    limit: Annotated[int, typer.Option(min=1, max=PAGE, help="how many")] = 20,
    pending: Annotated[bool, typer.Option("--pending", help="those that are still being tried instead")] = False,
    url: UrlOption = None,
    api_key: KeyOption = None,
    config: ConfigOption = None,
) -> None:
    """Show the webhooks that were given up, newest first, and why."""
    status = "pending" if pending else "failed_permanent"
    with told(), Client.find(url, api_key, config) as client:
        show(lambda: list(client.get("/events", delivery_status=status, limit=limit)["data"]), _table, as_json=as_json)


@webhooks.command()
def redeliver(
    event_ids: Annotated[list[str] | None, typer.Argument(metavar="EVENT…", help="ids of events")] = None,
    every: Annotated[bool, typer.Option("--all", help="all that were given up, the oldest first")] = False,
    url: UrlOption = None,
    api_key: KeyOption = None,
    config: ConfigOption = None,
) -> None:
    """Send webhooks again, with a new series of attempts."""
    with told(), Client.find(url, api_key, config) as client:
        wanted = list(event_ids or []) + (_given_up(client) if every else [])
        refused = 0
        for event_id in wanted:
            try:
                client.post(f"/events/{event_id}/redeliver", {})
            except ClientError as error:
                if not every:
                    raise
                refused += 1
                print(f"{event_id}: {error}")
        print(f"{len(wanted) - refused} webhooks are being sent again")


def _given_up(client: Client) -> list[str]:
    """Oldest first: that is their order."""
    found = client.every("/events", REDELIVERED_MAX, delivery_status="failed_permanent")
    return [event["id"] for event in reversed(found)]


def _table(found: list[dict[str, Any]]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for title in ("event", "type", "call", "last attempt", "attempts", "error"):
        table.add_column(title, no_wrap=title in ("event", "type", "call"))
    for event in found:
        table.add_row(
            event["id"],
            event["type"],
            event["call_id"] or "",
            event["last_attempt_at"] or "",
            str(event["attempt_count"]),
            escape(event["last_error"] or ""),
        )
    if not found:
        table.add_row("none", *[""] * 5)
    return table
