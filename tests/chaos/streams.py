"""Streams of longline.v1 under fire: calls with audio that says what it is, both ways, while their sockets break at
random; then every frame is asked for.

`make chaos-streams` (`python -m tests.chaos.streams`) has 100 calls and 200 breaks of five kinds: RST, black hole,
half-close, a cut within a TLS record, and an application that restarts without its memory; then all applications are
away for 10 s. A test makes few of each. What must hold: no frame is lost within the ring, none comes twice, none is of
another call, every call is still there. An application that restarts without memory is told a gap, and what it had said
and Longline had not received is its own loss. Leaves out: SIP, and the control plane.
"""

import argparse
import asyncio
import contextlib
import itertools
import json
import random
import ssl
import statistics
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final, Protocol

from longline.streamkit import server_messages as told
from longline.streamkit.app_messages import Hello
from longline.streamkit.audio import Audio
from longline.streamkit.connection import Dropped, Over
from longline.streamkit.format import FormatWish
from longline.streamkit.server import StreamServer, serve
from longline.streamkit.stream import Stream
from tests.chaos.media_exchange import MediaExchange
from tests.support.breaking_proxy import BreakingProxy
from tests.support.certificates import Authority
from tests.support.identified_audio import TOWARD_APPLICATION, TOWARD_CALLER, Identity, frames, parts, read, write

KINDS: Final = ("reset", "black_hole", "half_close", "cut", "restart")
FRAME_MS: Final = 60
HEARD_FOR_EACH_SAID: Final = 4
"""Applications say a message, as long as these together, for so many that they hear."""
FRAMES_A_MESSAGE: Final = HEARD_FOR_EACH_SAID * FRAME_MS // 20
LEAD_MESSAGES: Final = 3
"""So much is said ahead at first."""
SETTLE_S: Final = 3.0
SHORTER_BUFFER_FRAMES: Final = 25
BACK_WITHIN_S: Final = 60.0
OUTAGE_S: Final = 10.0


@dataclass
class Report:
    """What was seen. `faults` is empty when all is well."""

    seed: int
    calls: int = 0
    drops: dict[str, int] = field(default_factory=dict)
    frames_to_applications: int = 0
    frames_to_callers: int = 0
    replayed: int = 0
    told_as_gap: int = 0
    concealed: int = 0
    """Frames toward applications that nobody has said: what the jitter buffer made where packets were late."""
    unheard_for_want_of_packets: int = 0
    lost_with_an_application: int = 0
    """Said by an application that restarted, and never received."""
    lost_before_an_application: int = 0
    """Messages on their way to an application when it lost its memory, beyond the gap that its successor was told."""
    resumed_ms: dict[str, dict[str, float]] = field(default_factory=dict)
    """From the break to `ready`: p50, p99 and the most of each kind."""
    reconnected_ms: dict[str, float] = field(default_factory=dict)
    """From the break to `start` on a new connection (TCP, TLS, upgrade: three round trips), of all kinds but the black
    hole, which only time tells."""
    is_fast_enough: bool = False
    """p50 at most three round trips and 20 ms, p99 at most 1 s; it depends on the machine, and is no fault."""
    dialled_in: int = 0
    """Breaks of a connection that an application had dialled itself, past the proxy: it drops that."""
    calls_alive_after_outage: int = 0
    back_after_outage_ms: float = 0.0
    faults: list[str] = field(default_factory=list)


class Exchange(Protocol):
    """Whatever has the calls: the media server with phones, or lines without."""

    async def start(self) -> None: ...

    async def open(self, call: int, url: str) -> None: ...

    async def finish(self) -> dict[int, list[Identity]]:
        """All calls end; what each caller heard, in order."""

    def is_alive(self, call: int) -> bool: ...

    def unheard(self, call: int) -> int:
        """Packets that the test itself has lost on their way to the phone."""


