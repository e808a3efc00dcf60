"""`longline serve`: run a node until it is told to stop."""

from __future__ import annotations

import asyncio
import gc
import ipaddress
import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from longline.base.config import Config
from longline.base.log import get_logger, set_up_logging
from longline.cli.client import ConfigOption
from longline.cli.failure import told

if TYPE_CHECKING:
    from longline.node import Node

log = get_logger(__name__)


_GC_THRESHOLDS = (10_000, 5, 20)
"""A call makes some thousand objects that the collector knows of. By the usual 700, 10, 10 it is run for every few of
them; what that costs was measured once each way (docs/reference/performance.md)."""


def serve(
    config: ConfigOption = None,
    stream: Annotated[
        str | None, typer.Option(metavar="WS_URL", help="answer every call and stream it to this WebSocket")
    ] = None,
    dialect: Annotated[str, typer.Option(help="message format on the WebSocket")] = "teler",
    chunk_size: Annotated[
        int | None, typer.Option(help="milliseconds of audio per message, a multiple of 20; 400 for teler")
    ] = None,
    sample_rate: Annotated[
        str | None, typer.Option(help="sample rate of the audio to the application; 8k for teler")
    ] = None,
    flow_url: Annotated[
        str | None, typer.Option(metavar="URL", help="ask this URL what to do with every call instead")
    ] = None,
    http_listen: Annotated[str | None, typer.Option(metavar="HOST:PORT", help="address of the API")] = None,
    sip_listen: Annotated[
        str | None,
        typer.Option(metavar="HOST:PORT", help="address of SIP, UDP and TCP; or several, separated by commas"),
    ] = None,
    data_dir: Annotated[Path | None, typer.Option(metavar="FOLDER", help="database and recordings")] = None,
    log_level: Annotated[str | None, typer.Option(help="debug, info, warning or error")] = None,
) -> None:
    """Run a node: SIP, the API, call flows, webhooks, and the media server beside it."""
    environment = dict(os.environ)
    flags = {
        "HTTP_LISTEN": http_listen,
        "SIP_LISTEN": sip_listen,
        "DATA_DIR": None if data_dir is None else str(data_dir),
        "LOG_LEVEL": log_level,
        "INBOUND__FLOW_URL": flow_url,
    }
    environment |= {f"LONGLINE_{name}": value for name, value in flags.items() if value is not None}
    if stream is not None:
        inline = {"ws_url": stream, "dialect": dialect, "chunk_size": chunk_size, "sample_rate": sample_rate}
        environment["LONGLINE_INBOUND__STREAM"] = json.dumps({k: v for k, v in inline.items() if v is not None})
    with told():
        settings = Config.load(config, environment)
        set_up_logging(settings.log_level, log_format=settings.log_format, log_pii=settings.log_pii)
        import uvloop  # with the node, half a second of imports that no other command needs

        uvloop.run(_serve(settings, lambda: Config.load(config, environment)))


async def _serve(config: Config, read_again: Callable[[], Config]) -> None:
    stop, hang_up = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    loop.add_signal_handler(signal.SIGHUP, hang_up.set)
    from longline.node import Node

    node = Node(config)
    await node.start()
    _spare_the_collector()
    reloading = asyncio.create_task(_reload(node, hang_up, read_again))
    try:
        _greet(node, config)
        await stop.wait()
        Console(stderr=True).print("[dim]stopping: hanging up live calls[/dim]")
    finally:
        reloading.cancel()
        await node.stop()


async def _reload(node: Node, asked: asyncio.Event, read_again: Callable[[], Config]) -> None:
    """SIGHUP: the trunks of the configuration are read again. One that is wrong is told, and changes nothing."""
    while True:
        await asked.wait()
        asked.clear()
        try:
            await node.reload(read_again())
        except Exception as error:
            log.error("the configuration was not read again", error=str(error))


def _spare_the_collector() -> None:
    """What is there now stays: the garbage collector need not look at it again and again, at a second of silence each
    time that it does. Between two looks at what is young more of it has gone by itself."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_GC_THRESHOLDS)


def _greet(node: Node, config: Config) -> None:
    """Where it listens, the key if it is new, and what to try next."""
    console = Console(highlight=False, soft_wrap=True)
    sip = f"{_bracketed(node.sip_address[0])}:{node.sip_address[1]}"
    listening = ", ".join(f"{host_port} ({names})" for host_port, names in node.sip_listeners)
    console.print(f"[bold]Longline[/bold] is ready.\n  SIP   {listening}\n  API   {node.url}/docs")
    if node.new_api_key is not None:
        console.print(f"  key   {node.new_api_key}  [dim](shown once; also in {config.data_dir / 'api_key'})[/dim]")
    if not (config.access.lets_others_in or config.trunks or config.phones) and not _is_loopback(node.sip_address[0]):
        console.print(
            "[yellow]Only this machine and trunks made by the API may call in[/yellow]: "
            "let others in by access.networks, phones or trunks."
        )
    inbound = config.inbound
    target = inbound.stream.ws_url if inbound.stream else inbound.flow_url
    if target is None:
        console.print(
            "[yellow]Calls that come in get 404[/yellow]: say what to do with them, by --stream ws://… or --flow-url."
        )
    else:
        console.print(f"  calls go to {target}\nTry: longline dial sip:test@{sip}")
    console.print("     longline call sip:someone@host --stream ws://…\n     longline calls")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
