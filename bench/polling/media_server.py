"""The media server itself in the table of transports: the same chunks over its own WebSocket, behind a phone's RTP.

The generator of `make bench-load` is the phone and the application. So a row of its own, and no ratio: RTP, jitter
buffer and codecs are in its cost, and the application is not.
"""

import asyncio
import json
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = ROOT / "target/release"


async def measure(calls: int, seconds: float, turns: int) -> dict[str, Any]:
    """The row of `longline-bench` for so many calls, in the Teler dialect with chunks of 20 ms."""
    with tempfile.TemporaryDirectory(prefix="longline-bench-") as folder:
        rows = Path(folder) / "rows.jsonl"
        process = await asyncio.create_subprocess_exec(
            str(PROGRAMS / "longline-bench"), "--calls", str(calls), "--dialects", "teler", "--turns", str(turns),
            "--seconds", str(max(1, round(seconds))), "--output", str(rows),
            "--media-server", str(PROGRAMS / "longline-media"), "--floor", str(PROGRAMS / "longline-floor"),
            stdout=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        if await process.wait():
            raise SystemExit("longline-bench broke down")
        row: dict[str, Any] = json.loads(rows.read_text().splitlines()[0])
        return row


def line(row: dict[str, Any]) -> str:
    """The row beside those of the stand-ins; from the packet in to the message out, and back."""
    up, down = ([_ms(row[f"{way}_delay_us_{quantile}"]) for quantile in ("p50", "p99")] for way in ("up", "down"))
    kbit = row["message_bytes"] * 8 * 50 * 2 / 1000
    return (
        f"| longline-media, RTP and codecs included | 0 ms | {up[0]}, {up[1]} ms | {down[0]}, {down[1]} ms "
        f"| {row['us_per_call_s']} µs (server alone) | {kbit:.0f} kbit/s of messages | | 0 | {_missing(row):.1%} |"
    )


def _ms(us: int | None) -> str:
    return "–" if us is None else f"{us / 1000:.2f}"


def _missing(row: dict[str, Any]) -> float:
    return row["lost"] / max(row["sent"], 1) if row["sent"] else 0.0
