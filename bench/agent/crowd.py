"""A crowd of callers on a media server of their own: each says something for a second, is answered, and says it again.

Calls are opened over the control protocol, as `longline serve` does; what leaves and arrives is RTP. All of it runs on
one core, the application on another.
"""

import contextlib
import json
import os
import random
import socket
import struct
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.support.speaking_caller import VOICE  # noqa: E402

MEDIA = os.environ.get("LONGLINE_MEDIA_BINARY", str(ROOT / "target/release/longline-media"))
SILENCE = b"\xff" * 160
FRAME_S = 0.02
SPEAKS_FRAMES, CYCLE_FRAMES = 50, 200
"""A second of voice every four seconds."""
SLOTS = 20
"""Phases within a frame: a call has one of them."""


@dataclass
class Guest:
    """One caller."""

    to: tuple[str, int]
    phase: int
    sequence: int = 0
    asked_at: float | None = None
    delays: list[float] = field(default_factory=list)
    asked: int = 0


class Crowd:
    """`with Crowd(core) as crowd: crowd.open(...)`, then `crowd.talk(seconds)`."""

    def __init__(self, core: int) -> None:
        self._core = core
        self._folder = tempfile.TemporaryDirectory(prefix="ll-", dir="/tmp")
        self._udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        self._udp.bind(("127.0.0.1", 0))
        self._udp.setblocking(False)
        self._guests: dict[tuple[str, int], Guest] = {}
        self._frame = 0
        self._ids = 0

    def __enter__(self) -> Self:
        os.sched_setaffinity(0, {self._core})
        path = f"{self._folder.name}/control.sock"
        self._media = subprocess.Popen(
            [MEDIA, "--socket", path, "--workers=1", "--rtp-address", "127.0.0.1", "--rtp-ports", "20000-29999",
             "--exit-with-parent", "--log", "error"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
        )  # fmt: skip
        self._control = socket.socket(socket.AF_UNIX)
        for _ in range(200):
            with contextlib.suppress(OSError):
                self._control.connect(path)
                break
            time.sleep(0.02)
        self._command("hello", version=2)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._control.close()
        self._media.terminate()
        self._media.wait(10)
        self._udp.close()
        self._folder.cleanup()

    def open(self, calls: int, url: str, dialect: str) -> None:
        """So many more."""
        host, port = self._udp.getsockname()
        for number in range(len(self._guests), len(self._guests) + calls):
            name = f"s{number}"
            opened = self._command("leg.open", session=name, leg="phone")
            address, _, rtp_port = opened["rtp"].rpartition(":")
            self._command(
                "leg.connect", session=name, leg="phone", rtp=f"{host}:{port}", rtcp=None,
                payload_types=[{"payload_type": 0, "codec": "PCMU"}], telephone_event=None,
                jitter={"min_ms": 20, "max_ms": 200}, direction="sendrecv", rtcp_mux=False,
            )  # fmt: skip
            self._command(
                "stream.open", session=name, stream="agent", url=url, dialect=dialect, chunk_ms=20, rate_hz=8000,
                account_id="acc", call_app_id="va", call_id=f"cs_{number}", stream_id=f"ms_{number}",
            )  # fmt: skip
            self._guests[address, int(rtp_port)] = Guest((address, int(rtp_port)), random.randrange(CYCLE_FRAMES))
            if number % 5 == 4:
                self.talk(0.1)

    def talk(self, seconds: float) -> None:
        """All of them, in time."""
        guests = list(self._guests.values())
        slots = [guests[slot::SLOTS] for slot in range(SLOTS)]
        begun = time.monotonic()
        for number in range(round(seconds / FRAME_S)):
            self._frame += 1
            for slot, some in enumerate(slots):
                due = begun + number * FRAME_S + slot * FRAME_S / SLOTS
                while (ahead := due - time.monotonic()) > 0:
                    self._hear()
                    time.sleep(min(ahead, 0.001))
                for guest in some:
                    self._speak(guest)
            self._hear()

    def forget(self) -> None:
        """What was measured so far does not count."""
        for guest in self._guests.values():
            guest.delays, guest.asked, guest.asked_at = [], 0, None

    @property
    def delays_ms(self) -> list[float]:
        return sorted(1000 * delay for guest in self._guests.values() for delay in guest.delays)

    @property
    def unanswered(self) -> int:
        """Turns that were over, and had no answer before the next began."""
        return sum(guest.asked - len(guest.delays) - (guest.asked_at is not None) for guest in self._guests.values())

    def _speak(self, guest: Guest) -> None:
        at = (self._frame + guest.phase) % CYCLE_FRAMES
        guest.sequence += 1
        voiced = at < SPEAKS_FRAMES
        head = struct.pack("!BBHII", 0x80, 0, guest.sequence & 0xFFFF, guest.sequence * 160, 7)
        self._udp.sendto(head + (VOICE if voiced else SILENCE), guest.to)
        if at == 0:
            guest.asked_at = None
        elif at == SPEAKS_FRAMES - 1 and guest.sequence > SPEAKS_FRAMES:
            guest.asked_at = time.monotonic()
            guest.asked += 1

    def _hear(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                data, source = self._udp.recvfrom(2048)
                guest = self._guests.get(source)
                if guest is None or guest.asked_at is None or data[80:100] == SILENCE[:20]:
                    continue
                if any(code & 0x7F < 0x60 for code in data[60:100]):
                    guest.delays.append(time.monotonic() - guest.asked_at)
                    guest.asked_at = None

    def _command(self, name: str, **fields: Any) -> dict[str, Any]:
        self._ids += 1
        body = json.dumps({"id": self._ids, "cmd": name, **fields}).encode()
        self._control.sendall(struct.pack("!I", len(body)) + body)
        while True:
            (length,) = struct.unpack("!I", self._read(4))
            message = json.loads(self._read(length))
            if message.get("re") == self._ids:
                if message.get("error"):
                    raise SystemExit(f"{name}: {message['error']}")
                return dict(message["ok"])

    def _read(self, length: int) -> bytes:
        data = b""
        while len(data) < length:
            data += self._control.recv(length - len(data))
        return data
