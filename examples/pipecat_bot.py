"""A bot of pipecat's: it says which key was pressed, and falls silent when it is talked to. Its context holds what was
heard of it, and no more.

Run it (it needs longline[pipecat] and flite), then `longline serve --stream ws://127.0.0.1:9000 --dialect longline`.
"""

import asyncio
import sys
from collections.abc import AsyncIterator

from pipecat.frames.frames import Frame, InputAudioRawFrame, InputDTMFFrame, TTSAudioRawFrame, TTSSpeakFrame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import LLMAssistantAggregator
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.services.settings import TTSSettings
from pipecat.services.tts_service import TTSService
from pipecat.workers.runner import WorkerRunner

from longline.agentkit.pipecat import LonglineTransport
from longline.agentkit.server import serve
from longline.agentkit.session import CallSession
from longline.agentkit.turns.energy import EnergyVad

GREETING = "Welcome. Press any key, and I tell you which one it was. I go on talking until you say something."
FLITE = ("flite", "-voice", "rms", "-o", "/dev/stdout", "-t")


class Keys(FrameProcessor):
    """In the place of speech to text and a model."""

    def __init__(self) -> None:
        super().__init__()
        self.vad = EnergyVad()

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, InputAudioRawFrame):
            if (change := self.vad.hear(frame.audio, frame.sample_rate, 0.0)) and change[0] == "started":
                await self.broadcast_interruption()
        elif isinstance(frame, InputDTMFFrame):
            await self.push_frame(TTSSpeakFrame(f"You have pressed {frame.button.value}."))
        await self.push_frame(frame, direction)


class Flite(TTSService):
    async def run_tts(self, text: str, context_id: str) -> AsyncIterator[Frame]:
        flite = await asyncio.create_subprocess_exec(*FLITE, text, stdout=asyncio.subprocess.PIPE)
        wave, _ = await flite.communicate()
        yield TTSAudioRawFrame(wave[44:], 16_000, 1, context_id=context_id)


async def bot(call: CallSession) -> None:
    transport, context = LonglineTransport(call), LLMContext()
    voice = Flite(settings=TTSSettings(model=None, voice=None, language=None), push_start_frame=True)
    memory = LLMAssistantAggregator(context)
    worker = PipelineWorker(Pipeline([transport.input(), Keys(), voice, transport.output(), memory]))

    @transport.event_handler("on_client_connected")
    async def greet(_transport: LonglineTransport, _call: CallSession) -> None:
        await worker.queue_frame(TTSSpeakFrame(GREETING))

    @transport.event_handler("on_client_disconnected")
    async def leave(_transport: LonglineTransport, _call: CallSession) -> None:
        await worker.cancel()

    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    await runner.run()
    print("heard:", *(message["content"] for message in context.get_messages()), sep="\n  ", flush=True)


async def main(port: int) -> None:
    async with serve(bot, "127.0.0.1", port):
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[2]) if sys.argv[1:2] == ["--port"] else 9000))
