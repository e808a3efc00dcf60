"""Speech that gives way: Longline pauses it the moment the caller talks, and this application decides what was meant.

A cough (less than 400 ms) and the sentence goes on with the sample that was not heard yet; more, and it is dropped. How
much the caller had heard is printed. Run it, then `longline serve --stream ws://127.0.0.1:9000 --dialect longline`.
"""

import argparse
import asyncio
import math

from longline.streamkit import server_messages as told
from longline.streamkit.app_messages import BargeIn, Hello
from longline.streamkit.server import serve
from longline.streamkit.stream import Stream

COUGH_MS = 400
END_MS = 400  # how long after its last sample the end of a voice is told
SENTENCE_S = 10


async def talk(stream: Stream) -> None:
    """Says something long, again and again, and listens for whether it is wanted."""
    sentences = 0
    interruption: asyncio.TimerHandle | None = None
    async for event in stream:
        match event:
            case told.Ready() if not event.resumed:
                sentences = say_sentence(stream, sentences)
            case told.SpeechStarted() if event.paused:
                interruption = asyncio.get_running_loop().call_later((COUGH_MS + END_MS) / 1000, stream.clear)
            case told.SpeechStopped() if interruption is not None and event.duration_ms < COUGH_MS:
                interruption.cancel()
                stream.resume()
            case told.Cleared():
                for each in event.utterances:
                    print(f"{each.utterance_id}: {each.played_ms} ms were heard, {each.dropped_ms} ms were not")
                sentences = say_sentence(stream, sentences)
            case told.PlaybackFinished(outcome="played"):
                sentences = say_sentence(stream, sentences)


def say_sentence(stream: Stream, sentences: int) -> int:
    """A tone that rises, in the place of words."""
    rate = stream.format.rate_hz
    wave = (math.sin(math.tau * (200 + 20 * at / rate) * at / rate) for at in range(SENTENCE_S * rate))
    stream.speak(f"sentence-{sentences + 1}")
    stream.say(b"".join(round(6000 * sample).to_bytes(2, "little", signed=True) for sample in wave))
    stream.speak_end()
    return sentences + 1


async def main(port: int) -> None:
    hello = Hello(speech=True, barge_in=BargeIn(decide_ms=2000))
    async with serve(talk, "127.0.0.1", port, hello=hello):
        await asyncio.get_running_loop().create_future()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=9000)
    asyncio.run(main(parser.parse_args().port))
