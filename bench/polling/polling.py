"""Audio in chunks of 20 ms over a WebSocket, and by polling over HTTP: what each costs, and how late it is.

Both ends are small programs without a framework (`voice.py`, `application.py`), the same but for the transport, so that
a difference is the transport's. The transports take turns within one run: a drift of the machine hits all. CPU time is
user and system time of the two processes. The network's delay is that of a relay between them, not counted in the CPU
time. The last line is one JSON object; docs/reference/performance.md explains its fields.
"""

import argparse
import asyncio
import contextlib
import datetime
import ipaddress
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvloop
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from delay_line import open_delay_line
from measured import HEADERS
from media_server import line as media_server_line
from media_server import measure as measure_media_server
from side import GRACE_S, TRANSPORTS

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
WARM_UP_S = 1.0
#: Over TLS by default: what is kept, and what is not.
TLS_TRANSPORTS = ("websocket", "http-keep-alive-half", "http-new-half")


@dataclass(frozen=True)
class Case:
    """A row of the table."""

    transport: str
    rtt_ms: float
    tls: bool


@dataclass
class Row:
    """All turns of one case."""

    up_s: list[float] = field(default_factory=list)
    down_s: list[float] = field(default_factory=list)
    us_per_call_s: list[float] = field(default_factory=list)
    voice_us_per_call_s: list[float] = field(default_factory=list)
    wire_bytes: int = 0
    segments: int = 0
    requests: int = 0
    connections: int = 0
    made: int = 0
    call_s: float = 0.0

    def add(self, voice: dict[str, Any], application: dict[str, Any], call_s: float) -> None:
        self.up_s += application["delays"]
        self.down_s += voice["delays"]
        self.us_per_call_s.append((voice["cpu_ns"] + application["cpu_ns"]) / 1000 / call_s)
        self.voice_us_per_call_s.append(voice["cpu_ns"] / 1000 / call_s)
        self.segments += application["segments"]
        self.wire_bytes += application["bytes"] + HEADERS * application["segments"]
        self.requests += voice["requests"]
        self.connections += application["connections"]
        self.made += voice["made"] + application["made"]
        self.call_s += call_s

    def figures(self, case: Case) -> dict[str, Any]:
        return {
            "transport": case.transport,
            "tls": case.tls,
            "rtt_ms": case.rtt_ms,
            "up_ms_p50": _quantile(self.up_s, 0.5),
            "up_ms_p99": _quantile(self.up_s, 0.99),
            "down_ms_p50": _quantile(self.down_s, 0.5),
            "down_ms_p99": _quantile(self.down_s, 0.99),
            "us_per_call_s": round(statistics.mean(self.us_per_call_s)),
            "voice_us_per_call_s": round(statistics.mean(self.voice_us_per_call_s)),
            "us_of_turns": [round(us) for us in self.us_per_call_s],
            "kbit_per_s": round(self.wire_bytes * 8 / 1000 / self.call_s, 1),
            "packets_per_s": round(self.segments / self.call_s, 1),
            "requests_per_s": round(self.requests / self.call_s, 1),
            "connections_per_s": round(self.connections / self.call_s, 1),
            "missing": round(max(0.0, 1 - (len(self.up_s) + len(self.down_s)) / max(self.made, 1)), 4),
        }


def _quantile(values: list[float], share: float) -> float | None:
    ordered = sorted(values)
    return round(1000 * ordered[min(int(len(ordered) * share), len(ordered) - 1)], 2) if ordered else None


