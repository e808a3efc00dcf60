"""`longline conformance`: does an application, or a server, speak longline.v1 as it is specified?"""

from __future__ import annotations

import asyncio
import json
import shlex
from typing import Annotated

import typer
from rich.console import Console

from longline.cli.failure import EXIT_FAILED, fail
from longline.streamkit.conformance.application import ApplicationKit
from longline.streamkit.conformance.report import Report
from longline.streamkit.conformance.server import OpenStream, ServerKit

conformance = typer.Typer(
    name="conformance",
    help="Check an application, or a server, against the native stream protocol longline.v1.",
    no_args_is_help=True,
)
JsonOption = Annotated[bool, typer.Option("--json", help="print the report as JSON")]


@conformance.command("app")
def application(
    url: Annotated[str, typer.Argument(help="ws:// or wss:// URL of the application")],
    secret: Annotated[
        str | None, typer.Option(help="the application's secret: sign, and check what is refused")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Play Longline against an application: half a minute. Exit status 1 when a check failed."""
    if not url.startswith(("ws://", "wss://")):
        fail("an application has a ws:// or wss:// URL")
    _print(asyncio.run(ApplicationKit(url, secret=secret).run()), as_json)


@conformance.command("server")
def server(
    listen: Annotated[str, typer.Option(help="host and port that the server under test is to dial")] = "127.0.0.1:9100",
    command: Annotated[
        str | None, typer.Option(help="is run for each scenario, and makes the server open a stream; {url} is our URL")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Play an application against a server: a minute, and about 20 streams. Exit status 1 when a check failed."""
    host, _, port = listen.rpartition(":")
    if not host or not port.isdigit():
        fail("--listen is host:port")
    kit = ServerKit(host, int(port), subject=f"what dialled {listen}")
    if command is None:
        Console(stderr=True).print(f"open streams to ws://{listen}/conformance, one after another", highlight=False)
    _print(asyncio.run(kit.run(_opener(command) if command else None)), as_json)


def _opener(command: str) -> OpenStream:
    async def open_stream(url: str) -> None:
        words = [word.replace("{url}", url) for word in shlex.split(command)]
        process = await asyncio.create_subprocess_exec(*words, stdout=asyncio.subprocess.DEVNULL)
        await process.wait()

    return open_stream


def _print(report: Report, as_json: bool) -> None:
    if as_json:
        print(json.dumps(report.to_json(), indent=1))
    else:
        print(report.to_text())
    if not report.is_passed:
        raise typer.Exit(EXIT_FAILED)
