"""LiveKit Agents on Longline's calls: an `AgentSession` without a room, and so without LiveKit's server.

    async def talk(call: CallSession) -> None:
        await converse(AgentSession(stt=…, llm=…, tts=…, vad=…), MyAgent(), call)

    async with serve(talk, "0.0.0.0", 9000): ...

The session's audio input and output are the call's; sockets that drop and come back are none of its business. How much
of an answer was played is what the caller heard, and the text that goes into the chat context after an interruption is
the words that were heard. Leaves out what belongs to LiveKit's rooms: `get_job_context`, participants, video, RPC, its
recordings and background audio.

Needs livekit-agents 1.8 or later: pip install longline[livekit].
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import Any

try:
    from livekit import rtc
    from livekit.agents import Agent, AgentSession
    from livekit.agents.voice import io
except ImportError as error:
    raise ImportError(f"{error}: it needs LiveKit Agents: pip install longline[livekit]") from error

from longline.agentkit import line
from longline.agentkit.heard import heard_text
from longline.agentkit.played import Pace
from longline.agentkit.session import CallSession
from longline.agentkit.utterance import Utterance

MAX_FRAMES = 1_500
"""Thirty seconds of what the caller says wait for a session that does not read; of more, the oldest are dropped."""


async def converse(
    session: AgentSession,
    agent: Agent,
    call: CallSession,
    *,
    on_event: Callable[[line.LineEvent], Any] | None = None,
    **more: Any,
) -> None:
    """One call, to its end, or the session's: then it is hung up (a session that is shut down says first what it has
    begun). `on_event` is told all that the line tells, of which LiveKit has no word for keys; `more` goes to
    `session.start`."""
    ears, mouth = CallAudioInput(call), CallAudioOutput(call)
    session.input.audio = ears
    session.output.audio = mouth
    session.output.transcription = CallTextOutput(mouth, session.output.transcription)
    closed = asyncio.Event()
    session.on("close", lambda _: closed.set())
    await session.start(agent, **more)

    async def read() -> None:
        async for event in call:
            ears.take(event)
            mouth.take(event)
            if on_event is not None:
                on_event(event)

    tasks = [asyncio.create_task(read()), asyncio.create_task(closed.wait())]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        if tasks[0].done():
            tasks[0].result()
    finally:
        for task in tasks:
            task.cancel()
        ears.close()
        if call.over is None:
            call.hangup()
        await session.aclose()


class CallAudioInput(io.AudioInput):
    """What the caller says, in frames as they come."""

    def __init__(self, call: CallSession) -> None:
        super().__init__(label="Longline")
        self._rate_hz = call.rate_hz
        self._frames: deque[rtc.AudioFrame | None] = deque(maxlen=MAX_FRAMES)
        self._arrived = asyncio.Event()

    def take(self, event: line.LineEvent) -> None:
        if isinstance(event, line.Frame):
            self._put(rtc.AudioFrame(event.pcm, self._rate_hz, 1, len(event.pcm) // 2))

    def close(self) -> None:
        self._put(None)

    def _put(self, frame: rtc.AudioFrame | None) -> None:
        self._frames.append(frame)
        self._arrived.set()

    async def __anext__(self) -> rtc.AudioFrame:
        while not self._frames:
            self._arrived.clear()
            await self._arrived.wait()
        frame = self._frames.popleft()
        if frame is None:
            raise StopAsyncIteration
        return frame


class _Segment:
    """What LiveKit takes for one piece of playback: an utterance. `is_whole`: all of its sound is there."""

    def __init__(self, utterance: Utterance) -> None:
        self.utterance = utterance
        self.is_whole = False
        self.ending: asyncio.Handle | None = None
        self.reported_ms = 0.0

    def end(self) -> None:
        self.is_whole = True


class CallAudioOutput(io.AudioOutput):
    """What the agent says. Frames may come as fast as they are made: the line plays them in time."""

    def __init__(self, call: CallSession) -> None:
        super().__init__(
            label="Longline", sample_rate=call.rate_hz, capabilities=io.AudioOutputCapabilities(pause=True)
        )
        self._call = call
        self._open: _Segment | None = None
        self._segments: dict[str, _Segment] = {}
        self._text = ""
        self._text_is_whole = False
        self._pace = Pace()

    async def capture_frame(self, frame: rtc.AudioFrame) -> None:
        await super().capture_frame(frame)
        if self._open is None:
            self._open = _Segment(self._call.begin())
            self._segments[self._open.utterance.id] = self._open
            self._open.utterance.ended.add_done_callback(lambda ended: self._finished(ended.result()))
        self._call.add(self._open.utterance, bytes(frame.data))

    def flush(self) -> None:
        super().flush()
        segment, self._open = self._open, None
        if segment is not None:
            self._call.finish(segment.utterance)
            # A segment that is cancelled is flushed, too, and cleared in the same breath: that one is not whole.
            segment.ending = asyncio.get_running_loop().call_soon(segment.end)

    def clear_buffer(self) -> None:
        for segment in self._segments.values():
            if segment.ending is not None:
                segment.ending.cancel()
        if self._segments:
            self._call.interrupt()

    def pause(self) -> None:
        super().pause()
        self._call.pause()

    def resume(self) -> None:
        super().resume()
        self._call.resume()

    def write(self, text: str) -> None:
        """Of the text of what is said; LiveKit gives that of the next segment when this one was played."""
        if self._text_is_whole:
            self._text, self._text_is_whole = "", False
        self._text += text

    def write_end(self) -> None:
        self._text_is_whole = True

    def take(self, event: line.LineEvent) -> None:
        match event:
            case line.SpeechStarted(name) if name in self._segments:
                self.on_playback_started(created_at=time.time())
            case line.SpeechProgress(name, heard_ms) if name in self._segments:
                segment = self._segments[name]
                length_ms, begun_ms = heard_ms - segment.reported_ms, segment.reported_ms
                if length_ms > 0:
                    segment.reported_ms = heard_ms
                    began_at = time.time() - length_ms / 1000
                    self.on_playback_progressed(started_at=began_at, offset=begun_ms / 1000, duration=length_ms / 1000)

    def _finished(self, utterance: Utterance) -> None:
        segment = self._segments.pop(utterance.id)
        text, self._text = self._text, ""
        heard = None
        if text and utterance.was_cut:
            length_ms = utterance.said_ms
            if not segment.is_whole:
                length_ms = self._pace.length_ms(text, length_ms)
            heard = heard_text(text, length_ms, utterance.heard_ms)
        else:
            self._pace.learn(text, utterance.said_ms)
        self.on_playback_finished(
            playback_position=utterance.heard_ms / 1000, interrupted=utterance.was_cut, synchronized_transcript=heard
        )


class CallTextOutput(io.TextOutput):
    """Tells the audio output what it says, and gives it on to where transcripts went before, if anywhere."""

    def __init__(self, mouth: CallAudioOutput, next_in_chain: io.TextOutput | None) -> None:
        super().__init__(label="Longline", next_in_chain=next_in_chain)
        self._mouth = mouth

    async def capture_text(self, text: str) -> None:
        self._mouth.write(str(text))
        if self.next_in_chain is not None:
            await self.next_in_chain.capture_text(text)

    def flush(self) -> None:
        self._mouth.write_end()
        if self.next_in_chain is not None:
            self.next_in_chain.flush()
