"""What the media server tells of a live call: taken to the part it concerns, or told on as an observation."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from uuid import UUID

from longline.base.events import EventType
from longline.calls.call_playbacks import CallPlaybacks
from longline.calls.call_recording import CallRecording
from longline.calls.call_streams import CallStreams
from longline.calls.context import CallContext
from longline.calls.sip_leg import SipLeg
from longline.calls.stream_asks import StreamAsks
from longline.media.protocol import events
from longline.media.protocol.events import MediaEvent, event_data

OBSERVATIONS: dict[type[MediaEvent], EventType] = {
    events.LegMediaStarted: EventType.LEG_MEDIA_STARTED,
    events.LegIntruder: EventType.LEG_INTRUDER_DETECTED,
    events.LegDigit: EventType.DTMF_RECEIVED,
    events.LegDtmfSent: EventType.DTMF_SENT,
    events.LegSpeechStarted: EventType.SPEECH_STARTED,
    events.LegSpeechStopped: EventType.SPEECH_STOPPED,
    events.LegQuality: EventType.CALL_QUALITY_MEASURED,
    events.StreamFirstAudioSent: EventType.STREAM_FIRST_AUDIO_SENT,
    events.StreamFirstAudioReceived: EventType.STREAM_FIRST_AUDIO_RECEIVED,
    events.StreamRefusedMessage: EventType.STREAM_REFUSED_MESSAGE,
    events.PlayoutStarted: EventType.PLAYOUT_STARTED,
    events.PlayoutDrained: EventType.PLAYOUT_DRAINED,
    events.PlayoutCleared: EventType.PLAYOUT_CLEARED,
    events.PlayoutInterrupted: EventType.PLAYOUT_INTERRUPTED,
    events.PlayoutOverflow: EventType.PLAYOUT_OVERFLOW,
}
"""Events that change nothing of the call; they are told on with the time at which the media server saw them."""


class MediaEvents:
    """`legs` by the id that the media server knows. Every method is called by the call's own task, one at a time."""

    def __init__(
        self,
        context: CallContext,
        legs: Mapping[str, SipLeg],
        streams: CallStreams,
        playbacks: CallPlaybacks,
        recording: CallRecording,
        asks: StreamAsks,
    ) -> None:
        self._legs = legs
        self._context = context
        self._streams = streams
        self._playbacks = playbacks
        self._recording = recording
        self._asks = asks

    @staticmethod
    def is_observation(event: MediaEvent) -> bool:
        """Nothing breaks when it is lost."""
        return type(event) in OBSERVATIONS or isinstance(event, events.StreamRequested)

    async def receive(self, event: MediaEvent) -> None:
        if isinstance(event, events.StreamConnected):
            await self._streams.connected(event)
        elif isinstance(event, events.StreamDisconnected):
            await self._streams.disconnected(event)
        elif isinstance(event, events.StreamResumed):
            await self._streams.resumed(event)
        elif isinstance(event, events.StreamClosed):
            await self._streams.closed(event)
        elif isinstance(event, events.StreamRequested):
            await self._asks.receive(event)
        elif isinstance(event, events.PlaybackFinished):
            self._playbacks.finished(event)
        elif isinstance(event, events.RecordingFinished):
            await self._recording.finished(event)
        elif type(event) in OBSERVATIONS and not self._context.call.has_ended:
            await self._observe(event)

    async def _observe(self, event: MediaEvent) -> None:
        name = getattr(event, "leg", None)
        leg = None if name is None else self._legs.get(name)
        if isinstance(event, events.LegDigit) and leg is not None:
            now = self._context.clock.monotonic()
            if not leg.presses.is_new(now, event.digit, "media"):
                return
            if leg.on_press is not None:
                await leg.on_press(event.digit)
            if event.method != "inband" and leg.on_digit is not None:
                await leg.on_digit(leg, event.digit, event.duration_ms)
        if leg is not None and isinstance(event, events.LegSpeechStarted | events.LegSpeechStopped):
            leg.on_voice(isinstance(event, events.LegSpeechStarted))
        stream = getattr(event, "stream", None)
        data = event_data(event)
        if isinstance(event, events.LegQuality):
            data = event.quality
        if isinstance(event, events.LegMediaStarted) and leg is not None:
            data |= leg.media.what_flows()
        self._context.publish(
            OBSERVATIONS[type(event)],
            data,
            at=datetime.fromtimestamp(event.at, UTC),
            leg_id=(leg.leg if leg is not None else self._context.call.leg).id,
            stream_id=None if stream is None else UUID(stream),
            target_url=None if stream is None else self._streams.told(UUID(stream)),
        )
