"""A whole agent whose ears and voice are vendors that fail: it says so, goes on, and never falls silent.

In virtual time, through the vendors' SDKs, against servers of the test.
"""

from collections.abc import Callable
from dataclasses import dataclass

import pytest
from tests.support.cartesia_service import CartesiaEars, CartesiaVoice
from tests.support.deepgram_service import DeepgramEars, DeepgramVoice
from tests.support.elevenlabs_service import ElevenLabsEars, ElevenLabsVoice
from tests.support.vendor_http import Fault, VendorServer
from tests.support.vendor_socket import VendorSocket

from longline.agentkit import Phrases, VoiceAgent
from longline.agentkit.ports import SpeechToText
from longline.agentkit.stt.cartesia import CartesiaStt
from longline.agentkit.stt.deepgram import DeepgramStt
from longline.agentkit.stt.elevenlabs import ElevenLabsStt
from longline.agentkit.stt.fallback import FallbackStt
from longline.agentkit.testing import Call, Caller, FakeLlm, FakeStt, FakeTts, virtual_time
from longline.agentkit.tts.cartesia import CartesiaTts
from longline.agentkit.tts.deepgram import DeepgramTts
from longline.agentkit.tts.elevenlabs import ElevenLabsTts
from longline.agentkit.tts.fallback import FallbackTts

RATE = 8_000
ANSWERS = {"open": "At nine.", "sunday": "We are closed then.", "thanks": "Bye."}
PHRASES = {"wait": "Wait.", "sorry": "Say it again?", "goodbye": "Sorry."}


@dataclass
class Ears:
    name: str
    service: Callable[[], VendorSocket]
    adapter: Callable[[str], SpeechToText]


@dataclass
class Voice:
    name: str
    service: Callable[[], VendorServer | VendorSocket]
    adapter: Callable[[str], DeepgramTts | ElevenLabsTts | CartesiaTts]


EARS = [
    Ears("deepgram", DeepgramEars, lambda url: DeepgramStt(api_key="k", base_url=url)),
    Ears("elevenlabs", ElevenLabsEars, lambda url: ElevenLabsStt(api_key="k", base_url=url)),
    Ears("cartesia", CartesiaEars, lambda url: CartesiaStt(api_key="k", base_url=url)),
]
VOICES = [
    Voice("deepgram", DeepgramVoice, lambda url: DeepgramTts(api_key="k", base_url=url, rate_hz=RATE)),
    Voice("elevenlabs", ElevenLabsVoice, lambda url: ElevenLabsTts(voice="v", api_key="k", base_url=url, rate_hz=RATE)),
    Voice("cartesia", CartesiaVoice, lambda url: CartesiaTts(voice="v", api_key="k", base_url=url, rate_hz=RATE)),
]


async def ask(agent: VoiceAgent, hears: str = "closed") -> Call:
    """Three questions, of which the second may go wrong."""
    caller = Caller().says("Open?").hears("at nine").says("Sunday?").hears(hears)
    return await caller.says("Thanks.").hears("bye").hangs_up().calls(agent, rate_hz=RATE)


@pytest.mark.parametrize("ears", EARS, ids=lambda ears: ears.name)
@virtual_time(sockets=True)
async def test_a_transcriber_that_breaks_down_in_a_call(ears: Ears) -> None:
    async with ears.service() as service:
        service.fail(Fault.CUT)
        agent = VoiceAgent(ears.adapter(service.url), FakeLlm(when=ANSWERS), FakeTts(), phrases=Phrases(**PHRASES))
        call = await ask(agent)
    call.expect_heard("At nine.", "We are closed then.", "Bye.")
    call.expect_not_heard("again", "sorry")


@pytest.mark.parametrize(
    ("ears", "fault"), [(EARS[0], Fault.NO_ANSWER), (EARS[1], Fault.ERROR_WITHIN)], ids=["stalls", "tells an error"]
)
@virtual_time(sockets=True)
async def test_a_caller_whom_the_transcriber_fails_is_told_and_asked_again(ears: Ears, fault: Fault) -> None:
    async with ears.service() as service:
        service.fail(fault)
        agent = VoiceAgent(ears.adapter(service.url), FakeLlm(when=ANSWERS), FakeTts(), phrases=Phrases(**PHRASES))
        caller = Caller().says("When do you open?").hears("again").says("Open?").hears("at nine")
        call = await caller.hangs_up().calls(agent, rate_hz=RATE)
    call.expect_heard("Say it again?", "At nine.")


@virtual_time(sockets=True)
async def test_another_transcriber_takes_over_within_the_turn() -> None:
    async with DeepgramEars() as service:
        service.fail(Fault.NO_ANSWER)
        stt = FallbackStt(DeepgramStt(api_key="k", base_url=service.url), FakeStt())
        call = await ask(VoiceAgent(stt, FakeLlm(when=ANSWERS), FakeTts(), phrases=Phrases(**PHRASES)))
    call.expect_heard("At nine.", "We are closed then.", "Bye.")
    call.expect_not_heard("again", "sorry")


@pytest.mark.parametrize(
    ("voice", "fault"),
    [(VOICES[0], Fault.STALLS), (VOICES[1], Fault.LIMITED), (VOICES[2], Fault.CUT)],
    ids=["stalls", "has too much to do", "is cut off"],
)
@virtual_time(sockets=True)
async def test_a_voice_that_fails_in_a_call_says_so_and_then_goes_on(voice: Voice, fault: Fault) -> None:
    def fail(report: object) -> None:
        if len(reports) == 0:
            if isinstance(service, VendorSocket):
                service.cut()
            service.fail(fault)
        reports.append(report)

    reports: list[object] = []
    async with voice.service() as service:
        tts = voice.adapter(service.url)
        # Without partials nothing is begun on a guess: one that fails is begun anew, and nobody notices.
        agent = VoiceAgent(FakeStt(partials=False), FakeLlm(when=ANSWERS), tts, report=fail, phrases=Phrases(**PHRASES))
        call = await ask(agent, hears="again")
        await tts.aclose()
    call.expect_heard("At nine.", "Say it again?", "Bye.")


@virtual_time(sockets=True)
async def test_another_voice_takes_over_within_the_sentence() -> None:
    async with ElevenLabsVoice() as service:
        first, second = ElevenLabsTts(voice="v", api_key="k", base_url=service.url, rate_hz=RATE), FakeTts()
        agent = VoiceAgent(
            FakeStt(partials=False), FakeLlm(when=ANSWERS), FallbackTts(first, second), phrases=Phrases(**PHRASES)
        )
        agent.report = lambda _: service.fail(Fault.CUT)
        call = await ask(agent)
        await first.aclose()
    call.expect_heard("At nine.", "We are", "closed then.", "Bye.")
    call.expect_not_heard("again", "sorry")
    assert second.said[0] in ("are closed then.", "closed then."), "it has gone on"
