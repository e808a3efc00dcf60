"""`longline demo`: a whole call on this machine, and its story.

Starts the greeter of `examples/`, a node that streams every call to it, and the test phone; lets them talk; then tells
from the node's stored events and the phone's own ear what happened when.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import os
import secrets
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import httpx2
import numpy as np
import typer
from rich.console import Console

from longline.base.errors import LonglineError
from longline.base.log import set_up_logging
from longline.cli.phone import CallReport, Phone, read_stereo

EXAMPLES = Path(__file__).parents[3] / "examples"
START_TIMEOUT_S = 60.0
CALL_LIMIT_S = 45.0
_LOUD = 600
"""Amplitude, of 32,767, from which a sample of the demo's clean speech is speech."""


class DemoFailed(LonglineError):
    """Something that the demo needs did not come up, or the call did not go as it should."""


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
) -> None:
    """Place a call to an example application on this machine, and tell what happened."""
    console = Console(stderr=as_json, soft_wrap=True)
    set_up_logging("error")
    try:
        report, moments, silence_ms = asyncio.run(_run(output, console))
    except (LonglineError, OSError, httpx2.HTTPError) as error:
        console.print(f"[red]demo: {error}[/red]\nThe logs are in {output}/.", highlight=False)
        raise typer.Exit(1) from error
    missing = [key for key in _EXPECTED if all(moment.key != key for moment in moments)]
    _tell(console, report, moments, silence_ms, output)
    if as_json:
        print(json.dumps(_facts(report, moments, silence_ms, missing)))
    if missing or not report.answered:
        console.print(
            f"[red]demo: this did not happen: {', '.join(missing) or 'an answer'}[/red]; logs are in {output}/"
        )
        raise typer.Exit(1)


async def _run(output: Path, console: Console) -> tuple[CallReport, list[Moment], float | None]:
    if not EXAMPLES.is_dir():
        raise DemoFailed("the examples are not here: run the demo in a checkout of Longline")
    output.mkdir(parents=True, exist_ok=True)
    (app_port, http_port), (sip_port,) = _free_ports(socket.SOCK_STREAM, 2), _free_ports(socket.SOCK_DGRAM, 1)
    api_key = secrets.token_urlsafe(24)
    environment = os.environ | {
        "LONGLINE_HTTP_LISTEN": f"127.0.0.1:{http_port}",
        "LONGLINE_SIP_LISTEN": f"127.0.0.1:{sip_port}",
        "LONGLINE_DATA_DIR": str(output.absolute() / "node"),
        "LONGLINE_API_KEY": api_key,
    }
    greeter = [sys.executable, str(EXAMPLES / "greeter.py"), "--port", str(app_port)]
    node = [sys.executable, "-m", "longline", "serve", "--stream", f"ws://127.0.0.1:{app_port}/", "--chunk-size", "20"]
    async with contextlib.AsyncExitStack() as stack:
        with console.status("starting the example application and a node"):
            await stack.enter_async_context(_program(greeter, output / "application.log", environment))
            await stack.enter_async_context(_program(node, output / "node.log", environment))
            api = await stack.enter_async_context(
                httpx2.AsyncClient(base_url=f"http://127.0.0.1:{http_port}", headers={"x-api-key": api_key})
            )
            await _until_port(app_port)
            await _until_ready(api)
        recording = output / "call.wav"
        with console.status("on the phone: the caller greets, listens, and interrupts"):
            async with Phone(f"sip:demo@127.0.0.1:{sip_port}") as phone:
                report = await phone.call(
                    play=EXAMPLES / "audio" / "caller.wav", record=recording, limit_s=CALL_LIMIT_S
                )
        moments = await _moments(api, report) if report.answered else []
        return report, moments, _silence_after_interruption_ms(recording) if report.answered else None


async def _moments(api: httpx2.AsyncClient, report: CallReport) -> list[Moment]:
    """The story of the latest call, once the node has told its end."""
    calls = (await api.get("/api/v1/voice/calls", params={"limit": 1})).raise_for_status().json()["data"]
    if not calls:
        raise DemoFailed("the node knows of no call")
    async with asyncio.timeout(START_TIMEOUT_S):
        while True:
            answer = await api.get(f"/api/v1/voice/calls/{calls[0]['id']}/events", params={"limit": 100})
            events: list[dict[str, Any]] = answer.raise_for_status().json()["data"]
            if any(event["type"] in ("call.completed", "call.failed") for event in events):
                return sorted(_told(events, report.started_at), key=lambda moment: moment.at_ms)
            await asyncio.sleep(0.1)


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


def _tell(console: Console, report: CallReport, moments: list[Moment], silence_ms: float | None, output: Path) -> None:
    console.print("[bold]What happened[/bold]  [dim](milliseconds since the phone's INVITE)[/dim]\n")
    for moment in moments:
        console.print(f"{moment.at_ms:>8,.0f}  {moment.what:<42}[dim]{moment.detail}[/dim]", highlight=False)
    if silence_ms is not None:
        console.print(
            f"\nThe line was silent {silence_ms:.0f} ms after the caller began to interrupt.", highlight=False
        )
    if report.answered:
        console.print(
            f"{report.packets_received} packets heard, {report.packets_lost} lost, {report.packets_late} late, "
            f"jitter {report.jitter_ms} ms.\n\n"
            f"Listen to {output}/call.wav: left is what the phone heard, right what it said.\n"
            "Next: read the application, examples/greeter.py, and run your own (README.md tells how to call it):\n"
            "  .venv/bin/python examples/echo.py &\n"
            "  .venv/bin/longline serve --stream ws://127.0.0.1:9000 --chunk-size 20",
            highlight=False,
        )


def _facts(report: CallReport, moments: list[Moment], silence_ms: float | None, missing: list[str]) -> dict[str, Any]:
    first: dict[str, float] = {}
    for moment in moments:
        first.setdefault(f"{moment.key}_ms", moment.at_ms)
    return {
        "ok": report.answered and not missing,
        **first,
        "silence_after_interruption_ms": silence_ms,
        "timeline": [dataclasses.asdict(moment) for moment in moments],
        "phone": dataclasses.asdict(report),
    }


@contextlib.asynccontextmanager
async def _program(command: list[str], log: Path, environment: dict[str, str]) -> AsyncIterator[None]:
    """A program that runs as long as the context, its output in `log`."""
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(*command, stdout=output, stderr=output, env=environment)
        try:
            yield
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)
            try:
                await asyncio.wait_for(process.wait(), 10)
            except TimeoutError:
                process.kill()
                await process.wait()


async def _until_port(port: int) -> None:
    async with asyncio.timeout(START_TIMEOUT_S):
        while True:
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                return
            await asyncio.sleep(0.05)


async def _until_ready(api: httpx2.AsyncClient) -> None:
    try:
        async with asyncio.timeout(START_TIMEOUT_S):
            while True:
                with contextlib.suppress(httpx2.TransportError):
                    if (await api.get("/readyz")).status_code == 200:
                        return
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise DemoFailed(f"the node was not ready within {START_TIMEOUT_S:g} s") from None


def _free_ports(kind: int, count: int) -> list[int]:
    """Ports that are free now; all are held until all are known, so that they differ."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket(socket.AF_INET, kind)) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
