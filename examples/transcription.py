"""Live transcription of both sides of a call, each in a track of its own, without a service: pocketsphinx.

It says that it listens, and prints who says what as it is said. Run it (it needs longline[offline] and flite), then
`longline serve --stream ws://127.0.0.1:9000 --dialect longline`, and call. Beside another application, open it with
`POST /api/v1/voice/calls/{id}/streams` and "direction": "listen". Any other `SpeechToText` takes pocketsphinx's place.
"""

import argparse
import asyncio
from collections.abc import AsyncIterator

from longline.agentkit import CallSession, EndpointingRules, EnergyVad, Frame, serve
from longline.agentkit.stt.pocketsphinx import PocketsphinxStt
from longline.agentkit.tts.flite import FliteTts
from longline.streamkit.app_messages import Hello

PARTIES = {1: "caller", 128: "we"}
"""Track 128 is what applications and playbacks say (docs/guide/tracks.md)."""
PAUSE_S = EndpointingRules().first_s


class Transcriber:
    """One party's: `hear` its frames; a pause in them is the end of a line."""

    def __init__(self, name: str, rate_hz: int) -> None:
        self.name, self.rate_hz = name, rate_hz
        self.vad = EnergyVad()
        self.quiet_s: float | None = None
        self.frames: asyncio.Queue[bytes] = asyncio.Queue(500)

    def hear(self, frame: Frame) -> None:
        if self.frames.full():
            self.frames.get_nowait()  # the oldest, when the recogniser is ten seconds behind
        self.frames.put_nowait(frame.pcm)
        change = self.vad.hear(frame.pcm, self.rate_hz, frame.at_ms)
        if change is not None:
            self.quiet_s = 0.0 if change[0] == "stopped" else None
        elif self.quiet_s is not None:
            self.quiet_s += len(frame.pcm) / 2 / self.rate_hz
            if self.quiet_s >= PAUSE_S:
                self.quiet_s = None
                self.frames.put_nowait(b"")

    async def run(self, stt: PocketsphinxStt) -> None:
        async for transcript in stt.listen(self._audio(), self.rate_hz):
            if transcript.is_final and transcript.text:
                print(f"{self.name}: {transcript.text}", flush=True)

    async def _audio(self) -> AsyncIterator[bytes]:
        while True:
            yield await self.frames.get()


async def talk(call: CallSession) -> None:
    stt = PocketsphinxStt(least_confidence=0.0)
    parties = {track: Transcriber(name, call.rate_hz) for track, name in PARTIES.items()}
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(party.run(stt)) for party in parties.values()]
        call.say("This call is being transcribed.")
        async for event in call:
            if isinstance(event, Frame):
                parties[event.track].hear(event)
        for task in tasks:
            task.cancel()


async def main(port: int) -> None:
    hello = Hello(tracks=list(PARTIES))
    async with serve(talk, "127.0.0.1", port, hello=hello, tts=FliteTts(voice="rms")):
        await asyncio.Event().wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=9000)
    asyncio.run(main(parser.parse_args().port))
