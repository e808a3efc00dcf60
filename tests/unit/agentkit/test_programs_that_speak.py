"""flite, espeak-ng, and programs that are not what they should be: a voice gives sound, or says what is wrong."""

import asyncio
import contextlib
import shutil
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from longline.agentkit.ports import ProviderError, Sound
from longline.agentkit.tts import program
from longline.agentkit.tts.espeak import EspeakTts
from longline.agentkit.tts.flite import FliteTts
from longline.agentkit.tts.program import ProgramVoice

HEADER = "RIFF0000WAVEfmt \\x10\\0\\0\\0\\1\\0\\1\\0\\x40\\x1f\\0\\0\\x80\\x3e\\0\\0\\2\\0\\x10\\0data0000"

needs_flite = pytest.mark.skipif(shutil.which("flite") is None, reason="flite is not installed")
needs_espeak = pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng is not installed")


def script(text: str, **more: bool) -> ProgramVoice:
    """A program in Python; the sentence is its last argument."""
    return ProgramVoice(
        "it", (sys.executable, "-c", f"import os, sys, time\nout = sys.stdout.buffer\n{text}"), install="buy it", **more
    )


def stalling(folder: Path) -> ProgramVoice:
    write_pid = f"open({str(folder / 'pid')!r}, 'w').write(str(os.getpid()))"
    return script(f"{write_pid}; out.write(b'{HEADER}ab'); out.flush(); time.sleep(60)")


async def said(sounds: AsyncIterator[Sound]) -> bytes:
    return b"".join([sound.pcm async for sound in sounds])


@needs_flite
async def test_flite_speaks_at_its_own_rate() -> None:
    sounds = [sound async for sound in FliteTts().say("Good morning.")]
    assert {sound.rate_hz for sound in sounds} == {16_000}
    assert 0.5 < sum(len(sound.pcm) for sound in sounds) / 32_000 < 3


@needs_flite
async def test_a_quicker_pace_takes_less_time() -> None:
    usual, quick = FliteTts(), FliteTts(pace=2)
    assert len(await said(quick.say("Good morning."))) < 0.8 * len(await said(usual.say("Good morning.")))


@needs_espeak
async def test_espeak_speaks_other_languages() -> None:
    german, english = EspeakTts(voice="de"), EspeakTts()
    assert await said(german.say("Guten Morgen")) != await said(english.say("Guten Morgen"))


@needs_espeak
@needs_flite
@pytest.mark.parametrize("voice", [FliteTts, EspeakTts])
@pytest.mark.parametrize("text", ["-h", "--version", "$(id) `id` ; | & \\", "a\0b\x1b[2Jc", "naïve 日本 ☃ one"])
async def test_any_text_is_only_said(voice: type[FliteTts | EspeakTts], text: str) -> None:
    assert len(await said(voice().say(text))) > 1_000


@pytest.mark.parametrize("text", ["", " ", "...", "\0", "?!"])
async def test_what_has_no_letter_makes_no_sound(text: str) -> None:
    assert await said(script("sys.exit('is not asked')").say(text)) == b""


async def test_what_was_said_once_is_not_made_again(tmp_path: Path) -> None:
    voice = script(f"open({str(tmp_path / 'runs')!r}, 'a').write('x'); out.write(b'{HEADER}' + b'ab' * 9)")
    assert await said(voice.say("hello")) == await said(voice.say("hello")) == b"ab" * 9
    assert (tmp_path / "runs").read_text() == "x"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("sys.exit(3)", "WAV"),
        (f"out.write(b'{HEADER}abcd'); out.flush(); sys.exit(3)", "status 3"),
        ("out.write(b'ID3' * 99)", "RIFF"),
        (f"out.write(b'{HEADER}'.replace(b'\\1\\0\\1\\0', b'\\1\\0\\2\\0'))", "2 channels"),
        ("out.write(b'RIFF0000WAVEfmt ' + b'\\xff' * 99)", "header"),
        ("out.write(b'RIFF0000WAVEdata0000' + b'\\xff' * 99)", "0 Hz"),
    ],
)
async def test_a_program_that_fails_is_a_fault_of_the_provider(text: str, says: str) -> None:
    with pytest.raises(ProviderError, match=says):
        await said(script(text).say("hello"))


async def test_a_program_that_is_missing_says_what_to_install() -> None:
    with pytest.raises(ProviderError, match="apt-get install flite"):
        await said(FliteTts(program="no-such-flite").say("hello"))


async def test_a_program_that_stalls_is_a_fault_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program, "STALLED_AFTER_S", 0.3)
    with pytest.raises(ProviderError, match="made no sound"):
        await said(script(f"out.write(b'{HEADER}ab'); out.flush(); time.sleep(60)").say("hello"))


async def test_who_stops_listening_ends_the_program(tmp_path: Path) -> None:
    voice = stalling(tmp_path)
    async with contextlib.aclosing(voice.say("hello")) as sounds:
        assert (await anext(sounds)).pcm == b"ab"
    assert not Path(f"/proc/{(tmp_path / 'pid').read_text()}").exists()


async def test_a_cancelled_sentence_ends_its_program(tmp_path: Path) -> None:
    voice = stalling(tmp_path)
    task = asyncio.create_task(said(voice.say("hello")))
    while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
        await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert not Path(f"/proc/{(tmp_path / 'pid').read_text()}").exists()
