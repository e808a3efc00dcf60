"""`longline dial`: call a SIP URI with a test phone, and say how it went."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from longline.base.errors import LonglineError
from longline.base.log import set_up_logging
from longline.cli.phone import MEASURING_CODECS, CallReport, Phone
from longline.sip.sdp.codecs import CODECS

_ROWS: tuple[tuple[str, str, str], ...] = (
    ("ringing after", "ringing_ms", "ms"),
    ("answered after", "answer_ms", "ms"),
    ("first packet after", "first_audio_ms", "ms"),
    ("talked for", "talk_ms", "ms"),
    ("packets sent", "packets_sent", ""),
    ("packets received", "packets_received", ""),
    ("lost", "packets_lost", "packets"),
    ("late", "packets_late", "packets"),
    ("jitter", "jitter_ms", "ms"),
    ("concealed", "concealed_ms", "ms"),
    ("round trip, mouth to ear", "round_trip_ms", "ms"),
    ("round trip, network (RTCP)", "network_round_trip_ms", "ms"),
    ("recording", "recording", ""),
)


def dial(
    target: Annotated[str, typer.Argument(metavar="SIP_URI", help="sip:user@host:port, with ;transport=tcp for TCP")],
    play: Annotated[Path | None, typer.Option(help="WAV file to speak (PCM, µ-law or A-law, any rate)")] = None,
    record: Annotated[Path | None, typer.Option(help="stereo WAV to write: left heard, right spoken")] = None,
    duration: Annotated[float | None, typer.Option(help="seconds to stay on the line, whatever is played")] = None,
    codecs: Annotated[
        str, typer.Option(help="codecs to offer, in order: opus, G722, PCMU, PCMA, L16/16000, …")
    ] = ",".join(MEASURING_CODECS),
    as_json: Annotated[bool, typer.Option("--json", help="print the report as one JSON object")] = False,
) -> None:
    """Call a SIP URI with a test phone; report answer time, packets, loss, jitter and round trip."""
    errors = Console(stderr=True)
    if play is not None and not play.is_file():
        errors.print(f"[red]{play} is no file[/red]: give a WAV file to --play")
        raise typer.Exit(2)
    offered = tuple(name.strip() for name in codecs.split(","))
    if unknown := [name for name in offered if name not in CODECS]:
        errors.print(f"[red]{unknown[0]!r} is no codec[/red]: there are {', '.join(CODECS)}")
        raise typer.Exit(2)
    set_up_logging("warning")
    try:
        report = asyncio.run(_call(target, play, record, duration, offered, errors))
    except (LonglineError, OSError) as error:
        errors.print(f"[red]dial: {error}[/red]")
        raise typer.Exit(1) from error
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
    if as_json:
        print(json.dumps(dataclasses.asdict(report)))
    else:
        Console().print(_table(report))
    if not report.answered:
        raise typer.Exit(1)


async def _call(
    target: str,
    play: Path | None,
    record: Path | None,
    duration: float | None,
    codecs: tuple[str, ...],
    console: Console,
) -> CallReport:
    def on_step(name: str, detail: str) -> None:
        console.print(f"[dim]· {name}[/dim] {detail}", highlight=False)

    async with Phone(target, on_step, codecs) as phone:
        return await phone.call(play=play, record=record, limit_s=duration)


def _table(report: CallReport) -> Table:
    table = Table(show_header=False, box=None, pad_edge=False)
    outcome = "answered" if report.answered else f"not answered: {report.status or ''} {report.reason or ''}"
    table.add_row(report.target, outcome)
    for title, field, unit in _ROWS:
        value = getattr(report, field)
        if value is not None:
            number = f"{value:.1f}" if isinstance(value, float) else str(value)
            table.add_row(title, f"{number} {unit}".rstrip())
    if report.answered and report.round_trip_ms is None:
        table.add_row("round trip, mouth to ear", "not found: what was heard is not what was played")
    return table
