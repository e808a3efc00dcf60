"""An echo that a lost connection does not interrupt: longline.v1, with what was said and heard in the meantime.

Run it, then `longline serve --stream ws://127.0.0.1:9000 --dialect longline`, call, and break the connection as often
as you like (`ss -K dst 127.0.0.1 dport = 9000` as root): the call stays up, and nothing is lost.
"""

import argparse
import asyncio

from longline.streamkit import server_messages as told
from longline.streamkit.audio import Audio
from longline.streamkit.connection import Dropped, Over
from longline.streamkit.server import serve
from longline.streamkit.stream import Stream


async def talk(stream: Stream) -> None:
    """One call, over all of its connections."""
    async for event in stream:
        match event:
            case told.Start():
                print(f"{event.from_} calls {event.to}, connection {event.epoch}")
            case told.Ready():
                print("resumed" if event.resumed else f"ready: {event.audio.encoding} at {event.audio.rate_hz} Hz")
            case Audio():
                stream.say(event.payload)
            case told.Gap():
                print(f"{event.to - event.from_ + 1} frames are lost")
            case Dropped():
                print("the connection is lost; the call goes on")
            case Over():
                print(f"over: {event.reason}")


async def main(port: int) -> None:
    async with serve(talk, "127.0.0.1", port):
        await asyncio.get_running_loop().create_future()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=9000)
    asyncio.run(main(parser.parse_args().port))