class Called:
    """One call as its application has it; it outlives that application."""

    def __init__(self, number: int, report: Report) -> None:
        self.number = number
        self.report = report
        self.proxy: BreakingProxy | None = None
        self.server: StreamServer | None = None
        self.is_ready = False
        self.broken: tuple[str, float] | None = None
        self.starts: dict[str, list[float]] = defaultdict(list)
        self.readies: dict[str, list[float]] = defaultdict(list)
        self.heard: list[Audio] = []
        self.gaps: list[told.Gap] = []
        self.said: list[int] = []
        """The first number in each message, by its sequence."""
        self.next_number = 0
        self.forgotten: set[int] = set()
        self.anew: set[int] = set()
        """Where in `heard` an application begins that has no memory: what was on its way to the one before is lost."""
        self.counters: Counter[str] = Counter()
        self._live = 0

    async def talk(self, stream: Stream) -> None:
        try:
            async for event in stream:
                match event:
                    case told.Start():
                        self._note(self.starts)
                    case told.Ready():
                        self._on_ready(stream, event)
                    case Audio():
                        self.heard.append(event)
                        self._live += not event.is_replay
                        if not event.is_replay and self._live % HEARD_FOR_EACH_SAID == 0:
                            self._say(stream)
                    case told.Gap():
                        self.gaps.append(event)
                    case Dropped() | Over():
                        self.is_ready = False
        finally:
            self.counters.update(stream.connection.counters)

    def _on_ready(self, stream: Stream, ready: told.Ready) -> None:
        self._note(self.readies)
        self.broken = None
        self.is_ready = True
        if not ready.resumed:
            self.anew.add(len(self.heard))
            # What the application before this one had said and Longline has not received is gone with it.
            for first in self.said[ready.received + 1 :]:
                self.forgotten.update(range(first, first + FRAMES_A_MESSAGE))
            del self.said[ready.received + 1 :]
            for _ in range(LEAD_MESSAGES if not self.said else 1):
                self._say(stream)

    def _say(self, stream: Stream) -> None:
        first = self.next_number
        self.next_number += FRAMES_A_MESSAGE
        numbers = range(first, self.next_number)
        stream.say(b"".join(write(Identity(self.number, TOWARD_CALLER, number)) for number in numbers))
        self.said.append(first)

    def _note(self, into: dict[str, list[float]]) -> None:
        if self.broken is not None:
            kind, at = self.broken
            into[kind].append((time.monotonic() - at) * 1000)


