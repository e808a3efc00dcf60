"""The conformance kit against applications: one that does all as it should, and some that each do one thing wrong."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve

from longline.streamkit.app_messages import Hello
from longline.streamkit.audio import Audio
from longline.streamkit.conformance import application
from longline.streamkit.conformance.application import ApplicationKit
from longline.streamkit.conformance.report import FAILED, PASSED, Report
from longline.streamkit.server import serve as serve_streams
from longline.streamkit.server_messages import Cleared
from longline.streamkit.stream import Stream


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(application, "TALK_S", 0.4)
    monkeypatch.setattr(application, "HELLO_WITHIN_S", 1.0)
    monkeypatch.setattr(application, "DIAL_IN_WITHIN_S", 1.0)


async def talk(stream: Stream) -> None:
    """Echoes, with utterances and clears of its own."""
    number = 0
    async for event in stream:
        if isinstance(event, Audio):
            number += 1
            stream.say(event.payload)
            if number % 10 == 0:
                stream.clear()
                stream.speak(f"u{number}")
                stream.mark("m")
        elif isinstance(event, Cleared):
            stream.say(b"\x00" * (stream.format.frame_bytes or 3))


async def test_an_application_of_the_kit_passes_every_check() -> None:
    async with serve_streams(talk, "127.0.0.1", 0, hello=Hello(progress_ms=60), secret="s", dial_in_after_s=0.1) as app:
        report = await ApplicationKit(f"ws://127.0.0.1:{app.port}/app", secret="s").run(at_once=True)
    assert {name: result.why for name, result in report.results.items() if result.outcome != PASSED} == {}
    assert report.is_passed
    assert report.to_text().endswith(f"{len(report.rules)} passed, 0 failed, 0 skipped")
    assert json.loads(json.dumps(report.to_json()))["passed"] is True


class Crude:
    """An application without the kit; `wrong` names what it does wrong."""

    def __init__(self, wrong: str) -> None:
        self.wrong = wrong
        self._tokens: dict[str, str] = {}
        self._urls: dict[str, str] = {}
        self._said: dict[str, list[bytes]] = {}
        self._heard: dict[str, int] = {}

    async def run(self, socket: ServerConnection) -> None:
        stream, told_once = "", False
        said: list[bytes] = []
        async for data in socket:
            if isinstance(data, bytes):
                self._heard[stream] = int.from_bytes(data[4:8], "little")
                if len(said) < 200:
                    number = len(said) + (1 if self.wrong == "holes" and len(said) > 3 else 0)
                    flags = 4 if self.wrong == "flags" else 0
                    head = bytes([0x20 if self.wrong == "version" else 0x10, 0]) + flags.to_bytes(2, "little")
                    payload = data[16:-1] if self.wrong == "odd" else data[16:]
                    said.append(head + number.to_bytes(4, "little") + bytes(8) + payload)
                    await socket.send(said[-1])
                continue
            message = json.loads(data)
            match message["type"]:
                case "start":
                    stream = message["stream_id"]
                    said = self._said.setdefault(stream, [])
                    hello: dict[str, Any] = {"type": "hello"}
                    if self.wrong == "hello":
                        hello["progress_ms"] = "often"
                    token = self._tokens.get(stream)
                    if token is not None and message["resume"] is not None:
                        if self.wrong == "new token":
                            token = message["resume"]["token"]
                        numbers = {"0": self._heard.get(stream, -1) + (50 if self.wrong == "numbers" else 0)}
                        hello["resume"] = {"token": token, "received": numbers}
                    if self.wrong != "silent":
                        await socket.send(json.dumps(hello))
                    self._tokens[stream] = (message["resume"] or {}).get("token", "")
                    self._urls[stream] = (message["resume"] or {}).get("url", "")
                case "ready" if message["resumed"]:
                    for again in said[message["received"] + 1 :]:
                        flags = b"\x00\x00" if self.wrong == "unflagged" else b"\x01\x00"
                        payload = bytes(len(again) - 16) if self.wrong == "another" else again[16:]
                        await socket.send(again[:2] + flags + again[4:16] + payload)
                case "ping" if self.wrong != "ping":
                    await socket.send(json.dumps({"type": "pong", "id": message["id"]}))
                case "conformance.news" if self.wrong == "news":
                    await socket.close(1008)
                case "stop" if self.wrong == "late":
                    token = {"Authorization": f"Bearer {self._tokens[stream]}"}
                    await connect(self._urls[stream], additional_headers=token)
            if self.wrong == "text" and message["type"] == "ready" and not told_once:
                told_once = True
                await socket.send(json.dumps({"type": "mark"}))


async def report_of(wrong: str, scenarios: list[str]) -> Report:
    async with serve(Crude(wrong).run, "127.0.0.1", 0) as server:
        kit = ApplicationKit(f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}")
        for scenario in scenarios:
            method: Callable[[], Awaitable[None]] = getattr(kit, scenario)
            await method()
    return kit.report


@pytest.mark.parametrize(
    ("wrong", "scenario", "failed"),
    [
        ("nothing", "conversation", ""),
        ("nothing", "resuming", ""),
        ("silent", "opening", "hello_within_5_s"),
        ("hello", "opening", "hello_is_valid"),
        ("version", "conversation", "audio_has_a_header"),
        ("odd", "conversation", "audio_is_as_agreed"),
        ("flags", "conversation", "unknown_flags_are_zero"),
        ("holes", "conversation", "numbers_have_no_holes"),
        ("ping", "conversation", "answers_ping"),
        ("news", "conversation", "ignores_what_it_does_not_know"),
        ("text", "conversation", "messages_are_valid"),
        ("new token", "resuming", "resume_has_the_last_token"),
        ("numbers", "resuming", "resume_has_true_numbers"),
        ("unflagged", "resuming", "flags_what_it_says_again"),
        ("another", "resuming", "says_again_what_was_lost"),
        ("late", "ending", "stop_is_the_end"),
    ],
)
async def test_what_is_wrong_is_found(wrong: str, scenario: str, failed: str) -> None:
    async with asyncio.timeout(30):
        report = await report_of(wrong, [scenario])
    if failed:
        assert report.results[failed].outcome == FAILED, report.to_text()
        assert not report.is_passed
    else:
        assert report.failed == [], report.to_text()
