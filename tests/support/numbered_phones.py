"""Phones by the hundred that say and hear identified audio over RTP, in a process and by a clock of their own.

async with NumberedPhones() as phones:
    port = await phones.open(call)
    await phones.connect(call, ("127.0.0.1", rtp_port))
    heard = await phones.stop()       # {call: Heard}
"""

import asyncio
import multiprocessing
import selectors
import socket
import time
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any, Self

from tests.support.identified_audio import TOWARD_APPLICATION, Identity, read, write

FRAME_S = 0.020
SLOTS = 20
"""Phones speak in turns, a millisecond apart."""
RECEIVE_BUFFER_BYTES = 1 << 20


@dataclass
class Heard:
    """What one phone heard: the RTP number and the identity of each packet that was not silence."""

    packets: int = 0
    lost_packets: int = 0
    """Holes in the RTP numbers: lost on the way to this test, not in what it tests."""
    frames: list[Identity] = field(default_factory=list)
    unreadable: int = 0
    said: int = 0


class NumberedPhones:
    """Starts the process."""

    async def __aenter__(self) -> Self:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_run, args=(theirs,), daemon=True)
        self._process.start()
        theirs.close()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._pipe.close()
        await asyncio.to_thread(self._process.join, 5)
        if self._process.is_alive():
            self._process.kill()

    async def open(self, call: int) -> int:
        """A phone; its port."""
        port: int = await self._ask("open", call)
        return port

    async def connect(self, call: int, remote: tuple[str, int]) -> None:
        """Let it talk."""
        await self._ask("connect", call, remote)

    async def stop(self) -> dict[int, Heard]:
        """All are silent; what each has heard."""
        heard: dict[int, Heard] = await self._ask("stop")
        return heard

    async def _ask(self, *question: Any) -> Any:
        def ask() -> Any:
            self._pipe.send(question)
            return self._pipe.recv()

        return await asyncio.to_thread(ask)


class _Phone:
    def __init__(self, call: int) -> None:
        self.call = call
        self.heard = Heard()
        self.remote: tuple[str, int] | None = None
        self._last: int | None = None
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.setblocking(False)

    def speak(self) -> None:
        if self.remote is None:
            return
        number = self.heard.said
        head = bytes([0x80, 0x00]) + (number & 0xFFFF).to_bytes(2, "big")
        head += (number * 160 & 0xFFFFFFFF).to_bytes(4, "big") + (self.call + 1).to_bytes(4, "big")
        try:
            self.socket.sendto(head + write(Identity(self.call, TOWARD_APPLICATION, number)), self.remote)
        except OSError:
            return
        self.heard.said += 1

    def hear(self) -> None:
        while True:
            try:
                packet = self.socket.recv(2048)
            except OSError:
                return
            if len(packet) < 172 or packet[1] & 0x7F != 0:
                continue
            number = int.from_bytes(packet[2:4], "big")
            if self._last is not None:
                self.heard.lost_packets += max(0, (number - self._last - 1) & 0xFFFF) % 0x8000
            self._last = number
            self.heard.packets += 1
            payload = packet[12:172]
            identity = read(payload)
            if identity is not None:
                self.heard.frames.append(identity)
            elif any(code & 0x7F < 0x70 for code in payload):
                self.heard.unreadable += 1


def _run(pipe: Connection) -> None:
    phones: dict[int, _Phone] = {}
    selector = selectors.DefaultSelector()
    slots: list[list[_Phone]] = [[] for _ in range(SLOTS)]
    begun, tick = time.monotonic(), 0
    while True:
        due = begun + tick * FRAME_S / SLOTS
        try:
            while pipe.poll(0):
                question = pipe.recv()
                if question[0] == "open":
                    phone = phones[question[1]] = _Phone(question[1])
                    selector.register(phone.socket, selectors.EVENT_READ, phone)
                    pipe.send(phone.socket.getsockname()[1])
                elif question[0] == "connect":
                    phones[question[1]].remote = question[2]
                    slots[question[1] % SLOTS].append(phones[question[1]])
                    pipe.send(None)
                else:
                    slots = [[] for _ in range(SLOTS)]
                    for phone in phones.values():
                        phone.hear()
                    pipe.send({call: phone.heard for call, phone in phones.items()})
        except (EOFError, OSError):
            return
        for phone in slots[tick % SLOTS]:
            phone.speak()
        if tick % SLOTS == 0:
            for key, _ in selector.select(0):
                key.data.hear()
        tick += 1
        time.sleep(max(0.0, due + FRAME_S / SLOTS - time.monotonic()))
