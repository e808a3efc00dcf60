"""OpenAI's transcriptions, through its SDK, against a server of its format: what is sent of a call, and when."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from tests.support.openai_service import OpenAIService, form_of, heard_by
from tests.support.vendor_http import RETRY_AFTER_S, Fault
from tests.unit.agentkit.fakes import SILENCE, VOICE

from longline.agentkit.ports import ProviderError, Transcript
from longline.agentkit.stt.openai import BEFORE_MS, OpenAIStt

RATE = 8_000


@pytest.fixture
async def service() -> AsyncIterator[OpenAIService]:
    async with OpenAIService() as service:
        yield service


class Caller:
    """`says` and waits until a transcript has come of it."""

    def __init__(self, stt: OpenAIStt) -> None:
        self.frames: asyncio.Queue[bytes | None] = asyncio.Queue()
        self.transcripts = stt.listen(self._audio(), RATE)

    async def _audio(self) -> AsyncIterator[bytes]:
        while (frame := await self.frames.get()) is not None:
            yield frame

    def says(self, *script: tuple[float, float]) -> None:
        """Seconds of silence and seconds of voice in turn."""
        for silence_s, voice_s in script:
            for frame in [SILENCE] * round(silence_s * 50) + [VOICE] * round(voice_s * 50):
                self.frames.put_nowait(frame)

    def is_done(self) -> None:
        self.frames.put_nowait(b"")

    async def is_understood(self) -> Transcript:
        async with asyncio.timeout(3):
            return await anext(self.transcripts)

    async def leaves(self) -> None:
        await self.transcripts.aclose()  # type: ignore[attr-defined]


async def transcriber(service: OpenAIService, **more: object) -> OpenAIStt:
    return OpenAIStt(base_url=service.base_url, api_key="k", timeout_s=0.3, **more)  # type: ignore[arg-type]


async def test_a_turn_is_cut_out_and_sent_once(service: OpenAIService) -> None:
    stt = await transcriber(service, eager=False, language="en")
    caller = Caller(stt)
    service.texts = ["When do you open?"]
    caller.says((2.0, 0.6), (0.5, 0.4), (0.4, 0))
    caller.is_done()
    assert await caller.is_understood() == Transcript("When do you open?", is_final=True)
    rate_hz, pcm = heard_by(service.requests[0])
    length_ms = len(pcm) * 500 / rate_hz
    assert (rate_hz, len(service.requests)) == (RATE, 1)
    assert length_ms == pytest.approx(BEFORE_MS + 600 + 500 + 400 + 400, abs=40)
    form = form_of(service.requests[0])
    assert (form["model"], form["language"]) == (b"gpt-transcribe", b"en")
    await caller.leaves()
    await stt.aclose()


async def test_what_was_sent_at_the_pause_is_the_turn(service: OpenAIService) -> None:
    stt = await transcriber(service, streams=True)
    caller = Caller(stt)
    service.texts = ["When do you open?", "Goodbye."]
    caller.says((0.5, 0.6), (0.4, 0))
    partials = [await caller.is_understood() for _ in range(5)]
    assert [partial.text for partial in partials][::2] == ["When ", "When do you ", "When do you open?"]
    assert not any(partial.is_final for partial in partials)
    caller.is_done()
    assert await caller.is_understood() == Transcript("When do you open?", is_final=True)
    assert len(service.requests) == 1, "the transcript came while the silence lasted"
    caller.says((0.5, 0.6), (0.4, 0))
    caller.is_done()
    assert await caller.is_understood() == Transcript("Goodbye.", is_final=True)
    await caller.leaves()
    await stt.aclose()


async def test_a_caller_who_goes_on_is_understood_as_a_whole(service: OpenAIService) -> None:
    stt = await transcriber(service)
    caller = Caller(stt)
    service.texts = ["I would like", "I would like to book."]
    caller.says((0.5, 0.6), (0.4, 0))
    assert await caller.is_understood() == Transcript("I would like", is_final=False)
    caller.says((0.1, 0.6), (0.4, 0))
    assert await caller.is_understood() == Transcript("I would like to book.", is_final=False)
    caller.is_done()
    assert (await caller.is_understood()).is_final
    first, second = (len(heard_by(request)[1]) for request in service.requests)
    assert second > first * 1.5
    await caller.leaves()
    await stt.aclose()


async def test_a_turn_without_voice_costs_nothing(service: OpenAIService) -> None:
    stt = await transcriber(service)
    caller = Caller(stt)
    caller.says((0.5, 0.08), (1.0, 0))
    caller.is_done()
    assert await caller.is_understood() == Transcript("", is_final=True)
    assert service.requests == []
    await caller.leaves()


async def test_a_very_long_turn_is_sent_in_pieces(service: OpenAIService) -> None:
    stt = await transcriber(service, eager=False)
    caller = Caller(stt)
    service.text_of = lambda request: "Long." if len(heard_by(request)[1]) > 30 * 2 * RATE else "Short."
    caller.says(*[(0.1, 1.9)] * 35, (0.4, 0))  # who talks breathes: what has no gap at all is a noise
    caller.is_done()
    assert [(await caller.is_understood()).text for _ in range(2)] == ["Long.", "Short."]
    await caller.leaves()
    await stt.aclose()


CASES = [(fault, True) for fault in Fault] + [(fault, False) for fault in Fault if fault is not Fault.ERROR_WITHIN]
"""An answer in one piece has no error within."""


@pytest.mark.parametrize(("fault", "streams"), CASES)
async def test_faults_are_provider_errors_and_the_next_turn_is_understood(
    service: OpenAIService, fault: Fault, streams: bool
) -> None:
    stt = await transcriber(service, eager=False, streams=streams)
    caller = Caller(stt)
    service.fail(fault)
    service.texts = ["One.", "Two."]
    caller.says((0.5, 0.6), (0.4, 0))
    caller.is_done()
    with pytest.raises(ProviderError) as failed:
        while not (await caller.is_understood()).is_final:
            pass
    assert failed.value.retry_after_s == (RETRY_AFTER_S if fault is Fault.LIMITED else None)
    assert len(service.requests) == 1, "no retries behind the caller's back"
    again = Caller(stt)
    service.texts = ["Two."]
    again.says((0.5, 0.6), (0.4, 0))
    again.is_done()
    assert await again.is_understood() == Transcript("Two.", is_final=True)
    await again.leaves()
    await stt.aclose()


async def test_a_guess_that_failed_is_asked_again_when_the_turn_is_over(service: OpenAIService) -> None:
    stt = await transcriber(service)
    caller = Caller(stt)
    service.fail(Fault.BROKEN)
    service.texts = ["Yes."]
    caller.says((0.5, 0.6), (0.4, 0))
    await asyncio.sleep(0.1)
    caller.is_done()
    assert await caller.is_understood() == Transcript("Yes.", is_final=True)
    await caller.leaves()
    await stt.aclose()


async def test_to_leave_ends_the_requests(service: OpenAIService) -> None:
    stt = await transcriber(service)
    caller = Caller(stt)
    service.fail(Fault.NO_ANSWER)
    caller.says((0.5, 0.6), (0.4, 0))
    waiting = asyncio.create_task(caller.is_understood())
    while not service.requests:
        await asyncio.sleep(0.01)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    async with asyncio.timeout(2):
        await service.left.wait()
