"""What both ends have in common: their arguments, their clockwork, and how they talk to the process that runs them.

A line of JSON on standard output when it listens (`port`) and when it is connected (`ready`), one with the result at
the end; on standard input the port to dial, and then when to measure, by the machine's monotonic clock.
"""

import argparse
import asyncio
import gc
import json
import ssl
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from audio_chunk import INTERVAL_S
from measured import Measured

#: So long chunks of the measurement may still come after its end; later ones are missing.
GRACE_S: Final = 1.5
#: HTTP with a connection that is kept or one for each request; in turns (half) or both ways at once (full).
TRANSPORTS: Final = ("websocket", "http-keep-alive-full", "http-keep-alive-half", "http-new-full", "http-new-half")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--transport", choices=TRANSPORTS, required=True)
    parser.add_argument("--calls", type=int, required=True)
    parser.add_argument("--tls", type=Path, help="folder with certificate and key")
    return parser.parse_args()


def server_tls(folder: Path | None) -> ssl.SSLContext | None:
    if folder is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(folder / "certificate.pem", folder / "key.pem")
    return context


def client_tls(folder: Path | None) -> ssl.SSLContext | None:
    return None if folder is None else ssl.create_default_context(cafile=str(folder / "certificate.pem"))


def say(**facts: Any) -> None:
    print(json.dumps(facts), flush=True)


async def hear() -> dict[str, Any]:
    line = await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    if not line:
        raise SystemExit(1)
    heard: dict[str, Any] = json.loads(line)
    return heard


def every_interval(phase: float, act: Callable[[], None]) -> None:
    """Call it every 20 ms from now on, by a schedule that does not drift."""
    loop = asyncio.get_running_loop()
    first, number = loop.time() + phase * INTERVAL_S, 0

    def tick() -> None:
        nonlocal number
        act()
        number += 1
        loop.call_at(first + number * INTERVAL_S, tick)

    loop.call_at(first, tick)


async def be_measured(measured: Measured) -> None:
    """From when to when is told; then the result is said."""
    times = await hear()
    gc.collect()
    gc.freeze()
    measured.begin, measured.end = times["begin"], times["end"]
    await asyncio.sleep(measured.begin - time.monotonic())
    measured.start()
    await asyncio.sleep(measured.end - time.monotonic())
    measured.stop()
    await asyncio.sleep(GRACE_S)
    say(**measured.result())
