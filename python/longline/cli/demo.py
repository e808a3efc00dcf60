"""`longline demo`: a whole call on this machine, and its story.

Starts the clinic of `examples/`, a node that streams every call to it, and the test phone with a caller who wants an
appointment (`clinic_stage.py`, `clinic_caller.py`); lets them talk; then tells from the node's stored events, the
clinic's calendar and the phone's own ear what happened when.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import httpx2
import numpy as np
import typer
from rich.console import Console
from rich.markup import escape

from longline.agentkit.waterfall import ORDER
from longline.base.errors import LonglineError
from longline.base.log import set_up_logging
from longline.cli.clinic_caller import Persona
from longline.cli.clinic_stage import ClinicCall, Stage
from longline.cli.phone import read_stereo

_LOUD = 600
"""Amplitude, of 32,767, from which a sample of the demo's clean speech is speech."""


@dataclass(frozen=True)
class Moment:
    """One line of the timeline. `at_ms` counts from the phone's INVITE; `key` names it in the JSON."""

    at_ms: float
    key: str
    what: str
    detail: str = ""


def _cleared(data: dict[str, Any]) -> str:
    said, unsaid = data["played_ms"] / 1000, data["dropped_ms"] / 1000
    return f"the caller spoke: {said:.1f} s had been said, {unsaid:.1f} s never were"


_EVENTS: dict[str, tuple[str, str, Callable[[dict[str, Any]], str]]] = {
    "call.initiated": ("arrived", "call arrived at the node", lambda data: ""),
    "call.ringing": ("ringing", "ringing", lambda data: ""),
    "call.answered": ("answered", "answered", lambda data: ""),
    "stream.connected": ("stream_connected", "WebSocket to the application connected", lambda data: ""),
    "stream.first_audio_sent": ("first_audio_to_app", "first audio to the application", lambda data: ""),
    "stream.first_audio_received": ("first_audio_from_app", "first audio from the application", lambda data: ""),
    "playout.started": ("speech", "application speaks to the caller", lambda data: ""),
    "playout.cleared": ("barge_in", "barge-in", _cleared),
    "stream.completed": ("stream_closed", "WebSocket closed", lambda data: str(data.get("reason") or "")),
    "call.completed": ("hang_up", "call over", lambda data: str(data.get("reason") or "")),
}
_EXPECTED = tuple(key for key, _, _ in _EVENTS.values() if key not in ("arrived", "stream_closed"))


def demo(
    as_json: Annotated[
        bool, typer.Option("--json", help="the last line is one JSON object with the same facts")
    ] = False,
    output: Annotated[Path, typer.Option(help="where the recording and the logs are left")] = Path("demo-output"),
    seed: Annotated[int, typer.Option(help="who calls, what he wants, and how he says it")] = 6,
) -> None:
    """A caller books an appointment with an example agent on this machine: the conversation, and what happened when."""
    console = Console(stderr=as_json, soft_wrap=True, highlight=False)
    set_up_logging("error")
    try:
        call = asyncio.run(_run(output, seed, console))
    except (LonglineError, OSError, httpx2.HTTPError) as error:
        console.print(f"[red]demo: {escape(str(error))}[/red]\nThe logs are in {output}/.")
        raise typer.Exit(1) from error
    moments = sorted(_told(call.events, call.report.started_at), key=lambda moment: moment.at_ms)
    silence_ms = _silence_after_interruption_ms(output / "call.wav") if call.report.answered else None
    missing = [key for key in _EXPECTED if all(moment.key != key for moment in moments)]
    _tell(console, call, moments, silence_ms, output)
    if as_json:
        print(json.dumps(_facts(call, moments, silence_ms, missing)))
    problems = [f"this did not happen: {', '.join(missing)}"] if missing else []
    problems += [] if call.is_right else [f"{_slot(call.booked)} was booked, {_slot(call.persona.wants)} was wanted"]
    if problems:
        console.print(f"[red]demo: {'; '.join(problems)}[/red]; logs are in {output}/")
        raise typer.Exit(1)


async def _run(output: Path, seed: int, console: Console) -> ClinicCall:
    with console.status("starting the clinic and a node"):
        stage = await Stage(output).__aenter__()
    try:
        console.print(
            "[bold]The call[/bold]  [dim](the agent hears by its own ears: what it understood is beside)[/dim]\n"
        )
        return await stage.call(Persona.of(seed), output / "call.wav", on_turn=lambda turn: _show(console, turn))
    finally:
        await stage.__aexit__(None, None, None)


def _show(console: Console, turn: dict[str, Any]) -> None:
    """What the agent understood, and what of its answer was heard."""
    if turn.get("caller"):
        console.print(f"  caller  [cyan]{escape(turn['caller'])}[/cyan]")
    cut = "  [yellow]… (interrupted)[/yellow]" if turn.get("was_interrupted") else ""
    console.print(f"  agent   {escape(turn.get('heard') or '')}{cut}")