class Side:
    """One of the two processes."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def told(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = await asyncio.wait_for(self._process.stdout.readline(), 60)
        if not line:
            raise SystemExit("a side of the bench broke down")
        facts: dict[str, Any] = json.loads(line)
        return facts

    async def tell(self, **facts: Any) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(facts).encode() + b"\n")
        await self._process.stdin.drain()


@contextlib.asynccontextmanager
async def running(program: str, case: Case, calls: int, tls: Path) -> AsyncIterator[Side]:
    command = [sys.executable, str(HERE / program), "--transport", case.transport, "--calls", str(calls)]
    process = await asyncio.create_subprocess_exec(
        *command, *(["--tls", str(tls)] if case.tls else []),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=1 << 26,
    )  # fmt: skip
    try:
        yield Side(process)
    finally:
        try:
            await asyncio.wait_for(process.wait(), GRACE_S)  # it ends by itself
        except TimeoutError:
            process.kill()
            await process.wait()


async def turn(case: Case, calls: int, seconds: float, tls: Path, row: Row) -> None:
    async with running("voice.py", case, calls, tls) as voice, running("application.py", case, calls, tls) as app:
        listener, dialler = (app, voice) if case.transport == "websocket" else (voice, app)
        port = (await listener.told())["port"]
        if case.rtt_ms:
            port = await open_delay_line(port, case.rtt_ms / 2000)
        await dialler.tell(dial=port)
        await dialler.told()
        begin = time.monotonic() + WARM_UP_S
        for side in (voice, app):
            await side.tell(begin=begin, end=begin + seconds)
        await asyncio.sleep(WARM_UP_S + seconds + GRACE_S / 2)
        results = await asyncio.gather(voice.told(), app.told())
        row.add(*results, call_s=calls * seconds)


def make_certificate(folder: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "certificate.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )


async def measure(arguments: argparse.Namespace, folder: Path) -> dict[str, Any]:
    make_certificate(folder)
    networks = [(rtt, False) for rtt in arguments.rtt] + ([(max(arguments.rtt), True)] if arguments.tls else [])
    began_load = os.getloadavg()[0]
    rows: list[dict[str, Any]] = []
    for rtt_ms, tls in networks:
        cases = [Case(name, rtt_ms, tls) for name in (TLS_TRANSPORTS if tls else TRANSPORTS)]
        measured = {case: Row() for case in cases}
        for number in range(arguments.turns):
            for case in cases if number % 2 == 0 else reversed(cases):
                await turn(case, arguments.calls, arguments.seconds, folder, measured[case])
        base = measured[cases[0]]
        for case, row in measured.items():
            ratios = zip(row.us_per_call_s, base.us_per_call_s, strict=True)
            figures = row.figures(case) | {"cpu_ratio": round(statistics.mean(a / b for a, b in ratios), 2)}
            rows.append(figures)
            print(line(figures), flush=True)
    own = await measure_media_server(arguments.calls, arguments.seconds, arguments.turns)
    print(media_server_line(own), flush=True)
    return {
        "bench": "polling",
        "cores": os.cpu_count(),
        "load_average": [began_load, os.getloadavg()[0]],
        "calls": arguments.calls,
        "seconds": arguments.seconds,
        "turns": arguments.turns,
        "rows": rows,
        "media_server": own,
    }


HEAD = (
    "| transport | round trip | to the application p50, p99 | to the caller p50, p99 | CPU a call-second (× WebSocket) "
    "| on the wire | packets/s | connections/s | missing |\n|---|---|---|---|---|---|---|---|---|"
)


def line(row: dict[str, Any]) -> str:
    name = row["transport"] + (", TLS" if row["tls"] else "")
    return (
        f"| {name} | {row['rtt_ms']:g} ms | {row['up_ms_p50']}, {row['up_ms_p99']} ms "
        f"| {row['down_ms_p50']}, {row['down_ms_p99']} ms | {row['us_per_call_s']} µs ({row['cpu_ratio']}) "
        f"| {row['kbit_per_s']} kbit/s | {row['packets_per_s']} | {row['connections_per_s']} | {row['missing']:.1%} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=4, help="the relay must keep up with their connections")
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--turns", type=int, default=2)
    parser.add_argument("--rtt", type=float, nargs="*", default=[0, 40], help="round trips of the network in ms")
    parser.add_argument("--no-tls", dest="tls", action="store_false")
    parser.add_argument("--output", type=Path, default=ROOT / "bench/results/polling.json")
    arguments = parser.parse_args()
    print(HEAD)
    with tempfile.TemporaryDirectory(prefix="longline-bench-") as folder:
        result = uvloop.run(measure(arguments, Path(folder)))
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps({key: value for key, value in result.items() if key != "rows"}))


if __name__ == "__main__":
    main()
