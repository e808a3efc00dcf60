"""A bot on pipecat-ai, as its users write it: a WebSocket route, a pipeline, and its own detection of the provider.

Asterisk's channel is no provider that pipecat knows: /asterisk speaks to it with the package pipecat-asterisk.
Vonage is one that it does not detect: /vonage has its serializer.
Where it can, it ends the call by the provider's API, with the key TOKEN. Twilio's is at TWILIO_BASE_URL; the hosts of
the others are written into pipecat (see hosts.py).
"""

from __future__ import annotations

import os
import sys
from typing import Any

import numpy as np
from fastapi import FastAPI, WebSocket
from hosts import lead_to_the_test
from loguru import logger
from pipecat.frames.frames import (
    EndWorkerFrame,
    Frame,
    InputAudioRawFrame,
    InputDTMFFrame,
    OutputAudioRawFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.runner.utils import parse_telephony_websocket
from pipecat.serializers.exotel import ExotelFrameSerializer
from pipecat.serializers.plivo import PlivoFrameSerializer
from pipecat.serializers.telnyx import TelnyxFrameSerializer
from pipecat.serializers.twilio import TwilioFrameSerializer
from pipecat.serializers.vonage import VonageFrameSerializer
from pipecat.transports.base_transport import BaseTransport
from pipecat.transports.websocket.fastapi import FastAPIWebsocketParams, FastAPIWebsocketTransport
from pipecat.workers.runner import WorkerRunner
from serving import serve_app
from telling import END_KEY, GREETING_HZ, GREETING_S, RATE_HZ, REPLY_HZ, REPLY_KEY, REPLY_S, Ear, tell, tone

app = FastAPI()


def speech(pitch_hz: float, seconds: float) -> OutputAudioRawFrame:
    return OutputAudioRawFrame(audio=tone(pitch_hz, seconds).tobytes(), sample_rate=RATE_HZ, num_channels=1)


class Mind(FrameProcessor):
    """Where a bot has its speech-to-text, its model and its text-to-speech."""

    def __init__(self) -> None:
        super().__init__()
        self._ear = Ear()

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, InputAudioRawFrame):
            if self._ear.feed(np.frombuffer(frame.audio, dtype=np.int16), frame.sample_rate):
                await self.broadcast_interruption()
                tell("interrupted")
        elif isinstance(frame, InputDTMFFrame):
            tell("dtmf", digit=frame.button.value)
            if frame.button.value == REPLY_KEY:
                await self.push_frame(speech(REPLY_HZ, REPLY_S))
            elif frame.button.value == END_KEY:
                await self.push_frame(EndWorkerFrame())
        await self.push_frame(frame, direction)


def serializer_for(provider: str, call: Any) -> Any:
    if provider == "twilio":
        return TwilioFrameSerializer(
            stream_sid=call.stream_id,
            call_sid=call.call_id,
            account_sid=os.environ["TWILIO_ACCOUNT_SID"],
            auth_token=os.environ["TOKEN"],
            base_url=os.environ["TWILIO_BASE_URL"],
        )
    if provider == "telnyx":
        return TelnyxFrameSerializer(
            stream_id=call.stream_id,
            call_control_id=call.call_id,
            outbound_encoding=call.outbound_encoding,
            inbound_encoding="PCMU",
            api_key=os.environ["TOKEN"],
        )
    if provider == "plivo":
        return PlivoFrameSerializer(
            stream_id=call.stream_id,
            call_id=call.call_id,
            auth_id=os.environ["PLIVO_AUTH_ID"],
            auth_token=os.environ["TOKEN"],
        )
    assert provider == "exotel", provider
    return ExotelFrameSerializer(stream_sid=call.stream_id, call_sid=call.call_id)


async def converse(transport: BaseTransport, mind: Mind | None = None) -> None:
    pipeline = Pipeline([transport.input(), mind or Mind(), transport.output()])
    params = PipelineParams(audio_in_sample_rate=RATE_HZ, audio_out_sample_rate=RATE_HZ)
    worker = PipelineWorker(pipeline, params=params)

    @transport.event_handler("on_client_connected")
    async def on_client_connected(_transport: Any, _client: Any) -> None:
        await worker.queue_frame(speech(GREETING_HZ, GREETING_S))

    @transport.event_handler("on_client_disconnected")
    async def on_client_disconnected(_transport: Any, _client: Any) -> None:
        tell("disconnected")
        await worker.cancel()

    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    await runner.run()
    tell("ended")


@app.websocket("/bot")
async def bot(websocket: WebSocket) -> None:
    await websocket.accept()
    provider, call = await parse_telephony_websocket(websocket)
    tell("stream", provider=provider, call=call.model_dump(), headers=dict(websocket.headers))
    params = FastAPIWebsocketParams(
        audio_in_enabled=True, audio_out_enabled=True, serializer=serializer_for(provider, call)
    )
    await converse(FastAPIWebsocketTransport(websocket, params))


@app.websocket("/vonage")
async def vonage(websocket: WebSocket) -> None:
    await websocket.accept()
    tell("stream", provider="vonage", call={}, headers=dict(websocket.headers))
    serializer = VonageFrameSerializer(VonageFrameSerializer.InputParams(vonage_sample_rate=16_000))
    params = FastAPIWebsocketParams(
        audio_in_enabled=True, audio_out_enabled=True, serializer=serializer, fixed_audio_packet_size=640
    )
    await converse(FastAPIWebsocketTransport(websocket, params))


@app.websocket("/asterisk")
async def asterisk(websocket: WebSocket) -> None:
    from pipecat_asterisk.serializer.serializer import AsteriskFrameSerializer
    from pipecat_asterisk.transport.transport import AsteriskWebsocketTransport

    offered = websocket.headers.get("sec-websocket-protocol")
    await websocket.accept(subprotocol="media" if offered == "media" else None)
    tell("stream", provider="asterisk", call={}, headers=dict(websocket.headers))
    params = FastAPIWebsocketParams(audio_in_enabled=True, audio_out_enabled=True, serializer=AsteriskFrameSerializer())
    await converse(AsteriskWebsocketTransport(websocket, params))


if __name__ == "__main__":
    logger.remove()
    logger.add(sys.stderr, level=os.environ.get("PIPECAT_LOG", "WARNING"))
    lead_to_the_test()
    serve_app(app)
