"""`longline turns`: what an agent has told of the turns of a call, and where the time of each answer went."""

from __future__ import annotations

from typing import Annotated, Any, Final

import typer
from rich.markup import escape
from rich.table import Table

from longline.cli.client import Client, ConfigOption, KeyOption, UrlOption
from longline.cli.failure import told
from longline.cli.screen import show

MAX_TURNS: Final = 2_000
"""As many as a node keeps of a call."""
_STEPS: Final = ("received", "endpoint", "transcript", "first_token", "first_sound", "sent", "heard")
_TEXT_CHARS: Final = 40


def turns(
    call_id: Annotated[str, typer.Argument(metavar="CALL_ID", help="as `longline calls` shows it")],
    as_json: Annotated[bool, typer.Option("--json", help="print them as a JSON list")] = False,
    url: UrlOption = None,
    api_key: KeyOption = None,
    config: ConfigOption = None,
) -> None:
    """Show the turns of a call's agent: ms from the caller's last sound to the first that he heard, and its steps."""
    with told(), Client.find(url, api_key, config) as client:
        show(lambda: _turns(client, call_id), _table, as_json=as_json)


def _turns(client: Client, call_id: str) -> list[dict[str, Any]]:
    """Oldest first."""
    events = client.every("/events", MAX_TURNS, call_id=call_id, type="agent.turn")
    return [event["details"] for event in reversed(events)]


def _table(found: list[dict[str, Any]]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for title in ("turn", "ms", *(step.replace("_", " ") for step in _STEPS)):
        table.add_column(title, justify="right", no_wrap=True)
    for title in ("caller", "heard", ""):
        table.add_column(title)
    for turn in found:
        parts = turn["parts_ms"]
        table.add_row(
            str(turn["number"]),
            _number(turn["total_ms"]),
            *(_number(parts.get(step)) for step in _STEPS),
            *(_text(turn, name) for name in ("caller", "heard")),
            escape(turn["failure"] or "") or ("[yellow]cut[/yellow]" if turn["was_interrupted"] else ""),
        )
    if not found:
        table.add_row("none", *[""] * (len(_STEPS) + 4))
    return table


def _number(value: int | None) -> str:
    return "–" if value is None else str(value)


def _text(turn: dict[str, Any], name: str) -> str:
    """What was said, or how much where the node keeps no texts."""
    text = turn.get(name)
    if text is None:
        return f"[dim]{turn.get(f'{name}_chars', 0)} characters[/dim]"
    return escape(text if len(text) <= _TEXT_CHARS else text[: _TEXT_CHARS - 1] + "…")
