"""Answer the caller's first sentence with a speech, and let the caller interrupt it: barge-in by `clear`.

Run it, then `longline serve --stream ws://127.0.0.1:9000 --chunk-size 20`, and call. Without an SDK;
`examples/clinic.py` is a whole agent.
"""

import argparse
import array
import asyncio
import base64
import itertools
import json
import wave
from pathlib import Path

from websockets.asyncio.server import ServerConnection, serve

AUDIO = Path(__file__).parent / "audio"
LOUD = 500  # mean amplitude, of 32,767, above which a chunk is speech
START_MS, END_MS = 80, 600  # so much speech starts a turn, so much silence ends it


class Turns:
    """Hears when the caller starts and ends a turn, by energy alone."""

    def __init__(self) -> None:
        self.speaking = False
        self.run_ms = 0.0  # how long the audio has contradicted `speaking`

    def hear(self, pcm: bytes) -> str | None:
        samples = array.array("h", pcm)
        loud = sum(map(abs, samples)) > LOUD * len(samples)
        self.run_ms = self.run_ms + len(samples) / 8 if loud != self.speaking else 0
        if self.run_ms < (END_MS if self.speaking else START_MS):
            return None
        self.speaking, self.run_ms = loud, 0
        return "started" if loud else "ended"


def speech(name: str) -> bytes:
    """The samples of a prompt: 16-bit, 8 kHz, mono."""
    with wave.open(str(AUDIO / name)) as prompt:
        return bytes(prompt.readframes(prompt.getnframes()))


async def call(socket: ServerConnection) -> None:
    """One call: greet, be interrupted, say goodbye, hang up by closing the socket."""
    turns, chunk_ids, replies = Turns(), itertools.count(), iter(("greeting.wav", "goodbye.wav"))
    async for text in socket:
        message = json.loads(text)
        if message["type"] != "audio":
            continue
        turn = turns.hear(base64.b64decode(message["data"]["audio_b64"]))
        if turn == "started":
            await socket.send(json.dumps({"type": "clear"}))  # whatever is being said stops now
        elif turn == "ended":
            reply = next(replies)
            audio = base64.b64encode(speech(reply)).decode()
            await socket.send(json.dumps({"type": "audio", "audio_b64": audio, "chunk_id": next(chunk_ids)}))
            if reply == "goodbye.wav":
                await asyncio.sleep(len(speech(reply)) / 16_000 + 0.3)  # let the caller hear it
                return


async def main(port: int) -> None:
    async with serve(call, "127.0.0.1", port) as server:
        await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=9000)
    asyncio.run(main(parser.parse_args().port))
