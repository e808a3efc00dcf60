"""`longline call`: place a call and, if wanted, watch it to its end."""

from __future__ import annotations

import time
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

from longline.cli.client import Client, ClientError, ConfigOption, KeyOption, UrlOption
from longline.cli.failure import EXIT_USAGE, fail, told

POLL_S = 0.25
POLLS_AFTER_END = 8
_PAGE = 100
_LAST = ("call.completed", "call.failed")
_GOOD_ENDS = ("completed", "normal_clearing")
"""Reasons of a call that went as it should; any other makes `--wait` fail."""


def call(
    to: Annotated[str, typer.Argument(metavar="TO", help="E.164 number (through a trunk), or sip:user@host")],
    stream: Annotated[
        str | None, typer.Option(metavar="WS_URL", help="stream the answered call to this WebSocket")
    ] = None,
    flow_url: Annotated[
        str | None, typer.Option(metavar="URL", help="ask this URL what to do once it is answered")
    ] = None,
    dialect: Annotated[str, typer.Option(help="message format on the WebSocket")] = "teler",
    from_number: Annotated[str, typer.Option("--from", metavar="NUMBER", help="who calls")] = "+15550100",
    chunk_size: Annotated[
        int | None, typer.Option(help="milliseconds of audio per message, a multiple of 20; 400 for teler")
    ] = None,
    sample_rate: Annotated[
        str | None, typer.Option(help="sample rate of the audio to the application; 8k for teler")
    ] = None,
    status_callback_url: Annotated[
        str | None, typer.Option(metavar="URL", help="where webhooks go; needed with --flow-url")
    ] = None,
    record: Annotated[bool, typer.Option(help="record the call")] = True,
    wait: Annotated[bool, typer.Option("--wait", help="show what happens, until the call is over")] = False,
    url: UrlOption = None,
    api_key: KeyOption = None,
    config: ConfigOption = None,
) -> None:
    """Place a call."""
    if (stream is None) == (flow_url is None):
        fail("say what to do when it is answered: either --stream ws://… or --flow-url http://…", EXIT_USAGE)
    if flow_url is not None and status_callback_url is None:
        fail("--flow-url needs --status-callback-url http://… beside it", EXIT_USAGE)
    body: dict[str, Any] = {"from_number": from_number, "to_number": to, "record": record}
    if stream is not None:
        given = {"dialect": dialect, "chunk_size": chunk_size, "sample_rate": sample_rate}
        body["flow"] = {"action": "stream", "ws_url": stream} | {k: v for k, v in given.items() if v is not None}
    else:
        body["flow_url"] = flow_url
    if status_callback_url is not None:
        body["status_callback_url"] = status_callback_url
    console = Console(highlight=False, soft_wrap=True)
    with told(), Client.find(url, api_key, config) as client:
        call_id = client.post("/voice/calls/initiate", body)["data"]["id"]
        console.print(f"call {call_id}")
        if not wait:
            console.print(f"[dim]watch it: longline calls; end it: longline hangup {call_id}[/dim]")
            return
        try:
            _watch(client, call_id, console)
        except KeyboardInterrupt:
            client.post(f"/voice/calls/{call_id}/hangup", {})
            raise typer.Exit(130) from None


def _watch(client: Client, call_id: str, console: Console) -> None:
    """Print the call's events as they come; fail when the call did. Its last event may be stored just after its end."""
    shown: set[str] = set()
    place: dict[str, str] = {}
    is_over = False
    polls_left = POLLS_AFTER_END
    while polls_left:
        page = client.get(f"/voice/calls/{call_id}/events", limit=_PAGE, **place)
        events = page["data"]
        for event in events:
            if event["id"] not in shown:
                shown.add(event["id"])
                console.print(f"  {event['occurred_at'][11:23]}  {event['type']}{_detail(event)}")
        is_over = is_over or any(event["type"] in _LAST for event in events)
        if next_cursor := page.get("next_cursor"):
            place = {"cursor_after": next_cursor}
            continue
        found = client.get(f"/voice/calls/{call_id}")
        if is_over:
            break
        polls_left -= found["ended_at"] is not None
        time.sleep(POLL_S)
    if found["reason"] not in _GOOD_ENDS:
        raise ClientError(f"the call failed: {found['reason']}")


def _detail(event: dict[str, Any]) -> str:
    data = event["details"]
    known = [f"{key} {data[key]}" for key in ("reason", "detail", "digit", "action") if data.get(key)]
    return f"  [dim]{escape(', '.join(known))}[/dim]" if known else ""
