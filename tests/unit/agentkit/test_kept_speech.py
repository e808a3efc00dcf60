"""What was said once is said again at once."""

import contextlib

import pytest

from longline.agentkit.ports import ProviderError, Sound, TextToSpeech
from longline.agentkit.testing import FakeTts, virtual_time
from longline.agentkit.tts.kept import KeptTts


async def say(tts: TextToSpeech, text: str) -> list[Sound]:
    return [sound async for sound in tts.say(text)]


@virtual_time
async def test_a_sentence_is_made_once_and_sounds_the_same() -> None:
    voice = FakeTts(tells_ends=True, first_s=1.0)
    tts = KeptTts(voice)
    assert await say(tts, "Hello.") == await say(tts, "Hello.")
    assert voice.said == ["Hello."]
    tts.forget()
    await say(tts, "Hello.")
    assert voice.said == ["Hello."] * 2


@virtual_time
async def test_what_was_not_made_to_its_end_is_not_kept() -> None:
    voice = FakeTts(fails=[ProviderError("voice", "is down")])
    tts = KeptTts(voice)
    with pytest.raises(ProviderError):
        await say(tts, "Hello.")
    async with contextlib.aclosing(tts.say("Hello.")) as sounds:
        await anext(sounds)
    assert len(await say(tts, "Hello.")) > 1
    assert voice.said == ["Hello."] * 3 and tts.kept_bytes > 0


@virtual_time
async def test_the_sentence_that_was_wanted_longest_ago_goes_first() -> None:
    voice = FakeTts()
    size = sum(len(sound.pcm) for sound in await say(voice, "One."))
    tts = KeptTts(voice, max_bytes=2 * size)
    for text in ("One.", "Two.", "One.", "Six.", "One.", "Two.", "Much longer than may be kept."):
        await say(tts, text)
    assert voice.said[1:] == ["One.", "Two.", "Six.", "Two.", "Much longer than may be kept."]
    assert tts.kept_bytes == 2 * size
