"""Texts are spoken once, kept within a bound, and never reach a command line."""

import asyncio
import contextlib
import json
import shutil
import stat
from pathlib import Path

import pytest
from tests.support.http import raw_server, response

from longline.base.speech_config import SpeechSettings
from longline.flows.speech import CommandSpeech, HttpSpeech, SpeechFailed, SpokenTexts, find_speech

WAVE = b"RIFF\x24\x00\x00\x00WAVE" + b"\0" * 988


class Voice:
    """Speaks a thousand bytes a text; `hold` makes it wait."""

    name = "fake"

    def __init__(self) -> None:
        self.said: list[str] = []
        self.hold: asyncio.Event | None = None
        self.error: Exception | None = None

    async def speak(self, text: str, voice: str | None, language: str | None, path: Path) -> None:
        self.said.append(text)
        if self.hold is not None:
            await self.hold.wait()
        if self.error is not None:
            raise self.error
        path.write_bytes(WAVE)


def texts(voice: Voice, folder: Path, max_bytes: int = 10_000, timeout_s: float = 5) -> SpokenTexts:
    spoken = SpokenTexts(voice, folder, max_bytes=max_bytes, timeout_s=timeout_s)
    spoken.load()
    return spoken


async def say(spoken: SpokenTexts, text: str, voice: str | None = None) -> Path:
    async with spoken.open(text, voice) as path:
        assert path.read_bytes() == WAVE
        return path


async def test_a_text_is_spoken_once_and_again_in_another_voice(tmp_path: Path) -> None:
    voice = Voice()
    spoken = texts(voice, tmp_path)
    assert await say(spoken, "hello") == await say(spoken, "hello") != await say(spoken, "hello", "amy")
    assert voice.said == ["hello", "hello"]
    assert await say(texts(voice, tmp_path), "hello") and len(voice.said) == 2  # also after a restart
    assert spoken.counters == {"speech_spoken": 2, "speech_cached": 1}


async def test_who_wants_the_same_at_the_same_time_shares_it_and_may_leave(tmp_path: Path) -> None:
    voice = Voice()
    voice.hold = asyncio.Event()
    spoken = texts(voice, tmp_path)
    first, second = (asyncio.create_task(say(spoken, "hello")) for _ in range(2))
    while not voice.said:
        await asyncio.sleep(0.001)
    first.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await first
    voice.hold.set()
    assert (await second).exists() and voice.said == ["hello"]


async def test_the_oldest_goes_when_there_is_no_room_unless_it_is_being_played(tmp_path: Path) -> None:
    spoken = texts(Voice(), tmp_path, max_bytes=2500)
    async with spoken.open("one") as one:
        two = await say(spoken, "two")
        three = await say(spoken, "three")
        assert one.exists() and not two.exists() and three.exists()
    four = await say(spoken, "four")
    assert not one.exists() and three.exists() and four.exists()
    assert spoken.counters["speech_evicted"] == 2


async def test_without_a_cache_nothing_stays(tmp_path: Path) -> None:
    spoken = texts(Voice(), tmp_path, max_bytes=0)
    assert not (await say(spoken, "hello")).exists()
    assert list(tmp_path.iterdir()) == []


async def test_what_takes_too_long_or_fails_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    voice = Voice()
    voice.hold = asyncio.Event()
    with pytest.raises(SpeechFailed, match=r"within 0\.01 s"):
        await say(texts(voice, tmp_path, timeout_s=0.01), "hello")
    voice.hold, voice.error = None, SpeechFailed("no such voice")
    with pytest.raises(SpeechFailed, match="no such voice"):
        await say(texts(voice, tmp_path), "hello")
    assert list(tmp_path.iterdir()) == []


async def test_what_a_killed_node_has_left_unfinished_is_removed(tmp_path: Path) -> None:
    (tmp_path / ".half.wav").write_bytes(b"RIFF")
    texts(Voice(), tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("program", ["espeak-ng", "flite"])
async def test_a_program_of_this_host_speaks(tmp_path: Path, program: str) -> None:
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")
    path = tmp_path / "said.wav"
    await CommandSpeech(program).speak("--help; [[ $(touch x) `id` Grüße", None, "en", path)
    assert path.read_bytes()[:4] == b"RIFF" and path.stat().st_size > 10_000


async def test_a_program_that_fails_is_told_without_the_text(tmp_path: Path) -> None:
    program = tmp_path / "espeak-ng"
    program.write_text("#!/bin/sh\necho no such voice >&2\nexit 3\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    with pytest.raises(SpeechFailed, match="espeak-ng failed: no such voice"):
        await CommandSpeech(str(program)).speak("secret", None, None, tmp_path / "said.wav")
    with pytest.raises(SpeechFailed, match="cannot be run"):
        await CommandSpeech(str(tmp_path / "nothing")).speak("secret", None, None, tmp_path / "said.wav")


async def test_a_service_is_asked_for_a_wave_file(tmp_path: Path) -> None:
    path = tmp_path / "said.wav"
    async with raw_server(speech=response(WAVE)) as server:
        settings = SpeechSettings(engine="http", url=f"{server.url}/speech", voice="amy", key="k1")
        speech = find_speech(settings)
        assert isinstance(speech, HttpSpeech)
        await speech.speak("hello", None, "en", path)
        await speech.close()
        ((head, body),) = server.requests
    assert "authorization: Bearer k1" in head and path.read_bytes() == WAVE
    assert json.loads(body) == {
        "model": "tts-1", "input": "hello", "voice": "amy", "response_format": "wav", "language": "en",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (response(b"{}", "401 Unauthorized"), "answered 401"),
        (response(b"ID3 mp3"), "did not answer a WAV file"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{", "/speech"),
    ],
)
async def test_a_service_that_fails_is_told(tmp_path: Path, answer: bytes, words: str) -> None:
    async with raw_server(speech=answer) as server:
        speech = HttpSpeech(SpeechSettings(engine="http", url=f"{server.url}/speech"))
        with pytest.raises(SpeechFailed, match=words):
            await speech.speak("hello", None, None, tmp_path / "said.wav")
        await speech.close()


def test_the_settings_choose_who_speaks() -> None:
    assert find_speech(SpeechSettings(engine="off")) is None
    flite = find_speech(SpeechSettings(engine="flite", voice="slt"))
    assert isinstance(flite, CommandSpeech) and flite.name == "flite:slt"
    with pytest.raises(ValueError, match="url must be given"):
        SpeechSettings(engine="http")
