"""A pipecat bot that does the same: the same ear for voices, the same wait, the same tone, by pipecat's own means.

Its transport is pipecat's for FastAPI with Twilio's serializer (--transport twilio), or Longline's.
"""

import argparse
import asyncio
import sys
from collections.abc import AsyncIterator
from typing import Any

import uvicorn
from crowd_agent import ENDPOINTING_S, PIECE, RATE_HZ, TONE
from fastapi import FastAPI, WebSocket
from loguru import logger
from pipecat.frames.frames import (
    Frame,
    InputAudioRawFrame,
    InterruptionFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMTextFrame,
    TranscriptionFrame,
    TTSAudioRawFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import LLMAssistantAggregator
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.runner.utils import parse_telephony_websocket
from pipecat.serializers.twilio import TwilioFrameSerializer
from pipecat.services.settings import TTSSettings
from pipecat.services.tts_service import TTSService
from pipecat.transports.base_transport import BaseTransport
from pipecat.transports.websocket.fastapi import FastAPIWebsocketParams, FastAPIWebsocketTransport
from pipecat.workers.runner import WorkerRunner

from longline.agentkit.pipecat import LonglineTransport
from longline.agentkit.server import serve
from longline.agentkit.session import CallSession
from longline.agentkit.turns.energy import EnergyVad

app = FastAPI()


class Ears(FrameProcessor):
    """Tells when a turn begins and is over; what was said is the same each time."""

    def __init__(self) -> None:
        super().__init__()
        self._vad = EnergyVad()
        self._over: asyncio.TimerHandle | None = None
        self._heard_ms = 0.0

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, InputAudioRawFrame):
            self._heard_ms += len(frame.audio) * 500 / frame.sample_rate
            change = self._vad.hear(frame.audio, frame.sample_rate, self._heard_ms)
            if change is not None and self._over is not None:
                self._over.cancel()
            if change is not None and change[0] == "started":
                await self.push_frame(InterruptionFrame())
            elif change is not None:
                late_s = (self._heard_ms - change[1]) / 1000
                self._over = asyncio.get_running_loop().call_later(max(0.0, ENDPOINTING_S - late_s), self._end)
        await self.push_frame(frame, direction)

    def _end(self) -> None:
        self._telling = asyncio.ensure_future(self.push_frame(TranscriptionFrame("Something.", "caller", "")))


class Mind(FrameProcessor):
    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, TranscriptionFrame):
            for piece in (LLMFullResponseStartFrame(), LLMTextFrame("Yes."), LLMFullResponseEndFrame()):
                await self.push_frame(piece)
        else:
            await self.push_frame(frame, direction)


class Voice(TTSService):
    async def run_tts(self, text: str, context_id: str) -> AsyncIterator[Frame]:
        for at in range(0, len(TONE), PIECE):
            yield TTSAudioRawFrame(TONE[at : at + PIECE], RATE_HZ, 1, context_id=context_id)


async def converse(transport: BaseTransport) -> None:
    voice = Voice(settings=TTSSettings(model=None, voice=None, language=None), push_start_frame=True)
    memory = LLMAssistantAggregator(LLMContext())
    pipeline = Pipeline([transport.input(), Ears(), Mind(), voice, transport.output(), memory])
    params = PipelineParams(audio_in_sample_rate=RATE_HZ, audio_out_sample_rate=RATE_HZ)
    worker = PipelineWorker(pipeline, params=params)

    @transport.event_handler("on_client_disconnected")
    async def on_client_disconnected(_transport: Any, _client: Any) -> None:
        await worker.cancel()

    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    await runner.run()


@app.websocket("/")
async def twilio(websocket: WebSocket) -> None:
    await websocket.accept()
    _, call = await parse_telephony_websocket(websocket)
    params = TwilioFrameSerializer.InputParams(auto_hang_up=False)
    serializer = TwilioFrameSerializer(stream_sid=call.stream_id, params=params)
    both = FastAPIWebsocketParams(audio_in_enabled=True, audio_out_enabled=True, serializer=serializer)
    await converse(FastAPIWebsocketTransport(websocket, both))


async def ours(call: CallSession) -> None:
    await converse(LonglineTransport(call))


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--transport", default="twilio")
    arguments = parser.parse_args()
    logger.remove()
    logger.add(sys.stderr, level="ERROR")
    if arguments.transport == "twilio":
        config = uvicorn.Config(app, host="127.0.0.1", port=arguments.port, log_level="error", lifespan="off")
        await uvicorn.Server(config).serve()
        return
    async with serve(ours, "127.0.0.1", arguments.port):
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
