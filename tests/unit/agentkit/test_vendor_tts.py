"""Voices, through the vendors' SDKs: the same cases for each."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
from tests.support.cartesia_service import CartesiaVoice
from tests.support.deepgram_service import DeepgramVoice
from tests.support.elevenlabs_service import ElevenLabsVoice
from tests.support.vendor_http import RETRY_AFTER_S, WITHIN, Fault, VendorServer
from tests.support.vendor_socket import VendorSocket

from longline.agentkit.ports import ProviderError, Sound, TextToSpeech
from longline.agentkit.testing.written import MS_PER_LETTER, WordReader
from longline.agentkit.tts.cartesia import CartesiaTts
from longline.agentkit.tts.deepgram import DeepgramTts
from longline.agentkit.tts.elevenlabs import ElevenLabsTts

TEXT = "We open at nine, every day."
STALL_S = 0.3


@dataclass
class Vendor:
    name: str
    service: Callable[[], VendorServer | VendorSocket]
    adapter: Callable[[str], DeepgramTts | ElevenLabsTts | CartesiaTts]
    mends: tuple[Fault, ...] = ()
    """What it goes on after."""


VENDORS = [
    Vendor("deepgram", DeepgramVoice, lambda url: DeepgramTts(api_key="secret", base_url=url, timeout_s=STALL_S)),
    Vendor(
        "elevenlabs",
        ElevenLabsVoice,
        lambda url: ElevenLabsTts(voice="v", api_key="secret", base_url=url, timeout_s=STALL_S),
        mends=(Fault.GARBAGE_WITHIN,),
    ),
    Vendor(
        "cartesia",
        CartesiaVoice,
        lambda url: CartesiaTts(voice="v", api_key="secret", base_url=url, timeout_s=STALL_S),
        mends=(Fault.GARBAGE_WITHIN,),
    ),
]
DEEPGRAM, ELEVENLABS, CARTESIA = VENDORS


@asynccontextmanager
async def speaking(
    vendor: Vendor, *faults: Fault
) -> AsyncIterator[tuple[VendorServer | VendorSocket, DeepgramTts | ElevenLabsTts | CartesiaTts]]:
    """When it is closed, no connection is left of it."""
    async with vendor.service() as service:
        service.fail(*faults)
        tts = vendor.adapter(service.url)
        yield service, tts
        await tts.aclose()
        async with asyncio.timeout(3):
            while service.open_now:
                await asyncio.sleep(0.01)


async def say(tts: TextToSpeech, text: str = TEXT) -> list[Sound]:
    async with asyncio.timeout(5):
        return [sound async for sound in tts.say(text)]


@pytest.fixture(params=VENDORS, ids=lambda vendor: vendor.name)
def vendor(request: pytest.FixtureRequest) -> Vendor:
    assert isinstance(request.param, Vendor)
    return request.param


async def test_a_sentence_is_said_in_pieces_of_whole_samples(vendor: Vendor) -> None:
    async with speaking(vendor) as (_, tts):
        sounds = await say(tts)
        assert len(sounds) > 1
        assert {sound.rate_hz for sound in sounds} == {16_000}
        assert all(len(sound.pcm) % 2 == 0 for sound in sounds)
        assert WordReader().read(b"".join(sound.pcm for sound in sounds)) == TEXT.split()


@pytest.mark.parametrize("fault", Fault, ids=lambda fault: fault.name)
async def test_faults_are_provider_errors_and_the_next_sentence_is_said(vendor: Vendor, fault: Fault) -> None:
    async with speaking(vendor, fault) as (service, tts):
        if fault in vendor.mends:
            assert await say(tts)
        elif vendor is DEEPGRAM and fault in (Fault.ERROR_WITHIN, Fault.GARBAGE_WITHIN):
            return  # raw audio: an error cannot be told from it, nor garbage
        else:
            heard = []
            async with asyncio.timeout(3):
                with pytest.raises(ProviderError) as failed:
                    async for sound in tts.say(TEXT):
                        heard.append(sound)  # noqa: PERF401
            assert bool(heard) == (fault in WITHIN and (vendor is not CARTESIA))
            assert failed.value.provider.startswith(vendor.name) and "secret" not in str(failed.value)
            assert failed.value.retry_after_s == (RETRY_AFTER_S if fault is Fault.LIMITED else None)
            assert len(service.requests) == 1, "no retries behind the caller's back"
        assert sum(len(sound.pcm) for sound in await say(tts)) > 0


async def test_a_connection_is_kept_for_the_next_sentence(vendor: Vendor) -> None:
    async with speaking(vendor) as (service, tts):
        await say(tts)
        assert service.open_now == 1
        await say(tts)
        assert service.open_now == 1


async def test_sentences_of_many_calls_are_said_at_once(vendor: Vendor) -> None:
    async with speaking(vendor) as (_, tts):
        said = await asyncio.gather(*(say(tts) for _ in range(5)))
        lengths = {sum(len(sound.pcm) for sound in sounds) for sounds in said}
        assert len(lengths) == 1 and lengths != {0}


@pytest.mark.parametrize("vendor", [ELEVENLABS, CARTESIA], ids=lambda vendor: vendor.name)
async def test_where_its_words_end_is_known(vendor: Vendor) -> None:
    async with speaking(vendor) as (_, tts):
        ends = [end for sound in await say(tts) for end in sound.ends]
        assert [TEXT[: end.end].split()[-1] for end in ends] == TEXT.split()
        behind = 1 if vendor is CARTESIA else 0  # the space belongs to the word
        for end in ends[:-1]:
            assert end.at_ms == pytest.approx((end.end + behind) * MS_PER_LETTER)


@pytest.mark.parametrize("vendor", [DEEPGRAM, ELEVENLABS], ids=lambda vendor: vendor.name)
async def test_to_close_a_sentence_ends_its_request(vendor: Vendor) -> None:
    async with speaking(vendor, Fault.STALLS) as (service, tts):
        assert isinstance(service, VendorServer)
        sounds = tts.say(TEXT)
        await anext(sounds)
        await sounds.aclose()  # type: ignore[attr-defined]
        async with asyncio.timeout(2):
            await service.left.wait()


async def test_to_close_a_sentence_cancels_its_context_and_keeps_the_connection() -> None:
    async with speaking(CARTESIA) as (service, tts):
        assert isinstance(service, CartesiaVoice)
        service.holds = True
        sounds = tts.say(TEXT)
        await anext(sounds)
        await sounds.aclose()  # type: ignore[attr-defined]
        service.holds = False
        assert await say(tts)
        first, cancel, second = service.asked_for
        assert cancel == {"context_id": first["context_id"], "cancel": True}
        assert second["context_id"] != first["context_id"]
        assert len(service.requests) == 1


async def test_a_kept_connection_that_has_died_costs_no_sentence() -> None:
    async with speaking(CARTESIA) as (service, tts):
        await say(tts)
        service.cut()
        assert await say(tts)
        assert len(service.requests) == 2


async def test_a_context_that_stalls_does_not_hold_the_others_up() -> None:
    async with speaking(CARTESIA) as (service, tts):
        assert isinstance(service, CartesiaVoice)
        service.holds = True
        stalls = asyncio.create_task(say(tts))
        await asyncio.sleep(0.05)
        service.holds = False
        assert await say(tts)
        with pytest.raises(ProviderError, match="took too long"):
            await stalls
        async with asyncio.timeout(2):
            while len(service.asked_for) < 3:
                await asyncio.sleep(0.01)
        first, _, cancel = service.asked_for
        assert cancel == {"context_id": first["context_id"], "cancel": True}
        assert len(service.requests) == 1


@pytest.mark.parametrize("vendor", [DEEPGRAM, ELEVENLABS], ids=lambda vendor: vendor.name)
async def test_an_answer_without_sound_is_a_fault(vendor: Vendor) -> None:
    async with speaking(vendor) as (service, tts):
        assert isinstance(service, VendorServer)
        if isinstance(service, DeepgramVoice):
            service.sound = []
        with pytest.raises(ProviderError, match="no sound"):
            await say(tts, TEXT if vendor is DEEPGRAM else "")


async def test_what_is_asked_for() -> None:
    async with speaking(ELEVENLABS) as (service, tts):
        assert isinstance(service, VendorServer)
        await say(tts)
        (request,) = service.requests
        assert request.path == "/v1/text-to-speech/v/stream/with-timestamps?output_format=pcm_16000"
        assert (request.fields["text"], request.fields["model_id"]) == (TEXT, "eleven_flash_v2_5")
        assert request.headers["xi-api-key"] == "secret"
    async with speaking(DEEPGRAM) as (service, tts):
        assert isinstance(service, VendorServer)
        await say(tts)
        assert "encoding=linear16" in service.requests[0].path and "container=none" in service.requests[0].path
    async with speaking(CARTESIA) as (service, tts):
        assert isinstance(service, CartesiaVoice)
        await say(tts)
        asked = service.asked_for[0]
        assert (asked["transcript"], asked["voice"]) == (TEXT, {"mode": "id", "id": "v"})
        assert asked["output_format"] == {"container": "raw", "encoding": "pcm_s16le", "sample_rate": 16_000}
        assert asked["add_timestamps"] is True
