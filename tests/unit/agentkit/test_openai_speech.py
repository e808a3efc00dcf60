"""OpenAI's voices, through its SDK, against a server that speaks its format."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from tests.support.openai_service import OpenAIService
from tests.support.vendor_http import RETRY_AFTER_S, Fault

from longline.agentkit.ports import ProviderError, Sound
from longline.agentkit.stt.openai import wav
from longline.agentkit.tts.openai import OpenAITts

PCM = bytes(range(256)) * 20


@pytest.fixture
async def service() -> AsyncIterator[OpenAIService]:
    async with OpenAIService() as service:
        yield service


@pytest.fixture
async def tts(service: OpenAIService) -> AsyncIterator[OpenAITts]:
    tts = OpenAITts(base_url=service.base_url, api_key="k", timeout_s=0.3, speed=1.1)
    yield tts
    await tts.aclose()


async def say(tts: OpenAITts) -> list[Sound]:
    return [sound async for sound in tts.say("At nine.")]


async def test_sound_comes_as_it_is_made(service: OpenAIService, tts: OpenAITts) -> None:
    go_on = asyncio.Event()
    service.sound = [PCM, go_on, PCM[:7]]
    sounds = tts.say("At nine.")
    assert await anext(sounds) == Sound(PCM, 24_000)
    go_on.set()
    assert [sound.pcm async for sound in sounds] == [PCM[:7]]
    request = service.requests[0].fields
    wanted = {"input": "At nine.", "voice": "marin", "model": "gpt-4o-mini-tts", "response_format": "pcm", "speed": 1.1}
    assert request == wanted


@pytest.mark.parametrize("cut_at", [2, 30, 44, 1_000])
async def test_a_wav_file_is_understood(service: OpenAIService, tts: OpenAITts, cut_at: int) -> None:
    file = wav(PCM, 22_050)
    service.sound, service.sound_type = [file[:cut_at], 0.02, file[cut_at:]], "audio/wav"
    sounds = await say(tts)
    assert b"".join(sound.pcm for sound in sounds) == PCM
    assert {sound.rate_hz for sound in sounds} == {22_050}


@pytest.mark.parametrize("sound", [b"", wav(b"", 8_000), b"RIFF" + bytes(70_000)], ids=["none", "empty", "no samples"])
async def test_silence_in_place_of_speech_is_a_fault(service: OpenAIService, tts: OpenAITts, sound: bytes) -> None:
    service.sound = [sound] if sound else []
    with pytest.raises(ProviderError):
        await say(tts)


FAULTS = [fault for fault in Fault if fault not in (Fault.ERROR_WITHIN, Fault.GARBAGE_WITHIN)]
"""In PCM every byte is a sound: it has no messages."""


@pytest.mark.parametrize("fault", FAULTS)
async def test_faults_are_provider_errors_and_the_next_sentence_is_said(
    service: OpenAIService, tts: OpenAITts, fault: Fault
) -> None:
    service.fail(fault)
    async with asyncio.timeout(3):
        with pytest.raises(ProviderError) as failed:
            await say(tts)
    assert failed.value.retry_after_s == (RETRY_AFTER_S if fault is Fault.LIMITED else None)
    assert len(service.requests) == 1, "no retries behind the caller's back"
    assert await say(tts)


async def test_to_close_a_sentence_ends_its_request(service: OpenAIService, tts: OpenAITts) -> None:
    service.sound = [PCM, 30.0]
    sounds = tts.say("At nine.")
    await anext(sounds)
    await sounds.aclose()  # type: ignore[attr-defined]
    async with asyncio.timeout(2):
        await service.left.wait()
