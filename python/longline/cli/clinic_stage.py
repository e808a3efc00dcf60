"""Everything that a call to the clinic of `examples/` needs, on this machine: the application, a node, a phone, and the
caller who speaks into it.

    async with Stage(folder) as stage:
        call = await stage.call(Persona.of(1), folder / "call.wav")
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import shutil
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import httpx2

from longline.agentkit import serve
from longline.agentkit.dialogue.reading import read_dialogue
from longline.agentkit.heard import heard_text
from longline.agentkit.tts.flite import FliteTts
from longline.base.errors import LonglineError
from longline.cli.clinic_caller import Caller, Persona
from longline.cli.phone import CallReport, Phone
from longline.media.protocol.commands import StreamTarget
from longline.streamkit.app_messages import Hello
from longline.streamkit.format import FormatWish

EXAMPLES: Final = Path(__file__).parents[3] / "examples"
VOICE: Final = "rms"
"""Of flite's voices the one that pocketsphinx understands best over a telephone."""
START_TIMEOUT_S: Final = 60.0
CALL_LIMIT_S: Final = 120.0
_PAGE: Final = 100


class DemoFailed(LonglineError):
    """Something that the demo needs did not come up, or the call did not go as it should."""


@dataclass(slots=True)
class ClinicCall:
    """A call that is over. `events` are the node's, oldest first; `booked` is what the clinic has in its calendar after
    it and had not before; `said` is what the caller said, in order."""

    persona: Persona
    report: CallReport
    events: list[dict[str, Any]]
    said: list[str]
    booked: tuple[str, str] | None
    interruptions: int

    @property
    def is_right(self) -> bool:
        """He has what he wants."""
        return self.booked is not None and self.booked == self.persona.wants

    @property
    def turns(self) -> list[dict[str, Any]]:
        """The agent's, with the caller's before each, as the call's history has them."""
        return turns_of(self.events)


