"""The conformance kit against servers: one that does all as it should, and some that each do one thing wrong."""

import asyncio
from typing import Any

import pytest
from tests.support.line_server import LineServer

from longline.streamkit import server_messages as told
from longline.streamkit.app_messages import Turn
from longline.streamkit.audio import Audio
from longline.streamkit.conformance.report import FAILED, PASSED
from longline.streamkit.conformance.server import ServerKit
from longline.streamkit.line.line import Line
from longline.streamkit.message import Message


async def test_a_line_passes_every_check() -> None:
    async with LineServer() as server, asyncio.timeout(100):
        report = await ServerKit().run(server.open, at_once=True)
    assert {name: result.why for name, result in report.results.items() if result.outcome != PASSED} == {}


class Faulty(Line):
    """A line that does one thing wrong."""

    wrong = ""

    def _tell(self, message: Message) -> None:
        match self.wrong, message:
            case "marks", told.MarkTold():
                super()._tell(message)
            case "token", told.Start() if message.resume is not None:
                message = message.model_copy(update={"resume": message.resume.model_copy(update={"token": "same"})})
            case "played", told.PlaybackFinished():
                message = message.model_copy(update={"played_ms": message.played_ms + 40})
            case "generation", told.Cleared():
                message = message.model_copy(update={"generation": 0})
            case "pong", told.PongTold():
                return
        super()._tell(message)

    def _write(self, audio: Audio) -> None:
        if self.wrong == "holes" and audio.sequence % 10 == 3:
            return
        if self.wrong == "short":
            audio = Audio(audio.track, audio.sequence, audio.payload[:-2], audio.timestamp, audio.flags)
        if self.wrong == "unflagged":
            audio = Audio(audio.track, audio.sequence, audio.payload, audio.timestamp)
        super()._write(audio)

    def _on_numbered(self, message: Any) -> None:
        if self.wrong == "twice":
            self.received = -1
        if self.wrong == "old" and isinstance(message, Audio):
            message = Audio(message.track, message.sequence, message.payload, 0, self.generation << 8)
        if self.wrong == "turns" and isinstance(message, Turn):
            self._tell(told.ErrorTold(code="not_allowed", message="what is a turn?"))
        super()._on_numbered(message)


@pytest.mark.parametrize(
    ("wrong", "scenario", "failed"),
    [
        ("marks", "speaking", "marks_are_answered_once"),
        ("played", "speaking", "played_ms_is_true"),
        ("twice", "speaking", "plays_each_number_once"),
        ("generation", "clearing", "clear_raises_the_generation"),
        ("old", "clearing", "old_generations_are_dropped"),
        ("pong", "opening", "answers_ping"),
        ("holes", "opening", "sequences_have_no_holes"),
        ("short", "opening", "audio_is_whole_frames"),
        ("turns", "tracks_and_errors", "keeps_turns"),
        ("token", "beginning_anew", "epochs_and_tokens_are_new"),
        ("unflagged", "resuming", "replays_what_was_missed"),
    ],
)
async def test_what_is_wrong_is_found(wrong: str, scenario: str, failed: str) -> None:
    made = type("Wrong", (Faulty,), {"wrong": wrong})
    async with LineServer(made) as server, asyncio.timeout(30):
        report = await ServerKit().run(server.open, only=[scenario])
    assert report.results[failed].outcome == FAILED, report.to_text()
