"""Providers are connected to when a call begins: the first word finds a connection."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from tests.support.cartesia_service import CartesiaVoice
from tests.support.deepgram_service import DeepgramVoice
from tests.support.elevenlabs_service import ElevenLabsVoice
from tests.support.openai_service import OpenAIService
from tests.support.vendor_http import Fault, VendorServer
from tests.support.vendor_socket import VendorSocket

from longline.agentkit import VoiceAgent
from longline.agentkit.conversation import Conversation, Turn
from longline.agentkit.llm.fallback import FallbackLlm
from longline.agentkit.llm.openai import OpenAILlm
from longline.agentkit.testing import Caller, FakeLlm, FakeStt, FakeTts, virtual_time
from longline.agentkit.tts.cartesia import CartesiaTts
from longline.agentkit.tts.deepgram import DeepgramTts
from longline.agentkit.tts.elevenlabs import ElevenLabsTts
from longline.agentkit.tts.fallback import FallbackTts
from longline.agentkit.tts.kept import KeptTts
from longline.agentkit.warm import warm


async def one_connection(service: VendorServer | VendorSocket) -> None:
    async with asyncio.timeout(2):
        while not service.open_now:
            await asyncio.sleep(0.01)
    assert service.open_now == 1


@pytest.mark.parametrize(
    ("make", "adapter"),
    [
        (DeepgramVoice, lambda url: DeepgramTts(api_key="k", base_url=url)),
        (ElevenLabsVoice, lambda url: KeptTts(ElevenLabsTts(voice="v", api_key="k", base_url=url))),
        (CartesiaVoice, lambda url: FallbackTts(CartesiaTts(voice="v", api_key="k", base_url=url), FakeTts())),
    ],
    ids=["deepgram", "elevenlabs, kept", "cartesia, the first of two"],
)
async def test_a_voice_says_its_first_word_on_the_connection_that_was_made_before(
    make: Callable[[], VendorServer | VendorSocket], adapter: Callable[[str], Any]
) -> None:
    async with make() as service:
        tts = adapter(service.url)
        await warm(tts)
        await one_connection(service)
        assert [sound async for sound in tts.say("Hello.")]
        await one_connection(service)


async def test_so_does_a_model() -> None:
    async with OpenAIService() as service:
        llm = OpenAILlm(model="m", api_key="k", base_url=service.base_url)
        await warm(FallbackLlm(llm, FakeLlm()))
        await one_connection(service)
        conversation = Conversation()
        conversation.add(Turn("caller", "Hello?"))
        assert [piece async for piece in llm.reply(conversation, ())]
        await one_connection(service)
        await llm.aclose()


async def test_what_goes_wrong_is_told_by_nobody_yet() -> None:
    async with CartesiaVoice() as service:
        service.fail(Fault.LIMITED)
        await warm(CartesiaTts(voice="v", api_key="k", base_url=service.url), FakeTts(), object())


@virtual_time(sockets=True)
async def test_an_agent_connects_when_a_call_begins() -> None:
    async with CartesiaVoice() as service:
        tts = CartesiaTts(voice="v", api_key="k", base_url=service.url)
        agent = VoiceAgent(FakeStt(), FakeLlm(), tts)
        agent.phrases.sounds = dict.fromkeys((agent.phrases.wait, agent.phrases.sorry, agent.phrases.goodbye), b"")
        await Caller().waits(0.2).hangs_up().calls(agent)
        assert len(service.requests) == 1
        await tts.aclose()