def _told(events: list[dict[str, Any]], started_at: float) -> Iterator[Moment]:
    for event in events:
        key, what, detail = _EVENTS.get(event["type"], ("", "", str))
        data = event["details"]
        if key and not (key == "barge_in" and data["dropped_ms"] == 0):
            at = datetime.fromisoformat(event["occurred_at"]).timestamp()
            yield Moment(round((at - started_at) * 1000, 1), key, what, detail(data))


def _silence_after_interruption_ms(recording: Path) -> float | None:
    """From the caller's first sound over the application's speech to the last sample of that speech, on the phone."""
    heard, played = read_stereo(recording)
    both = _smoothed(heard) & _smoothed(played)
    if not both.any():
        return None
    start = int(np.argmax(both))
    later = heard[start : start + 8000]
    quiet = np.flatnonzero(np.abs(later.astype(int)) > _LOUD)
    return round(float(quiet[-1] + 1) / 8, 1) if len(quiet) else 0.0


def _smoothed(samples: np.ndarray[Any, np.dtype[np.int16]]) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Where there is speech, pauses of up to 200 ms included."""
    loud = (np.abs(samples.astype(int)) > _LOUD).astype(int)
    return np.convolve(loud, np.ones(1600, int), mode="full")[: len(samples)] > 0


def _tell(console: Console, call: ClinicCall, moments: list[Moment], silence_ms: float | None, output: Path) -> None:
    report = call.report
    if call.turns:
        _show_waterfall(console, call.turns)
    console.print("\n[bold]What happened[/bold]  [dim](milliseconds since the phone's INVITE)[/dim]\n")
    shown: set[str] = set()
    for moment in moments:
        if moment.key not in shown or moment.key == "barge_in":  # the agent speaks again and again
            shown.add(moment.key)
            console.print(f"{moment.at_ms:>8,.0f}  {moment.what:<42}[dim]{moment.detail}[/dim]")
    if silence_ms is not None:
        console.print(f"\nThe line was silent {silence_ms:.0f} ms after the caller began to interrupt.")
    if call.is_right:
        console.print(f"[green]Booked: {_slot(call.booked)}[/green], which is what the caller wanted.")
    if report.answered:
        console.print(
            f"{report.packets_received} packets heard, {report.packets_lost} lost, {report.packets_late} late, "
            f"jitter {report.jitter_ms} ms.\n\n"
            f"Listen to {output}/call.wav: left is what the phone heard, right what it said.\n"
            "Next: read the agent, examples/clinic.py and clinic.yaml, and call it yourself (README.md tells how):\n"
            "  .venv/bin/python examples/clinic.py &\n"
            "  .venv/bin/longline serve --stream ws://127.0.0.1:9000 --dialect longline",
        )


def _show_waterfall(console: Console, turns: list[dict[str, Any]]) -> None:
    """One line for each answer: milliseconds from the caller's last sound to the first that he heard, and its parts."""
    steps = [step.value for step in ORDER[1:] if any(step.value in turn.get("parts_ms", {}) for turn in turns)]
    console.print("\n[bold]How long each answer took[/bold]  [dim](milliseconds; the parts follow each other)[/dim]\n")
    console.print(f"{'total':>8}" + "".join(f"{step.replace('_', ' '):>13}" for step in steps))
    for turn in turns:
        if turn.get("total_ms") is not None:
            parts = [turn["parts_ms"].get(step) for step in steps]
            cells = "".join(f"{'–' if part is None else f'{part:.0f}':>13}" for part in parts)
            console.print(f"{turn['total_ms']:>8.0f}{cells}")


def _slot(slot: tuple[str, str] | None) -> str:
    return "nothing" if slot is None else " at ".join(slot)


def _turns(call: ClinicCall) -> list[dict[str, Any]]:
    """Of the caller, `text` is what he said and `heard_text` what the agent understood; of the agent, what it said or
    was to say, and what the caller heard of it."""
    told: list[dict[str, Any]] = []
    said = iter(call.said)
    for turn in call.turns:
        if turn.get("caller"):
            told.append({"role": "caller", "text": next(said, turn["caller"]), "heard_text": turn["caller"]})
        answer = {"role": "agent", "text": turn.get("agent", ""), "heard_text": turn.get("heard", "")}
        answer |= {"was_interrupted": bool(turn.get("was_interrupted"))}
        if turn.get("total_ms") is not None:
            answer |= {"end_of_speech_to_heard_ms": turn["total_ms"], "parts_ms": turn["parts_ms"]}
        told.append(answer)
    return told


def _facts(call: ClinicCall, moments: list[Moment], silence_ms: float | None, missing: list[str]) -> dict[str, Any]:
    first: dict[str, float] = {}
    for moment in moments:
        first.setdefault(f"{moment.key}_ms", moment.at_ms)
    return {
        "ok": call.report.answered and not missing and call.is_right,
        **first,
        "silence_after_interruption_ms": silence_ms,
        "timeline": [dataclasses.asdict(moment) for moment in moments],
        "phone": dataclasses.asdict(call.report),
        "seed": call.persona.seed,
        "wanted": call.persona.wants,
        "booked": call.booked,
        "turns": _turns(call),
    }
