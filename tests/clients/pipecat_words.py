"""What a pipecat bot's context holds of a sentence that was interrupted, beside what was heard of it: in memory.

Each of its twenty words lasts 200 ms; once the voice tells when its words end, and once it does not. A JSON line each.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator

from loguru import logger
from pipecat.frames.frames import BotStartedSpeakingFrame, Frame, TTSAudioRawFrame, TTSSpeakFrame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import LLMAssistantAggregator
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.services.settings import TTSSettings
from pipecat.services.tts_service import TTSService
from pipecat.workers.runner import WorkerRunner
from telling import tone

from longline.agentkit.pipecat import LonglineTransport
from longline.agentkit.session import CallSession
from longline.agentkit.testing import Caller

WORDS = [f"word{number}" for number in range(10, 30)]
WORD_MS = 200
INTERRUPTED_AFTER_S = 1.1


class Interrupter(FrameProcessor):
    """So long after the caller began to hear."""

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, BotStartedSpeakingFrame):
            self.create_task(self._interrupt())
        await self.push_frame(frame, direction)

    async def _interrupt(self) -> None:
        await asyncio.sleep(INTERRUPTED_AFTER_S)
        await self.broadcast_interruption()


class Voice(TTSService):
    def __init__(self, *, tells_words: bool) -> None:
        settings = TTSSettings(model=None, voice=None, language=None)
        super().__init__(settings=settings, push_start_frame=True, push_text_frames=not tells_words)
        self._tells_words = tells_words

    async def run_tts(self, text: str, context_id: str) -> AsyncIterator[Frame]:
        if self._tells_words:
            ends = [(word, number * WORD_MS / 1000) for number, word in enumerate(WORDS, 1)]
            await self.add_word_timestamps(ends, context_id)
        for _ in WORDS:
            yield TTSAudioRawFrame(tone(500, WORD_MS / 1000).tobytes(), 8_000, 1, context_id=context_id)


async def measure(tells_words: bool) -> None:
    context = LLMContext()
    heard: list[float] = []

    async def bot(call: CallSession) -> None:
        transport, memory = LonglineTransport(call), LLMAssistantAggregator(context)
        voice = Voice(tells_words=tells_words)
        pipeline = Pipeline([transport.input(), Interrupter(), voice, transport.output(), memory])
        params = PipelineParams(audio_in_sample_rate=8_000, audio_out_sample_rate=8_000)
        worker = PipelineWorker(pipeline, params=params)

        @transport.event_handler("on_client_connected")
        async def greet(_transport: LonglineTransport, _call: CallSession) -> None:
            await worker.queue_frame(TTSSpeakFrame(" ".join(WORDS)))

        @transport.event_handler("on_client_disconnected")
        async def leave(_transport: LonglineTransport, _call: CallSession) -> None:
            await worker.cancel()

        runner = WorkerRunner(handle_sigint=False)
        await runner.add_workers(worker)
        await runner.run()
        heard.append(sum(utterance.heard_ms for utterance in call.utterances.values()))

    await Caller().waits(3.0).hangs_up().calls(bot)
    told = " ".join(str(message["content"]) for message in context.get_messages())
    print(json.dumps({"tells_words": tells_words, "context": told.split(), "heard_ms": heard[0]}), flush=True)


async def main() -> None:
    await measure(False)
    await measure(True)


if __name__ == "__main__":
    logger.remove()
    logger.add(sys.stderr, level="WARNING")
    asyncio.run(main())