class Fire:
    """Calls, and what breaks them."""

    def __init__(
        self, exchange: Callable[[Path], Exchange], folder: Path, *, seed: int, calls: int, rtt_s: float = 0.0
    ) -> None:
        self.report = Report(seed, calls)
        self._chance = random.Random(seed)
        self._calls = [Called(number, self.report) for number in range(calls)]
        self._rtt_s = rtt_s
        authority = Authority(folder)
        self._exchange = exchange(authority.file)
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._tls.load_cert_chain(authority.issue("localhost", "127.0.0.1"))
        self._dial_tls = ssl.create_default_context(cafile=str(authority.file))
        self._stack = contextlib.AsyncExitStack()

    async def run(self, breaks: int, rate: float, *, outage_s: float = OUTAGE_S) -> Report:
        """So many breaks, so many a second, each of a call that is well at that moment."""
        await self._exchange.start()
        try:
            for call in self._calls:
                await self._begin(call)
                await self._until_all_are_ready("at the beginning", [call])
            await asyncio.sleep(1.0)
            for number, kind in enumerate(self._draw(breaks)):
                await asyncio.sleep(self._chance.expovariate(rate))
                await self._break(kind)
                if number % 20 == 19:
                    print(f"{number + 1} breaks", file=sys.stderr)
            await self._until_all_are_ready("after the breaks")
            if outage_s:
                await self._outage(outage_s)
            await asyncio.sleep(SETTLE_S)
            for call in self._calls:
                if self._exchange.is_alive(call.number):
                    self.report.calls_alive_after_outage += 1
                else:
                    self.report.faults.append(f"call {call.number} has ended")
            self._check(await self._exchange.finish())
        finally:
            for call in self._calls:
                if call.server is not None:
                    await call.server.__aexit__(None, None, None)
            await self._stack.aclose()
        return self.report

    def _draw(self, breaks: int) -> list[str]:
        kinds = [KINDS[number % len(KINDS)] for number in range(breaks)]
        self._chance.shuffle(kinds)
        return kinds

    async def _begin(self, call: Called) -> None:
        call.server = await self._serve(call, 0)
        proxy = BreakingProxy(call.server.port, delay_s=self._rtt_s / 2)
        call.proxy = await self._stack.enter_async_context(proxy)
        await self._exchange.open(call.number, f"wss://localhost:{proxy.port}/call/{call.number}")

    async def _serve(self, call: Called, port: int) -> StreamServer:
        wish = FormatWish(encoding="mulaw", rate_hz=8000, frame_ms=FRAME_MS)
        hello = Hello(audio=wish, progress_ms=200)
        server = serve(
            call.talk, "127.0.0.1", port, hello=hello, tls=self._tls, dial_tls=self._dial_tls, reuse_address=True
        )
        return await server.__aenter__()

    async def _break(self, kind: str) -> None:
        well = [call for call in self._calls if call.is_ready and call.broken is None]
        if not well:
            await self._until_all_are_ready("between the breaks")
            well = self._calls
        call = self._chance.choice(well)
        assert call.proxy is not None and call.server is not None
        if kind != "restart" and not call.proxy.is_carrying:
            kind = "abort"
        self.report.drops[kind] = self.report.drops.get(kind, 0) + 1
        call.broken = (kind, time.monotonic())
        if kind == "restart":
            await call.server.__aexit__(None, None, None)
            call.is_ready = False
            call.server = await self._serve(call, 0)
            call.proxy.target_port = call.server.port
        elif kind == "abort":
            self.report.dialled_in += 1
            for stream in call.server.streams.values():
                stream.drop()
        else:
            getattr(call.proxy, kind)()

    async def _outage(self, seconds: float) -> None:
        """Every application is away for so long, and comes back without its memory."""
        for call in self._calls:
            assert call.server is not None and call.proxy is not None
            await call.server.__aexit__(None, None, None)
            call.server, call.is_ready, call.proxy.is_shut = None, False, True
        await asyncio.sleep(seconds)
        began = time.monotonic()
        for call in self._calls:
            assert call.proxy is not None
            call.server = await self._serve(call, 0)
            call.proxy.target_port, call.proxy.is_shut = call.server.port, False
        await self._until_all_are_ready("after the outage")
        self.report.back_after_outage_ms = round((time.monotonic() - began) * 1000)

    async def _until_all_are_ready(self, when: str, calls: list[Called] | None = None) -> None:
        end = time.monotonic() + BACK_WITHIN_S
        among = self._calls if calls is None else calls
        while waiting := [call.number for call in among if not call.is_ready or call.broken is not None]:
            if time.monotonic() > end:
                self.report.faults.append(f"{when}: calls {waiting[:5]} ({len(waiting)}) are not there")
                for number in waiting:
                    self._calls[number].broken = None
                return
            await asyncio.sleep(0.02)

    def _check(self, heard: dict[int, list[Identity]]) -> None:
        report = self.report
        readies: dict[str, list[float]] = defaultdict(list)
        starts: list[float] = []
        for call in self._calls:
            if call.server is not None:
                for stream in call.server.streams.values():
                    call.counters.update(stream.connection.counters)
            self._check_to_application(call)
            self._check_to_caller(call, heard.get(call.number, []))
            for kind, figures in call.readies.items():
                readies[kind] += figures
            for kind, figures in call.starts.items():
                starts += figures if kind != "black_hole" else []
        report.resumed_ms = {kind: _figures(readies[kind]) for kind in KINDS if readies[kind]}
        report.reconnected_ms = _figures(starts) if starts else {}
        if starts:
            limit_ms = 3 * self._rtt_s * 1000 + 20
            report.is_fast_enough = report.reconnected_ms["p50"] <= limit_ms and report.reconnected_ms["p99"] <= 1000

    def _check_to_application(self, call: Called) -> None:
        """Sequences without holes but those that were told, and in them what the caller said, in order."""
        report, faults = self.report, self.report.faults
        for name in ("holes", "repeated_audio", "bad_messages", "lost_events", "repeated_events"):
            if call.counters[name]:
                faults.append(f"call {call.number}: {call.counters[name]} {name}")
        last, number, concealed = -1, -1, 0
        told_gaps = {each for gap in call.gaps for each in range(gap.from_, gap.to + 1)}
        seen: set[int] = set()
        excused: set[int] = set()
        is_after_gap = False
        for at, message in enumerate(call.heard):
            skipped = set(range(last + 1, message.sequence))
            is_after_gap = is_after_gap or bool(skipped)
            if message.sequence <= last:
                faults.append(f"call {call.number}: message {message.sequence} came after {last}")
            if at in call.anew:
                report.lost_before_an_application += len(skipped - told_gaps)
            elif skipped - told_gaps:
                faults.append(f"call {call.number}: {len(skipped - told_gaps)} messages are lost at {last + 1}")
            report.told_as_gap += len(skipped)
            report.replayed += message.is_replay
            last = message.sequence
            for frame in frames(message.payload):
                identity = read(frame)
                found = {identity} if identity is not None else parts(frame)
                report.frames_to_applications += 1
                if any((each.call, each.direction) != (call.number, TOWARD_APPLICATION) for each in found):
                    faults.append(f"call {call.number} heard {found}")
                seen.update(each.number for each in found)
                concealed += not found
                if identity is None:
                    continue
                if identity.number <= number:
                    faults.append(f"call {call.number}: frame {identity.number} came after {number}")
                if is_after_gap:
                    excused.update(range(number + 1, identity.number))
                    is_after_gap = False
                number = max(number, identity.number)
        # A frame that is missing where no message is came too late for the jitter buffer, and was concealed; or the
        # buffer has become shorter.
        report.concealed += concealed
        missing = set(range(min(seen, default=0), number)) - seen - excused
        if len(missing) > concealed + SHORTER_BUFFER_FRAMES:
            why = f"{len(missing)} frames of the caller are missing, {concealed} were concealed"
            faults.append(f"call {call.number}: {why}")

    def _check_to_caller(self, call: Called, heard: list[Identity]) -> None:
        """Everything that was said, once, in order; but for what is still queued, and what an application forgot."""
        faults = self.report.faults
        self.report.frames_to_callers += len(heard)
        self.report.lost_with_an_application += len(call.forgotten)
        strangers = [each for each in heard if (each.call, each.direction) != (call.number, TOWARD_CALLER)]
        if strangers:
            faults.append(f"caller {call.number} heard {strangers[0]}")
        numbers = [each.number for each in heard]
        for before, after in itertools.pairwise(numbers):
            if after <= before:
                faults.append(f"caller {call.number} heard {after} after {before}")
        wanted = set(range(max(numbers, default=-1) + 1)) - call.forgotten
        lost = wanted - set(numbers)
        unheard = self._exchange.unheard(call.number)
        self.report.unheard_for_want_of_packets += unheard
        if len(lost) > unheard:
            faults.append(f"caller {call.number} did not hear {len(lost)} frames, such as {sorted(lost)[:3]}")
        if len(numbers) < call.next_number / 2:
            faults.append(f"caller {call.number} heard {len(numbers)} of {call.next_number} frames")


def _figures(values: list[float]) -> dict[str, float]:
    values = sorted(values)
    p99 = values[min(len(values) - 1, int(len(values) * 0.99))]
    return {
        "count": len(values),
        "p50": round(statistics.median(values), 1),
        "p99": round(p99, 1),
        "most": round(values[-1], 1),
    }


async def _main() -> int:
    parser = argparse.ArgumentParser(description="Break streams, and ask for every frame.")
    parser.add_argument("breaks", type=int, nargs="?", default=200)
    parser.add_argument("--calls", type=int, default=100)
    parser.add_argument("--rate", type=float, default=4.0, help="breaks a second")
    parser.add_argument("--rtt-ms", type=float, default=10.0, help="added by the proxy")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        fire = Fire(MediaExchange, Path(folder), seed=options.seed, calls=options.calls, rtt_s=options.rtt_ms / 1000)
        report = await fire.run(options.breaks, options.rate)
    print(json.dumps(asdict(report), indent=1))
    return 1 if report.faults else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(_main()))