def turns_of(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """As the call's history has them. The greeting answers nobody and is none of them: what was heard of it, until it
    was interrupted, is known by what was played."""
    turns = sorted(
        (event["details"] for event in events if event["type"] == "agent.turn"), key=lambda turn: turn["number"]
    )
    cut = next((event["details"] for event in events if event["type"] == "playout.cleared"), None)
    if not turns or cut is None:
        return turns
    text, played_ms = read_dialogue(EXAMPLES / "clinic.yaml").begin().says, cut["played_ms"]
    heard = heard_text(text, played_ms + cut["dropped_ms"], played_ms)
    return [{"number": 0, "agent": text, "heard": heard, "was_interrupted": cut["dropped_ms"] > 0}, *turns]


class Stage:
    """`async with`."""

    def __init__(self, output: Path) -> None:
        self._output = output.absolute()
        self._calendar = self._output / "calendar.json"
        self._stack = contextlib.AsyncExitStack()
        self._sip_port = 0
        self._api = httpx2.AsyncClient()

    async def __aenter__(self) -> Self:
        for name, known in (("the examples", EXAMPLES.is_dir()), ("flite", shutil.which("flite") is not None)):
            if not known:
                raise DemoFailed(f"{name} not found: run the demo in a checkout of Longline, after `make setup`")
        self._output.mkdir(parents=True, exist_ok=True)
        self._calendar.unlink(missing_ok=True)
        (app_port, http_port), (self._sip_port,) = _free_ports(socket.SOCK_STREAM, 2), _free_ports(socket.SOCK_DGRAM, 1)
        api_key = secrets.token_urlsafe(24)
        environment = os.environ | {
            "LONGLINE_HTTP_LISTEN": f"127.0.0.1:{http_port}",
            "LONGLINE_SIP_LISTEN": f"127.0.0.1:{self._sip_port}",
            "LONGLINE_DATA_DIR": str(self._output / "node"),
            "LONGLINE_API_KEY": api_key,
            "LONGLINE_TRANSCRIPTS_IN_EVENTS": "true",
            "PYTHONUNBUFFERED": "1",
        }
        clinic = [
            sys.executable,
            str(EXAMPLES / "clinic.py"),
            "--port",
            str(app_port),
            "--calendar",
            str(self._calendar),
        ]
        node = [
            sys.executable, "-m", "longline", "serve",
            "--stream", f"ws://127.0.0.1:{app_port}/", "--dialect", "longline",
        ]  # fmt: skip
        try:
            await self._stack.enter_async_context(_program(clinic, self._output / "application.log", environment))
            await self._stack.enter_async_context(_program(node, self._output / "node.log", environment))
            url = f"http://127.0.0.1:{http_port}"
            self._api = await self._stack.enter_async_context(
                httpx2.AsyncClient(base_url=url, headers={"x-api-key": api_key})
            )
            await _until_port(app_port)
            await _until_ready(self._api)
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    async def call(
        self,
        persona: Persona,
        recording: Path,
        on_said: Callable[[str], None] = lambda _: None,
        on_turn: Callable[[dict[str, Any]], None] = lambda _: None,
    ) -> ClinicCall:
        """`on_said` and `on_turn` are told while it goes on: what the caller says, and the turns of the agent."""
        before, seen, newest = self._bookings(), 0, await self._newest()

        async def turns() -> list[dict[str, Any]]:
            nonlocal seen
            call_id = await self._newest()
            known = turns_of(await self._events(call_id)) if call_id not in (None, newest) else []
            for turn in known[seen:]:
                on_turn(turn)
            seen = max(seen, len(known))
            return known

        caller = Caller(persona, turns, on_said)
        (port,) = _free_ports(socket.SOCK_STREAM, 1)
        hello = Hello(audio=FormatWish(encoding="pcm_s16le", rate_hz=8000))
        async with (
            serve(caller.talk, "127.0.0.1", port, hello=hello, tts=FliteTts(voice=VOICE)),
            Phone(f"sip:clinic@127.0.0.1:{self._sip_port}") as phone,
        ):
            report = await phone.call(record=recording, limit_s=CALL_LIMIT_S, voice=_voice_at(port))
        events = await self._events_of_the_end(newest)
        for turn in turns_of(events)[seen:]:
            on_turn(turn)
        booked = next((each for each in self._bookings() if each not in before), None)
        return ClinicCall(persona, report, events, persona.said, booked, caller.interruptions)

    def _bookings(self) -> list[tuple[str, str]]:
        if not self._calendar.exists():
            return []
        return [(entry["day"], entry["hour"]) for entry in json.loads(self._calendar.read_text())]

    async def _newest(self) -> str | None:
        calls = (await self._api.get("/api/v1/voice/calls", params={"limit": 1})).raise_for_status().json()["data"]
        return str(calls[0]["id"]) if calls else None

    async def _events(self, call_id: str | None) -> list[dict[str, Any]]:
        """Of a call, oldest first."""
        events: list[dict[str, Any]] = []
        page: dict[str, Any] = {"next_cursor": None, "has_more": True}
        while page["has_more"]:
            cursor = {} if page["next_cursor"] is None else {"cursor_after": page["next_cursor"]}
            answer = await self._api.get(f"/api/v1/voice/calls/{call_id}/events", params={"limit": _PAGE} | cursor)
            page = answer.raise_for_status().json()
            events += page["data"]
        return events

    async def _events_of_the_end(self, before: str | None) -> list[dict[str, Any]]:
        """All of the latest call's, once the node has told its end."""
        call_id = await self._newest()
        if call_id in (None, before):
            raise DemoFailed("the node knows of no call")
        async with asyncio.timeout(START_TIMEOUT_S):
            while True:
                events = await self._events(call_id)
                if any(event["type"] in ("call.completed", "call.failed") for event in events):
                    return events
                await asyncio.sleep(0.1)


def _voice_at(port: int) -> StreamTarget:
    """The phone's own stream: who speaks into it, and hears by it."""
    return StreamTarget(
        url=f"ws://127.0.0.1:{port}/",
        addresses=(f"127.0.0.1:{port}",),
        dialect="longline",
        chunk_ms=20,
        rate_hz=8000,
        account_id="",
        call_app_id="",
        call_id="phone",
        stream_id="voice",
        encoding="pcm_s16le",
        subprotocols=("longline.v1",),
        call_direction="outbound",
    )


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
